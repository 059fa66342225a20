//! The roots of trust for signatures made with certificates: whose certificates, logs and timestamps count.

use std::fmt;

use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};

/// Longest text of roots that an operator gives.
pub const ROOTS_BYTES_MAX: usize = 1024 * 1024;

/// Certificate authorities, transparency logs and timestamp authorities that count.
pub struct Roots {
    pub(crate) verifier: sigstore_verify::Verifier,
}

impl Roots {
    /// Those of the public sigstore instance, as they were when this program was built.
    ///
    /// # Errors
    ///
    /// When what is compiled in cannot be read, which no build has.
    pub fn public_good() -> Result<Self, RootsError> {
        let root = TrustedRoot::from_embedded(SigstoreInstance::PublicGood)
            .map_err(|error| RootsError::Unreadable(error.to_string()))?;
        Self::of(&root)
    }

    /// Those of an instance of one's own, in place of the public ones: the text of a `trusted_root.json`.
    ///
    /// # Errors
    ///
    /// When the text is too long, is none, or has a key or a certificate that cannot be used.
    pub fn from_json(json: &[u8]) -> Result<Self, RootsError> {
        if json.len() > ROOTS_BYTES_MAX {
            return Err(RootsError::TooLong);
        }
        let text = std::str::from_utf8(json).map_err(|error| RootsError::Unreadable(error.to_string()))?;
        let root = TrustedRoot::from_json(text).map_err(|error| RootsError::Unreadable(error.to_string()))?;
        Self::of(&root)
    }

    fn of(root: &TrustedRoot) -> Result<Self, RootsError> {
        let verifier =
            sigstore_verify::Verifier::new(root).map_err(|error| RootsError::Unusable(error.to_string()))?;
        Ok(Self { verifier })
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

/// Why roots of trust cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// Longer than [`ROOTS_BYTES_MAX`].
    #[error("roots of trust have at most {ROOTS_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON of a trusted root.
    #[error("not a trusted root: {0}")]
    Unreadable(String),
    /// A key or certificate in them.
    #[error("a trusted root that cannot be used: {0}")]
    Unusable(String),
}
