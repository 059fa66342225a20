//! Revocations and the feeds some of them come from.

use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection, pool::PoolConnection};

use super::{Database, count};
use crate::revocation::{
    CHECKED_INTERVAL_MS, FEEDS_MAX, OPERATOR, REVOCATIONS_MAX, check_feed, check_revocations, too_many,
};
use crate::{Feed, NewFeed, NewRevocation, Revocation, StoreError, failpoint};

/// What is compared before a feed is changed.
struct Found {
    sequence: u64,
    digest: String,
    checked_ms: u64,
}

impl Database {
    pub(super) fn revocation(&self, row: &SqliteRow) -> Result<Revocation, StoreError> {
        Ok(Revocation {
            subject: self.text(row, "subject")?,
            source: self.text(row, "source")?,
            reason: self.text(row, "reason")?,
            revoked_ms: self.number(row, "revoked_ms")?,
            epoch: self.number(row, "epoch")?,
        })
    }

    pub(super) fn feed(&self, row: &SqliteRow) -> Result<Feed, StoreError> {
        let reference = self.text(row, "reference")?;
        let digest = self.text(row, "digest")?.parse();
        Ok(Feed {
            digest: digest.map_err(|_| StoreError::Record {
                id: reference.clone(),
                reason: "its digest is not a legal one",
            })?,
            reference,
            sequence: self.number(row, "sequence")?,
            checked_ms: self.number(row, "checked_ms")?,
            document: self.text(row, "document")?,
            epoch: self.number(row, "epoch")?,
        })
    }

