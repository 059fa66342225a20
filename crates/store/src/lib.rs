//! The component store: what was loaded is there after a restart, a crash, or another process's change.
//!
//! One folder: blobs by digest; in `SQLite` one record per component, what it was before, and what is revoked;
//! compiled code, a key, the audit file.
//! Bytes are put first and a record is committed last, in one transaction: whatever dies in between leaves
//! at most garbage that [`Store::collect`] removes, never a record without its bytes. Several processes may
//! use one folder at a time. This crate does not know the network, policies, or what is in an artifact.
//!
//! ```text
//! state.db (-wal, -shm)   records          compiled/   compiled code      audit.jsonl        audit
//! blobs/sha256/<hex>      artifacts        keys/       secrets            lock, lock-...     see `lock.rs`
//! used/                   see `used.rs`    processes/  sockets of those that serve the store
//! ```

mod append;
mod backup;
mod blobs;
mod cache;
mod database;
mod digest;
mod error;
mod failpoint;
mod fs;
mod id;
mod key;
mod lock;
mod look;
mod new_folder;
mod private;
mod record;
mod reference;
mod request;
mod revocation;
mod trust;
mod used;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use append::{AppendFile, LINE_BYTES_MAX};
pub use backup::{BackupError, CheckReport, Copied};
pub use cache::{CACHE_NAME_BYTES_MAX, CompiledCache};
pub use digest::{Digest, DigestBuilder, ParseDigestError};
pub use error::{Cause, OpenStoreError, StoreError};
pub use fs::{OpenRegularError, RegularFile};
pub use id::{COMPONENT_ID_BYTES_MAX, ComponentId, ParseComponentIdError};
pub use key::Key;
pub use lock::Hold;
pub use look::Look;
pub use private::{PrivateFolder, PrivateFolderError};
pub use record::{Expected, NewRecord, Record, Snapshot, VERSIONS_MAX};
pub use reference::{
    Artifact, HttpsReference, OCI_NAME_BYTES_MAX, OCI_TAG_BYTES_MAX, OciReference, ParseReferenceError,
    REFERENCE_BYTES_MAX, Reference,
};
pub use request::{
    Approval, DENIED_MAX, NewPermissionRequest, PermissionRequest, REQUEST_POLICY_BYTES_MAX,
    REQUESTS_ALL_MAX, REQUESTS_MAX, REQUESTS_OF_ONE_MAX,
};
pub use revocation::{
    CHECKED_INTERVAL_MS, DOCUMENT_BYTES_MAX, FEEDS_MAX, Feed, NewFeed, NewRevocation, OPERATOR,
    REASON_BYTES_MAX, REVOCATIONS_MAX, Revocation, SUBJECT_BYTES_MAX,
};

use blobs::Blobs;
use database::Database;
use fs::Exposure;
use lock::{Lock, LockError};
use look::Lookout;
use used::Used;

/// How old a temporary file is before it is garbage: longer than any write takes.
const TEMPORARY_AGE_MIN: Duration = Duration::from_secs(3600);

/// A store's folder, opened. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    database: Database,
    lookout: Lookout,
    blobs: Blobs,
    compiled: CompiledCache,
    lock: Lock,
    keep_blobs: Lock,
    keep_names: Lock,
    used: Used,
}

