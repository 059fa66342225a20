//! Copies of a whole store, and whether one is whole.
//!
//! INVARIANT: a folder appears under its name only when everything in it is written, verified and synced; what
//! a killed process leaves is a folder `.tmp-*` beside it, which nothing reads and anyone may remove.
//!
//! A backup holds the database, the blobs its records and versions need, and the audit file. Not in it: keys
//! and compiled code, which are made anew; and secrets, which are not in the store's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blobs::Blobs;
use crate::database::{Database, Needed};
use crate::new_folder::NewFolder;
use crate::{Digest, OpenStoreError, Stopped, Store, StoreError, blocking, failpoint, fs};

const DATABASE: &str = "state.db";
const BLOBS: &str = "blobs/sha256";
const AUDIT: &str = "audit.jsonl";

/// What [`Store::backup`] and [`Store::restore`] have copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Records, without their versions.
    pub records: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of the blobs.
    pub bytes: u64,
}

/// What [`Store::check`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Records, without their versions.
    pub records: u64,
    /// Earlier versions of them.
    pub versions: u64,
    /// Revocations of all sources.
    pub revocations: u64,
    /// Feeds.
    pub feeds: u64,
    /// Blobs that are whole.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Blobs that a record or a version needs and that are not there, in order.
    pub missing: Vec<Digest>,
    /// Blobs that do not have their digest or cannot be read, in order.
    pub damaged: Vec<Digest>,
}

impl CheckReport {
    /// Whether nothing is missing or damaged.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty()
    }
}

/// Why a store was not copied. The target is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is there and is not an empty folder.
    #[error("`{}` is there and is not an empty folder", .0.display())]
    Occupied(PathBuf),
    /// The source is not what [`Store::backup`] has made.
    #[error("`{}` is not a backup: {reason}", path.display())]
    NoBackup {
        /// The source.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The copied database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// Something could not be read, written or verified.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// What the operator can do, where there is more to say than the message does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Occupied(_) => Some("name a folder that is not there yet; nothing is ever overwritten"),
            Self::NoBackup { .. } => Some("name a folder that a backup was made to"),
            Self::Open(error) => Some(error.hint()),
            Self::Store(error) => error.hint(),
        }
    }
}

impl From<Stopped> for BackupError {
    fn from(Stopped: Stopped) -> Self {
        Self::Store(StoreError::Stopped)
    }
}

impl Store {
    /// Copies the store as of one moment to a folder that is not there yet or empty, while it is in use.
    ///
    /// Commits go on meanwhile; garbage collection waits. Every blob is verified on the way. The copy is for this
    /// user only, is whole or not there, and holds no keys, no compiled code and no secrets.
    ///
    /// # Errors
    ///
    /// [`BackupError::Occupied`], and [`BackupError::Store`] for a blob that is missing or damaged
    /// ([`Store::check`] names all of them) and for what the disk and the database say.
    pub async fn backup(&self, target: &Path) -> Result<Copied, BackupError> {
        let keep = self.0.keep_blobs.clone();
        let _hold = blocking(move || keep.shared()).await?.map_err(StoreError::from)?;
        let new = start(target).await?;
        let path = new.path().join(DATABASE);
        let text = path.to_str().ok_or_else(|| {
            let source = std::io::ErrorKind::InvalidFilename.into();
            StoreError::io("write", &path, source)
        })?;
        self.0.database.copy(text).await?;
        failpoint::reached("backup: database copied");
        complete(new, &self.0.folder).await
    }

    /// Makes a store from a backup, in a folder that is not there yet or empty.
    ///
    /// The database is checked page by page and every blob by its digest before the store appears.
    ///
    /// # Errors
    ///
    /// [`BackupError::Occupied`], [`BackupError::NoBackup`], [`BackupError::Open`] for a database that cannot be
    /// used, [`BackupError::Store`] for one that is damaged, a missing or damaged blob, and what the disk says.
    pub async fn restore(source: &Path, target: &Path) -> Result<Copied, BackupError> {
        let source = absolute(source)?;
        let new = start(target).await?;
        let (from, to) = (source.clone(), new.path().join(DATABASE));
        blocking(move || copy_database(&from, &to)).await??;
        failpoint::reached("restore: database copied");
        complete(new, &source).await
    }

