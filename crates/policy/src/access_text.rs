//! An access in words that a person can type.

use crate::access::{Access, FileOperation, Protocol, SocketUse};
use crate::decide::Question;
use crate::host::Host;
use crate::path::{AbsolutePath, ParsePathError};
use crate::pattern::Shown;
use crate::url::{HttpTarget, ParseTargetError};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An access that owns what it names. Reads and prints as in `wassette policy explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessText {
    /// `read /path`
    File {
        /// As the guest sees it.
        path: AbsolutePath,
        /// What for.
        operation: FileOperation,
    },
    /// `GET https://host/path`; to an address it is dialed too.
    Http(HttpTarget),
    /// `dial 10.0.0.5 for GET https://host/path`
    Dial {
        /// The request.
        target: HttpTarget,
        /// What the host's name led to.
        address: IpAddr,
    },
    /// `lookup name`
    Lookup(String),
    /// `open tcp`
    Socket(Protocol),
    /// `connect tcp 10.0.0.5:5432`
    SocketAddress {
        /// TCP or UDP.
        protocol: Protocol,
        /// What for.
        socket_use: SocketUse,
        /// With whom.
        address: SocketAddr,
    },
    /// `env NAME`
    Variable(String),
    /// `secret NAME https://host/path`, or with another method than `GET` before the URL.
    Secret {
        /// The secret's name.
        name: String,
        /// The request.
        target: HttpTarget,
    },
}

/// Why a text is no access.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no access: {}", Shown(text), fault.why)]
pub struct ParseAccessError {
    text: String,
    fault: Fault,
}

impl ParseAccessError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.fault.hint
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    why: String,
    hint: &'static str,
}

impl Fault {
    fn new(why: impl fmt::Display, hint: &'static str) -> Self {
        let why = why.to_string();
        Self { why, hint }
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            hint: "write for example `read /path` (or write, list, inspect, create, remove, rename), \
                `GET https://host/path`, `connect tcp 10.0.0.5:5432` (or bind, listen, send, receive), `lookup name`, \
                `env NAME` or `secret NAME https://host/path`",
        }
    }
}

impl From<ParsePathError> for Fault {
    fn from(error: ParsePathError) -> Self {
        Self::new(error, error.hint())
    }
}

impl From<ParseTargetError> for Fault {
    fn from(error: ParseTargetError) -> Self {
        Self::new(error, error.hint())
    }
}

const FILE_WORDS: [(&str, FileOperation); 7] = [
    ("read", FileOperation::Read),
    ("write", FileOperation::Write),
    ("list", FileOperation::List),
    ("inspect", FileOperation::Inspect),
    ("create", FileOperation::Create),
    ("remove", FileOperation::Remove),
    ("rename", FileOperation::Rename),
];

const SOCKET_WORDS: [(&str, SocketUse); 5] = [
    ("bind", SocketUse::Bind),
    ("listen", SocketUse::Listen),
    ("connect", SocketUse::Connect),
    ("send", SocketUse::Send),
    ("receive", SocketUse::Receive),
];

impl AccessText {
    /// Reads an access.
    ///
    /// # Errors
    ///
    /// [`ParseAccessError`] for anything else than the forms shown at each variant.
    pub fn parse(text: &str) -> Result<Self, ParseAccessError> {
        read(text.trim()).map_err(|fault| ParseAccessError {
            text: text.to_owned(),
            fault,
        })
    }

    /// What is asked for it, one after the other; all must be allowed.
    #[must_use]
    pub fn accesses(&self) -> Vec<Access<'_>> {
        match self {
            Self::File { path, operation } => vec![Access::File {
                path,
                operation: *operation,
            }],
            Self::Http(target) => request(target),
            Self::Dial { target, address } => vec![
                Access::Http(target),
                Access::Dial {
                    target,
                    address: *address,
                },
            ],
            Self::Lookup(host_name) => vec![Access::Resolve { host_name }],
            Self::Socket(protocol) => vec![Access::Socket { protocol: *protocol }],
            Self::SocketAddress {
                protocol,
                socket_use,
                address,
            } => vec![Access::SocketAddress {
                protocol: *protocol,
                socket_use: *socket_use,
                address: *address,
            }],
            Self::Variable(name) => vec![Access::Variable { name }],
            Self::Secret { name, target } => vec![Access::Secret { name, target }],
        }
    }

    /// The request that is or goes with the access.
    #[must_use]
    pub fn request(&self) -> Option<&HttpTarget> {
        match self {
            Self::Http(target) | Self::Dial { target, .. } | Self::Secret { target, .. } => Some(target),
            Self::File { .. }
            | Self::Lookup(_)
            | Self::Socket(_)
            | Self::SocketAddress { .. }
            | Self::Variable(_) => None,
        }
    }

    /// The access a question is about; its path is one of the machine.
    pub(crate) fn of(question: &Question<'_>) -> Self {
        match *question {
            Question::File { path, operation, .. } => Self::File {
                path: path.clone(),
                operation,
            },
            Question::Http(target) => Self::Http(target.clone()),
            Question::Dial { target, address } => Self::Dial {
                target: target.clone(),
                address,
            },
            Question::Resolve { host_name, .. } => Self::Lookup(host_name.to_owned()),
            Question::Socket(protocol) => Self::Socket(protocol),
            Question::SocketAddress {
                protocol,
                socket_use,
                address,
            } => Self::SocketAddress {
                protocol,
                socket_use,
                address,
            },
            Question::Environment => Self::Variable(String::new()),
            Question::Variable { name, .. } => Self::Variable(name.to_owned()),
            Question::Secret { name, target, .. } => Self::Secret {
                name: name.to_owned(),
                target: target.clone(),
            },
        }
    }
}

