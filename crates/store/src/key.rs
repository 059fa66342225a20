//! The secret that proves that compiled code was written by us: 32 random bytes, made once.

use std::fmt;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::fs::{self, Exposure};
use crate::{StoreError, error};

const BYTES: usize = 32;

/// A secret key; wiped from memory when dropped, and printed as `***`.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; BYTES]>);

impl Key {
    /// The key's bytes, for the one who authenticates with it.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Reads the key, or makes it. When several processes make one at a time, all get the first one's.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        match fs::size(path) {
            Ok(Some(_)) => return Self::read(path),
            Ok(None) => {}
            Err(source) => return Err(StoreError::io(error::READ, path, source)),
        }
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(bytes.as_mut_slice())
            .map_err(|error| StoreError::io("make", path, io::Error::other(error)))?;
        // The file appears with all its bytes, so that a reader never sees half a key.
        fs::write_once(path, bytes.as_slice()).map_err(|source| StoreError::io("write", path, source))?;
        Self::read(path)
    }

    fn read(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::io(error::READ, path, source);
        if fs::file_exposure(path).map_err(failed)? != Exposure::Private {
            let reason = "other users can read it";
            return Err(StoreError::Key {
                path: path.to_owned(),
                reason,
            });
        }
        let wrong = || StoreError::Key {
            path: path.to_owned(),
            reason: "it does not have 32 bytes",
        };
        let bytes = match fs::read(path, BYTES as u64) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(wrong()),
            Err(error) => return Err(failed(error)),
        };
        let bytes: [u8; BYTES] = bytes.as_slice().try_into().map_err(|_| wrong())?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}