    /// Checks the database and every blob that a record or a version needs; changes nothing.
    ///
    /// `progress` is told how many blobs of how many were read. Garbage collection waits.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and [`StoreError::Record`] for the database; what is wrong with blobs is reported.
    pub async fn check(
        &self,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<CheckReport, StoreError> {
        let keep = self.0.keep_blobs.clone();
        let _hold = blocking(move || keep.shared()).await??;
        self.0.database.check().await?;
        let snapshot = self.0.database.snapshot().await?;
        let (transaction, needed) = self.0.database.needed().await?;
        drop(transaction);
        let report = CheckReport {
            records: needed.records,
            versions: needed.versions,
            revocations: fs::count(snapshot.revocations.len()),
            feeds: fs::count(snapshot.feeds.len()),
            ..CheckReport::default()
        };
        let inner = Arc::clone(&self.0);
        Ok(blocking(move || check_blobs(&inner.blobs, &needed, report, progress)).await?)
    }
}

fn check_blobs(
    blobs: &Blobs,
    needed: &Needed,
    mut report: CheckReport,
    mut progress: impl FnMut(u64, u64),
) -> CheckReport {
    let all = fs::count(needed.digests.len());
    for (done, digest) in (1..).zip(sorted(needed)) {
        match blobs.verify(&digest) {
            Ok(bytes) => {
                report.blobs += 1;
                report.bytes += bytes;
            }
            Err(StoreError::NoBlob(_)) => report.missing.push(digest),
            Err(_) => report.damaged.push(digest),
        }
        progress(done, all);
    }
    report
}

fn sorted(needed: &Needed) -> Vec<Digest> {
    let mut digests: Vec<_> = needed.digests.iter().copied().collect();
    digests.sort_unstable();
    digests
}

fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|source| StoreError::io("find", path, source))
}

/// Makes the folder that becomes the target at the end, with an empty database and no blobs.
async fn start(target: &Path) -> Result<NewFolder, BackupError> {
    let target = absolute(target)?;
    blocking(move || {
        let failed = |source| StoreError::io("make", &target, source);
        if !fs::is_vacant(&target).map_err(failed)? {
            return Err(BackupError::Occupied(target));
        }
        let new = NewFolder::beside(&target).map_err(failed)?;
        for folder in ["blobs", BLOBS] {
            fs::make_folder(&new.path().join(folder)).map_err(failed)?;
        }
        // Made here, because SQLite would make it readable for everyone; it takes a file that is empty.
        fs::create_if_missing(&new.path().join(DATABASE)).map_err(failed)?;
        Ok(new)
    })
    .await?
}

fn copy_database(source: &Path, target: &Path) -> Result<(), BackupError> {
    let refused = |reason| BackupError::NoBackup {
        path: source.to_owned(),
        reason,
    };
    // A store that is in use, or was killed, has changes there that a copy of the one file would lose.
    let log = source.join("state.db-wal");
    match fs::size(&log) {
        Ok(Some(1..)) => return Err(refused("it is a store in use, or one that was killed")),
        Ok(Some(0) | None) => {}
        Err(error) => return Err(StoreError::io(crate::error::READ, &log, error).into()),
    }
    let path = source.join(DATABASE);
    match fs::size(&path) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(refused("it has no `state.db`")),
        Err(error) => return Err(StoreError::io(crate::error::READ, &path, error).into()),
    }
    fs::remove(target)
        .and_then(|_| fs::copy(&path, target, |_| ()))
        .map_err(|error| StoreError::io("copy", &path, error))?;
    Ok(())
}

/// Checks the database of the new folder, brings what its records need, and gives it its name.
async fn complete(new: NewFolder, source: &Path) -> Result<Copied, BackupError> {
    let database = Database::open(&new.path().join(DATABASE)).await?;
    let needed = read_all(&database).await;
    // Before an error is returned, too: the folder is removed then. What is in the log goes into the file.
    database.close().await;
    let needed = needed?;
    let source = source.to_owned();
    let copied = blocking(move || {
        let copied = copy_files(&new, &source, &needed)?;
        failpoint::reached("backup: complete");
        let target = new.target().to_owned();
        match new.finish() {
            Ok(true) => Ok(copied),
            // Someone else has made it meanwhile.
            Ok(false) => Err(BackupError::Occupied(target)),
            Err(error) => Err(StoreError::io("make", &target, error).into()),
        }
    });
    copied.await?
}

/// Proves that all of the database can be read.
async fn read_all(database: &Database) -> Result<Needed, StoreError> {
    database.check().await?;
    database.snapshot().await?;
    let (transaction, needed) = database.needed().await?;
    drop(transaction);
    Ok(needed)
}

fn copy_files(new: &NewFolder, source: &Path, needed: &Needed) -> Result<Copied, StoreError> {
    let (from, to) = (Blobs::new(&source.join(BLOBS)), new.path().join(BLOBS));
    let mut copied = Copied {
        records: needed.records,
        ..Copied::default()
    };
    for digest in sorted(needed) {
        copied.bytes += from.copy(&digest, &to)?;
        copied.blobs += 1;
        failpoint::reached("backup: one blob copied");
    }
    let audit = source.join(AUDIT);
    let failed = |error| StoreError::io("copy", &audit, error);
    if fs::size(&audit).map_err(failed)?.is_some() {
        fs::copy(&audit, &new.path().join(AUDIT), |_| ()).map_err(failed)?;
    }
    for folder in [BLOBS, "blobs"] {
        let path = new.path().join(folder);
        fs::sync_folder(&path).map_err(|error| StoreError::io("write", &path, error))?;
    }
    let database = new.path().join(DATABASE);
    fs::sync(&database).map_err(|error| StoreError::io("write", &database, error))?;
    Ok(copied)
}
