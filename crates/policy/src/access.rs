//! One attempt of a component to reach the world outside its own memory.
//!
//! An access names what was reached for in the words of the policy language, so that a denial can say
//! exactly which grant was missing. The texts come from the guest: whoever prints them bounds and
//! sanitises them.

use std::fmt;

/// What a component wants to do to a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileOperation {
    /// Reading contents.
    Read,
    /// Changing contents, size or times.
    Write,
    /// Listing a folder.
    List,
    /// Asking for size, type and times.
    Inspect,
    /// Making a file, a folder or a link.
    Create,
    /// Removing a file or a folder.
    Remove,
    /// Renaming; checked for both ends.
    Rename,
}

impl FileOperation {
    /// The `access:` word a storage grant would have to contain.
    #[must_use]
    pub fn grant_word(self) -> &'static str {
        match self {
            Self::Read | Self::List | Self::Inspect => "read",
            Self::Write | Self::Create | Self::Remove | Self::Rename => "write",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
        }
    }
}

/// A transport protocol of `wasi:sockets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A byte stream.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One attempt; [`Policy::authorize`](crate::Policy::authorize) answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// An operation on the file system.
    File {
        /// Absolute path as the guest sees it.
        path: &'a str,
        /// What was to be done there.
        operation: FileOperation,
    },
    /// One HTTP request; a redirect that the guest follows is a new access.
    Http {
        /// The method, upper case for the standard ones.
        method: &'a str,
        /// The absolute URL.
        url: &'a str,
    },
    /// A name to be resolved to addresses.
    Resolve {
        /// The name asked for.
        host_name: &'a str,
    },
    /// A raw socket. WASI asks for the socket before it names an address, so there is none to show.
    Socket {
        /// TCP or UDP.
        protocol: Protocol,
    },
    /// The environment variables. WASI hands over the whole list, so a guest never says which one it wants.
    Environment,
}

/// What sort of access it is, for whoever must tell them apart without reading their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// An operation on the file system.
    File,
    /// An HTTP request.
    Http,
    /// A name lookup.
    Resolve,
    /// A raw socket.
    Socket,
    /// The list of environment variables. Many language runtimes read it at start and need nothing of it.
    Environment,
}

impl Access<'_> {
    /// What sort of access it is.
    #[must_use]
    pub fn kind(&self) -> AccessKind {
        match self {
            Self::File { .. } => AccessKind::File,
            Self::Http { .. } => AccessKind::Http,
            Self::Resolve { .. } => AccessKind::Resolve,
            Self::Socket { .. } => AccessKind::Socket,
            Self::Environment => AccessKind::Environment,
        }
    }

    /// The grant that would allow this access, in the words of the policy language.
    #[must_use]
    pub fn lacks(&self) -> String {
        match self {
            Self::File { path, operation } => {
                format!(
                    "a storage grant for `fs://{path}` with {}",
                    operation.grant_word()
                )
            }
            Self::Http { url, .. } => format!("a network grant for the host of `{url}`"),
            Self::Resolve { host_name } => format!("a network grant that names `{host_name}`"),
            Self::Socket { protocol } => format!("a network grant by cidr, port and protocol {protocol}"),
            Self::Environment => "a grant for each environment variable it needs".to_owned(),
        }
    }
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, operation } => write!(f, "{} `{path}`", operation.verb()),
            Self::Http { method, url } => write!(f, "{method} `{url}`"),
            Self::Resolve { host_name } => write!(f, "look up `{host_name}`"),
            Self::Socket { protocol } => write!(f, "open a {protocol} socket"),
            Self::Environment => f.write_str("read environment variables"),
        }
    }
}
