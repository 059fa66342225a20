//! Whether anyone has changed the store, answered without asking the database.
//!
//! A server asks at the start of every call, so the answer must cost about a microsecond and no hop to
//! another thread. In WAL mode every commit rewrites the header of the shared-memory file beside the
//! database (<https://www.sqlite.org/walformat.html>, section 2.1); a positioned read of it is the answer.
//! Why this and nothing else: `docs/design/0001-noticing-changes.md`.
//!
//! INVARIANT: a descriptor of that file is never closed while this process lives. POSIX drops *all* locks of
//! a process on a file when it closes *any* descriptor of it, and `SQLite` keeps its locks there.

use std::io;
use std::path::Path;

/// What the store looked like at one moment. Two that are equal mean that nothing was committed in between;
/// two that differ mean that something probably was.
///
/// Look first and read the snapshot after: a commit in between then shows as a change at the next look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look(imp::Mark);

/// Looks at one store.
#[derive(Debug)]
pub(crate) struct Lookout(imp::Watch);

impl Lookout {
    /// Starts to watch; the database must be open and must have been read once.
    pub(crate) fn open(shared_memory: &Path) -> io::Result<Self> {
        imp::Watch::open(shared_memory).map(Self)
    }

    pub(crate) fn look(&self) -> io::Result<Look> {
        self.0.mark().map(Look)
    }
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError, RwLock};
    use std::time::{Duration, Instant};

    use crate::fs::{self, File};

    /// Both copies of the header. A writer that is killed between them has committed; the second copy is
    /// the one it writes first.
    const HEADER_BYTES: usize = 96;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Mark {
        file: Identity,
        header: [u8; HEADER_BYTES],
    }

    /// Device and inode.
    type Identity = (u64, u64);

    #[derive(Debug)]
    struct SharedMemory {
        identity: Identity,
        file: File,
    }

    /// Every such file this process has ever opened; see the module's invariant. One per store.
    static OPEN: Mutex<Vec<Arc<SharedMemory>>> = Mutex::new(Vec::new());

    fn open(path: &Path) -> io::Result<Arc<SharedMemory>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let there = fs::identity(path)?;
        if let Some(known) = open.iter().find(|known| known.identity == there) {
            return Ok(Arc::clone(known));
        }
        let file = fs::open_shared_memory(path)?;
        let metadata = file.metadata()?;
        let opened = Arc::new(SharedMemory {
            identity: (metadata.dev(), metadata.ino()),
            file,
        });
        // Kept even when the path was exchanged meanwhile and the file is known already.
        open.push(Arc::clone(&opened));
        Ok(opened)
    }

    #[derive(Debug)]
    pub(super) struct Watch {
        path: PathBuf,
        current: RwLock<Arc<SharedMemory>>,
        /// When the current file was last seen to have its name.
        named: Mutex<Instant>,
    }

    /// How often it is made sure that the file has its name: it loses it only when someone removes it from
    /// under us, and asking costs as much as the look.
    const NAME_INTERVAL: Duration = Duration::from_millis(100);

    impl Watch {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self {
                path: path.to_owned(),
                current: RwLock::new(open(path)?),
                named: Mutex::new(Instant::now()),
            })
        }

        pub(super) fn mark(&self) -> io::Result<Mark> {
            let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            if named.elapsed() < NAME_INTERVAL {
                return read(&current);
            }
            // Our connection keeps the file in place. Should the pool have had to replace its connection,
            // or someone have removed the file, the open one has lost its name.
            if current.file.metadata()?.nlink() > 0 {
                *named = Instant::now();
                return read(&current);
            }
            let renewed = open(&self.path)?;
            let mark = read(&renewed)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
            Ok(mark)
        }
    }

    fn read(shared_memory: &SharedMemory) -> io::Result<Mark> {
        let mut header = [0; HEADER_BYTES];
        shared_memory.file.read_exact_at(&mut header, 0)?;
        Ok(Mark {
            file: shared_memory.identity,
            header,
        })
    }
}

/// Elsewhere nothing this cheap was proved: every look differs, so that the caller reads the snapshot each
/// time, which is right and slower.
#[cfg(not(unix))]
mod imp {
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Mark(u64);

    #[derive(Debug)]
    pub(super) struct Watch(AtomicU64);

    impl Watch {
        pub(super) fn open(_path: &Path) -> io::Result<Self> {
            Ok(Self(AtomicU64::new(0)))
        }

        pub(super) fn mark(&self) -> io::Result<Mark> {
            Ok(Mark(self.0.fetch_add(1, Ordering::Relaxed)))
        }
    }
}
