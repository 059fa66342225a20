//! Why one signature does not count: one line each, whatever was in it.

use crate::cosign::{COSIGN_PAYLOAD_BYTES_MAX, COSIGN_TEXT_BYTES_MAX};
use crate::material::{BUNDLE_BYTES_MAX, EVIDENCE_MAX};
use crate::signer::Keyless;

/// Longest part of a line that comes from elsewhere.
const DETAIL_CHARS_MAX: usize = 200;

/// Why one signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than its kind may be.
    #[error(
        "too large: a bundle has at most {BUNDLE_BYTES_MAX} bytes, a payload {COSIGN_PAYLOAD_BYTES_MAX}, other texts {COSIGN_TEXT_BYTES_MAX}"
    )]
    TooLarge,
    /// More log entries, timestamps or certificates than [`EVIDENCE_MAX`].
    #[error("too many log entries, timestamps or certificates: at most {EVIDENCE_MAX} of each are read")]
    TooMuchEvidence,
    /// Not what it should be.
    #[error("not readable: {0}")]
    Malformed(String),
    /// Of something else.
    #[error("a signature of something else than this manifest")]
    OtherDigest,
    /// A statement about the artifact that does not say who made it.
    #[error("a statement of type `{0}`, which does not say that the signer released it")]
    Predicate(String),
    /// A certificate, and nothing that says when it was used.
    #[error("signed with a certificate, but no entry of a log says when")]
    NoTime,
    /// The signature, the certificate, the log entry or a timestamp does not hold.
    #[error("does not hold: {0}")]
    Invalid(String),
    /// A certificate without an identity, or without an issuer.
    #[error("the certificate does not name both an identity and an issuer")]
    NoIdentity,
    /// By a key that is in no rule.
    #[error("made with a key that no rule trusts{}", hint(.0.as_deref()))]
    UnknownKey(Option<String>),
    /// By somebody who is in no rule.
    #[error("signed by `{}` (issuer `{}`), which no rule trusts", .0.identity(), .0.issuer())]
    UntrustedIdentity(Keyless),
}

fn hint(hint: Option<&str>) -> String {
    hint.map(|hint| format!(" (it calls itself `{hint}`)"))
        .unwrap_or_default()
}

/// A text from elsewhere, on one line, without what a terminal would obey, and not too long.
pub(crate) fn one_line(text: &str) -> String {
    let visible = |char: char| match char {
        ' ' => ' ',
        char if char.is_ascii_graphic() => char,
        _ => '?',
    };
    let mut line: String = text.chars().take(DETAIL_CHARS_MAX).map(visible).collect();
    if text.chars().nth(DETAIL_CHARS_MAX).is_some() {
        line.push_str("...");
    }
    line
}
