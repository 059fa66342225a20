//! As much of URLs as a request and a redirect need.

use std::fmt;

/// An absolute URL without its fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_https: bool,
    /// The host, and the port where one is given.
    pub(crate) authority: String,
    /// Starts with `/`; with the query, if there is one.
    pub(crate) path: String,
}

impl Url {
    /// Reads an absolute URL.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            format!("`{text}` is no absolute URL: it must start with `https://` or `http://`")
        })?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => {
                return Err(format!(
                    "`{text}` cannot be fetched: it must start with `https://` or `http://`"
                ));
            }
        };
        let rest = without_fragment(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(format!("`{text}` names no host"));
        }
        if authority.contains('@') {
            return Err(format!(
                "`{text}` must not contain a user name: send a header instead"
            ));
        }
        let path = if path.starts_with('/') {
            escaped(path)
        } else {
            format!("/{}", escaped(path))
        };
        Ok(Self {
            is_https,
            authority: authority.to_ascii_lowercase(),
            path,
        })
    }

    /// Reads a URL as it stands in a page or a redirect of this one.
    pub(crate) fn join(&self, reference: &str) -> Result<Self, String> {
        let reference = without_fragment(reference.trim());
        let scheme = if self.is_https { "https" } else { "http" };
        if reference.contains("://") && !reference.starts_with(['/', '?', '.']) {
            return Self::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let (file, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let path = match reference.chars().next() {
            None => self.path.clone(),
            Some('/') => normalized(reference),
            Some('?') => format!("{file}{reference}"),
            Some(_) => {
                let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
                normalized(&format!("{folder}/{reference}"))
            }
        };
        Ok(Self {
            path: escaped(&path),
            ..self.clone()
        })
    }

    /// What two URLs share that are of one server.
    pub(crate) fn origin(&self) -> (bool, &str) {
        (self.is_https, &self.authority)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

fn without_fragment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

/// Takes `.` and `..` out of a path; the query stays as it is.
fn normalized(path: &str) -> String {
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if is_last {
                    parts.push("");
                }
            }
            name => parts.push(name),
        }
    }
    let path = format!("/{}", parts.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

/// Escapes what must not stand in a request line as it is.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
        {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
