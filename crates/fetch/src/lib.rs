//! From a reference to an artifact: the bytes, their digest, and where they came from.
//!
//! Bounded in bytes and in time, and the digest is computed while the bytes arrive. What it takes today is
//! files, and the starter components that the program carries. It does not know where bytes are kept, nor
//! what may be done with them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wassette_store::{Artifact, DigestBuilder, OpenRegularError, Reference, RegularFile};

/// Largest artifact by default: twice the largest interpreter built into a component that we have seen.
const ARTIFACT_BYTES_MAX: u64 = 64 << 20;

/// Longest time for one artifact by default. A local file takes milliseconds; a network file system may hang.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes read at a time, and so the distance between two looks at the limits.
const CHUNK_BYTES: usize = 256 << 10;

/// How much one fetch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Largest artifact in bytes.
    pub artifact_bytes_max: u64,
    /// Longest time, from the request to the last byte.
    pub time_max: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            artifact_bytes_max: ARTIFACT_BYTES_MAX,
            time_max: TIME_MAX,
        }
    }
}

/// A component that the program carries.
#[derive(Clone, Copy)]
pub struct Starter {
    /// What follows `starter:`.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
}

impl std::fmt::Debug for Starter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Fetches artifacts within limits.
#[derive(Clone, Debug)]
pub struct Fetcher {
    limits: FetchLimits,
    starters: &'static [Starter],
}

/// Why an artifact could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such file.
    #[error("`{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// This user may not read it.
    #[error("no permission to read `{}`", .0.display())]
    Denied(PathBuf),
    /// It is a folder.
    #[error("`{}` is a folder", .0.display())]
    Folder(PathBuf),
    /// It is a pipe, a socket or a device.
    #[error("`{}` is not a regular file", .0.display())]
    Special(PathBuf),
    /// It has no bytes.
    #[error("`{}` is empty", .0.display())]
    Empty(PathBuf),
    /// It has more bytes than the limit.
    #[error("`{}` is larger than {bytes_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// It did not arrive in time.
    #[error("`{reference}` was not read within {} ms", time_max.as_millis())]
    Timeout {
        /// What was fetched.
        reference: Reference,
        /// The limit.
        time_max: Duration,
    },
    /// The system refused in another way.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program carries no component of this name.
    #[error("there is no starter component `{name}`; there are {}", names(.known))]
    NoStarter {
        /// The name asked for.
        name: String,
        /// Those it carries.
        known: &'static [Starter],
    },
    /// The program is ending.
    #[error("reading `{0}` was stopped")]
    Stopped(Reference),
}

impl FetchError {
    /// What the user can do, where there is more to say than the message does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("check the path; a relative one is taken from the working directory"),
            Self::Denied(_) => Some("make the file and the folders above it readable for this user"),
            Self::Folder(_) => Some("name the `.wasm` file in it"),
            Self::Special(_) => Some("copy the bytes to a file and name that"),
            Self::Empty(_) => Some("build the component again: the file has no bytes"),
            Self::TooLarge { .. } => Some("build the component without debug information"),
            Self::Timeout { .. } => Some("copy the file to a local disk and name that"),
            Self::NoStarter { .. } | Self::Io { .. } | Self::Stopped(_) => None,
        }
    }

    fn open(path: &Path, error: OpenRegularError) -> Self {
        let path = path.to_owned();
        match error {
            OpenRegularError::Folder => Self::Folder(path),
            OpenRegularError::Special => Self::Special(path),
            OpenRegularError::Io(source) => Self::io(path, source),
        }
    }

    fn io(path: PathBuf, source: io::Error) -> Self {
        if matches!(
            source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            return Self::Missing(path);
        }
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::Denied(path);
        }
        Self::Io { path, source }
    }
}

impl Fetcher {
    /// Makes a fetcher with these limits, for a program that carries these components.
    pub fn new(limits: FetchLimits, starters: &'static [Starter]) -> Self {
        Self { limits, starters }
    }

    /// Fetches what the reference names.
    ///
    /// Dropping the future stops the reading.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    pub async fn fetch(&self, reference: &Reference) -> Result<Artifact, FetchError> {
        let path = match reference {
            Reference::File(path) => path,
            Reference::Starter(name) => return self.starter(name),
        };
        let stop = StopOnDrop::default();
        let work = {
            let (path, bytes_max, is_stopped) =
                (path.clone(), self.limits.artifact_bytes_max, Arc::clone(&stop.0));
            tokio::task::spawn_blocking(move || read(path, bytes_max, &is_stopped))
        };
        match tokio::time::timeout(self.limits.time_max, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FetchError::Stopped(reference.clone())),
            Err(_) => Err(FetchError::Timeout {
                reference: reference.clone(),
                time_max: self.limits.time_max,
            }),
        }
    }

    fn starter(&self, name: &Arc<str>) -> Result<Artifact, FetchError> {
        let found = self.starters.iter().find(|starter| starter.name == name.as_ref());
        let starter = found.ok_or_else(|| FetchError::NoStarter {
            name: name.to_string(),
            known: self.starters,
        })?;
        Ok(Artifact::new(
            starter.wasm.into(),
            Reference::Starter(Arc::clone(name)),
        ))
    }
}

fn names(starters: &[Starter]) -> String {
    let names: Vec<_> = starters
        .iter()
        .map(|starter| format!("`{}`", starter.name))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Tells the blocking thread that nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads a file. Blocks.
fn read(path: PathBuf, bytes_max: u64, is_stopped: &AtomicBool) -> Result<Artifact, FetchError> {
    let mut file = RegularFile::open(&path).map_err(|error| FetchError::open(&path, error))?;
    let too_large = || FetchError::TooLarge {
        path: path.clone(),
        bytes_max,
    };
    if file.length() > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.length()).unwrap_or(0));
    let mut digest = DigestBuilder::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if is_stopped.load(Ordering::Relaxed) {
            return Err(FetchError::Stopped(Reference::File(path)));
        }
        let count = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(FetchError::io(path, source)),
        };
        let piece = chunk.get(..count).unwrap_or_default();
        digest.update(piece);
        bytes.extend_from_slice(piece);
        // Again while reading: the file may grow, and some systems report no size.
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
            return Err(too_large());
        }
    }
    if bytes.is_empty() {
        return Err(FetchError::Empty(path));
    }
    Ok(Artifact {
        bytes: bytes.into(),
        digest: digest.finish(),
        origin: Reference::File(path),
    })
}

#[cfg(test)]
mod tests;
