//! What lies beside a manifest, brought into one shape before anything is verified.

use std::fmt;

use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent, VerificationMaterialContent};

use crate::cosign;
use crate::key::PublicKey;
use crate::reason::{Reason, one_line};
use crate::statement;

/// Most signatures of one manifest that are looked at.
pub const MATERIALS_MAX: usize = 32;
/// Longest bundle.
pub const BUNDLE_BYTES_MAX: usize = 1024 * 1024;
/// Most log entries, most timestamps and most certificates of one signature: each costs a verification.
pub const EVIDENCE_MAX: usize = 8;

/// One signature as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// A sigstore bundle, as JSON.
    Bundle(Vec<u8>),
    /// A layer of cosign's `sha256-<hex>.sig` tag, and its annotations `dev.cosignproject.cosign/signature` and
    /// `dev.sigstore.cosign/{certificate,chain,bundle}`.
    Cosign {
        /// The bytes that are signed.
        payload: Vec<u8>,
        /// The signature, in base64.
        signature: String,
        /// The certificate of who signed, in PEM.
        certificate: Option<String>,
        /// The certificates above it, in PEM.
        chain: Option<String>,
        /// The entry of the log, as JSON.
        bundle: Option<String>,
    },
}

impl Material {
    /// The layout it came in.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Bundle(_) => Layout::Bundle,
            Self::Cosign { .. } => Layout::Cosign,
        }
    }
}

/// How a signature was laid down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A sigstore bundle.
    Bundle,
    /// Cosign's older layout, a tag beside the artifact's.
    Cosign,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "bundle",
            Self::Cosign => "cosign tag",
        })
    }
}

/// A signature that is one of the digest that was asked for; whether it holds is not known yet.
pub(crate) struct Claim<'a> {
    pub(crate) bundle: Bundle,
    signed: Signed<'a>,
}

/// What the bytes are that the signature is over.
#[derive(Clone, Copy)]
enum Signed<'a> {
    /// Those of the manifest, or a statement about it.
    Manifest([u8; 32]),
    /// A payload that names the manifest.
    Payload(&'a [u8]),
}

impl<'a> Claim<'a> {
    pub(crate) fn read(material: &'a Material, digest: &[u8; 32]) -> Result<Self, Reason> {
        let claim = match material {
            Material::Bundle(json) => Self {
                bundle: read_bundle(json, digest)?,
                signed: Signed::Manifest(*digest),
            },
            Material::Cosign { payload, .. } => Self {
                bundle: cosign::read(material, digest)?,
                signed: Signed::Payload(payload),
            },
        };
        claim.check_evidence()?;
        Ok(claim)
    }

    fn check_evidence(&self) -> Result<(), Reason> {
        let material = &self.bundle.verification_material;
        let certificates = match &material.content {
            VerificationMaterialContent::X509CertificateChain { certificates } => certificates.len(),
            VerificationMaterialContent::Certificate(_) | VerificationMaterialContent::PublicKey(_) => 1,
            _ => return Err(Reason::Malformed("neither a certificate nor a key".to_owned())),
        };
        let counts = [self.entries(), self.timestamps(), certificates];
        match counts.iter().all(|count| *count <= EVIDENCE_MAX) {
            true => Ok(()),
            false => Err(Reason::TooMuchEvidence),
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.bundle.verification_material.tlog_entries.len()
    }

    pub(crate) fn timestamps(&self) -> usize {
        let material = &self.bundle.verification_material;
        material.timestamp_verification_data.rfc3161_timestamps.len()
    }

    /// What the library is to verify the signature over.
    pub(crate) fn artifact(&self) -> Artifact<'a> {
        match self.signed {
            Signed::Manifest(digest) => Artifact::from_digest(Sha256Hash::new(digest)),
            Signed::Payload(payload) => Artifact::from_blob(payload),
        }
    }

    /// Whether this key made the signature. No more than that: neither log entries nor timestamps are looked at.
    pub(crate) fn is_confirmed_by(&self, key: &PublicKey) -> bool {
        match (&self.bundle.content, self.signed) {
            (SignatureContent::DsseEnvelope(envelope), Signed::Manifest(_)) => {
                key.confirms_statement(&envelope.pae(), &envelope.signature.sig)
            }
            (SignatureContent::MessageSignature(message), Signed::Manifest(digest)) => {
                key.confirms_digest(&digest, &message.signature)
            }
            (SignatureContent::MessageSignature(message), Signed::Payload(payload)) => {
                key.confirms(payload, &message.signature)
            }
            _ => false,
        }
    }

    /// What the material itself says which key made it. Nobody vouches for it.
    pub(crate) fn hint(&self) -> Option<String> {
        let VerificationMaterialContent::PublicKey(key) = &self.bundle.verification_material.content else {
            return None;
        };
        (!key.hint.is_empty()).then(|| one_line(&key.hint))
    }
}

fn read_bundle(json: &[u8], digest: &[u8; 32]) -> Result<Bundle, Reason> {
    if json.len() > BUNDLE_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    // serde_json stops at 128 levels, here and in the statement inside.
    let bundle: Bundle =
        serde_json::from_slice(json).map_err(|error| Reason::Malformed(one_line(&error.to_string())))?;
    statement::check_subject(&bundle.content, digest)?;
    Ok(bundle)
}
