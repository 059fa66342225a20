//! Records and their versions.

use std::collections::HashSet;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::requests::forget_requests;
use super::{Database, count};
use crate::record::VERSIONS_MAX;
use crate::{Approval, ComponentId, Digest, Expected, NewRecord, Record, Snapshot, StoreError, failpoint};

/// Largest record that is taken: all its documents together. A contract of the most tools a component may
/// have is a few megabytes.
const RECORD_BYTES_MAX: u64 = 32 << 20;

impl Database {
    /// Reads everything as of one moment.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let read = async {
            let mut transaction = self.begin("BEGIN").await?;
            let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM store_epoch WHERE id = 1")
                .fetch_one(&mut *transaction)
                .await?;
            let records = sqlx::query(
                "SELECT id, digest, origin, policy, contract, provenance, presentation, epoch, installed_ms \
                 FROM component ORDER BY id",
            )
            .fetch_all(&mut *transaction)
            .await?;
            let revocations = sqlx::query(
                "SELECT subject, source, reason, revoked_ms, epoch FROM revocation ORDER BY subject, source",
            )
            .fetch_all(&mut *transaction)
            .await?;
            let feeds = sqlx::query(
                "SELECT reference, sequence, digest, checked_ms, document, epoch FROM feed ORDER BY reference",
            )
            .fetch_all(&mut *transaction)
            .await?;
            Ok((epoch, records, revocations, feeds))
        };
        let (epoch, records, revocations, feeds) = read.await.map_err(|error| self.error(error))?;
        Ok(Snapshot {
            epoch: count(epoch),
            records: self.each(&records, Self::record)?,
            revocations: self.each(&revocations, Self::revocation)?,
            feeds: self.each(&feeds, Self::feed)?,
        })
    }

    pub(super) fn each<T>(
        &self,
        rows: &[SqliteRow],
        read: impl Fn(&Self, &SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        rows.iter().map(|row| read(self, row)).collect()
    }

    /// Reads what a component was before, newest first.
    pub(crate) async fn versions(&self, id: &ComponentId) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, digest, origin, policy, contract, provenance, presentation, epoch, installed_ms \
             FROM component_version WHERE id = $1 ORDER BY epoch DESC",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        self.each(&rows, Self::record)
    }

    /// Reads which blobs are needed, and keeps every writer out until the transaction is dropped.
    ///
    /// A commit whose caller went away may still be on its way when its file lock is gone; the
    /// database's own write lock waits for it.
    pub(crate) async fn needed(&self) -> Result<(PoolConnection<Sqlite>, Needed), StoreError> {
        let read = async {
            let mut transaction = self.begin("BEGIN IMMEDIATE").await?;
            let records: Vec<(String, String)> = sqlx::query_as("SELECT id, digest FROM component")
                .fetch_all(&mut *transaction)
                .await?;
            let versions: Vec<(String, String)> = sqlx::query_as("SELECT id, digest FROM component_version")
                .fetch_all(&mut *transaction)
                .await?;
            Ok((transaction, records, versions))
        };
        let (transaction, records, versions) = read.await.map_err(|error| self.error(error))?;
        let parse = |(id, digest): &(String, String)| {
            digest.parse().map_err(|_| StoreError::Record {
                id: id.clone(),
                reason: "its digest is not a legal one",
            })
        };
        let needed = Needed {
            records: count_of(&records),
            versions: count_of(&versions),
            digests: records
                .iter()
                .chain(&versions)
                .map(parse)
                .collect::<Result<_, _>>()?,
        };
        Ok((transaction, needed))
    }

    fn record(&self, row: &SqliteRow) -> Result<Record, StoreError> {
        let id = self.text(row, "id")?;
        let damaged = |reason| StoreError::Record {
            id: id.clone(),
            reason,
        };
        Ok(Record {
            id: id.parse().map_err(|_| damaged("its id is not a legal one"))?,
            digest: self
                .text(row, "digest")?
                .parse()
                .map_err(|_| damaged("its digest is not a legal one"))?,
            origin: self.text(row, "origin")?,
            policy: self.text(row, "policy")?,
            contract: self.text(row, "contract")?,
            provenance: self.text(row, "provenance")?,
            presentation: self.text(row, "presentation")?,
            epoch: self.number(row, "epoch")?,
            installed_ms: self.number(row, "installed_ms")?,
        })
    }

    pub(super) fn text(&self, row: &SqliteRow, column: &str) -> Result<String, StoreError> {
        row.try_get(column).map_err(|error| self.error(error))
    }

    pub(super) fn number(&self, row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
        row.try_get(column).map(count).map_err(|error| self.error(error))
    }

    pub(super) fn number_or_none(&self, row: &SqliteRow, column: &str) -> Result<Option<u64>, StoreError> {
        let number = row.try_get::<Option<i64>, _>(column);
        number
            .map(|number| number.map(count))
            .map_err(|error| self.error(error))
    }

    /// Writes one record if the one it replaces is as expected, and keeps that one when it had other bytes;
    /// gives the store's new epoch.
    pub(crate) async fn commit(
        &self,
        record: &NewRecord,
        expected: Expected,
        approval: Option<Approval>,
    ) -> Result<u64, StoreError> {
        let texts = [
            &record.origin,
            &record.policy,
            &record.contract,
            &record.provenance,
            &record.presentation,
        ];
        let bytes = texts
            .into_iter()
            .map(|text| u64::try_from(text.len()).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add);
        if bytes > RECORD_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the record",
                bytes,
                bytes_max: RECORD_BYTES_MAX,
            });
        }
        let (mut transaction, epoch) = self.change(&record.id, expected).await?;
        failpoint::reached("commit: begun");
        keep_version(&mut transaction, record)
            .await
            .map_err(|error| self.error(error))?;
        failpoint::reached("commit: version kept");
        forget_requests(&mut transaction, &record.id, Some(&record.digest.to_string()))
            .await
            .map_err(|error| self.error(error))?;
        write(&mut transaction, record, epoch)
            .await
            .map_err(|error| self.error(error))?;
        if let Some(approval) = approval {
            self.take(&mut transaction, approval).await?;
        }
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Removes one record with its versions if it is as expected; gives the store's new epoch.
    pub(crate) async fn remove(&self, id: &ComponentId, expected: Expected) -> Result<u64, StoreError> {
        let (mut transaction, epoch) = self.change(id, expected).await?;
        let remove = async {
            sqlx::query("DELETE FROM component_version WHERE id = $1")
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            failpoint::reached("remove: versions removed");
            forget_requests(&mut transaction, id, None).await?;
            sqlx::query("DELETE FROM component WHERE id = $1")
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await
        };
        remove.await.map_err(|error| self.error(error))?;
        self.end_change(&mut transaction).await?;
        Ok(count(epoch))
    }

    /// Begins a write, takes the next epoch, and compares. Dropping the transaction undoes all of it.
    pub(super) async fn change(
        &self,
        id: &ComponentId,
        expected: Expected,
    ) -> Result<(PoolConnection<Sqlite>, i64), StoreError> {
        let (mut transaction, epoch) = self.begin_change().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT epoch FROM component WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        let found = found.map(count);
        if !expected.holds(found) {
            return Err(StoreError::Conflict {
                id: id.clone(),
                expected,
                found,
            });
        }
        Ok((transaction, epoch))
    }
}

