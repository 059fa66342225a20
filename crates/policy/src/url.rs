//! What an HTTP request is aimed at, in the one form in which it is compared.
//!
//! What two readers could take for two different things is refused here and not repaired: the other reader is
//! a server nobody asked.

use crate::error::{Field, RuleError};
use crate::host::Host;
use crate::pattern::{Glob, Segments, Shown};
use std::fmt;

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 16 * 1024;
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

/// Why a URL cannot be the target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseTargetError(pub(crate) &'static str);

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
    pub(crate) fn parse(url: &'a str) -> Result<Self, &'static str> {
        if url.len() > URL_BYTES_MAX {
            return Err("the URL is too long");
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("the URL contains a space or control character");
        }
        if url.contains('\\') {
            return Err("the URL contains a backslash");
        }
        if url.contains('#') {
            return Err("the URL contains a fragment");
        }
        let (scheme, rest) = url.split_once("://").ok_or("the URL is not absolute")?;
        let scheme = Scheme::parse(scheme).ok_or("the scheme is neither http nor https")?;
        let (before_query, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match before_query.find('/') {
            Some(slash) => before_query.split_at(slash),
            None => (before_query, ""),
        };
        if authority.contains('@') {
            return Err("the URL contains user information");
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
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (_, rest) = authority.split_at(end);
    let Some(colon) = rest.find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(end + colon);
    let port = port.trim_start_matches(':');
    if !port.bytes().all(|b| b.is_ascii_digit()) || port.len() > 5 || rest.matches(':').count() > 1 {
        return Err("the port is malformed");
    }
    match port.parse() {
        Ok(0) => Err("the port is 0"),
        Ok(port) => Ok((host, Some(port))),
        Err(_) => Err("the port is malformed"),
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
            return Err(ParseTargetError("the method is malformed"));
        }
        let parts = UrlParts::parse(url).map_err(ParseTargetError)?;
        Ok(Self {
            method: method.to_owned(),
            scheme: parts.scheme,
            host: Host::parse(parts.host).map_err(ParseTargetError)?,
            port: parts.port.unwrap_or(parts.scheme.default_port()),
            path: normal_path(parts.path).map_err(ParseTargetError)?,
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

fn normal_path(path: &str) -> Result<String, &'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Ok("/".to_owned());
    };
    let mut normal = String::with_capacity(path.len());
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        normal.push('/');
        if segment.is_empty() && segments.peek().is_some() {
            return Err("the path contains an empty segment");
        }
        normal.push_str(&normal_segment(segment)?);
    }
    Ok(normal)
}

/// One spelling for one segment: what may stand for itself does, everything else is escaped in upper case.
fn normal_segment(segment: &str) -> Result<String, &'static str> {
    let is_escaped = |text: &str| escape(text.as_bytes()).is_some();
    if segment
        .match_indices('%')
        .any(|(at, _)| !segment.get(at..).is_some_and(is_escaped))
    {
        return Err("the path contains an incomplete escape");
    }
    let decoded = decode(segment.as_bytes());
    check_levels(&decoded)?;
    if std::str::from_utf8(&decoded).is_err() {
        return Err("the path is not UTF-8");
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
fn check_levels(decoded: &[u8]) -> Result<(), &'static str> {
    let mut level = decoded.to_vec();
    for _ in 0..ESCAPE_LEVELS_MAX {
        if level.iter().any(|b| matches!(b, b'/' | b'\\')) {
            return Err("the path contains an encoded slash");
        }
        if level.iter().any(u8::is_ascii_control) {
            return Err("the path contains an encoded control character");
        }
        let name = level.split(|b| *b == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") {
            return Err("the path contains a dot segment");
        }
        let next = decode(&level);
        if next == level {
            return Ok(());
        }
        level = next;
    }
    Err("the path is escaped too many times")
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

/// The paths of requests a network rule is about.
///
/// A path without `*` is that path alone; `/**` at the end, or a `/`, adds everything below it; a `*` within a
/// segment stands for any characters of it. Whether a request's path ends in `/` makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UrlPathPattern(Segments);

impl UrlPathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Paths`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        Self::read(text).map_err(|why| {
            RuleError::new(
                Field::Paths,
                format!("`{}` is not a pattern of paths: {why}", Shown(text)),
            )
        })
    }

    /// A path and everything below it, as in a URL that stands for a host.
    pub(crate) fn below(path: &str) -> Result<Self, &'static str> {
        if path.contains('*') {
            return Self::read(path);
        }
        let Self(segments) = Self::read(if path.is_empty() { "/" } else { path })?;
        Ok(Self(Segments::new(segments.globs().to_vec(), true)))
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > URL_BYTES_MAX {
            return Err("it is too long");
        }
        if text.contains(['?', '#']) {
            return Err("the query is not part of a path");
        }
        if text.contains('\\') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it contains a backslash, space or control character");
        }
        let rest = text.strip_prefix('/').ok_or("it does not begin with `/`")?;
        let mut globs = Vec::new();
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            match segment {
                "" if is_last => return Ok(Self(Segments::new(globs, true))),
                "" => return Err("it contains an empty segment"),
                "**" if is_last => return Ok(Self(Segments::new(globs, true))),
                "**" => return Err("`**` is not at the end"),
                _ => globs.push(segment_glob(segment)?),
            }
        }
        Ok(Self(Segments::new(globs, false)))
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.0
    }

    /// Whether every path belongs to it.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_deep() && self.0.globs().is_empty()
    }
}

fn segment_glob(segment: &str) -> Result<Glob, &'static str> {
    let Some((before, after)) = segment.split_once('*') else {
        return Ok(Glob::literal(&normal_segment(segment)?));
    };
    if after.contains('*') {
        return Err("a segment has more than one `*`");
    }
    // A dot beside the `*` is no dot segment; a request never has one.
    let part = |text: &str| match text {
        "." | ".." => Ok(text.to_owned()),
        _ => normal_segment(text),
    };
    let pattern = format!("{}*{}", part(before)?, part(after)?);
    Glob::parse(&pattern).ok_or("a segment has more than one `*`")
}

impl fmt::Display for UrlPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
