//! What an HTTP request is aimed at, in the one form in which it is compared.
//!
//! What two readers could take for two different things is refused here and not repaired: the other reader is
//! a server nobody asked.

use crate::host::Host;
use std::fmt;

/// Longest URL, in bytes.
pub(crate) const URL_BYTES_MAX: usize = 16 * 1024;
/// Longest method, in bytes.
const METHOD_BYTES_MAX: usize = 32;
/// How often an escape may be an escape of an escape before the path is refused.
const ESCAPE_LEVELS_MAX: usize = 4;

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Https];

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

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
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

/// Why a method, a URL or a part of it cannot be what a request is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct ParseTargetError {
    why: &'static str,
    hint: &'static str,
}

impl ParseTargetError {
    pub(crate) const fn new(why: &'static str, hint: &'static str) -> Self {
        Self { why, hint }
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(self) -> &'static str {
        self.hint
    }
}

pub(crate) const BACKSLASH: ParseTargetError =
    ParseTargetError::new("the URL contains a backslash", "write `/`");
pub(crate) const USER_INFORMATION: ParseTargetError = ParseTargetError::new(
    "the URL contains user information",
    "leave out what stands before `@`; a rule of `secrets` adds credentials",
);
const PORT: ParseTargetError = ParseTargetError::new(
    "the port is malformed",
    "after the host and `:` write a number from 1 to 65535",
);

/// A URL, taken apart and not yet read.
pub(crate) struct UrlParts<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// With its leading `/`, or empty.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

impl<'a> UrlParts<'a> {
    pub(crate) fn parse(url: &'a str) -> Result<Self, ParseTargetError> {
        if url.len() > URL_BYTES_MAX {
            return Err(ParseTargetError::new(
                "the URL is too long",
                "write at most 16 KiB",
            ));
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ParseTargetError::new(
                "the URL contains a space or control character",
                "leave it out; in a path a space is written `%20`",
            ));
        }
        if url.contains('\\') {
            return Err(BACKSLASH);
        }
        if url.contains('#') {
            return Err(ParseTargetError::new(
                "the URL contains a fragment",
                "leave out `#` and what follows it, which is never sent",
            ));
        }
        let (scheme, rest) = url.split_once("://").ok_or(ParseTargetError::new(
            "the URL is not absolute",
            "write for example `https://example.com/path`",
        ))?;
        let scheme = Scheme::parse(scheme).ok_or(ParseTargetError::new(
            "the scheme is neither http nor https",
            "begin with `https://` or `http://`; what speaks another protocol needs raw sockets: `cidr`, `ports` and `protocols`",
        ))?;
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match before_query.find('/') {
            Some(slash) => before_query.split_at(slash),
            None => (before_query, ""),
        };
        if authority.contains('@') {
            return Err(USER_INFORMATION);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            scheme,
            host,
            port,
            path,
            query,
        })
    }
}

/// Takes `host:port` apart. Port 0 is refused.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<u16>), ParseTargetError> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    if end == 0 && authority.starts_with('[') {
        return Err(ParseTargetError::new(
            "the bracket is not closed",
            "write for example `[fd00::1]` or `[fd00::1]:8080`",
        ));
    }
    let (_, rest) = authority.split_at(end);
    let Some(colon) = rest.find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(end + colon);
    let port = port.trim_start_matches(':');
    if !port.bytes().all(|b| b.is_ascii_digit()) || port.len() > 5 || rest.matches(':').count() > 1 {
        return Err(PORT);
    }
    match port.parse() {
        Ok(0) => Err(ParseTargetError::new("the port is 0", PORT.hint)),
        Ok(port) => Ok((host, Some(port))),
        Err(_) => Err(PORT),
    }
}

