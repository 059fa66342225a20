//! A folder of small files that only this user may read: for what must not lie in the component store.
//!
//! INVARIANT: nothing is read from a folder or a file that another user may read or write, nothing is reached
//! through a symbolic link, and a file is seen whole or not at all. What is in the files is not known here.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::fs::{self, Exposure, RegularFile};
use crate::lock::{Hold, Lock, LockError};
use crate::{Cause, OpenRegularError, remove_old_temporary};

/// A private folder, opened.
#[derive(Clone, Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    lock: Lock,
}

impl PrivateFolder {
    /// Opens a folder; makes it and those above it, for this user only, when they are missing. Blocks.
    ///
    /// Temporary files that a killed process left an hour ago are removed.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Exposed`] when another user owns it, may read it or may write to it, and what the disk
    /// says.
    pub fn open(path: &Path) -> Result<Self, PrivateFolderError> {
        let path = std::path::absolute(path).map_err(|source| failed("find", path, source))?;
        let made = |source| failed("make", &path, source);
        fs::make_folders(&path).map_err(made)?;
        fs::make_folder(&path).map_err(made)?;
        let exposure = fs::probe(&path).map_err(|source| failed("write to", &path, source))?;
        if exposure != Exposure::Private {
            return Err(PrivateFolderError::Exposed(path));
        }
        remove_old_temporary(&path).map_err(|source| failed("list", &path, source))?;
        let lock = Lock::new(&path.join("lock"));
        Ok(Self { path, lock })
    }

    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps everyone else who asks for this away until the result is dropped: for reading followed by writing.
    ///
    /// Blocks for at most ten seconds. Reading alone needs no lock.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Busy`] when another process holds it longer, [`PrivateFolderError::Io`].
    pub fn lock(&self) -> Result<Hold, PrivateFolderError> {
        self.lock.exclusive().map_err(|error| match error {
            LockError::Busy(path) => PrivateFolderError::Busy(path),
            LockError::Io { path, source } => failed("lock", &path, source),
        })
    }

    /// Reads a file of at most `bytes_max` bytes; `None` when there is none. Blocks.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Exposed`] when others may read or write it, [`PrivateFolderError::Io`], also for a file
    /// that is too large, a link or no regular file.
    pub fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFolderError> {
        let path = self.file(name)?;
        let failed = |source| failed("read", &path, source);
        let file = match RegularFile::open_own(&path) {
            Ok(file) => file,
            Err(OpenRegularError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        // Asked of the open file: the one at the path may be another by now.
        if file.exposure().map_err(failed)? != Exposure::Private {
            return Err(PrivateFolderError::Exposed(path));
        }
        let bytes = fs::read_opened(file, bytes_max).map_err(failed)?;
        Ok(Some(Zeroizing::new(bytes)))
    }

    /// Writes a file durably, whole or not at all; replaces an older one. Blocks.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Full`], [`PrivateFolderError::Io`]; the older one is then unchanged.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PrivateFolderError> {
        let path = self.file(name)?;
        fs::write(&path, bytes).map_err(|source| failed("write", &path, source))
    }

    /// As [`PrivateFolder::write`], but never replaces: `false` means that there was one. Blocks.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Full`], [`PrivateFolderError::Io`].
    pub fn write_once(&self, name: &str, bytes: &[u8]) -> Result<bool, PrivateFolderError> {
        let path = self.file(name)?;
        fs::write_once(&path, bytes).map_err(|source| failed("write", &path, source))
    }

    /// Removes a file, durably; `false` when there was none. Blocks.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Io`].
    pub fn remove(&self, name: &str) -> Result<bool, PrivateFolderError> {
        let path = self.file(name)?;
        let failed = |source| failed("remove", &path, source);
        let removed = fs::remove(&path).map_err(failed)?;
        if removed {
            fs::sync_folder(&self.path).map_err(failed)?;
        }
        Ok(removed)
    }

    /// The names of the regular files that are there, without temporary ones, in no order. Blocks.
    ///
    /// # Errors
    ///
    /// [`PrivateFolderError::Io`].
    pub fn names(&self) -> Result<Vec<String>, PrivateFolderError> {
        let entries = fs::entries(&self.path).map_err(|source| failed("list", &self.path, source))?;
        let names = entries.into_iter().map(|entry| entry.name);
        Ok(names
            .filter(|name| !name.starts_with(fs::TEMPORARY_PREFIX) && name != "lock")
            .collect())
    }

    /// The path of a file directly in this folder.
    fn file(&self, name: &str) -> Result<PathBuf, PrivateFolderError> {
        let is_plain = name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if is_plain {
            Ok(self.path.join(name))
        } else {
            Err(failed(
                "name a file in",
                &self.path,
                io::ErrorKind::InvalidInput.into(),
            ))
        }
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> PrivateFolderError {
    let path = path.to_owned();
    if action == "write" && fs::is_full(&source) {
        return PrivateFolderError::Full {
            path,
            source: source.into(),
        };
    }
    PrivateFolderError::Io { action, path, source }
}

/// Why something in a private folder could not be done.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFolderError {
    /// Other users may read or write it, or own it.
    #[error("`{}` is not private: other users can read or change it", .0.display())]
    Exposed(PathBuf),
    /// Another process holds the lock for longer than we wait.
    #[error("`{}` is locked by another process", .0.display())]
    Busy(PathBuf),
    /// The disk is full.
    #[error("no space left at `{}`", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// The system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PrivateFolderError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exposed(_) => {
                "make it yours alone: `chown` it to this user, `chmod go-rwx` it, and replace what it held"
            }
            Self::Busy(_) => "wait for the other process, or end it, and try again",
            Self::Full { .. } => "free some space and try again; nothing was lost",
            Self::Io { .. } => "check that it is a real file or folder that this user may read and write",
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs as disk;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn folder() -> (tempfile::TempDir, PrivateFolder) {
        let home = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&home.path().join("a/b")).unwrap();
        (home, folder)
    }

