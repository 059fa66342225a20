//! Bytes kept under their digest: `blobs/sha256/<hex>`.
//!
//! A blob never changes, so it needs no lock to be read; it appears whole or not at all, and its digest is
//! computed again each time it is read, because disks and people change files. Files with other names are
//! not ours and are left alone.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Artifact, Digest, DigestBuilder, StoreError, error, failpoint, fs};

/// Largest blob that is taken or read. The host's own limit for components is far below; this one keeps a
/// strange file in our folder from filling the memory.
const BLOB_BYTES_MAX: u64 = 1 << 30;

/// The folder of blobs.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// Keeps the artifact's bytes. Blocks.
    pub(crate) fn put(&self, artifact: &Artifact) -> Result<(), StoreError> {
        let found = Digest::of(&artifact.bytes);
        if found != artifact.digest {
            return Err(StoreError::Digest {
                expected: artifact.digest,
                found,
            });
        }
        let bytes = u64::try_from(artifact.bytes.len()).unwrap_or(u64::MAX);
        if bytes > BLOB_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "the artifact",
                bytes,
                bytes_max: BLOB_BYTES_MAX,
            });
        }
        let path = self.path(&found);
        // A blob that was damaged on the disk is repaired by putting it again, so size alone does not do.
        if self.holds(&path, artifact) {
            return Ok(());
        }
        fs::write(&path, &artifact.bytes).map_err(|source| StoreError::io("write", &path, source))
    }

    fn holds(&self, path: &Path, artifact: &Artifact) -> bool {
        fs::read(path, BLOB_BYTES_MAX).is_ok_and(|bytes| *bytes == *artifact.bytes)
    }

    /// Reads the bytes with this digest. Blocks.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.path(digest);
        let bytes = fs::read(&path, BLOB_BYTES_MAX).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return StoreError::NoBlob(*digest);
            }
            StoreError::io(error::READ, &path, source)
        })?;
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::DamagedBlob { path });
        }
        Ok(bytes)
    }

    /// Reads the bytes with this digest piece by piece and checks them; says how many there are. Blocks.
    pub(crate) fn verify(&self, digest: &Digest) -> Result<u64, StoreError> {
        self.stream(digest, error::READ, fs::read_pieces)
    }

    /// Copies the blob to another such folder, durably but for its name, and checks it. Blocks.
    pub(crate) fn copy(&self, digest: &Digest, folder: &Path) -> Result<u64, StoreError> {
        let target = folder.join(digest.hex());
        self.stream(digest, "copy", |path, piece| fs::copy(path, &target, piece))
    }

    fn stream(
        &self,
        digest: &Digest,
        action: &'static str,
        read: impl FnOnce(&Path, &mut dyn FnMut(&[u8])) -> io::Result<u64>,
    ) -> Result<u64, StoreError> {
        let path = self.path(digest);
        let mut builder = DigestBuilder::new();
        let bytes = read(&path, &mut |piece| builder.update(piece));
        let bytes = bytes.map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return StoreError::NoBlob(*digest);
            }
            StoreError::io(action, &path, source)
        })?;
        if builder.finish() != *digest {
            return Err(StoreError::DamagedBlob { path });
        }
        Ok(bytes)
    }

    /// Checks that there is a blob, without reading it. Blocks.
    pub(crate) fn require(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path(digest);
        match fs::size(&path) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(StoreError::NoBlob(*digest)),
            Err(source) => Err(StoreError::io(error::READ, &path, source)),
        }
    }

    /// Removes every blob that is not in `kept`; says how many and how many bytes. Needs the exclusive lock.
    pub(crate) fn retain(&self, kept: &HashSet<Digest>) -> Result<(u64, u64), StoreError> {
        let failed = |source| StoreError::io("list", &self.folder, source);
        let (mut count, mut bytes) = (0, 0);
        for entry in fs::entries(&self.folder).map_err(failed)? {
            let Ok(digest) = format!("sha256:{}", entry.name).parse::<Digest>() else {
                continue;
            };
            if kept.contains(&digest) {
                continue;
            }
            fs::remove(&entry.path).map_err(|source| StoreError::io("remove", &entry.path, source))?;
            failpoint::reached("collect: one blob removed");
            count += 1;
            bytes += entry.bytes;
        }
        Ok((count, bytes))
    }
}