    /// Adds revocations of the operator's; gives the store's epoch, which is a new one if there was one to add.
    pub(crate) async fn revoke(&self, revocations: &[NewRevocation]) -> Result<u64, StoreError> {
        check_revocations(revocations)?;
        let (mut transaction, epoch) = self.begin_change().await?;
        let mut added = 0;
        for revocation in revocations {
            added += insert(&mut transaction, OPERATOR, revocation, epoch)
                .await
                .map_err(|error| self.error(error))?;
            failpoint::reached("revoke: one written");
        }
        if added == 0 {
            return Ok(count(epoch).saturating_sub(1));
        }
        let all: i64 = sqlx::query_scalar("SELECT count(*) FROM revocation WHERE source = $1")
            .bind(OPERATOR)
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        if usize::try_from(all).unwrap_or(usize::MAX) > REVOCATIONS_MAX {
            return Err(too_many());
        }
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Removes one revocation; gives the store's epoch, which is a new one if there was one to remove.
    pub(crate) async fn unrevoke(&self, subject: &str, source: &str) -> Result<u64, StoreError> {
        let (mut transaction, epoch) = self.begin_change().await?;
        let removed = sqlx::query("DELETE FROM revocation WHERE subject = $1 AND source = $2")
            .bind(subject)
            .bind(source)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        if removed.rows_affected() == 0 {
            return Ok(count(epoch).saturating_sub(1));
        }
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Writes a feed's state and replaces its revocations, if the one it replaces is as expected.
    pub(crate) async fn put_feed(
        &self,
        feed: &NewFeed,
        revocations: &[NewRevocation],
        expected: Option<u64>,
    ) -> Result<u64, StoreError> {
        check_feed(feed)?;
        check_revocations(revocations)?;
        let (mut transaction, epoch, found) = self.change_feed(&feed.reference, expected).await?;
        match found {
            Some(found)
                if feed.sequence < found.sequence
                    || (feed.sequence == found.sequence && feed.digest.to_string() != found.digest) =>
            {
                return Err(StoreError::FeedSequence {
                    reference: feed.reference.clone(),
                    sequence: feed.sequence,
                    found: found.sequence,
                });
            }
            Some(_) => {}
            None => self.require_room(&mut transaction).await?,
        }
        let written = async {
            write(&mut transaction, feed, epoch).await?;
            failpoint::reached("put feed: state written");
            delete_all(&mut transaction, &feed.reference).await?;
            failpoint::reached("put feed: old ones removed");
            for revocation in revocations {
                insert(&mut transaction, &feed.reference, revocation, epoch).await?;
                failpoint::reached("put feed: one written");
            }
            Ok(())
        };
        written.await.map_err(|error| self.error(error))?;
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Writes when a feed was last reached, unless that is nearly what is there.
    pub(crate) async fn feed_checked(
        &self,
        reference: &str,
        expected_sequence: u64,
        checked_ms: u64,
    ) -> Result<u64, StoreError> {
        let expected = Some(expected_sequence);
        let (mut transaction, epoch, found) = self.change_feed(reference, expected).await?;
        // A difference in either direction: a time that lies ahead, by a clock since corrected, must not stay.
        if found.is_some_and(|found| found.checked_ms.abs_diff(checked_ms) < CHECKED_INTERVAL_MS) {
            return Ok(count(epoch).saturating_sub(1));
        }
        sqlx::query("UPDATE feed SET checked_ms = $1, epoch = $2 WHERE reference = $3")
            .bind(i64::try_from(checked_ms).unwrap_or(i64::MAX))
            .bind(epoch)
            .bind(reference)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Removes a feed with its revocations, if it is as expected.
    pub(crate) async fn remove_feed(
        &self,
        reference: &str,
        expected_sequence: u64,
    ) -> Result<u64, StoreError> {
        let (mut transaction, epoch, _) = self.change_feed(reference, Some(expected_sequence)).await?;
        let remove = async {
            delete_all(&mut transaction, reference).await?;
            failpoint::reached("remove feed: revocations removed");
            sqlx::query("DELETE FROM feed WHERE reference = $1")
                .bind(reference)
                .execute(&mut *transaction)
                .await
        };
        remove.await.map_err(|error| self.error(error))?;
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Begins a write, takes the next epoch, and compares. Dropping the transaction undoes all of it.
    async fn change_feed(
        &self,
        reference: &str,
        expected: Option<u64>,
    ) -> Result<(PoolConnection<Sqlite>, i64, Option<Found>), StoreError> {
        let (mut transaction, epoch) = self.begin_change().await?;
        let found: Option<(i64, String, i64)> =
            sqlx::query_as("SELECT sequence, digest, checked_ms FROM feed WHERE reference = $1")
                .bind(reference)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(|error| self.error(error))?;
        let found = found.map(|(sequence, digest, checked_ms)| Found {
            sequence: count(sequence),
            digest,
            checked_ms: count(checked_ms),
        });
        let sequence = found.as_ref().map(|found| found.sequence);
        if sequence != expected {
            return Err(StoreError::FeedConflict {
                reference: reference.to_owned(),
                expected,
                found: sequence,
            });
        }
        Ok((transaction, epoch, found))
    }

    async fn require_room(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let feeds: i64 = sqlx::query_scalar("SELECT count(*) FROM feed")
            .fetch_one(transaction)
            .await
            .map_err(|error| self.error(error))?;
        if usize::try_from(feeds).unwrap_or(usize::MAX) >= FEEDS_MAX {
            return Err(StoreError::TooMany {
                what: "feeds",
                count_max: FEEDS_MAX,
            });
        }
        Ok(())
    }
}

/// Writes one revocation; says how many rows that has changed: none when it was there with this reason.
async fn insert(
    transaction: &mut SqliteConnection,
    source: &str,
    revocation: &NewRevocation,
    epoch: i64,
) -> Result<u64, sqlx::Error> {
    let written = sqlx::query(
        "INSERT INTO revocation (subject, source, reason, revoked_ms, epoch) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (subject, source) DO UPDATE SET reason = excluded.reason, \
         revoked_ms = excluded.revoked_ms, epoch = excluded.epoch \
         WHERE revocation.reason <> excluded.reason",
    )
    .bind(&revocation.subject)
    .bind(source)
    .bind(&revocation.reason)
    .bind(i64::try_from(revocation.revoked_ms).unwrap_or(i64::MAX))
    .bind(epoch)
    .execute(transaction)
    .await?;
    Ok(written.rows_affected())
}

async fn delete_all(transaction: &mut SqliteConnection, source: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM revocation WHERE source = $1")
        .bind(source)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn write(transaction: &mut SqliteConnection, feed: &NewFeed, epoch: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO feed (reference, sequence, digest, checked_ms, document, epoch) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (reference) DO UPDATE SET sequence = excluded.sequence, digest = excluded.digest, \
         checked_ms = excluded.checked_ms, document = excluded.document, epoch = excluded.epoch",
    )
    .bind(&feed.reference)
    .bind(i64::try_from(feed.sequence).unwrap_or(i64::MAX))
    .bind(feed.digest.to_string())
    .bind(i64::try_from(feed.checked_ms).unwrap_or(i64::MAX))
    .bind(&feed.document)
    .bind(epoch)
    .execute(transaction)
    .await?;
    Ok(())
}
