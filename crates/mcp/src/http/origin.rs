//! To which names a request may be addressed, and from which pages it may come.
//!
//! A page on the web can make a browser send requests to this machine, also under a name of its own that suddenly
//! leads here ("DNS rebinding"). Such a request names a host that is not ours, or a page that nobody allowed. The
//! rule is that of the specification (basic/transports, "Security Warning"): an `Origin` that is there and not
//! allowed is refused with 403.

use std::net::IpAddr;
use std::str::FromStr;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use url::{Host, Url};

/// Names that requests may be addressed to, and origins that pages may send them from.
#[derive(Clone, Debug)]
pub struct Names {
    hosts: Vec<Host<String>>,
    origins: Vec<Origin>,
    /// Whether every name is ours: behind a Unix socket there are none.
    any_host: bool,
}

/// A scheme, a host and a port, or any port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: Host<String>,
    port: Option<u16>,
}

/// Why a text is no host or origin.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ParseNameError(&'static str);

impl Names {
    /// The names of this machine for itself, and pages of it.
    #[must_use]
    pub fn loopback() -> Self {
        let hosts = vec![
            Host::Domain("localhost".to_owned()),
            Host::Ipv4(std::net::Ipv4Addr::LOCALHOST),
            Host::Ipv6(std::net::Ipv6Addr::LOCALHOST),
        ];
        let origins = ["http", "https"].into_iter().flat_map(|scheme| {
            hosts.iter().map(move |host| Origin {
                scheme: scheme.to_owned(),
                host: host.clone(),
                port: None,
            })
        });
        Self {
            origins: origins.collect(),
            hosts,
            any_host: false,
        }
    }

    /// For a socket that only programs of this machine reach, and no browser.
    #[must_use]
    pub fn of_socket() -> Self {
        Self {
            any_host: true,
            ..Self::loopback()
        }
    }

    /// Adds the address that is listened on. One that stands for all addresses names none.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        if !address.is_unspecified() {
            self.hosts.push(match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            });
        }
        self
    }

    /// Adds a host, without a port.
    ///
    /// # Errors
    ///
    /// [`ParseNameError`] for what is not one host.
    pub fn with_host(mut self, text: &str) -> Result<Self, ParseNameError> {
        let host = Host::parse(text.trim_matches(['[', ']'])).or_else(|_| Host::parse(text));
        let host =
            host.map_err(|_| ParseNameError("a host is a name or an address, without scheme and port"))?;
        if text.contains(['*', '/', '@']) {
            return Err(ParseNameError(
                "a host is one name or address, without scheme, port and `*`",
            ));
        }
        self.hosts.push(host);
        Ok(self)
    }

    /// Adds an origin: `https://app.example.com`, with `:*` for any port.
    ///
    /// # Errors
    ///
    /// [`ParseNameError`] for what is no origin.
    pub fn with_origin(mut self, text: &str) -> Result<Self, ParseNameError> {
        self.origins.push(text.parse()?);
        Ok(self)
    }

    /// Whether a request may come in.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
        if !self.any_host && !self.is_ours(uri, headers) {
            return Err("this server is not known by that name; `--allowed-host` adds one");
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let origin: Option<Origin> = origin.to_str().ok().and_then(|text| text.parse().ok());
        let is_allowed = origin.is_some_and(|origin| self.origins.iter().any(|known| known.allows(&origin)));
        if !is_allowed || origins.next().is_some() {
            return Err("pages of that origin may not send requests here; `--allowed-origin` adds one");
        }
        Ok(())
    }

    /// Two hosts, in the request line and in the header, must both be ours.
    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(header::HOST).iter();
        let Some(header) = named.next().and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let is_known = |authority: &str| host_of(authority).is_some_and(|host| self.hosts.contains(&host));
        named.next().is_none() && is_known(header) && uri.authority().is_none_or(|it| is_known(it.as_str()))
    }
}

/// Headers of a request that pages may set, besides those that repeat arguments of a tool (`Mcp-Param-…`).
const PAGES_SET: &str = "authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name";