impl HttpTarget {
    /// Reads a method and an absolute URL.
    ///
    /// # Errors
    ///
    /// [`ParseTargetError`] for anything but http and https, user information, a missing host, an invalid port,
    /// a fragment, backslashes, control characters, and paths that two readers could take for different ones.
    pub fn parse(method: &str, url: &str) -> Result<Self, ParseTargetError> {
        if !is_method(method) {
            return Err(ParseTargetError::new(
                "the method is malformed",
                "write for example `GET`",
            ));
        }
        let parts = UrlParts::parse(url)?;
        Ok(Self {
            // Rules do not tell `get` from `GET`, and servers differ.
            method: method.to_ascii_uppercase(),
            scheme: parts.scheme,
            host: Host::parse(parts.host)?,
            port: parts.port.unwrap_or(parts.scheme.default_port()),
            path: normal_path(parts.path)?,
        })
    }

    /// For whoever has its parts in normal form.
    pub(crate) fn of_parts(how: (&str, Scheme), whom: (&Host, u16), path: &str) -> Self {
        let ((method, scheme), (host, port)) = (how, whom);
        Self {
            method: method.to_owned(),
            scheme,
            host: host.clone(),
            port,
            path: path.to_owned(),
        }
    }

    /// The method, in upper case.
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

    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|segment| !segment.is_empty())
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

/// Whether it is a token of RFC 9110, 5.6.2, and of a sensible length.
pub(crate) fn is_method(text: &str) -> bool {
    (1..=METHOD_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn normal_path(path: &str) -> Result<String, ParseTargetError> {
    let Some(rest) = path.strip_prefix('/') else {
        return Ok("/".to_owned());
    };
    let mut normal = String::with_capacity(path.len());
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        normal.push('/');
        if segment.is_empty() && segments.peek().is_some() {
            return Err(ParseTargetError::new(
                "the path contains an empty segment",
                "write one `/` between segments",
            ));
        }
        normal.push_str(&normal_segment(segment)?);
    }
    Ok(normal)
}

/// One spelling for one segment: what may stand for itself does, everything else is escaped in upper case.
pub(crate) fn normal_segment(segment: &str) -> Result<String, ParseTargetError> {
    let is_escaped = |text: &str| escape(text.as_bytes()).is_some();
    if segment
        .match_indices('%')
        .any(|(at, _)| !segment.get(at..).is_some_and(is_escaped))
    {
        return Err(ParseTargetError::new(
            "the path contains an incomplete escape",
            "write two digits of base 16 after each `%`; the sign itself is `%25`",
        ));
    }
    let decoded = decode(segment.as_bytes());
    check_levels(&decoded)?;
    if std::str::from_utf8(&decoded).is_err() {
        return Err(ParseTargetError::new(
            "the path is not UTF-8",
            "escape the bytes of a text in UTF-8",
        ));
    }
    let mut normal = String::with_capacity(segment.len());
    for byte in decoded {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(normal)
}

/// Refuses what means another place to a reader that decodes, also more than once, or drops parameters.
fn check_levels(decoded: &[u8]) -> Result<(), ParseTargetError> {
    let mut level = decoded.to_vec();
    for _ in 0..ESCAPE_LEVELS_MAX {
        if level.iter().any(|b| matches!(b, b'/' | b'\\')) {
            return Err(ParseTargetError::new(
                "the path contains an encoded slash",
                "servers read it in different ways: write `/` where segments end",
            ));
        }
        if level.iter().any(u8::is_ascii_control) {
            return Err(ParseTargetError::new(
                "the path contains an encoded control character",
                "leave it out",
            ));
        }
        let name = level.split(|b| *b == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") {
            return Err(ParseTargetError::new(
                "the path contains a dot segment",
                "write the path that it leads to",
            ));
        }
        let next = decode(&level);
        if next == level {
            return Ok(());
        }
        level = next;
    }
    Err(ParseTargetError::new(
        "the path is escaped too many times",
        "escape what has to be escaped once",
    ))
}

/// Decodes once. A `%` that begins no escape stands for itself.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        match escape(rest) {
            Some((escaped, after)) => {
                decoded.push(escaped);
                rest = after;
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

/// The byte that an escape at the front stands for, and what follows.
fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = bytes else {
        return None;
    };
    let hex = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    Some((hex(*high)? * 16 + hex(*low)?, rest))
}
