//! Where a request may go: decided for every address, before anything is sent to it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::NetworkError;

/// Decides about an address: `true` lets the request go there.
pub type AddressFilter = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// On whose word something is fetched, and so where the request may go.
#[derive(Clone)]
pub enum Reach {
    /// The operator named it: any address, and plain HTTP to this machine.
    Operator,
    /// Somebody else did, such as a model: every address of every host, also of token servers and redirects, must
    /// pass the filter, and there is no plain HTTP.
    Public(AddressFilter),
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "Operator",
            Self::Public(_) => "Public",
        })
    }
}

impl Reach {
    /// Whether a connection to this address may be made, or used again.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        match self {
            Self::Operator => true,
            // `::ffff:127.0.0.1` is 127.0.0.1.
            Self::Public(filter) => filter(address.to_canonical()),
        }
    }

    /// Whether the URL may be asked, by its scheme; `https` always may.
    pub(crate) fn check_scheme(&self, url: &Url) -> Result<(), NetworkError> {
        let is_local = is_loopback(url) && matches!(self, Self::Operator);
        if url.scheme() == "https" || (url.scheme() == "http" && is_local) {
            return Ok(());
        }
        Err(NetworkError::PlainHttp { host: host(url) })
    }
}

/// The host and the port that is not the usual one, for messages and for the `Host` field.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the host is this machine by its text alone: `localhost`, `127.0.0.0/8`, `[::1]`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether two URLs belong to one server: scheme, host and port.
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: for the operator, for others.
    #[track_caller]
    fn check(url: &str, expected: (bool, bool)) {
        let url = Url::parse(url).unwrap();
        let is_asked = |reach: Reach| reach.check_scheme(&url).is_ok();
        let found = (
            is_asked(Reach::Operator),
            is_asked(Reach::Public(Arc::new(|_| true))),
        );
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn plain_http_goes_to_this_machine_and_only_for_the_operator() {
        check("https://a.example/", (true, true));
        check("https://localhost/", (true, true));
        check("http://localhost:5000/", (true, false));
        check("http://127.9.9.9/", (true, false));
        check("http://[::1]/", (true, false));
        check("http://a.example/", (false, false));
        check("http://localhost.example/", (false, false));
        check("http://10.0.0.1/", (false, false));
        check("ftp://localhost/", (false, false));
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let reach = Reach::Public(Arc::new(|address| !address.is_loopback()));
        assert!(!reach.permits("::ffff:127.0.0.1".parse().unwrap()));
        assert!(reach.permits("192.0.2.1".parse().unwrap()));
    }
}
