//! One attempt of a component to reach the world outside its own memory.
//!
//! An access names what was reached for in the words of the policy language, so that a denial can say
//! exactly which grant was missing. The texts come from the guest: whoever prints them bounds and
//! sanitizes them.

use crate::path::AbsolutePath;
use crate::text::Ticked;
use crate::url::HttpTarget;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

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
    /// Renaming or linking; asked for both ends, and about everything below them.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// What a raw socket is to do with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketUse {
    /// Taking a local address. Port 0 is any free port.
    Bind,
    /// Waiting for or taking a connection at a local address.
    Listen,
    /// Connecting to a remote address; for UDP, choosing whom to talk to.
    Connect,
    /// Sending to a remote address.
    Send,
    /// Receiving from a remote address.
    Receive,
}

impl SocketUse {
    fn verb(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Listen => "listen at",
            Self::Connect => "connect to",
            Self::Send => "send to",
            Self::Receive => "receive from",
        }
    }
}

/// One attempt; [`Authority::authorize`](crate::Authority::authorize) answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// An operation on the file system.
    File {
        /// Path as the guest sees it.
        path: &'a AbsolutePath,
        /// What was to be done there.
        operation: FileOperation,
    },
    /// One HTTP request; a redirect that the guest follows is a new access.
    Http(&'a HttpTarget),
    /// Dialing one address of the host of a request that was allowed.
    Dial {
        /// The request.
        target: &'a HttpTarget,
        /// An address its name resolved to, or the address it was written with.
        address: IpAddr,
    },
    /// A name to be resolved to addresses for the guest.
    Resolve {
        /// The name asked for.
        host_name: &'a str,
    },
    /// Making a raw socket. WASI asks for the socket before it names an address, so there is none to show.
    Socket {
        /// TCP or UDP.
        protocol: Protocol,
    },
    /// Using a raw socket with an address.
    SocketAddress {
        /// TCP or UDP.
        protocol: Protocol,
        /// What for.
        socket_use: SocketUse,
        /// The address, local or remote as the use says.
        address: SocketAddr,
    },
    /// The list of environment variables. WASI hands over the whole list, so a guest never says which one it
    /// wants; it gets those that are granted.
    Environment,
    /// One environment variable that is handed over.
    Variable {
        /// Its name.
        name: &'a str,
    },
    /// A secret put on a request.
    Secret {
        /// The secret's name.
        name: &'a str,
        /// The request.
        target: &'a HttpTarget,
    },
    /// Something that names nothing a rule could be about: a path that leads out of the root, a URL with
    /// user information. Always denied.
    Malformed {
        /// What it was meant to be.
        kind: AccessKind,
        /// As the guest wrote it.
        text: &'a str,
        /// What is wrong with it, for example `the path leads out of the root`.
        why: &'a str,
    },
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
    /// A secret.
    Secret,
}

impl Access<'_> {
    /// What sort of access it is.
    #[must_use]
    pub fn kind(&self) -> AccessKind {
        match self {
            Self::File { .. } => AccessKind::File,
            Self::Http(_) | Self::Dial { .. } => AccessKind::Http,
            Self::Resolve { .. } => AccessKind::Resolve,
            Self::Socket { .. } | Self::SocketAddress { .. } => AccessKind::Socket,
            Self::Environment | Self::Variable { .. } => AccessKind::Environment,
            Self::Secret { .. } => AccessKind::Secret,
            Self::Malformed { kind, .. } => *kind,
        }
    }

    /// The grant that would allow this access, in the words of the policy language.
    #[must_use]
    pub fn lacks(&self) -> String {
        match self {
            Self::File { path, operation } => {
                let path = Ticked(path.as_str());
                let word = operation.grant_word();
                if *operation == FileOperation::Rename {
                    // A folder takes all that is in it along.
                    return format!("a storage grant for `fs://{path}` and all below it with {word}");
                }
                format!("a storage grant for `fs://{path}` with {word}")
            }
            Self::Http(target) => {
                format!("a network grant for `{}`", target.origin())
            }
            Self::Dial { address, .. } => {
                format!("a network grant by cidr that names the address {address}")
            }
            Self::Resolve { host_name } => format!("a network grant that names `{host_name}`"),
            Self::Socket { protocol } => format!("a network grant by cidr, port and protocol {protocol}"),
            Self::SocketAddress {
                protocol, address, ..
            } => format!(
                "a network grant by cidr for {}, port {} and protocol {protocol}",
                address.ip(),
                address.port()
            ),
            Self::Environment => "a grant for each environment variable it needs".to_owned(),
            Self::Variable { name } => format!("a grant for the environment variable `{name}`"),
            Self::Secret { name, target } => {
                format!("a grant for the secret `{name}` at `{}`", target.origin())
            }
            Self::Malformed { why, .. } => format!("a meaning: {why}"),
        }
    }
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, operation } => {
                write!(f, "{} `{}`", operation.verb(), Ticked(path.as_str()))
            }
            Self::Http(target) => write!(f, "{} `{target}`", target.method()),
            Self::Dial { target, address } => write!(f, "dial {address} for `{}`", target.origin()),
            Self::Resolve { host_name } => write!(f, "look up `{host_name}`"),
            Self::Socket { protocol } => write!(f, "open a {protocol} socket"),
            Self::SocketAddress {
                protocol,
                socket_use,
                address,
            } => write!(f, "{} {protocol} {address}", socket_use.verb()),
            Self::Environment => f.write_str("read environment variables"),
            Self::Variable { name } => write!(f, "read environment variable `{name}`"),
            Self::Secret { name, target } => write!(f, "use secret `{name}` for `{}`", target.origin()),
            Self::Malformed { text, .. } => write!(f, "reach `{}`", Ticked(text)),
        }
    }
}
