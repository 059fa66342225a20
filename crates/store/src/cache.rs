//! Compiled code, kept so that a second start compiles nothing.
//!
//! To this module the files are opaque: who writes them authenticates them and checks them when reading
//! (the folder is private, but that is the second wall, not the first). Losing any of them costs time only,
//! so writing is atomic and synced like everything else, but every failure may be ignored by the caller.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{self, RegularFile};
use crate::{StoreError, error};

/// Most bytes all compiled files may have together. Some hundred large components.
const CACHE_BYTES_MAX: u64 = 4 << 30;

/// Longest name of a compiled file in bytes.
pub const CACHE_NAME_BYTES_MAX: usize = 200;

/// What our files end in, so that a foreign file is never counted or evicted.
const SUFFIX: &str = ".compiled";

/// What notes end in: in the place of compiled code that cannot be had, why.
const NOTE_SUFFIX: &str = ".refused";

/// Most bytes of a note.
const NOTE_BYTES_MAX: u64 = 4096;

/// Most notes; the oldest go first.
const NOTES_MAX: usize = 1000;

/// A bounded folder of files that may vanish at any time.
#[derive(Clone, Debug)]
pub struct CompiledCache {
    folder: PathBuf,
    bytes_max: u64,
    notes_max: usize,
}

impl CompiledCache {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            bytes_max: CACHE_BYTES_MAX,
            notes_max: NOTES_MAX,
        }
    }

    /// Reads a file and notes that it was used; `None` when there is none. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the name is not in `[a-z0-9.-]`, begins with `.` or is longer than
    /// [`CACHE_NAME_BYTES_MAX`], when the file is no regular file of ours, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name, SUFFIX)?;
        let failed = |source| StoreError::io(error::READ, &path, source);
        let file = match RegularFile::open_own(&path).map_err(io::Error::from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        file.touch();
        fs::read_opened(file, self.bytes_max).map(Some).map_err(failed)
    }

    /// Writes a file so that it is seen whole or not at all, and removes the least recently used ones
    /// while there are too many bytes. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], [`StoreError::Full`] or [`StoreError::Io`]. A caller who only wanted to
    /// save time goes on without.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name, SUFFIX)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > self.bytes_max {
            return Err(StoreError::TooLarge {
                what: "the compiled code",
                bytes: size,
                bytes_max: self.bytes_max,
            });
        }
        fs::write(&path, bytes).map_err(|source| StoreError::io("write", &path, source))?;
        self.evict(&path)
            .map_err(|source| StoreError::io("list", &self.folder, source))
    }

    /// Reads the note under a name; `None` when there is none. Blocks.
    ///
    /// # Errors
    ///
    /// As [`CompiledCache::read`].
    pub fn read_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name, NOTE_SUFFIX)?;
        let failed = |source| StoreError::io(error::READ, &path, source);
        match RegularFile::open_own(&path).map_err(io::Error::from) {
            Ok(file) => fs::read_opened(file, NOTE_BYTES_MAX).map(Some).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes a note, and removes the oldest while there are too many. Blocks.
    ///
    /// # Errors
    ///
    /// As [`CompiledCache::write`].
    pub fn write_note(&self, name: &str, note: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name, NOTE_SUFFIX)?;
        let bytes = u64::try_from(note.len()).unwrap_or(u64::MAX);
        if bytes > NOTE_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the note",
                bytes,
                bytes_max: NOTE_BYTES_MAX,
            });
        }
        fs::write(&path, note).map_err(|source| StoreError::io("write", &path, source))?;
        self.forget_oldest(&path)
            .map_err(|source| StoreError::io("list", &self.folder, source))
    }

    /// SECURITY: no name leaves the folder or meets a temporary file.
    fn path(&self, name: &str, suffix: &str) -> Result<PathBuf, StoreError> {
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
        if name.is_empty()
            || name.len() > CACHE_NAME_BYTES_MAX
            || name.starts_with('.')
            || !name.bytes().all(legal)
        {
            let source = io::Error::new(io::ErrorKind::InvalidFilename, "not a name of compiled code");
            return Err(StoreError::io("use", Path::new(name), source));
        }
        Ok(self.folder.join(format!("{name}{suffix}")))
    }

    /// Keeps the most recently used files that fit, and always the one just written.
    fn evict(&self, written: &Path) -> io::Result<()> {
        let mut entries = fs::entries(&self.folder)?;
        entries.retain(|entry| entry.name.ends_with(SUFFIX));
        entries.sort_by_key(|entry| (entry.path != written, Reverse(entry.modified)));
        let mut bytes = 0_u64;
        for entry in entries {
            bytes = bytes.saturating_add(entry.bytes);
            if bytes > self.bytes_max {
                fs::remove(&entry.path)?;
            }
        }
        Ok(())
    }

    /// Keeps as many notes as there may be, and always the one just written.
    fn forget_oldest(&self, written: &Path) -> io::Result<()> {
        let mut entries = fs::entries(&self.folder)?;
        entries.retain(|entry| entry.name.ends_with(NOTE_SUFFIX));
        entries.sort_by_key(|entry| (entry.path != written, Reverse(entry.modified)));
        for entry in entries.iter().skip(self.notes_max) {
            fs::remove(&entry.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn cache(bytes_max: u64) -> (tempfile::TempDir, CompiledCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompiledCache {
            folder: folder.path().to_owned(),
            bytes_max,
            notes_max: 2,
        };
        (folder, cache)
    }

    #[track_caller]
    fn age(cache: &CompiledCache, name: &str, seconds: u64) {
        let file = fs::open_append(&cache.path(name, SUFFIX).unwrap()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn what_was_written_is_read_until_it_is_gone() {
        let (_folder, cache) = cache(100);
        assert_eq!(cache.read("a").unwrap(), None);
        cache.write("a", b"one").unwrap();
        cache.write("a", b"two").unwrap();
        assert_eq!(cache.read("a").unwrap().as_deref(), Some(&b"two"[..]));
        assert!(fs::remove(&cache.path("a", SUFFIX).unwrap()).unwrap());
        assert_eq!(cache.read("a").unwrap(), None);
    }

    #[test]
    fn least_recently_used_goes_first_and_foreign_files_stay() {
        let (folder, cache) = cache(10);
        let foreign = folder.path().join("notes");
        fs::write(&foreign, &[0; 100]).unwrap();
        cache.write("a", &[1; 4]).unwrap();
        cache.write("b", &[2; 4]).unwrap();
        age(&cache, "a", 100);
        age(&cache, "b", 200);
        // Reading counts as use: `b` is now younger than `a`.
        assert!(cache.read("b").unwrap().is_some());
        cache.write("c", &[3; 4]).unwrap();
        assert_eq!(cache.read("a").unwrap(), None);
        assert!(cache.read("b").unwrap().is_some());
        assert!(cache.read("c").unwrap().is_some());
        assert_eq!(fs::size(&foreign).unwrap(), Some(100));
    }

    #[test]
    fn what_can_never_fit_is_refused_and_evicts_nothing() {
        let (_folder, cache) = cache(10);
        cache.write("a", &[1; 10]).unwrap();
        assert!(matches!(
            cache.write("b", &[1; 11]),
            Err(StoreError::TooLarge { bytes: 11, .. })
        ));
        assert!(cache.read("a").unwrap().is_some());
    }

    #[test]
    fn notes_are_few_and_no_compiled_code() {
        let (_folder, cache) = cache(10);
        cache.write("a", b"code").unwrap();
        for name in ["a", "b", "c"] {
            assert_eq!(cache.read_note(name).unwrap(), None);
            cache.write_note(name, name.as_bytes()).unwrap();
            let old = fs::open_append(&cache.path(name, NOTE_SUFFIX).unwrap()).unwrap();
            let age = if name == "a" { 200 } else { 100 };
            old.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        }
        assert_eq!(cache.read_note("a").unwrap(), None);
        assert_eq!(cache.read_note("b").unwrap().as_deref(), Some(&b"b"[..]));
        assert_eq!(cache.read_note("c").unwrap().as_deref(), Some(&b"c"[..]));
        assert_eq!(cache.read("a").unwrap().as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.read("b").unwrap(), None);
        let long = [b'x'; 4097];
        assert!(matches!(
            cache.write_note("d", &long),
            Err(StoreError::TooLarge { bytes: 4097, .. })
        ));
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        let (_folder, cache) = cache(10);
        let long = "a".repeat(CACHE_NAME_BYTES_MAX + 1);
        for name in [
            "", ".", "..", ".a", "../a", "a/b", "a\\b", "A", "a_b", "a\0", "é", &long,
        ] {
            let refused = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidFilename);
            assert!(refused(cache.write(name, b"x")), "{name:?}");
            assert!(refused(cache.read(name).map(drop)), "{name:?}");
            assert!(refused(cache.write_note(name, b"x")), "{name:?}");
            assert!(refused(cache.read_note(name).map(drop)), "{name:?}");
        }
        let longest = "a".repeat(CACHE_NAME_BYTES_MAX);
        cache.write(&longest, b"x").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let (folder, cache) = cache(10);
        let secret = folder.path().join("secret");
        fs::write(&secret, b"s").unwrap();
        std::os::unix::fs::symlink(&secret, folder.path().join("a.compiled")).unwrap();
        assert!(matches!(cache.read("a"), Err(StoreError::Io { .. })));
        // Writing replaces the link, not what it points to.
        cache.write("a", b"x").unwrap();
        assert_eq!(fs::read(&secret, 10).unwrap(), b"s");
        assert_eq!(cache.read("a").unwrap().as_deref(), Some(&b"x"[..]));
    }
}
