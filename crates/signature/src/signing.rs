//! Signing with a key of one's own, in the layout that cosign verifies with `cosign verify --key`.
//!
//! A private key is PKCS #8 in PEM, encrypted (PBES2: PBKDF2 with HMAC-SHA-256, AES-256-CBC, RFC 8018) when we write it:
//! `openssl pkey` reads and writes it. Cosign's own file (`ENCRYPTED SIGSTORE PRIVATE KEY`) is not read: its cipher is in
//! no library we have, and who has such a file has cosign to sign with.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::SecretDocument;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef};
use serde_json::json;
use sigstore_verify::crypto::{KeyAlgorithm, KeyPair};
use zeroize::Zeroizing;

use crate::cosign;
use crate::key::{KEY_PEM_BYTES_MAX, PublicKey};
use crate::material::Material;

/// Longest passphrase.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// Rounds of PBKDF2 for what we write: what OWASP asks for with SHA-256.
const ROUNDS: u32 = 600_000;
/// Most rounds in what we read; about ten seconds.
const ROUNDS_MAX: u32 = 10_000_000;
/// Most memory that scrypt may ask for in what we read; OpenSSL asks for 16 MiB.
const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most passes of scrypt in what we read.
const SCRYPT_PASSES_MAX: u16 = 16;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const COSIGN: [&str; 2] = [
    "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----",
];

/// A private key that signs: ECDSA on P-256.
pub struct SigningKey {
    pair: KeyPair,
    public: PublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SigningKey {
    /// A new key: ECDSA on P-256, as `cosign generate-key-pair` makes them.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, SigningError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| SigningError::Random)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads a private key in PEM: PKCS #8, encrypted or not. A passphrase that is not needed is not used.
    ///
    /// # Errors
    ///
    /// When the text is no such key, of a kind that is not used to sign, or its passphrase is missing or wrong.
    pub fn from_pem(pem: &str, passphrase: Option<&str>) -> Result<Self, SigningError> {
        if pem.len() > KEY_PEM_BYTES_MAX {
            return Err(SigningError::TooLong);
        }
        if COSIGN.iter().any(|begin| pem.contains(begin)) {
            return Err(SigningError::Cosign);
        }
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| SigningError::NotPrivate)?;
        match label {
            PLAIN => Self::from_pkcs8(document.as_bytes()),
            ENCRYPTED => {
                let passphrase = passphrase.ok_or(SigningError::PassphraseMissing)?;
                let opened = open(document.as_bytes(), passphrase)?;
                Self::from_pkcs8(opened.as_bytes())
            }
            _ => Err(SigningError::NotPrivate),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, SigningError> {
        let pair = KeyPair::from_pkcs8_der(der).map_err(|_| SigningError::Kind)?;
        if pair.algorithm() != KeyAlgorithm::EcdsaP256 {
            return Err(SigningError::Kind);
        }
        let public = pair.public_key_der().map_err(|_| SigningError::Kind)?;
        Ok(Self {
            public: PublicKey::from_der(public).map_err(|_| SigningError::Kind)?,
            pair,
            pkcs8: Zeroizing::new(der.to_vec()),
        })
    }

    /// The key as it may lie on a disk: in PEM, encrypted with the passphrase.
    ///
    /// # Errors
    ///
    /// When the passphrase is empty or too long, or the system has no randomness.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, SigningError> {
        check_passphrase(passphrase)?;
        let mut salt = [0; 16];
        let mut start = [0; 16];
        for bytes in [&mut salt, &mut start] {
            aws_lc_rs::rand::fill(bytes).map_err(|_| SigningError::Random)?;
        }
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, start);
        let encrypted = parameters.map_err(pkcs8::Error::from).and_then(|parameters| {
            let key = PrivateKeyInfoRef::try_from(self.pkcs8.as_slice())?;
            key.encrypt_with_params(parameters, passphrase)
        });
        let document = encrypted.map_err(|_| SigningError::NotWritten)?;
        let pem = document.to_pem(ENCRYPTED, LineEnding::LF);
        pem.map_err(|_| SigningError::NotWritten)
    }