pub(crate) fn request(target: &HttpTarget) -> Vec<Access<'_>> {
    let mut accesses = vec![Access::Http(target)];
    if let Host::Address(address) = target.host() {
        let address = *address;
        accesses.push(Access::Dial { target, address });
    }
    accesses
}

fn read(text: &str) -> Result<AccessText, Fault> {
    let (word, rest) = text.split_once(' ').ok_or("it has one word")?;
    let rest = rest.trim_start();
    if let Some((_, operation)) = FILE_WORDS.iter().find(|(known, _)| *known == word) {
        return Ok(AccessText::File {
            path: rest.parse::<AbsolutePath>()?,
            operation: *operation,
        });
    }
    if let Some((_, socket_use)) = SOCKET_WORDS.iter().find(|(known, _)| *known == word) {
        return socket_address(*socket_use, rest);
    }
    match word {
        "lookup" => Ok(AccessText::Lookup(rest.to_owned())),
        "env" => Ok(AccessText::Variable(rest.to_owned())),
        "open" => Ok(AccessText::Socket(protocol(rest)?)),
        "secret" => {
            let (name, request) = rest.split_once(' ').ok_or("it has no URL")?;
            let request = request.trim_start();
            let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
            Ok(AccessText::Secret {
                name: name.to_owned(),
                target: HttpTarget::parse(method, url.trim_start())?,
            })
        }
        "dial" => dial(rest),
        _ if !rest.contains("://")
            && (rest.starts_with('/') || word.contains(|c: char| c.is_ascii_lowercase())) =>
        {
            Err("it begins with no word that is known".into())
        }
        method => Ok(AccessText::Http(HttpTarget::parse(method, rest)?)),
    }
}

fn protocol(text: &str) -> Result<Protocol, Fault> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err("the protocol is neither tcp nor udp".into()),
    }
}

fn socket_address(socket_use: SocketUse, text: &str) -> Result<AccessText, Fault> {
    let (word, address) = text.split_once(' ').ok_or("it has no address")?;
    Ok(AccessText::SocketAddress {
        protocol: protocol(word)?,
        socket_use,
        address: address
            .trim_start()
            .parse()
            .map_err(|_| "the address is not one of the form `10.0.0.5:5432`")?,
    })
}

fn dial(text: &str) -> Result<AccessText, Fault> {
    let mut words = text.split_whitespace();
    let (Some(address), Some("for"), Some(method), Some(url), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err("it is not of the form `dial 10.0.0.5 for GET https://host/`".into());
    };
    Ok(AccessText::Dial {
        target: HttpTarget::parse(method, url)?,
        address: address.parse().map_err(|_| "the address is malformed")?,
    })
}

impl fmt::Display for AccessText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, operation } => write!(f, "{} {path}", word(&FILE_WORDS, operation)),
            Self::Http(target) => write!(f, "{} {target}", target.method()),
            Self::Dial { target, address } => {
                write!(f, "dial {address} for {} {target}", target.method())
            }
            Self::Lookup(name) => write!(f, "lookup {name}"),
            Self::Socket(protocol) => write!(f, "open {protocol}"),
            Self::SocketAddress {
                protocol,
                socket_use,
                address,
            } => write!(f, "{} {protocol} {address}", word(&SOCKET_WORDS, socket_use)),
            Self::Variable(name) => write!(f, "env {name}"),
            Self::Secret { name, target } if target.method() == "GET" => write!(f, "secret {name} {target}"),
            Self::Secret { name, target } => write!(f, "secret {name} {} {target}", target.method()),
        }
    }
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words
        .iter()
        .find(|(_, known)| known == value)
        .map_or("", |(word, _)| word)
}
