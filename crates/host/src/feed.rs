//! Revocation feeds: lists of what is bad, published by somebody who is trusted to say so, and asked again and again.
//!
//! A feed is an OCI artifact that a rule of the ceiling requires to be signed; without such a rule it is not read, because
//! whoever could exchange it could take any component out of service, or keep a bad one in. Its sequence number only grows, so
//! that an old feed cannot be passed off as new. A feed that cannot be reached keeps its last state; after a grace period what
//! came from the network is not served until it can be asked again.

use crate::Host;
use crate::command::Actor;
use crate::error::{HostError, with_causes};
use crate::load::reach;
use crate::revocation::Subject;
use crate::trust::requires_signature;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use wassette_store::{Digest, Feed, NewFeed, NewRevocation, Reference};
use wassette_wit::sanitize;

/// The layer of a feed.
pub const FEED_MEDIA_TYPE: &str = "application/vnd.wassette.revocations.v1+json";

/// The form that is read.
const VERSION: u32 = 1;

/// Bytes and entries of a feed, and bytes of a reason.
const BYTES_MAX: u64 = 4 << 20;
const ENTRIES_MAX: usize = 20_000;
const REASON_BYTES_MAX: usize = 500;

/// How often a server asks its feeds.
const FEED_PERIOD: Duration = Duration::from_secs(15 * 60);

/// How long a feed that cannot be asked is good for, unless the settings say otherwise.
pub const FEED_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A feed as it is published.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FeedDocument {
    version: u32,
    /// Grows with every change.
    sequence: u64,
    revoked: Vec<FeedEntry>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FeedEntry {
    subject: String,
    #[serde(default)]
    reason: String,
}

/// What came of asking one feed.
#[derive(Clone, Debug, Serialize)]
pub struct FeedSynced {
    /// The feed.
    pub reference: String,
    /// Its sequence number, if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// How much it revokes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<usize>,
    /// Why it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a feed is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No rule requires a signature.
    #[error(
        "no rule of `signatures` in the ceiling requires the feed to be signed, so anybody could have written it"
    )]
    NotRequired,
    /// It is not in the form of a feed.
    #[error("it is no feed: {0}")]
    Form(String),
}

impl FeedDocument {
    /// Reads a feed, whole: an entry that is not understood could be the one that matters.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, FeedError> {
        let form = |reason: String| FeedError::Form(reason);
        let document: Self = serde_json::from_slice(bytes).map_err(|error| form(error.to_string()))?;
        if document.version != VERSION {
            return Err(form(format!(
                "its version is {}, not {VERSION}",
                document.version
            )));
        }
        if document.revoked.len() > ENTRIES_MAX {
            return Err(form(format!("it has more than {ENTRIES_MAX} entries")));
        }
        for entry in &document.revoked {
            let subject = entry.subject.parse::<Subject>();
            subject.map_err(|error| form(error.to_string()))?;
        }
        Ok(document)
    }
}

impl Host {
    /// Asks all feeds now.
    pub async fn sync_feeds(&self) -> Vec<FeedSynced> {
        let mut synced = Vec::new();
        for reference in &self.inner.config.feeds {
            synced.push(match self.sync(reference).await {
                Ok((sequence, revoked)) => FeedSynced {
                    reference: reference.to_string(),
                    sequence: Some(sequence),
                    revoked: Some(revoked),
                    reason: None,
                },
                Err(error) => {
                    tracing::warn!(feed = %reference, %error, "a revocation feed was not read");
                    FeedSynced {
                        reference: reference.to_string(),
                        sequence: None,
                        revoked: None,
                        reason: Some(with_causes(&error)),
                    }
                }
            });
        }
        synced
    }

    /// Asks all feeds, again and again, for as long as it is polled.
    pub async fn follow_feeds(&self) -> Infallible {
        loop {
            let _told_in_the_log = self.sync_feeds().await;
            tokio::time::sleep(FEED_PERIOD).await;
        }
    }

    async fn sync(&self, reference: &Reference) -> Result<(u64, usize), HostError> {
        self.refresh().await?;
        let name = reference.to_string();
        let refused = |source| HostError::Feed {
            reference: name.clone(),
            source,
        };
        let Reference::Oci(oci) = reference else {
            return Err(refused(FeedError::Form("a feed is in a registry".to_owned())));
        };
        if !requires_signature(&self.above(), &name) {
            return Err(refused(FeedError::NotRequired));
        }
        let layer = (FEED_MEDIA_TYPE, BYTES_MAX);
        let (_signers, bytes) = self.signed_document(oci, layer, &reach(&Actor::Operator)).await?;
        let document = FeedDocument::read(&bytes).map_err(refused)?;
        self.keep_feed(&name, &document, Digest::of(&bytes)).await?;
        self.refresh().await?;
        Ok((document.sequence, document.revoked.len()))
    }