    /// The public half, which others need to verify.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the manifest with this SHA-256, under the name by which it is published (`ghcr.io/org/tool`).
    ///
    /// The name is for people: what is verified is the digest.
    ///
    /// # Errors
    ///
    /// When the library does not sign.
    pub fn sign_manifest(&self, manifest: &[u8; 32], name: &str) -> Result<Material, SigningError> {
        let digest: String = manifest.iter().map(|byte| format!("{byte:02x}")).collect();
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": name },
                "image": { "docker-manifest-digest": format!("sha256:{digest}") },
                "type": cosign::TYPE,
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        Ok(Material::Cosign {
            signature: self.sign_blob(&payload)?,
            payload,
            certificate: None,
            chain: None,
            bundle: None,
        })
    }

    /// Signs bytes: the signature in base64, as `cosign sign-blob` gives it. [`PublicKey::verify_blob`] is the other half.
    ///
    /// # Errors
    ///
    /// When the library does not sign.
    pub fn sign_blob(&self, blob: &[u8]) -> Result<String, SigningError> {
        let signature = self.pair.sign(blob).map_err(|_| SigningError::NotSigned)?;
        Ok(STANDARD.encode(signature.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.fingerprint())
    }
}

fn check_passphrase(passphrase: &str) -> Result<(), SigningError> {
    match passphrase.len() {
        1..=PASSPHRASE_BYTES_MAX => Ok(()),
        _ => Err(SigningError::Passphrase),
    }
}

fn open(der: &[u8], passphrase: &str) -> Result<SecretDocument, SigningError> {
    check_passphrase(passphrase)?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| SigningError::NotPrivate)?;
    check_cost(&encrypted.encryption_algorithm)?;
    encrypted
        .decrypt(passphrase)
        .map_err(|_| SigningError::PassphraseWrong)
}

/// A file must not make us work for hours or take all memory.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), SigningError> {
    let kdf = scheme.pbes2().map(|parameters| &parameters.kdf);
    let is_affordable = match kdf {
        Some(Kdf::Pbkdf2(parameters)) => parameters.iteration_count <= ROUNDS_MAX,
        Some(Kdf::Scrypt(parameters)) => {
            let block = u64::from(parameters.block_size) * 128;
            let memory = block.saturating_mul(parameters.cost_parameter);
            // The library counts the bits of this number without asking whether it has any.
            let is_power = parameters.cost_parameter.is_power_of_two();
            is_power && memory <= SCRYPT_BYTES_MAX && parameters.parallelization <= SCRYPT_PASSES_MAX
        }
        _ => return Err(SigningError::NotPrivate),
    };
    match is_affordable {
        true => Ok(()),
        false => Err(SigningError::Cost),
    }
}

/// Why there is no key to sign with, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Longer than [`KEY_PEM_BYTES_MAX`].
    #[error("a key has at most {KEY_PEM_BYTES_MAX} bytes")]
    TooLong,
    /// No block of PEM with a private key in PKCS #8.
    #[error(
        "not a private key in PKCS #8 (`-----BEGIN ENCRYPTED PRIVATE KEY-----`); `openssl pkcs8 -topk8` makes one"
    )]
    NotPrivate,
    /// Cosign's own file.
    #[error("a key file of cosign's own kind is not read: sign with cosign, or with a key in PKCS #8")]
    Cosign,
    /// Of a kind that is not used to sign, or broken.
    #[error("not a key to sign with: only ECDSA on P-256 is")]
    Kind,
    /// It is encrypted.
    #[error("the key is encrypted and needs its passphrase")]
    PassphraseMissing,
    /// It did not open.
    #[error("the passphrase does not open the key")]
    PassphraseWrong,
    /// Empty, or too long.
    #[error("a passphrase has 1 to {PASSPHRASE_BYTES_MAX} bytes")]
    Passphrase,
    /// More rounds or memory than we spend.
    #[error("opening the key would cost more time or memory than is allowed")]
    Cost,
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// The key could not be encrypted.
    #[error("the key could not be encrypted")]
    NotWritten,
    /// The library did not sign.
    #[error("the key did not sign")]
    NotSigned,
}
