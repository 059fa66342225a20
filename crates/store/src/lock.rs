//! Who may remove files, and when.
//!
//! One file, `lock`, is locked by the operating system, so that a killed process leaves nothing behind:
//!
//! | who | how |
//! |---|---|
//! | a commit, and whoever puts a blob that a later commit needs | shared, for milliseconds |
//! | the collector of garbage, and whoever opens (and perhaps migrates) the database | exclusive |
//!
//! A second file, `lock-blobs`, is locked by those who read many blobs for a long time, so that they keep away
//! the collector and nobody else: a backup and a check, shared; the collector, exclusive, and first.
//!
//! A third, `lock-names`, is locked by whoever takes a name that no two components may have, exclusive: between looking who
//! has it and the commit nobody else takes it.
//!
//! INVARIANT: a blob is removed only under the exclusive lock, and a record is written only under a shared
//! one after its blob was seen. So no record ever points to a blob that a collector removed. The collector
//! also holds the database's write lock, for a commit whose caller (and with it the shared lock) went away.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::StoreError;
use crate::fs::{self, File, TryLockError};

/// Longest wait for another process: far beyond any collection, short enough for a person to see an error.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Between two attempts. The system's blocking call has no time limit.
const PAUSE: Duration = Duration::from_millis(5);

/// Keeps the collector of garbage away from blobs that were put and not yet committed, while it lives.
///
/// Hold it over `put` and `commit`, never over a download or a compilation: opening the store waits for it.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Hold {
    _file: File,
}

/// The lock's file, by path: each holder opens it anew, because the system counts locks per open file.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    wait_max: Duration,
}

impl Lock {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            wait_max: WAIT_MAX,
        }
    }

    /// Waits until nobody collects. Blocks.
    pub(crate) fn shared(&self) -> Result<Hold, LockError> {
        self.wait(File::try_lock_shared)
    }

    /// Waits until nobody holds the lock in any way. Blocks.
    pub(crate) fn exclusive(&self) -> Result<Hold, LockError> {
        self.wait(File::try_lock)
    }

    fn wait(&self, attempt: fn(&File) -> Result<(), TryLockError>) -> Result<Hold, LockError> {
        let failed = |source| LockError::Io {
            path: self.path.clone(),
            source,
        };
        let file = fs::open_lock(&self.path).map_err(failed)?;
        let deadline = Instant::now() + self.wait_max;
        loop {
            match attempt(&file) {
                Ok(()) => return Ok(Hold { _file: file }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(LockError::Busy(self.path.clone())),
            }
        }
    }
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    Busy(PathBuf),
    Io { path: PathBuf, source: io::Error },
}

impl From<LockError> for StoreError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy(path) => Self::Busy(path),
            LockError::Io { path, source } => Self::io("lock", &path, source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collector_and_those_who_put_exclude_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock {
            path: folder.path().join("lock"),
            wait_max: Duration::from_millis(20),
        };
        #[track_caller]
        fn busy(result: Result<Hold, LockError>) {
            assert!(matches!(result, Err(LockError::Busy(_))), "{result:?}");
        }
        let shared = [lock.shared().unwrap(), lock.shared().unwrap()];
        busy(lock.exclusive());
        drop(shared);
        let exclusive = lock.exclusive().unwrap();
        busy(lock.exclusive());
        busy(lock.shared());
        drop(exclusive);
        drop(lock.shared().unwrap());
    }
}