/// Which blobs must stay, and for how many rows.
#[derive(Debug)]
pub(crate) struct Needed {
    pub(crate) records: u64,
    pub(crate) versions: u64,
    pub(crate) digests: HashSet<Digest>,
}

fn count_of<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

/// Keeps the record that is about to be replaced, unless it has the same bytes.
async fn keep_version(transaction: &mut SqliteConnection, next: &NewRecord) -> Result<(), sqlx::Error> {
    // What it was when it had these very bytes would offer a way back to what it is. So would an earlier
    // record with the bytes of the one to be kept: two that take turns would push out all others.
    sqlx::query(
        "DELETE FROM component_version WHERE id = $1 AND (digest = $2 \
         OR digest = (SELECT digest FROM component WHERE id = $1))",
    )
    .bind(next.id.as_str())
    .bind(next.digest.to_string())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO component_version \
         (id, epoch, digest, origin, policy, contract, provenance, presentation, installed_ms) \
         SELECT id, epoch, digest, origin, policy, contract, provenance, presentation, installed_ms \
         FROM component WHERE id = $1 AND digest <> $2",
    )
    .bind(next.id.as_str())
    .bind(next.digest.to_string())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "DELETE FROM component_version WHERE id = $1 AND epoch NOT IN \
         (SELECT epoch FROM component_version WHERE id = $1 ORDER BY epoch DESC LIMIT $2)",
    )
    .bind(next.id.as_str())
    .bind(i64::try_from(VERSIONS_MAX).unwrap_or(i64::MAX))
    .execute(transaction)
    .await?;
    Ok(())
}

async fn write(
    transaction: &mut SqliteConnection,
    record: &NewRecord,
    epoch: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO component \
         (id, digest, origin, policy, contract, provenance, presentation, epoch, installed_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, origin = excluded.origin, \
         policy = excluded.policy, contract = excluded.contract, provenance = excluded.provenance, \
         presentation = excluded.presentation, epoch = excluded.epoch, installed_ms = excluded.installed_ms",
    )
    .bind(record.id.as_str())
    .bind(record.digest.to_string())
    .bind(&record.origin)
    .bind(&record.policy)
    .bind(&record.contract)
    .bind(&record.provenance)
    .bind(&record.presentation)
    .bind(epoch)
    .bind(i64::try_from(record.installed_ms).unwrap_or(i64::MAX))
    .execute(transaction)
    .await?;
    Ok(())
}
