//! Why the store could not be opened or used.
//!
//! `Display` says what and where, the source says why, `hint` says what to do. Paths are for the operator;
//! whoever answers an agent takes the kind, not the text.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::{ComponentId, Digest, Expected, fs};

/// The error below ours. Boxed so that the database's library is no part of this crate's interface.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why [`Store::open`](crate::Store::open) failed. Nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Something on the path is there and is no folder.
    #[error("the store `{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Other users can write to the folder, so what it holds proves nothing.
    #[error("the store `{}` can be changed by other users", .0.display())]
    Exposed(PathBuf),
    /// The folder cannot be made, read or written.
    #[error("cannot use the store `{}`", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for the store `{}`", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// Another process holds the store for longer than we wait.
    #[error("the store `{}` is in use by another process", .0.display())]
    Busy(PathBuf),
    /// A newer version of the program has written the database.
    #[error("the database `{}` has schema {version}, which this version does not know", path.display())]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The schema's version found.
        version: i64,
    },
    /// The database's file is damaged or no database of ours.
    #[error("the database `{}` is damaged or not ours", path.display())]
    Damaged {
        /// The database's file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// The file system cannot keep a database that several processes share.
    #[error("the file system of `{}` cannot keep a shared database", .0.display())]
    NoSharing(PathBuf),
    /// Anything else the database said.
    #[error("cannot open the database `{}`", path.display())]
    Database {
        /// The database's file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
}

impl OpenStoreError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAFolder(_) => "name a folder, or remove what is there",
            Self::Exposed(_) => "make the folder yours alone: `chown` it to this user and `chmod 700` it",
            Self::Unusable { .. } => "check that this user may read and write the folder and its disk",
            Self::Full { .. } => "free some space and try again; nothing was lost",
            Self::Busy(_) => "wait for the other process, or end it, and try again",
            Self::Newer { .. } => "use the newer version, or another store folder; nothing was changed",
            Self::Damaged { .. } => {
                "move the file away (with its `-wal` and `-shm`) and load the components again, or restore a \
                 backup; nothing was changed"
            }
            Self::NoSharing(_) => "put the store on a local disk",
            Self::Database { .. } => "see the cause; nothing was changed",
        }
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if fs::is_full(&source) {
            return Self::Full {
                path,
                source: source.into(),
            };
        }
        // Making a folder where a file is, and passing through a file, are told apart by the system only.
        if matches!(
            source.kind(),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists
        ) {
            return Self::NotAFolder(path);
        }
        Self::Unusable { path, source }
    }
}

/// Why an operation of the store failed. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The record is not as the caller last saw it.
    #[error("`{id}` was changed by someone else")]
    Conflict {
        /// The component.
        id: ComponentId,
        /// What the caller expected.
        expected: Expected,
        /// The epoch found, or `None` when there is no such record.
        found: Option<u64>,
    },
    /// The feed is not as the caller last saw it.
    #[error("the feed `{reference}` was changed by someone else")]
    FeedConflict {
        /// The feed.
        reference: String,
        /// The sequence the caller expected, or `None` for no such feed.
        expected: Option<u64>,
        /// The sequence found, or `None` when there is no such feed.
        found: Option<u64>,
    },
    /// What was to be written is older than what is there, or is another state with the same number.
    #[error("the feed `{reference}` is at {found}, which {sequence} does not follow")]
    FeedSequence {
        /// The feed.
        reference: String,
        /// The sequence that was to be written.
        sequence: u64,
        /// The sequence found.
        found: u64,
    },
    /// No request of this number waits, or none that the caller may approve.
    #[error("there is no request {0} that waits")]
    NoRequest(u64),
    /// The store does not hold these bytes.
    #[error("the store has no blob `{0}`")]
    NoBlob(Digest),
    /// The stored bytes do not have the digest they are filed under.
    #[error("the blob `{}` is damaged", path.display())]
    DamagedBlob {
        /// The file.
        path: PathBuf,
    },
    /// The artifact given does not have the digest it says.
    #[error("the artifact has the digest `{found}`, not `{expected}`")]
    Digest {
        /// The digest it says.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A stored record cannot be read.
    #[error("the record of `{id}` is damaged: {reason}")]
    Record {
        /// The id as it is stored.
        id: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// What was to be written is larger than the store takes.
    #[error("{what} has {bytes} bytes, and at most {bytes_max} are taken")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// What was to be written is a text that the store cannot keep.
    #[error("{what} {reason}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The store takes no more of these.
    #[error("at most {count_max} {what} are kept")]
    TooMany {
        /// What they are.
        what: &'static str,
        /// The limit.
        count_max: usize,
    },
    /// The disk is full.
    #[error("no space left at `{}`", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the database said.
        source: Cause,
    },
    /// Another process holds the store for longer than we wait.
    #[error("the store `{}` is in use by another process", .0.display())]
    Busy(PathBuf),
    /// The key's file is not what was written, or others can read it.
    #[error("the key `{}` cannot be trusted: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The database's file is damaged.
    #[error("the database `{}` is damaged", path.display())]
    Damaged {
        /// The database's file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// Anything else the database said.
    #[error("the database `{}` failed", path.display())]
    Database {
        /// The database's file.
        path: PathBuf,
        /// What the database said.
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
    /// The program is ending, or a thread of ours died.
    #[error("the store was stopped")]
    Stopped,
}

impl StoreError {
    /// What the operator can do, where there is more to say than the message does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Conflict { .. } => Some("look at the component again and repeat the command"),
            Self::FeedConflict { .. } => Some("look at the feed again and repeat the command"),
            Self::FeedSequence { .. } => {
                Some("somebody hands out an old or a second state of the feed: ask whoever publishes it")
            }
            Self::TooMany { .. } => {
                Some("take some back first; what is only remembered for a while makes room by itself")
            }
            Self::NoBlob(_) | Self::DamagedBlob { .. } | Self::Record { .. } => {
                Some("load the component again from where it came from")
            }
            Self::Full { .. } => Some("free some space and try again; nothing was lost"),
            Self::Busy(_) => Some("wait for the other process, or end it, and try again"),
            Self::Key { .. } => Some("remove the file: a new key is made, and components are compiled again"),
            Self::Damaged { .. } => {
                Some("move the file away (with its `-wal` and `-shm`) and load the components again")
            }
            Self::Io { .. } => Some("check that this user may read and write the store and its disk"),
            Self::Digest { .. }
            | Self::NoRequest(_)
            | Self::TooLarge { .. }
            | Self::Invalid { .. }
            | Self::Database { .. }
            | Self::Stopped => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if action != READ && fs::is_full(&source) {
            return Self::Full {
                path,
                source: source.into(),
            };
        }
        Self::Io { action, path, source }
    }
}

/// The action of reading: a file too large to be read is no full disk.
pub(crate) const READ: &str = "read";
