//! What is good once and was used: a name each, in files that all processes of a store see at the same moment.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{StoreError, error, fs};

/// Names that are remembered. Beyond that nothing is good any more until some are forgotten.
const USED_MAX: usize = 100_000;

/// How often names that are of no use any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A folder with an empty file for each name: making a file is what only one process can do.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    folder: PathBuf,
    swept: Arc<Mutex<Swept>>,
}

/// When it was last looked how many there are.
#[derive(Debug, Default)]
struct Swept {
    at: Option<Instant>,
    count: usize,
}

impl Used {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            swept: Arc::default(),
        }
    }

    /// Whether this is the first use of a name that is good until then (in seconds since 1970). Durable when it says yes.
    pub(crate) fn once(&self, name: &[u8; 12], good_until: u64) -> Result<bool, StoreError> {
        let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{good_until:016x}-{hex}"));
        let is_used = fs::size(&path).map_err(|source| StoreError::io(error::READ, &path, source))?;
        if is_used.is_some() || now() > good_until {
            return Ok(false);
        }
        self.make_room(now())?;
        let is_first = fs::write_once(&path, b"").map_err(|source| StoreError::io("write", &path, source))?;
        // Another process may have forgotten an earlier use since it was looked: once it has expired it is forgotten.
        Ok(is_first && now() <= good_until)
    }

    fn make_room(&self, now: u64) -> Result<(), StoreError> {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.at.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) || swept.count >= USED_MAX {
            swept.count = self.sweep(now)?;
            swept.at = Some(Instant::now());
        }
        if swept.count >= USED_MAX {
            return Err(StoreError::TooMany {
                what: "names that were used within the last minutes",
                count_max: USED_MAX,
            });
        }
        swept.count += 1;
        Ok(())
    }

    /// Removes what has expired; how many are left.
    fn sweep(&self, now: u64) -> Result<usize, StoreError> {
        let failed = |source| StoreError::io(error::READ, &self.folder, source);
        let mut left = 0;
        for entry in fs::entries(&self.folder).map_err(failed)? {
            let until = entry.name.split_once('-').map(|(until, _)| until);
            match until.and_then(|until| u64::from_str_radix(until, 16).ok()) {
                Some(until) if until < now => {
                    // Another process may have been faster.
                    fs::remove(&entry.path).map_err(failed)?;
                }
                Some(_) | None => left += 1,
            }
        }
        Ok(left)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_once_whoever_asks() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Used::new(folder.path()), Used::new(folder.path()));
        let until = now() + 60;
        assert!(one.once(&[1; 12], until).unwrap());
        assert!(!other.once(&[1; 12], until).unwrap());
        assert!(other.once(&[2; 12], until).unwrap());
        assert!(!one.once(&[3; 12], now() - 1).unwrap(), "it has expired");
    }

    #[test]
    fn of_many_at_the_same_moment_one_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let until = now() + 60;
        let firsts: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| usize::from(Used::new(folder.path()).once(&[1; 12], until).unwrap())))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(firsts, 1);
    }

    #[test]
    fn what_has_expired_makes_room_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(format!("{:016x}-00", now() - 5)), "").unwrap();
        std::fs::write(folder.path().join(format!("{:016x}-00", now() + 50)), "").unwrap();
        let used = Used::new(folder.path());
        assert_eq!(used.sweep(now()).unwrap(), 1);
        used.swept.lock().unwrap().count = USED_MAX;
        // There is room after all, which is looked for before it is refused.
        assert!(used.once(&[1; 12], now() + 60).unwrap());
    }
}
