//! The records, in `SQLite`.
//!
//! WAL, synced at every commit; one connection, opened once and kept, because [`crate::look`] relies on the
//! shared-memory file staying in place. Every write is one `IMMEDIATE` transaction that takes the store's
//! next epoch, compares, and sets.
//!
//! Transactions are begun and ended by plain statements, not by the library's `Transaction`: `SQLite` rolls
//! back by itself when the disk is full, the library's rollback then fails, and it counts the connection as
//! within a transaction for ever, so that one full disk would end all writing until a restart. A connection
//! that comes back to the pool is rolled back instead, whatever happened to its caller.
//!
//! The SQL is what PostgreSQL reads too; it becomes the shared backend.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Row as _, SqlSafeStr as _, Sqlite, SqlitePool};

use crate::{ComponentId, Digest, Expected, NewRecord, OpenStoreError, Record, Snapshot, StoreError};

/// The schema's history. Never edit one that was released: its checksum is kept in every database.
///
/// Listed by hand: `sqlx::migrate!` would build the library's macros, with a second database, for one list.
fn migrator() -> Migrator {
    Migrator::with_migrations(vec![Migration::new(
        1,
        "records".into(),
        MigrationType::Simple,
        include_str!("../migrations/0001_records.sql").into_sql_str(),
        false,
    )])
}

/// Longest wait for another process's transaction. Ours take milliseconds.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Largest record that is taken: policy and contract together. A contract of the most tools a component
/// may have is a few megabytes.
const RECORD_BYTES_MAX: u64 = 32 << 20;

/// The database of one store.
#[derive(Debug)]
pub(crate) struct Database {
    pool: SqlitePool,
    path: PathBuf,
}

