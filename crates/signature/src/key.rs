//! Public keys, and what they can confirm.
//!
//! ECDSA on P-256 and P-384, Ed25519 and RSA (PKCS #1 v1.5), each with the one hash that its layout uses.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_verify::crypto::{
    KeyAlgorithm, VerificationKey, sha256, verify_signature, verify_signature_prehashed,
};
use sigstore_verify::types::{DerPublicKey, HashAlgorithm, SignatureBytes};

use crate::signer::ParseSignerError;

/// Longest text of a key, public or private.
pub const KEY_PEM_BYTES_MAX: usize = 16 * 1024;

const SHA256: &str = "sha256:";

/// The SHA-256 of a key's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint that is this digest.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256}")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseSignerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix(SHA256).ok_or(ParseSignerError::Fingerprint)?;
        read_hex(hex).map(Self).ok_or(ParseSignerError::Fingerprint)
    }
}

/// Reads 64 lower-case hex digits.
pub(crate) fn read_hex(text: &str) -> Option<[u8; 32]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digest = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

/// A public key that can confirm signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: DerPublicKey,
    algorithm: KeyAlgorithm,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`, as `cosign generate-key-pair` and `openssl pkey -pubout` write it.
    ///
    /// # Errors
    ///
    /// When it is too long, no such block, or a key of another kind.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > KEY_PEM_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        let der = DerPublicKey::from_pem(pem).map_err(|_| KeyError::NotPublic)?;
        Self::from_der(der)
    }

    pub(crate) fn from_der(der: DerPublicKey) -> Result<Self, KeyError> {
        let algorithm = KeyAlgorithm::from_spki(&der).map_err(|_| KeyError::Kind)?;
        if !is_read(algorithm) {
            return Err(KeyError::Kind);
        }
        // Made once for its checks: a key that can never confirm anything is an error of the rule, not of a signature.
        VerificationKey::from_spki(&der).map_err(|_| KeyError::Kind)?;
        Ok(Self { der, algorithm })
    }

    /// The key as [`PublicKey::from_pem`] reads it.
    pub fn to_pem(&self) -> String {
        self.der.to_pem().replace("\r\n", "\n")
    }

    /// What the key is called where a signer is written.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(*sha256(self.der.as_bytes()).as_bytes())
    }

    /// Whether `signature` (base64) was made over these bytes, as `cosign sign-blob` and [`crate::SigningKey`] do it.
    ///
    /// # Errors
    ///
    /// When it was not.
    pub fn verify_blob(&self, blob: &[u8], signature: &str) -> Result<(), KeyError> {
        let bytes = STANDARD
            .decode(signature.trim())
            .map_err(|_| KeyError::Signature)?;
        match self.confirms(blob, &SignatureBytes::new(bytes)) {
            true => Ok(()),
            false => Err(KeyError::Signature),
        }
    }

    /// Whether the signature is one over these bytes, hashed with SHA-256 if the kind of key hashes.
    pub(crate) fn confirms(&self, bytes: &[u8], signature: &SignatureBytes) -> bool {
        let scheme = self.algorithm.resolve_signing_scheme(HashAlgorithm::Sha2256);
        scheme.is_ok_and(|scheme| verify_signature(&self.der, bytes, signature, scheme).is_ok())
    }

    /// Whether the signature is one over a statement, hashed as is usual for the kind of key.
    pub(crate) fn confirms_statement(&self, bytes: &[u8], signature: &SignatureBytes) -> bool {
        let scheme = self.algorithm.default_signing_scheme();
        verify_signature(&self.der, bytes, signature, scheme).is_ok()
    }

    /// Whether the signature is one over bytes with this SHA-256. Ed25519 cannot say without the bytes.
    pub(crate) fn confirms_digest(&self, digest: &[u8; 32], signature: &SignatureBytes) -> bool {
        let scheme = self.algorithm.resolve_signing_scheme(HashAlgorithm::Sha2256);
        scheme.is_ok_and(|scheme| verify_signature_prehashed(&self.der, digest, signature, scheme).is_ok())
    }

    pub(crate) fn der(&self) -> &DerPublicKey {
        &self.der
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

fn is_read(algorithm: KeyAlgorithm) -> bool {
    matches!(
        algorithm,
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::Ed25519 | KeyAlgorithm::Rsa
    )
}

/// Why a public key is none, or does not confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`KEY_PEM_BYTES_MAX`].
    #[error("a key has at most {KEY_PEM_BYTES_MAX} bytes")]
    TooLong,
    /// No block of PEM with a public key.
    #[error("not a public key in PEM: `-----BEGIN PUBLIC KEY-----`")]
    NotPublic,
    /// Of a kind that is not read, or broken.
    #[error("not a key that is read: ECDSA (P-256, P-384), Ed25519 or RSA")]
    Kind,
    /// Of another key, or over other bytes.
    #[error("the signature was not made over these bytes with this key")]
    Signature,
}
