//! What a bundle says it is a signature of.

use sigstore_verify::types::{
    DsseEnvelope, HashAlgorithm, MessageSignature, Sha256Hash, SignatureContent, Statement,
};

use crate::reason::{Reason, one_line};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Statements by which the signer says "this is what I released".
///
/// SECURITY: others are about the artifact, too, and signed by the same people: a list of its vulnerabilities, a test
/// that failed, a review that says no. That one of those exists must not make a component a signed one.
const RELEASES: [&str; 3] = [
    "https://sigstore.dev/cosign/sign/v1",
    "https://slsa.dev/provenance/v1",
    "https://slsa.dev/provenance/v0.2",
];

/// Checks that the content is a signature of this digest. Says nothing about who made it.
pub(crate) fn check_subject(content: &SignatureContent, digest: &[u8; 32]) -> Result<(), Reason> {
    match content {
        SignatureContent::DsseEnvelope(envelope) => check_statement(envelope, digest),
        SignatureContent::MessageSignature(message) => check_message(message, digest),
        _ => Err(Reason::Malformed("neither a statement nor a message".to_owned())),
    }
}

fn check_statement(envelope: &DsseEnvelope, digest: &[u8; 32]) -> Result<(), Reason> {
    if envelope.payload_type != IN_TOTO {
        let message = format!("a payload of type `{}`", one_line(&envelope.payload_type));
        return Err(Reason::Malformed(message));
    }
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
        .map_err(|error| Reason::Malformed(one_line(&error.to_string())))?;
    if !statement.matches_sha256(&Sha256Hash::new(*digest)) {
        return Err(Reason::OtherDigest);
    }
    if !RELEASES.contains(&statement.predicate_type.as_str()) {
        return Err(Reason::Predicate(one_line(&statement.predicate_type)));
    }
    Ok(())
}

/// A message signature is one over the manifest's own bytes; the digest in it is only a hint, but must not be wrong.
fn check_message(message: &MessageSignature, digest: &[u8; 32]) -> Result<(), Reason> {
    match &message.message_digest {
        Some(stated) if stated.algorithm != HashAlgorithm::Sha2256 || stated.digest.as_bytes() != digest => {
            Err(Reason::OtherDigest)
        }
        Some(_) | None => Ok(()),
    }
}
