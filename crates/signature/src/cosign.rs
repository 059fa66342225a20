//! Cosign's older layout: a "simple signing" payload, and the signature, certificate and log entry in annotations.
//!
//! It is turned into a bundle v0.1, which has the same parts (a log's promise, no proof), so that there is one way to
//! verify. Format of the payload: <https://github.com/containers/image/blob/main/docs/containers-signature.5.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use sigstore_verify::crypto::sha256;
use sigstore_verify::types::{
    Bundle, DerCertificate, DigestBytes, HashAlgorithm, MediaType, MessageDigest, MessageSignature,
    PublicKeyIdentifier, SignatureBytes, SignatureContent, TransparencyLogEntry, VerificationMaterial,
    VerificationMaterialContent, X509Certificate,
};

use crate::key::read_hex;
use crate::material::{EVIDENCE_MAX, Material};
use crate::reason::{Reason, one_line};

/// Longest payload.
pub const COSIGN_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest text in one annotation.
pub const COSIGN_TEXT_BYTES_MAX: usize = 128 * 1024;

/// What cosign calls its payloads.
pub(crate) const TYPE: &str = "cosign container image signature";

const CERTIFICATE_END: &str = "-----END CERTIFICATE-----";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

/// The name in `identity` is not compared: what is verified is a digest, and a mirror has another name.
#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// The entry of a log as cosign keeps it in an annotation.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogBundle {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: u64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryKind {
    api_version: String,
    kind: String,
}

/// Reads what is a signature of this digest. Verifies nothing but that.
pub(crate) fn read(material: &Material, digest: &[u8; 32]) -> Result<Bundle, Reason> {
    let Material::Cosign {
        payload,
        signature,
        certificate,
        chain,
        bundle,
    } = material
    else {
        return Err(Reason::Malformed("not in cosign's layout".to_owned()));
    };
    let texts = [certificate, chain, bundle];
    let longest = texts
        .into_iter()
        .flatten()
        .chain([signature])
        .map(String::len)
        .max();
    if payload.len() > COSIGN_PAYLOAD_BYTES_MAX || longest.is_some_and(|bytes| bytes > COSIGN_TEXT_BYTES_MAX)
    {
        return Err(Reason::TooLarge);
    }
    check_payload(payload, digest)?;
    let content = match certificate {
        Some(leaf) => certificates(leaf, chain.as_deref().unwrap_or_default())?,
        None => VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new("")),
    };
    let entries = match bundle {
        Some(json) => vec![log_entry(json)?],
        None if certificate.is_some() => return Err(Reason::NoTime),
        None => Vec::new(),
    };
    let message = MessageSignature::new(SignatureBytes::new(decode(signature)?)).with_message_digest(
        MessageDigest::new(
            HashAlgorithm::Sha2256,
            DigestBytes::new(sha256(payload).as_bytes().to_vec()),
        ),
    );
    Ok(Bundle::new(
        MediaType::Bundle0_1,
        VerificationMaterial::new(content).with_tlog_entries(entries),
        SignatureContent::MessageSignature(message),
    ))
}

fn check_payload(payload: &[u8], digest: &[u8; 32]) -> Result<(), Reason> {
    let Payload { critical } = serde_json::from_slice(payload).map_err(malformed)?;
    if critical.kind != TYPE {
        let message = format!("a payload of type `{}`", one_line(&critical.kind));
        return Err(Reason::Malformed(message));
    }
    let named = critical.image.digest.strip_prefix("sha256:").and_then(read_hex);
    match named {
        Some(named) if named == *digest => Ok(()),
        _ => Err(Reason::OtherDigest),
    }
}

fn certificates(leaf: &str, chain: &str) -> Result<VerificationMaterialContent, Reason> {
    let blocks = chain.split_inclusive(CERTIFICATE_END);
    let above = blocks.filter(|block| !block.trim().is_empty());
    let mut certificates = Vec::new();
    for pem in std::iter::once(leaf).chain(above) {
        if certificates.len() == EVIDENCE_MAX {
            return Err(Reason::TooMuchEvidence);
        }
        let der = DerCertificate::from_pem(pem).map_err(malformed)?;
        certificates.push(X509Certificate::new(der));
    }
    Ok(VerificationMaterialContent::X509CertificateChain { certificates })
}

fn log_entry(text: &str) -> Result<TransparencyLogEntry, Reason> {
    let log: LogBundle = serde_json::from_str(text).map_err(malformed)?;
    let LogPayload {
        body,
        integrated_time,
        log_index,
        log_id,
    } = log.payload;
    let EntryKind { api_version, kind } = serde_json::from_slice(&decode(&body)?).map_err(malformed)?;
    let log_id = read_hex(&log_id).ok_or_else(|| Reason::Malformed("the id of the log".to_owned()))?;
    // Through JSON, because the library has no other way to a time without one more dependency.
    let entry = json!({
        "logIndex": log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log_id) },
        "kindVersion": { "kind": kind, "version": api_version },
        "integratedTime": integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": log.signed_entry_timestamp },
        "canonicalizedBody": body,
    });
    serde_json::from_value(entry).map_err(malformed)
}

fn decode(base64: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(base64.trim()).map_err(malformed)
}

fn malformed(error: impl std::error::Error) -> Reason {
    Reason::Malformed(one_line(&error.to_string()))
}
