//! Reading a file: bounded in bytes, looked at again while reading, and stoppable.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wassette_store::{Artifact, DigestBuilder, Reference, RegularFile};

use crate::FetchError;

/// Bytes read at a time, and so the distance between two looks at the limits.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// Tells the blocking thread that nobody waits for it any more.
#[derive(Default)]
pub(crate) struct StopOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads a file. Blocks.
pub(crate) fn read(path: PathBuf, bytes_max: u64, is_stopped: &AtomicBool) -> Result<Artifact, FetchError> {
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
