//! What an HTTP request is aimed at, in the one form in which it is compared.

use std::fmt;
use std::net::IpAddr;

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port that is meant when none is written.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As in a URL, without the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A network host: a name in lower case without trailing dot, in its ASCII form, or an address.
///
/// Every odd spelling of an address (decimal, octal, hexadecimal, IPv4 inside IPv6) is the address it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name to be resolved.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Method, scheme, host, port and path of one request. The query is not part of it: no rule can be about it,
/// and it may hold what must not be in a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpTarget {
    method: String,
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Begins with `/`; percent-encoding normalized; without dot segments, empty segments and encoded slashes.
    path: String,
}

/// Why a URL cannot be the target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseTargetError(pub(crate) &'static str);

impl HttpTarget {
    /// Reads a method and an absolute URL.
    ///
    /// # Errors
    ///
    /// [`ParseTargetError`] for anything but http and https, user information, a missing host, an invalid port,
    /// a fragment, backslashes, control characters, and paths that two readers could take for different ones.
    pub fn parse(method: &str, url: &str) -> Result<Self, ParseTargetError> {
        let _not_yet = (method, url);
        Err(ParseTargetError("no URL can be granted yet"))
    }

    /// The method, as written.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// How it travels.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// To whom.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// To which port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Scheme, host and port, the port only where it is not the scheme's own.
    #[must_use]
    pub fn origin(&self) -> String {
        if self.port == self.scheme.default_port() {
            format!("{}://{}", self.scheme.as_str(), self.host)
        } else {
            format!("{}://{}:{}", self.scheme.as_str(), self.host, self.port)
        }
    }
}

impl fmt::Display for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}
