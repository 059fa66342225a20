//! The database: opening, transactions, errors. What is in it: `database/`.
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

mod feeds;
mod records;
mod requests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, Sqlite, SqliteConnection, SqlitePool};

pub(crate) use records::Needed;

use crate::{OpenStoreError, StoreError, failpoint};

/// The schema's history. Never edit one that was released: its checksum is kept in every database.
///
/// Listed by hand: `sqlx::migrate!` would build the library's macros, with a second database, for one list.
pub(crate) fn migrator() -> Migrator {
    let migration = |version, name: &'static str, sql: &'static str| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "records", include_str!("../migrations/0001_records.sql")),
        migration(
            2,
            "supply chain",
            include_str!("../migrations/0002_supply_chain.sql"),
        ),
        migration(
            3,
            "presentation",
            include_str!("../migrations/0003_presentation.sql"),
        ),
        migration(
            4,
            "permission requests",
            include_str!("../migrations/0004_permission_requests.sql"),
        ),
    ])
}

/// Longest wait for another process's transaction. Ours take milliseconds.
const BUSY_MAX: Duration = Duration::from_secs(10);

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

    /// Begins a write and takes the next epoch. Dropping the transaction undoes all of it.
    async fn begin_change(&self) -> Result<(PoolConnection<Sqlite>, i64), StoreError> {
        let begin = async {
            let mut transaction = self.begin("BEGIN IMMEDIATE").await?;
            // The one row orders the writes: on PostgreSQL its lock does what IMMEDIATE does here.
            let epoch =
                sqlx::query_scalar("UPDATE store_epoch SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch")
                    .fetch_one(&mut *transaction)
                    .await?;
            Ok((transaction, epoch))
        };
        begin.await.map_err(|error| self.error(error))
    }

    /// Makes a write durable.
    async fn end_change(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        failpoint::reached("change: written");
        sqlx::query("COMMIT")
            .execute(transaction)
            .await
            .map_err(|error| self.error(error))?;
        failpoint::reached("change: committed");
        Ok(())
    }

    /// Begins a transaction; dropping the connection undoes it.
    async fn begin(&self, statement: &'static str) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query(statement).execute(&mut *connection).await?;
        Ok(connection)
    }

    /// Whether every page and index of the database is as it must be.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        if found == ["ok"] {
            return Ok(());
        }
        Err(StoreError::Damaged {
            path: self.path.clone(),
            source: found.join("; ").into(),
        })
    }

    /// Writes the database as of one moment into an empty file; the caller syncs it.
    pub(crate) async fn copy(&self, target: &str) -> Result<(), StoreError> {
        sqlx::query("VACUUM INTO $1")
            .bind(target)
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(())
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
        // IOERR_SHMSIZE: the file that processes share cannot grow, which on a local disk is for want of space.
        if code == Some(4874) {
            return Self::Full;
        }
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