/// What [`Store::collect`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that no record and no version refers to.
    pub blobs: u64,
    /// Temporary files that a killed process left.
    pub temporary: u64,
    /// Bytes of both.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in a folder; makes it, for this user only, when it is missing.
    ///
    /// # Errors
    ///
    /// See [`OpenStoreError`]: each variant says what is wrong where, and has a hint. Nothing that is there
    /// is overwritten.
    pub async fn open(folder: &Path) -> Result<Self, OpenStoreError> {
        let folder = std::path::absolute(folder).map_err(|source| OpenStoreError::io(folder, source))?;
        let lock = Lock::new(&folder.join("lock"));
        let prepared = {
            let (folder, lock) = (folder.clone(), lock.clone());
            blocking(move || prepare(&folder, &lock)).await
        };
        let hold = prepared.map_err(|Stopped| OpenStoreError::Busy(folder.clone()))??;
        let database = Database::open(&folder.join("state.db")).await?;
        drop(hold);
        let shared_memory = folder.join("state.db-shm");
        let lookout =
            Lookout::open(&shared_memory).map_err(|source| OpenStoreError::io(&shared_memory, source))?;
        Ok(Self(Arc::new(Inner {
            blobs: Blobs::new(&folder.join("blobs/sha256")),
            compiled: CompiledCache::new(&folder.join("compiled")),
            keep_blobs: Lock::new(&folder.join("lock-blobs")),
            keep_names: Lock::new(&folder.join("lock-names")),
            used: Used::new(&folder.join("used")),
            folder,
            database,
            lookout,
            lock,
        })))
    }

    /// The store's folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Keeps garbage collection away until the result is dropped: for `put` followed by `commit`.
    ///
    /// A commit is safe without, but may then find that its blob was collected.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when another process collects for longer than ten seconds.
    pub async fn begin(&self) -> Result<Hold, StoreError> {
        let lock = self.0.lock.clone();
        Ok(blocking(move || lock.shared()).await??)
    }

    /// Keeps away everybody else who takes names that no two records may have, until the result is dropped: for a
    /// snapshot, a comparison with it, and a commit. Which names those are is not known here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when another process holds it for longer than ten seconds.
    pub async fn take_names(&self) -> Result<Hold, StoreError> {
        let names = self.0.keep_names.clone();
        Ok(blocking(move || names.exclusive()).await??)
    }

    /// Keeps an artifact's bytes. Idempotent: the same bytes are the same file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Digest`] when the bytes do not have the digest the artifact says, [`StoreError::Full`],
    /// [`StoreError::TooLarge`], [`StoreError::Io`].
    pub async fn put(&self, artifact: &Artifact) -> Result<(), StoreError> {
        let (blobs, artifact) = (self.0.blobs.clone(), artifact.clone());
        blocking(move || blobs.put(&artifact)).await?
    }

    /// Reads the bytes with this digest, and checks that they have it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoBlob`], [`StoreError::DamagedBlob`], [`StoreError::Io`].
    pub async fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let (blobs, digest) = (self.0.blobs.clone(), *digest);
        blocking(move || blobs.get(&digest)).await?
    }

    /// Checks that the bytes with this digest are there, piece by piece: they are not kept in memory.
    ///
    /// # Errors
    ///
    /// As [`Store::blob`].
    pub async fn verify(&self, digest: &Digest) -> Result<(), StoreError> {
        let (blobs, digest) = (self.0.blobs.clone(), *digest);
        blocking(move || blobs.verify(&digest).map(drop)).await?
    }

    /// Reads all records, revocations and feeds as of one moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Record`] or [`StoreError::Damaged`] for what cannot be read: the store does not guess.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.0.database.snapshot().await
    }

    /// Reads what a component was before its bytes were replaced, newest first: at most [`VERSIONS_MAX`], no
    /// two with the same bytes, none with those it has now. Empty for a component that there is not.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot`].
    pub async fn versions(&self, id: &ComponentId) -> Result<Vec<Record>, StoreError> {
        self.0.database.versions(id).await
    }

    /// Writes one record, durably, if the one it replaces is as expected. Gives the store's new epoch, which
    /// is also the record's. One that is replaced by one with other bytes becomes a version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when it is not as expected, [`StoreError::NoBlob`] when its bytes are not in
    /// the store, and what the disk and the database say. After an error nothing is changed.
    pub async fn commit(&self, record: &NewRecord, expected: Expected) -> Result<u64, StoreError> {
        self.commit_with(record, expected, None).await
    }

    async fn commit_with(
        &self,
        record: &NewRecord,
        expected: Expected,
        approval: Option<Approval>,
    ) -> Result<u64, StoreError> {
        let hold = {
            let (inner, digest) = (Arc::clone(&self.0), record.digest);
            blocking(move || {
                let hold = inner.lock.shared()?;
                inner.blobs.require(&digest).map(|()| hold)
            })
            .await??
        };
        let epoch = self.0.database.commit(record, expected, approval).await;
        drop(hold);
        epoch
    }

    /// Removes one record with its versions, durably, if it was written by the change `expected_epoch`. Its
    /// bytes stay until [`Store::collect`]. Gives the store's new epoch.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when there is none or a newer one, and what the database says.
    pub async fn remove(&self, id: &ComponentId, expected_epoch: u64) -> Result<u64, StoreError> {
        self.0.database.remove(id, Expected::Epoch(expected_epoch)).await
    }

    /// Looks whether any process committed anything: compare with the look that was taken before the last
    /// snapshot. Costs about a microsecond; does not block.
    ///
    /// # Errors
    ///
    /// When the database's shared-memory file is gone: someone removed it from under us.
    pub fn look(&self) -> io::Result<Look> {
        self.0.lookout.look()
    }

    /// The compiled code kept for later starts.
    pub fn compiled(&self) -> &CompiledCache {
        &self.0.compiled
    }

    /// Reads the key that authenticates compiled code; makes it the first time. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] when it is damaged or other users can read it, [`StoreError::Io`],
    /// [`StoreError::Full`].
    pub fn key(&self) -> Result<Key, StoreError> {
        Key::open(&self.0.folder.join("keys").join("compiled"))
    }

    /// Reads the key that seals what clients keep for components between two calls; makes it the first time. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Store::key`].
    pub fn state_key(&self) -> Result<Key, StoreError> {
        Key::open(&self.0.folder.join("keys").join("state"))
    }

    /// Whether this is the first use of what is good once, until then (in seconds since 1970), in all processes that
    /// share the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooMany`] while a hundred thousand are remembered, [`StoreError::Full`], [`StoreError::Io`]: the
    /// caller then takes it for used.
    pub async fn first_use(&self, name: [u8; 12], good_until: u64) -> Result<bool, StoreError> {
        let used = self.0.used.clone();
        blocking(move || used.once(&name, good_until)).await?
    }

    /// Opens the audit file. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]: the caller then refuses what it cannot write down.
    pub fn audit(&self) -> Result<AppendFile, StoreError> {
        let path = self.0.folder.join("audit.jsonl");
        AppendFile::open(&path).map_err(|source| StoreError::io("open", &path, source))
    }

    /// Removes garbage: blobs no record and no version refers to, and temporary files older than an hour.
    ///
    /// Files that do not look like ours are left alone. Compiled code has its own bound.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] while another process loads something, makes a backup or checks the store for
    /// longer than ten seconds, and what the disk and the database say.
    pub async fn collect(&self) -> Result<Collected, StoreError> {
        let (keep, lock) = (self.0.keep_blobs.clone(), self.0.lock.clone());
        // In this order: whoever loads something must not wait for a backup.
        let holds = blocking(move || Ok::<_, LockError>((keep.exclusive()?, lock.exclusive()?))).await??;
        let (transaction, needed) = self.0.database.needed().await?;
        let inner = Arc::clone(&self.0);
        let collected = blocking(move || {
            let (blobs, blob_bytes) = inner.blobs.retain(&needed.digests)?;
            failpoint::reached("collect: blobs removed");
            let (temporary, temporary_bytes) = remove_temporary(&inner.folder)?;
            drop(holds);
            Ok(Collected {
                blobs,
                temporary,
                bytes: blob_bytes + temporary_bytes,
            })
        })
        .await?;
        drop(transaction);
        collected
    }

    /// Closes the database and waits for it; later calls fail with [`StoreError::Stopped`]. A store that is
    /// dropped instead, or killed, loses nothing either.
    pub async fn close(&self) {
        self.0.database.close().await;
    }
}

