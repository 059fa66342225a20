//! Why an artifact could not be fetched from this machine; what the network refuses is in `network/error.rs`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wassette_store::{OpenRegularError, Reference};

use crate::{NetworkError, Starter};

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
    #[error("`{}` was not read within {} ms", reference.shown(), time_max.as_millis())]
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
    #[error("reading `{}` was stopped", .0.shown())]
    Stopped(Reference),
    /// A registry or a web server did not give it, or what it gave is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
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
            Self::Network(error) => error.hint(),
            Self::NoStarter { .. } | Self::Io { .. } | Self::Stopped(_) => None,
        }
    }

    pub(crate) fn open(path: &Path, error: OpenRegularError) -> Self {
        let path = path.to_owned();
        match error {
            OpenRegularError::Folder => Self::Folder(path),
            OpenRegularError::Special => Self::Special(path),
            OpenRegularError::Io(source) => Self::io(path, source),
        }
    }

    pub(crate) fn io(path: PathBuf, source: io::Error) -> Self {
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