    fn mode(path: &Path) -> u32 {
        disk::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[track_caller]
    fn exposed<T: std::fmt::Debug>(result: Result<T, PrivateFolderError>, path: &Path) {
        match result {
            Err(PrivateFolderError::Exposed(found)) => assert_eq!(found, path),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_made_is_private_and_what_is_written_is_read() {
        let (_home, folder) = folder();
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(folder.read("x", 9).unwrap(), None);
        folder.write("x", b"one").unwrap();
        assert_eq!(mode(&folder.path().join("x")), 0o600);
        assert!(!folder.write_once("x", b"two").unwrap());
        assert_eq!(folder.read("x", 9).unwrap().unwrap().as_slice(), b"one");
        folder.write("x", b"two").unwrap();
        assert_eq!(folder.read("x", 9).unwrap().unwrap().as_slice(), b"two");
        assert_eq!(folder.names().unwrap(), ["x"]);
        assert!(folder.remove("x").unwrap());
        assert!(!folder.remove("x").unwrap());
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let (_home, folder) = folder();
        folder.write("x", b"one").unwrap();
        let path = folder.path().join("x");
        for bits in [0o640, 0o604, 0o620, 0o602] {
            disk::set_permissions(&path, disk::Permissions::from_mode(bits)).unwrap();
            exposed(folder.read("x", 9), &path);
        }
        for bits in [0o750, 0o705, 0o770] {
            disk::set_permissions(folder.path(), disk::Permissions::from_mode(bits)).unwrap();
            exposed(PrivateFolder::open(folder.path()), folder.path());
        }
    }

    #[test]
    fn links_pipes_and_large_files_are_not_read() {
        let (home, folder) = folder();
        disk::write(home.path().join("outside"), "x").unwrap();
        symlink(home.path().join("outside"), folder.path().join("link")).unwrap();
        disk::create_dir(folder.path().join("folder")).unwrap();
        folder.write("large", b"0123456789").unwrap();
        for name in ["link", "folder", "large", "../outside", "", ".", "a/b"] {
            assert!(
                matches!(folder.read(name, 9), Err(PrivateFolderError::Io { .. })),
                "{name}"
            );
        }
        symlink(folder.path(), home.path().join("alias")).unwrap();
        let alias = PrivateFolder::open(&home.path().join("alias"));
        assert!(matches!(alias, Err(PrivateFolderError::Io { .. })), "{alias:?}");
    }
}