/// Answers what a browser asks before it sends the request of a page (Fetch, "CORS-preflight request").
pub(super) fn preflight(headers: &HeaderMap) -> Response {
    let asked = headers
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|names| names.to_str().ok());
    let mut allowed = PAGES_SET.to_owned();
    let parameters = asked.unwrap_or_default().split(',').map(str::trim);
    for name in parameters.filter(|name| name.to_ascii_lowercase().starts_with("mcp-param-")) {
        allowed.push_str(", ");
        allowed.push_str(name);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, DELETE"),
    );
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Lets an allowed page read an answer.
pub(super) fn admit(headers: &mut HeaderMap, page: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("mcp-session-id, www-authenticate, retry-after"),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// The host of `host:port`.
fn host_of(authority: &str) -> Option<Host<String>> {
    if authority.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    let url = Url::parse(&format!("http://{authority}/")).ok()?;
    url.host().map(|host| host.to_owned()).map(without_dot)
}

/// A name that ends with a dot is the same name.
fn without_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').map_or(name.clone(), str::to_owned)),
        Host::Ipv4(_) | Host::Ipv6(_) => host,
    }
}

impl Origin {
    fn allows(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host == other.host
            && (self.port.is_none() || self.port == other.port)
    }
}

impl FromStr for Origin {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        const NO_ORIGIN: ParseNameError = ParseNameError("an origin is a scheme, a host and perhaps a port");
        let (text, any_port) = text.strip_suffix(":*").map_or((text, false), |text| (text, true));
        let url = Url::parse(text).map_err(|_| NO_ORIGIN)?;
        let (scheme, host) = (url.scheme(), url.host().ok_or(NO_ORIGIN)?);
        let is_whole = url.path() == "/" || url.path().is_empty();
        let is_bare = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
        if !matches!(scheme, "http" | "https") || !is_whole || !is_bare {
            return Err(NO_ORIGIN);
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: without_dot(host.to_owned()),
            port: url.port_or_known_default().filter(|_| !any_port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &Names, host: &[&str], origin: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, host.parse().unwrap());
        }
        for origin in origin {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        names.check(&Uri::from_static("/mcp"), &headers).is_ok()
    }

    #[test]
    fn only_our_names_are_answered_to() {
        let names = Names::loopback().with_address("192.0.2.7".parse().unwrap());
        let names = names.with_host("mcp.example.com").unwrap();
        for ours in [
            "localhost",
            "localhost:9001",
            "LOCALHOST:1",
            "localhost.",
            "127.0.0.1:9001",
            "[::1]:9001",
            "192.0.2.7",
            "mcp.example.com:443",
        ] {
            assert!(check(&names, &[ours], &[]), "{ours}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "evil@localhost",
            "localhost/evil",
            "localhost#",
            "0.0.0.0",
            "",
            "127.0.0.2",
        ] {
            assert!(!check(&names, &[foreign], &[]), "{foreign}");
        }
        assert!(!check(&names, &[], &[]));
        assert!(!check(&names, &["localhost", "localhost"], &[]));
        assert!(check(&Names::of_socket(), &["anything"], &[]));
    }

    #[test]
    fn a_request_line_names_the_host_too() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        let names = Names::loopback();
        assert!(
            names
                .check(&Uri::from_static("http://localhost/mcp"), &headers)
                .is_ok()
        );
        assert!(
            names
                .check(&Uri::from_static("http://evil.example/mcp"), &headers)
                .is_err()
        );
    }

    #[test]
    fn only_allowed_pages_send_requests() {
        let names = Names::loopback().with_origin("https://app.example.com").unwrap();
        let names = names.with_origin("http://dev.example.com:*").unwrap();
        for allowed in [
            "http://localhost:5173",
            "http://127.0.0.1",
            "https://app.example.com",
            "https://app.example.com:443",
            "http://dev.example.com:8000",
        ] {
            assert!(check(&names, &["localhost"], &[allowed]), "{allowed}");
        }
        for foreign in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://evil.example",
            "null",
            "",
            "file://",
            "https://app.example.com.evil.example",
            "http://localhost.evil.example",
        ] {
            assert!(!check(&names, &["localhost"], &[foreign]), "{foreign}");
        }
        assert!(!check(
            &names,
            &["localhost"],
            &["http://localhost", "http://localhost"]
        ));
        for text in ["app.example.com", "https://a/path", "ftp://a", "https://u@a", "*"] {
            assert!(Names::loopback().with_origin(text).is_err(), "{text}");
        }
        for text in ["a/b", "https://a", "a:1", "*", "", "*.example.com"] {
            assert!(Names::loopback().with_host(text).is_err(), "{text}");
        }
    }
}
