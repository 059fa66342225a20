//! What must not run any more, who says so, and the state of those who say it from afar.
//!
//! The store keeps texts: whether a component is meant by one is decided by the catalog, which is made of
//! records and revocations of one moment.

use crate::{Digest, StoreError};

/// The source of what was revoked on this machine, by its operator.
pub const OPERATOR: &str = "operator";

/// Longest subject or source of a revocation, and longest reference of a feed, in bytes. Subject and source
/// are one key, and a key of PostgreSQL has at most 2704 bytes.
pub const SUBJECT_BYTES_MAX: usize = 1024;

/// Longest reason of a revocation in bytes.
pub const REASON_BYTES_MAX: usize = 1000;

/// Most revocations of one source. All are read whenever the store has changed.
pub const REVOCATIONS_MAX: usize = 10_000;

/// Most feeds.
pub const FEEDS_MAX: usize = 16;

/// Longest document of a feed in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// How far the time a feed was last reached must have moved to be written, in milliseconds.
///
/// Each write makes every running server read the store again. Grace periods are hours and days, so a minute
/// is exact enough; and a server that finds a fresh time in its snapshot need not ask the feed itself.
pub const CHECKED_INTERVAL_MS: u64 = 60_000;

/// Something that must not run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What is revoked: the digest of a component's or a manifest's bytes (`sha256:<hex>`), or a signer as
    /// text. Compared byte by byte.
    pub subject: String,
    /// Who revoked it: [`OPERATOR`], or a feed's reference.
    pub source: String,
    /// Why, for people.
    pub reason: String,
    /// When, in milliseconds since 1970, by the clock of whoever revoked it. For people; never for order.
    pub revoked_ms: u64,
    /// The store's epoch as of the change that wrote it.
    pub epoch: u64,
}

/// A revocation to be written; the store adds source and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevocation {
    /// As in [`Revocation`]; 1 to [`SUBJECT_BYTES_MAX`] bytes.
    pub subject: String,
    /// As in [`Revocation`]; at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// As in [`Revocation`].
    pub revoked_ms: u64,
}

/// The last known state of a feed of revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Where it comes from; the source of its revocations.
    pub reference: String,
    /// Its number, which only grows.
    pub sequence: u64,
    /// The digest of the state's manifest.
    pub digest: Digest,
    /// When it was last reached, in milliseconds since 1970, by the clock of whoever reached it.
    pub checked_ms: u64,
    /// What the reader of feeds wants to keep; the store does not read it.
    pub document: String,
    /// The store's epoch as of the change that wrote it.
    pub epoch: u64,
}

/// A feed's state to be written; the store adds the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFeed {
    /// As in [`Feed`]; 1 to [`SUBJECT_BYTES_MAX`] bytes, and not [`OPERATOR`].
    pub reference: String,
    /// As in [`Feed`].
    pub sequence: u64,
    /// As in [`Feed`].
    pub digest: Digest,
    /// As in [`Feed`].
    pub checked_ms: u64,
    /// As in [`Feed`]; at most [`DOCUMENT_BYTES_MAX`] bytes.
    pub document: String,
}

/// Refuses what the store cannot keep.
pub(crate) fn check_revocations(revocations: &[NewRevocation]) -> Result<(), StoreError> {
    if revocations.len() > REVOCATIONS_MAX {
        return Err(too_many());
    }
    for revocation in revocations {
        check_key("the revocation's subject", &revocation.subject)?;
        check_text("the revocation's reason", &revocation.reason, REASON_BYTES_MAX)?;
    }
    Ok(())
}

pub(crate) fn too_many() -> StoreError {
    StoreError::TooMany {
        what: "revocations of one source",
        count_max: REVOCATIONS_MAX,
    }
}

/// Refuses what the store cannot keep.
pub(crate) fn check_feed(feed: &NewFeed) -> Result<(), StoreError> {
    check_key("the feed's reference", &feed.reference)?;
    if feed.reference == OPERATOR {
        return Err(StoreError::Invalid {
            what: "the feed's reference",
            reason: "is the operator's name",
        });
    }
    if i64::try_from(feed.sequence).is_err() {
        return Err(StoreError::Invalid {
            what: "the feed's sequence",
            reason: "is larger than 9223372036854775807",
        });
    }
    check_text("the feed's document", &feed.document, DOCUMENT_BYTES_MAX)
}

fn check_key(what: &'static str, text: &str) -> Result<(), StoreError> {
    if text.is_empty() {
        let reason = "is empty";
        return Err(StoreError::Invalid { what, reason });
    }
    check_text(what, text, SUBJECT_BYTES_MAX)
}

fn check_text(what: &'static str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    if text.len() > bytes_max {
        let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        return Err(StoreError::TooLarge {
            what,
            bytes: size(text.len()),
            bytes_max: size(bytes_max),
        });
    }
    // PostgreSQL has no text with it, and SQLite's `length` ends at it.
    if text.contains('\0') {
        let reason = "has a zero byte";
        return Err(StoreError::Invalid { what, reason });
    }
    Ok(())
}
