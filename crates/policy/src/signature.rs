//! Who must have signed what may be loaded, as an operator says it.
//!
//! Pure: keys are kept as text. Their shape is checked here, so that a mistake is told with its place; whether they are
//! keys, and whether a signature is one of theirs, is for who verifies.

use crate::error::{Field, RuleError};
use crate::source::SourcePattern;
use std::fmt;

/// Longest identity and longest issuer, in bytes.
const NAME_BYTES_MAX: usize = 2048;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 16 * 1024;
/// Most signers of one rule: each key is tried on each signature.
const SIGNERS_MAX: usize = 64;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// What becomes of a component without a signature that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureMode {
    /// It is refused.
    Require,
    /// It is loaded, and the operator is told.
    Warn,
    /// Nobody looks.
    Off,
}

impl SignatureMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Require, Self::Warn, Self::Off];

    /// The word in a document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Warn => "warn",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for SignatureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedSigner {
    /// An identity, or all that begin alike (a `*` at the end), that one issuer confirmed.
    Keyless(TrustedIdentity),
    /// Who has the other half of a key.
    Key(TrustedKey),
}

/// An identity and the issuer that confirmed it: neither means anything without the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIdentity {
    identity: String,
    issuer: String,
}

impl TrustedIdentity {
    /// Both as they are in certificates; `*` may end an identity, after `@` or `/`, where the text before it names a
    /// place on a host.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Identity`] or [`Field::Issuer`].
    pub fn new(identity: &str, issuer: &str) -> Result<Self, RuleError> {
        check_name(Field::Identity, "identity", identity)?;
        check_star(identity)?;
        check_name(Field::Issuer, "issuer", issuer)?;
        if issuer.contains('*') || issuer.starts_with('@') || issuer.contains("@@") {
            return Err(RuleError::at(
                Field::Issuer,
                "an issuer has no `*`, no `@@`, and no `@` at its beginning",
            )
            .hint("an issuer is a URL: `https://token.actions.githubusercontent.com`"));
        }
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(RuleError::at(Field::Issuer, "an issuer is a URL").hint(
                "write it as it is in the certificate: `https://token.actions.githubusercontent.com`",
            ));
        }
        Ok(Self {
            identity: identity.to_owned(),
            issuer: issuer.to_owned(),
        })
    }

    /// The identity, as it was written.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn check_name(field: Field, what: &str, text: &str) -> Result<(), RuleError> {
    let is_name =
        (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name {
        return Ok(());
    }
    let message = format!("an {what} has 1 to {NAME_BYTES_MAX} visible ASCII characters");
    Err(RuleError::at(field, message).hint("copy it from the certificate; it has no spaces"))
}

fn check_star(identity: &str) -> Result<(), RuleError> {
    let Some((start, rest)) = identity.split_once('*') else {
        return Ok(());
    };
    let names_somebody = start.strip_prefix("https://").is_some_and(has_host_and_path);
    if rest.is_empty() && start.ends_with(['@', '/']) && names_somebody {
        return Ok(());
    }
    Err(RuleError::at(Field::Identity, "`*` would let in too many, or nobody").hint(
        "it may stand only at the end, after `@` or `/`, behind `https://`, a host and a path: `https://github.com/org/*`",
    ))
}

fn has_host_and_path(text: &str) -> bool {
    let mut parts = text.split('/').map(|part| part.trim_matches('@'));
    let host = parts.next().unwrap_or_default();
    let first = parts.next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && !first.is_empty()
}

/// A public key in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey(String);

impl TrustedKey {
    /// Reads one block of PEM with a public key; blanks around its lines are not kept.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Key`].
    pub fn new(pem: &str) -> Result<Self, RuleError> {
        let refused = |message: &str| {
            Err(RuleError::at(Field::Key, message).hint(
                "paste the file that begins with `-----BEGIN PUBLIC KEY-----`, in the lines after `key: |`",
            ))
        };
        if pem.len() > KEY_BYTES_MAX {
            return refused("the key is too long");
        }
        if pem.contains("PRIVATE KEY") {
            return refused("this is a private key: take it out of here, and give its public half");
        }
        let lines: Vec<&str> = pem.trim().lines().map(str::trim).collect();
        let [BEGIN, body @ .., END] = lines.as_slice() else {
            return refused("not one public key in PEM");
        };
        if !is_base64(&body.concat()) {
            return refused("what stands between the first and the last line of the key is not base64");
        }
        Ok(Self(lines.join("\n") + "\n"))
    }

    /// The block of PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4)
        && !digits.is_empty()
        && text.len() - digits.len() <= 2
        && digits.bytes().all(is_digit)
}

/// For references that match a pattern: whether they must be signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRule {
    source: SourcePattern,
    mode: SignatureMode,
    signers: Vec<TrustedSigner>,
}

impl SignatureRule {
    /// A rule. Who requires signatures says whose; who looks at none names nobody.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Signers`] when mode and signers contradict each other, or there are too many; at
    /// [`Field::Source`] when no reference could match.
    pub fn new(
        source: SourcePattern,
        mode: SignatureMode,
        signers: Vec<TrustedSigner>,
    ) -> Result<Self, RuleError> {
        let contradiction = match (mode, signers.is_empty()) {
            (SignatureMode::Require, true) => Some((
                "nobody is named whose signature is required",
                "name who must have signed: `signers: [{identity: …, issuer: …}]`, or `mode: warn`",
            )),
            (SignatureMode::Off, false) => Some((
                "signers are named, and nobody looks at signatures",
                "leave `signers` out, or write `mode: require`",
            )),
            (SignatureMode::Require | SignatureMode::Warn, false)
            | (SignatureMode::Warn | SignatureMode::Off, true) => None,
        };
        if let Some((message, hint)) = contradiction {
            return Err(RuleError::at(Field::Signers, message).hint(hint));
        }
        if signers.len() > SIGNERS_MAX {
            let message = format!("more than {SIGNERS_MAX} signers");
            return Err(RuleError::at(Field::Signers, message).hint("write several rules"));
        }
        Ok(Self {
            source,
            mode,
            signers,
        })
    }

    /// Which references it is for.
    #[must_use]
    pub fn source(&self) -> &SourcePattern {
        &self.source
    }

    /// What becomes of those without a signature that counts.
    #[must_use]
    pub fn mode(&self) -> SignatureMode {
        self.mode
    }

    /// Whose signature counts; with [`SignatureMode::Warn`] there may be nobody.
    #[must_use]
    pub fn signers(&self) -> &[TrustedSigner] {
        &self.signers
    }
}
