//! `https://…`: a file on a web server.
//!
//! The query may hold a signature that lets its holder read the file, so that it is part of what is fetched and
//! of what a record keeps, but of no message: [`HttpsReference::shown`] and `Debug` leave it out.

use std::fmt;
use std::path::Path;

use url::Url;

use super::{ParseReferenceError, percent_decoded};

/// A file on a web server, by a URL that has neither a user nor a fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpsReference(Url);

impl HttpsReference {
    pub(super) fn parse(text: &str) -> Result<Self, ParseReferenceError> {
        // The parser removes them silently, so that two texts would be one reference.
        if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(ParseReferenceError::Url);
        }
        let url = Url::parse(text).map_err(|_| ParseReferenceError::Url)?;
        if url.scheme() != "https" || url.host().is_none() {
            return Err(ParseReferenceError::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParseReferenceError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(ParseReferenceError::Fragment);
        }
        let reference = Self(url);
        if reference.file_name().is_empty() {
            return Err(ParseReferenceError::NoFile);
        }
        Ok(reference)
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL without its query, for messages.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// The name of the file without its extension.
    pub(super) fn stem(&self) -> String {
        let name = percent_decoded(self.file_name()).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        Path::new(name.as_ref())
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    fn file_name(&self) -> &str {
        self.0
            .path_segments()
            .and_then(|mut parts| parts.next_back())
            .unwrap_or_default()
    }
}

impl fmt::Display for HttpsReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for HttpsReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reference;

    #[track_caller]
    fn accepted(text: &str, canonical: &str, stem: &str) {
        let reference: Reference = text.parse().unwrap();
        assert!(matches!(reference, Reference::Https(_)), "{text:?}");
        assert_eq!(reference.to_string(), canonical);
        assert_eq!(
            (reference.stem(), reference.source()),
            (stem.to_owned(), canonical.to_owned())
        );
        assert_eq!(
            canonical.parse(),
            Ok(reference),
            "what is printed must be read back"
        );
    }

    #[test]
    fn urls_are_read_and_printed_in_one_form() {
        accepted(
            "https://a.example/x/tool.wasm",
            "https://a.example/x/tool.wasm",
            "tool",
        );
        accepted(
            "HTTPS://A.example:443/tool.wasm",
            "https://a.example/tool.wasm",
            "tool",
        );
        accepted(
            "https://a.example:8443/a%20b.wasm?x=1",
            "https://a.example:8443/a%20b.wasm?x=1",
            "a b",
        );
        accepted("https://a.example/x/../tool", "https://a.example/tool", "tool");
        accepted("https://[0::1]/tool.wasm", "https://[::1]/tool.wasm", "tool");
        accepted(
            "https://bücher.example/t.wasm",
            "https://xn--bcher-kva.example/t.wasm",
            "t",
        );
    }

    #[test]
    fn a_query_is_not_shown() {
        let reference: Reference = "https://a.example/t.wasm?signature=secret".parse().unwrap();
        assert_eq!(reference.shown(), "https://a.example/t.wasm");
        assert_eq!(format!("{reference:?}"), "Https(https://a.example/t.wasm)");
    }

    #[track_caller]
    fn refused(text: &str, error: ParseReferenceError) {
        assert_eq!(text.parse::<Reference>(), Err(error), "{text:?}");
    }

    #[test]
    fn malformed_urls_are_refused() {
        use ParseReferenceError::{Fragment, NoFile, PlainHttp, Url, UserInfo};
        refused("http://a.example/t.wasm", PlainHttp);
        refused("HTTP://a.example/t.wasm", PlainHttp);
        refused("https://", Url);
        refused("https://a.example/a b", Url);
        refused("https://a.example/a\nb", Url);
        refused("https://a.example:99999/t", Url);
        refused("https://u@a.example/t.wasm", UserInfo);
        refused("https://u:p@a.example/t.wasm", UserInfo);
        refused("https://:p@a.example/t.wasm", UserInfo);
        refused("https://a.example/t.wasm#x", Fragment);
        refused("https://a.example", NoFile);
        refused("https://a.example/folder/", NoFile);
    }
}