/// The blocking thread did not finish: the runtime is ending, or it panicked.
struct Stopped;

impl From<Stopped> for StoreError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Stopped)
}

/// Makes and checks the folders, then takes the lock under which the database is opened.
fn prepare(folder: &Path, lock: &Lock) -> Result<Hold, OpenStoreError> {
    let failed = |source| OpenStoreError::io(folder, source);
    fs::make_folders(folder).map_err(failed)?;
    // SECURITY: who can write here can exchange the key and with it native code.
    if fs::probe(folder).map_err(failed)? == Exposure::Writable {
        return Err(OpenStoreError::Exposed(folder.to_owned()));
    }
    for name in ["blobs", "blobs/sha256", "compiled", "keys", "used"] {
        let path = folder.join(name);
        fs::make_folder(&path).map_err(|source| OpenStoreError::io(&path, source))?;
    }
    for name in ["state.db-wal", "state.db-shm"] {
        let path = folder.join(name);
        fs::size(&path).map_err(|source| OpenStoreError::io(&path, source))?;
    }
    let hold = lock.exclusive().map_err(|error| match error {
        LockError::Busy(_) => OpenStoreError::Busy(folder.to_owned()),
        LockError::Io { path, source } => OpenStoreError::io(&path, source),
    })?;
    // Made here, because SQLite would make it readable for everyone; its -wal and -shm take the mode over.
    let state = folder.join("state.db");
    fs::create_if_missing(&state).map_err(|source| OpenStoreError::io(&state, source))?;
    Ok(hold)
}

/// Removes old temporary files; says how many and how many bytes.
fn remove_temporary(folder: &Path) -> Result<(u64, u64), StoreError> {
    let (mut count, mut bytes) = (0, 0);
    for folder in [
        folder.to_owned(),
        folder.join("blobs/sha256"),
        folder.join("compiled"),
        folder.join("keys"),
        folder.join("used"),
    ] {
        let failed = |source| StoreError::io("remove old files from", &folder, source);
        let (more, more_bytes) = remove_old_temporary(&folder).map_err(failed)?;
        count += more;
        bytes += more_bytes;
    }
    Ok((count, bytes))
}

/// Removes the old temporary files of one folder; says how many and how many bytes.
fn remove_old_temporary(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for entry in fs::entries(folder)? {
        let age = SystemTime::now()
            .duration_since(entry.modified)
            .unwrap_or(Duration::ZERO);
        if entry.name.starts_with(fs::TEMPORARY_PREFIX) && age >= TEMPORARY_AGE_MIN {
            fs::remove(&entry.path)?;
            count += 1;
            bytes += entry.bytes;
        }
    }
    Ok((count, bytes))
}
