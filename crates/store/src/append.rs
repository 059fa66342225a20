//! A file to which whole lines are added, by any number of processes.
//!
//! One line is one `write` to a file opened for appending, which the system orders among processes on a
//! local disk; nothing is buffered, so what was reported as written has left this process. It is not synced
//! line by line: after a power cut the last lines may be missing, after a crash or kill -9 they are not.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fs::{self, File};

/// Longest line in bytes, without its end. One audit entry is far below.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// An append-only file of lines.
#[derive(Debug)]
pub struct AppendFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Whether the file ends in the middle of a line: the next line starts on a new one.
    is_torn: bool,
    /// When the file was last seen at its path.
    seen: Instant,
}

impl State {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = fs::open_append(path)?;
        let is_torn = is_torn(&mut file)?;
        Ok(Self {
            file,
            is_torn,
            seen: Instant::now(),
        })
    }
}

/// How long another process may take to write the rest of a line.
const WRITE_TIME: Duration = Duration::from_millis(10);

/// Looks after which a file counts as torn that never is without half a line. It costs an empty line at most.
const LOOKS_MAX: u32 = 20;

/// Whether the file ends in the middle of a line. The system shows a line of another process page by page while it is
/// written; one that was cut short stays as it is.
fn is_torn(file: &mut File) -> io::Result<bool> {
    let mut before = None;
    for _ in 0..LOOKS_MAX {
        let length = file.seek(SeekFrom::End(0))?;
        if length == 0 {
            return Ok(false);
        }
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            return Ok(false);
        }
        if before.replace(length) == Some(length) {
            return Ok(true);
        }
        std::thread::sleep(WRITE_TIME);
    }
    Ok(true)
}

/// How often the path is looked at. Each look costs two system calls, more than a fifth of a write.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

impl AppendFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State::open(path)?),
        })
    }

    /// Adds one line; its end is added here. A file that was moved away or removed is made anew within
    /// [`LOOK_INTERVAL`], so that it may be rotated; lines of the moment before go to the moved file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a line that is empty, holds a line break or is longer than
    /// [`LINE_BYTES_MAX`]; [`io::ErrorKind::WriteZero`] when only a part could be written; else the
    /// system's error. After an error the line counts as not written.
    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        if line.is_empty() || line.len() > LINE_BYTES_MAX || line.contains(&b'\n') || line.contains(&b'\r') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not one line"));
        }
        // A panic while the lock was held cannot have left a half-changed state: it is set after the write.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen.elapsed() >= LOOK_INTERVAL {
            if !fs::is_at(&state.file, &self.path)? {
                *state = State::open(&self.path)?;
            }
            state.seen = Instant::now();
        }
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if state.is_torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        let written = write_once(&mut state.file, &bytes)?;
        state.is_torn = if written == 0 {
            state.is_torn
        } else {
            written < bytes.len()
        };
        if written < bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}

/// One `write`; only an interruption before the first byte is repeated.
fn write_once(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        String::from_utf8(fs::read(path, 1 << 30).unwrap()).unwrap()
    }

    #[test]
    fn lines_are_added_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        AppendFile::open(&path).unwrap().append(b"one").unwrap();
        AppendFile::open(&path).unwrap().append(b"two").unwrap();
        assert_eq!(text(&path), "one\ntwo\n");
    }

    #[test]
    fn what_is_not_one_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = AppendFile::open(&path).unwrap();
        for line in [
            &b""[..],
            b"\n",
            b"a\n",
            b"a\nb",
            b"a\rb",
            &[b'a'; LINE_BYTES_MAX + 1],
        ] {
            assert_eq!(file.append(line).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(text(&path), "");
        file.append(&[b'a'; LINE_BYTES_MAX]).unwrap();
        assert_eq!(text(&path).len(), LINE_BYTES_MAX + 1);
    }

    #[test]
    fn a_line_cut_short_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, b"one\nha").unwrap();
        let file = AppendFile::open(&path).unwrap();
        file.append(b"two").unwrap();
        file.append(b"three").unwrap();
        assert_eq!(text(&path), "one\nha\ntwo\nthree\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_removed_or_rotated_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = AppendFile::open(&path).unwrap();
        file.append(b"one").unwrap();
        let moment_later = || file.state.lock().unwrap().seen -= LOOK_INTERVAL;
        fs::remove(&path).unwrap();
        moment_later();
        file.append(b"two").unwrap();
        assert_eq!(text(&path), "two\n");
        fs::write(&path, b"new\n").unwrap();
        moment_later();
        file.append(b"three").unwrap();
        assert_eq!(text(&path), "new\nthree\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, b"").unwrap();
        let path = folder.path().join("log");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert_eq!(
            AppendFile::open(&path).unwrap_err().raw_os_error(),
            Some(libc::ELOOP)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        // Opened directly: `/dev/full` is a device, which `open` refuses.
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open("/dev/full")
            .unwrap();
        let state = Mutex::new(State {
            file,
            is_torn: false,
            seen: Instant::now(),
        });
        let file = AppendFile {
            path: "/dev/full".into(),
            state,
        };
        assert_eq!(
            file.append(b"one").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn lines_of_several_writers_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    // Opened for each, because whoever opens may see a part of another's line.
                    for _ in 0..200 {
                        let file = AppendFile::open(path).unwrap();
                        file.append(&[b'a' + writer; 300]).unwrap();
                    }
                });
            }
        });
        let text = text(&path);
        assert_eq!(text.lines().count(), 800);
        for line in text.lines() {
            let first = line.as_bytes()[0];
            assert_eq!(line.as_bytes(), [first; 300]);
        }
    }
}