impl Database {
    /// Opens the database's file, which exists (empty for a new store), and brings its schema up to date.
    ///
    /// The caller holds the store's exclusive lock, so that two processes do not migrate at once.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenStoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_MAX)
            // The file is not believed: no functions in schemas, no cells beyond their page.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(2 * BUSY_MAX)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // An error says that no transaction is open, which is the usual case.
                    drop(sqlx::query("ROLLBACK").execute(connection).await);
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| open_error(path, error))?;
        let database = Self {
            pool,
            path: path.to_owned(),
        };
        database.check_journal().await?;
        migrator()
            .run(&database.pool)
            .await
            .map_err(|error| migrate_error(path, error))?;
        Ok(database)
    }

    /// Where the file system has no shared memory, `SQLite` silently stays in another mode.
    async fn check_journal(&self) -> Result<(), OpenStoreError> {
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| open_error(&self.path, error))?;
        if mode == "wal" {
            Ok(())
        } else {
            Err(OpenStoreError::NoSharing(self.path.clone()))
        }
    }

    /// Reads everything as of one moment.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let read = async {
            let mut transaction = self.begin("BEGIN").await?;
            let epoch = sqlx::query_scalar("SELECT epoch FROM store_epoch WHERE id = 1")
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query(
                "SELECT id, digest, origin, policy, contract, epoch, installed_ms FROM component ORDER BY id",
            )
            .fetch_all(&mut *transaction)
            .await?;
            Ok((epoch, rows))
        };
        let (epoch, rows): (i64, Vec<SqliteRow>) = read.await.map_err(|error| self.error(error))?;
        let records = rows
            .iter()
            .map(|row| self.record(row))
            .collect::<Result<_, _>>()?;
        Ok(Snapshot {
            epoch: count(epoch),
            records,
        })
    }

    /// Reads which blobs are needed, and keeps every writer out until the transaction is dropped.
    ///
    /// A commit whose caller went away may still be on its way when its file lock is gone; the
    /// database's own write lock waits for it.
    pub(crate) async fn needed(&self) -> Result<(PoolConnection<Sqlite>, HashSet<Digest>), StoreError> {
        let read = async {
            let mut transaction = self.begin("BEGIN IMMEDIATE").await?;
            let rows: Vec<(String, String)> = sqlx::query_as("SELECT id, digest FROM component")
                .fetch_all(&mut *transaction)
                .await?;
            Ok((transaction, rows))
        };
        let (transaction, rows) = read.await.map_err(|error| self.error(error))?;
        let parse = |(id, digest): (String, String)| {
            digest.parse().map_err(|_| StoreError::Record {
                id,
                reason: "its digest is not a legal one",
            })
        };
        Ok((
            transaction,
            rows.into_iter().map(parse).collect::<Result<_, _>>()?,
        ))
    }

    fn record(&self, row: &SqliteRow) -> Result<Record, StoreError> {
        let text = |column| {
            row.try_get::<String, _>(column)
                .map_err(|error| self.error(error))
        };
        let number = |column| row.try_get::<i64, _>(column).map_err(|error| self.error(error));
        let id = text("id")?;
        let damaged = |reason| StoreError::Record {
            id: id.clone(),
            reason,
        };
        Ok(Record {
            id: id.parse().map_err(|_| damaged("its id is not a legal one"))?,
            digest: text("digest")?
                .parse()
                .map_err(|_| damaged("its digest is not a legal one"))?,
            origin: text("origin")?,
            policy: text("policy")?,
            contract: text("contract")?,
            epoch: count(number("epoch")?),
            installed_ms: count(number("installed_ms")?),
        })
    }

    /// Writes one record if the one it replaces is as expected; gives the store's new epoch.
    pub(crate) async fn commit(&self, record: &NewRecord, expected: Expected) -> Result<u64, StoreError> {
        let bytes = u64::try_from(record.origin.len() + record.policy.len() + record.contract.len())
            .unwrap_or(u64::MAX);
        if bytes > RECORD_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the record",
                bytes,
                bytes_max: RECORD_BYTES_MAX,
            });
        }
        let (mut transaction, epoch) = self.change(&record.id, expected).await?;
        sqlx::query(
            "INSERT INTO component (id, digest, origin, policy, contract, epoch, installed_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, origin = excluded.origin, \
             policy = excluded.policy, contract = excluded.contract, epoch = excluded.epoch, \
             installed_ms = excluded.installed_ms",
        )
        .bind(record.id.as_str())
        .bind(record.digest.to_string())
        .bind(&record.origin)
        .bind(&record.policy)
        .bind(&record.contract)
        .bind(epoch)
        .bind(i64::try_from(record.installed_ms).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.error(error))?;
        sqlx::query("COMMIT")
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        Ok(count(epoch))
    }

    /// Removes one record if it is as expected; gives the store's new epoch.
    pub(crate) async fn remove(&self, id: &ComponentId, expected: Expected) -> Result<u64, StoreError> {
        let (mut transaction, epoch) = self.change(id, expected).await?;
        sqlx::query("DELETE FROM component WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        sqlx::query("COMMIT")
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.error(error))?;
        Ok(count(epoch))
    }

    /// Begins a write, takes the next epoch, and compares. Dropping the transaction undoes all of it.
    async fn change(
        &self,
        id: &ComponentId,
        expected: Expected,
    ) -> Result<(PoolConnection<Sqlite>, i64), StoreError> {
        let begin = async {
            let mut transaction = self.begin("BEGIN IMMEDIATE").await?;
            // The one row orders the writes: on PostgreSQL its lock does what IMMEDIATE does here.
            let epoch: i64 =
                sqlx::query_scalar("UPDATE store_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch")
                    .fetch_one(&mut *transaction)
                    .await?;
            let found: Option<i64> = sqlx::query_scalar("SELECT epoch FROM component WHERE id = $1")
                .bind(id.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
            Ok((transaction, epoch, found))
        };
        let (transaction, epoch, found) = begin.await.map_err(|error| self.error(error))?;
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

    /// Begins a transaction; dropping the connection undoes it.
    async fn begin(&self, statement: &'static str) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query(statement).execute(&mut *connection).await?;
        Ok(connection)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        let path = self.path.clone();
        match Class::of(&error) {
            Class::Busy => StoreError::Busy(path),
            Class::Full => StoreError::Full {
                path,
                source: error.into(),
            },
            Class::Damaged => StoreError::Damaged {
                path,
                source: error.into(),
            },
            Class::Stopped => StoreError::Stopped,
            Class::Other => StoreError::Database {
                path,
                source: error.into(),
            },
        }
    }
}

/// Counters are written by us from unsigned numbers; a negative one can only come from a changed file.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What a caller must tell apart in the errors of the database.
enum Class {
    Busy,
    Full,
    Damaged,
    Stopped,
    Other,
}

impl Class {
    /// Result codes: <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
    fn of(error: &sqlx::Error) -> Self {
        let code = match error {
            sqlx::Error::PoolTimedOut => return Self::Busy,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => return Self::Stopped,
            sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } => return Self::Damaged,
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        match code.map(|code| code & 0xff) {
            // BUSY, LOCKED
            Some(5 | 6) => Self::Busy,
            // FULL
            Some(13) => Self::Full,
            // CORRUPT, NOTADB
            Some(11 | 26) => Self::Damaged,
            Some(_) | None => Self::Other,
        }
    }
}

fn open_error(path: &Path, error: sqlx::Error) -> OpenStoreError {
    let path = path.to_owned();
    match Class::of(&error) {
        Class::Busy => OpenStoreError::Busy(path),
        Class::Full => OpenStoreError::Full {
            path,
            source: error.into(),
        },
        Class::Damaged => OpenStoreError::Damaged {
            path,
            source: error.into(),
        },
        Class::Stopped | Class::Other => OpenStoreError::Database {
            path,
            source: error.into(),
        },
    }
}

/// The library checks what was applied before it applies anything, so a refusal has changed nothing.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn migrate_error(path: &Path, error: MigrateError) -> OpenStoreError {
    let path_buf = path.to_owned();
    match error {
        MigrateError::VersionMissing(version) => OpenStoreError::Newer {
            path: path_buf,
            version,
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => open_error(path, error),
        error @ (MigrateError::VersionMismatch(_) | MigrateError::Dirty(_)) => OpenStoreError::Damaged {
            path: path_buf,
            source: error.into(),
        },
        error => OpenStoreError::Database {
            path: path_buf,
            source: error.into(),
        },
    }
}