    /// Writes down what a feed says now. The store refuses a sequence that goes back.
    async fn keep_feed(&self, name: &str, document: &FeedDocument, digest: Digest) -> Result<(), HostError> {
        let failed = |source| HostError::Store { source };
        let store = &self.inner.store;
        let snapshot = store.snapshot().await.map_err(failed)?;
        let known = snapshot.feeds.into_iter().find(|feed| feed.reference == name);
        let checked_ms = self.now_ms();
        if known
            .as_ref()
            .is_some_and(|known| known.sequence == document.sequence && known.digest == digest)
        {
            let checked = store.feed_checked(name, document.sequence, checked_ms).await;
            return checked.map(drop).map_err(failed);
        }
        let feed = NewFeed {
            reference: name.to_owned(),
            sequence: document.sequence,
            digest,
            checked_ms,
            document: String::new(),
        };
        let revoked = document.revoked.iter().map(|entry| NewRevocation {
            subject: entry.subject.clone(),
            reason: sanitize(&entry.reason, REASON_BYTES_MAX),
            revoked_ms: checked_ms,
        });
        let revoked: Vec<_> = revoked.collect();
        let expected = known.map(|known| known.sequence);
        let kept = store.put_feed(&feed, &revoked, expected).await;
        kept.map(drop).map_err(failed)
    }
}

/// Whether what feeds say is still good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Why it is not: a feed could not be asked for too long, or never was.
    pub(crate) stale: Option<String>,
    /// When that will be so if nothing is read until then, in milliseconds since 1970.
    pub(crate) until_ms: Option<u64>,
}

impl Freshness {
    /// How fresh the feeds are. Without feeds nothing is ever stale.
    pub(crate) fn of(configured: &[Reference], known: &[Feed], grace: Duration, now_ms: u64) -> Self {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let mut until_ms: Option<u64> = None;
        for reference in configured {
            let name = reference.to_string();
            let Some(feed) = known.iter().find(|feed| feed.reference == name) else {
                return Self::stale(format!("the revocation feed `{name}` was never read"));
            };
            let end = feed.checked_ms.saturating_add(grace_ms);
            if now_ms > end {
                let hours = grace.as_secs() / 3600;
                return Self::stale(format!(
                    "the revocation feed `{name}` could not be read for longer than {hours} hours"
                ));
            }
            until_ms = Some(until_ms.map_or(end, |until| until.min(end)));
        }
        Self {
            stale: None,
            until_ms,
        }
    }

    fn stale(reason: String) -> Self {
        Self {
            stale: Some(reason),
            until_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_read_whole_or_not_at_all() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let read = |text: String| {
            FeedDocument::read(text.as_bytes()).map(|feed| (feed.sequence, feed.revoked.len()))
        };
        let good = format!(
            r#"{{"version": 1, "sequence": 7, "revoked": [{{"subject": "{digest}", "reason": "bad"}}]}}"#
        );
        assert_eq!(read(good.clone()).ok(), Some((7, 1)));
        for (bad, reason) in [
            (
                good.replace("\"version\": 1", "\"version\": 2"),
                "its version is 2, not 1",
            ),
            (
                good.replace(&digest, "nothing"),
                "`nothing` is neither a digest nor a signer",
            ),
            (good.replace("reason", "raison"), "unknown field `raison`"),
            ("[]".to_owned(), "invalid"),
        ] {
            let error = read(bad).expect_err(reason).to_string();
            assert!(
                error.starts_with("it is no feed: ") && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn a_feed_is_stale_after_its_grace_and_before_it_was_ever_read() {
        let reference: Reference = "oci://feeds.example/bad:1".parse().expect("a reference");
        let feed = |checked_ms| Feed {
            reference: reference.to_string(),
            sequence: 1,
            digest: Digest::of(b""),
            checked_ms,
            document: String::new(),
            epoch: 1,
        };
        let fresh = |known: &[Feed], now_ms| {
            Freshness::of(
                std::slice::from_ref(&reference),
                known,
                Duration::from_secs(3600),
                now_ms,
            )
        };
        let stale = |known: &[Feed], now_ms| fresh(known, now_ms).stale;
        assert_eq!(stale(&[feed(1_000)], 3_601_000), None);
        assert_eq!(fresh(&[feed(1_000)], 0).until_ms, Some(3_601_000));
        assert_eq!(
            Freshness::of(&[], &[], Duration::ZERO, u64::MAX),
            Freshness::default()
        );
        assert!(stale(&[feed(1_000)], 3_601_001).is_some_and(|text| text.contains("longer than 1 hours")));
        assert!(stale(&[], 0).is_some_and(|text| text.ends_with("was never read")));
        // A clock that was set back makes nothing stale.
        assert_eq!(stale(&[feed(9_000_000)], 0), None);
    }
}
