//! How a user names an artifact, and the artifact itself.
//!
//! A reference is parsed once, at the edge. Its `Display` is canonical and is what a record stores as the
//! component's origin, so that the same file has the same origin however it was typed. `..` is kept as it
//! is: removing it without asking the file system would name another file where a link is in between.

mod https;
mod oci;

use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::{Digest, ParseDigestError};

pub use https::HttpsReference;
pub use oci::{OCI_NAME_BYTES_MAX, OCI_TAG_BYTES_MAX, OciReference};

/// Longest reference in bytes: the longest path of the systems we run on.
pub const REFERENCE_BYTES_MAX: usize = 4096;

/// Where an artifact is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A file on this machine; the path is absolute.
    File(PathBuf),
    /// A component that is inside the program, by its name: `starter:time`. The name has only `a-z`, `0-9`
    /// and `-`.
    Starter(Arc<str>),
    /// An artifact in a registry.
    Oci(OciReference),
    /// A file on a web server.
    Https(HttpsReference),
}

/// What a reference to a component inside the program starts with.
const STARTER: &str = "starter:";

impl Reference {
    /// Reads a reference; a relative path is taken from `current_dir`, which must be absolute.
    ///
    /// # Errors
    ///
    /// See [`ParseReferenceError`]: each variant says what is wrong with the text.
    pub fn parse(text: &str, current_dir: &Path) -> Result<Self, ParseReferenceError> {
        if text.is_empty() {
            return Err(ParseReferenceError::Empty);
        }
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(ParseReferenceError::Long(text.len()));
        }
        if text.contains('\0') {
            return Err(ParseReferenceError::Nul);
        }
        if let Some(name) = text.strip_prefix(STARTER) {
            return starter(name);
        }
        match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => match scheme.to_ascii_lowercase().as_str() {
                "file" => file_url(rest),
                "oci" => OciReference::parse(rest).map(Self::Oci),
                "https" => HttpsReference::parse(text).map(Self::Https),
                "http" => Err(ParseReferenceError::PlainHttp),
                _ => Err(ParseReferenceError::Scheme(scheme.to_owned())),
            },
            Some(_) | None => file_path(&current_dir.join(text)),
        }
    }

    /// What stays the same from version to version, and so what an id, its grants and its secrets are bound to:
    /// registry and repository; of everything else, the whole reference.
    pub fn source(&self) -> String {
        match self {
            Self::Oci(oci) => oci.source(),
            Self::File(_) | Self::Starter(_) | Self::Https(_) => self.to_string(),
        }
    }

    /// The reference as it may stand in a message: a URL without its query, which may be a secret.
    pub fn shown(&self) -> String {
        match self {
            Self::Https(https) => https.shown(),
            Self::File(_) | Self::Starter(_) | Self::Oci(_) => self.to_string(),
        }
    }

    /// The name that suggests a component's id: the file's name without its extension, or the last part of the
    /// repository.
    pub fn stem(&self) -> String {
        match self {
            Self::File(path) => path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            Self::Starter(name) => name.as_ref().to_owned(),
            Self::Oci(oci) => oci.repository().rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Https(https) => https.stem(),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    /// Reads a `file:///` URL or an absolute path; a relative path needs [`Reference::parse`].
    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        Self::parse(text, Path::new(""))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => {
                f.write_str("file://")?;
                for &byte in path_bytes(path).iter() {
                    if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                        write!(f, "{}", char::from(byte))?;
                    } else {
                        write!(f, "%{byte:02X}")?;
                    }
                }
                Ok(())
            }
            Self::Starter(name) => write!(f, "{STARTER}{name}"),
            Self::Oci(oci) => fmt::Display::fmt(oci, f),
            Self::Https(https) => fmt::Display::fmt(https, f),
        }
    }
}

/// Reads what follows `starter:`.
fn starter(name: &str) -> Result<Reference, ParseReferenceError> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(ParseReferenceError::StarterName);
    }
    Ok(Reference::Starter(name.into()))
}

/// Whether a text can be a URL's scheme; `C` of `C://x` is a drive.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Reads what follows `file://`: no host, then a percent-encoded path.
fn file_url(rest: &str) -> Result<Reference, ParseReferenceError> {
    if !rest.starts_with('/') {
        return Err(ParseReferenceError::Host);
    }
    // A query or fragment means nothing for a file; taking it as part of the name would surprise.
    if rest.contains(['?', '#']) {
        return Err(ParseReferenceError::Query);
    }
    let bytes = percent_decoded(rest).ok_or(ParseReferenceError::Escape)?;
    if bytes.contains(&0) {
        return Err(ParseReferenceError::Nul);
    }
    let path = os_string(bytes).ok_or(ParseReferenceError::Encoding)?;
    file_path(Path::new(&path))
}

/// `None` where `%` is not followed by two hexadecimal digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            byte => byte,
        });
    }
    Some(decoded)
}

fn hex_digit(byte: Option<u8>) -> Option<u8> {
    char::from(byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Drops `.`, doubled and trailing separators.
fn file_path(path: &Path) -> Result<Reference, ParseReferenceError> {
    if !path.is_absolute() {
        return Err(ParseReferenceError::Relative);
    }
    let path: PathBuf = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    if path.file_name().is_none() {
        return Err(ParseReferenceError::NoFile);
    }
    Ok(Reference::File(path))
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    // `file:///C:/x`: the first slash belongs to the URL.
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('/').unwrap_or(&text).into())
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> std::borrow::Cow<'_, [u8]> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).into()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> std::borrow::Cow<'_, [u8]> {
    format!("/{}", path.to_string_lossy().replace('\\', "/"))
        .into_bytes()
        .into()
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// No character at all.
    #[error("a reference is not empty")]
    Empty,
    /// More than [`REFERENCE_BYTES_MAX`] bytes; holds how many.
    #[error("a reference has at most {REFERENCE_BYTES_MAX} bytes, not {0}")]
    Long(usize),
    /// A NUL character, which no path has.
    #[error("a reference contains no NUL character")]
    Nul,
    /// A scheme that is not known; holds it.
    #[error("`{0}://` is not supported; a path, `oci://`, `https://`, `file:///` and `starter:` are")]
    Scheme(String),
    /// `file://` followed by a host.
    #[error("a file reference has no host; write `file:///` and an absolute path")]
    Host,
    /// `%` without two hexadecimal digits.
    #[error("`%` in a file reference is followed by two hexadecimal digits")]
    Escape,
    /// `?` or `#` in a `file:///` reference.
    #[error("a file reference has no query and no fragment; write `%3F` for `?` and `%23` for `#`")]
    Query,
    /// A relative path where there is no current folder to take it from.
    #[error("a path is absolute here")]
    Relative,
    /// A path that names no file, such as `/` or one that ends in `..`.
    #[error("a reference names a file, not a folder")]
    NoFile,
    /// `starter:` without a name of `a-z`, `0-9` and `-` behind it.
    #[error("`starter:` is followed by a name of `a-z`, `0-9` and `-`")]
    StarterName,
    /// Bytes that cannot be a path on this system.
    #[error("a file reference is UTF-8 on this system")]
    Encoding,
    /// `oci://` without a registry: a first part without `.` and `:` that is not `localhost`.
    #[error("`oci://` is followed by a registry and a repository, such as `oci://docker.io/library/x`")]
    NoRegistry,
    /// A registry that is no host, or a port that is no number from 1 to 65535.
    #[error("the registry in `oci://` is a host name or an address, with an optional port")]
    Registry,
    /// A repository outside the grammar.
    #[error(
        "a repository has parts of `a-z`, `0-9` and single `.`, `_`, `__` or `-` between them, divided by `/`"
    )]
    Repository,
    /// More than [`OCI_NAME_BYTES_MAX`] bytes; holds how many.
    #[error("registry and repository have at most {OCI_NAME_BYTES_MAX} bytes, not {0}")]
    OciName(usize),
    /// A tag outside the grammar.
    #[error(
        "a tag has 1 to {OCI_TAG_BYTES_MAX} of `A-Z`, `a-z`, `0-9`, `_`, `.` and `-`, and starts with none of the last two"
    )]
    Tag,
    /// What follows `@` in `oci://` is no SHA-256 digest.
    #[error("`@` in an `oci://` reference is followed by `sha256:` and 64 lower-case hexadecimal digits")]
    Digest(#[source] ParseDigestError),
    /// `http://`, by which anybody on the way may exchange the bytes.
    #[error("`http://` is not taken, because anybody on the way can change the bytes; write `https://`")]
    PlainHttp,
    /// `https://` followed by what is no URL.
    #[error("this is not a URL of a file on a web server")]
    Url,
    /// A user or a password in a URL.
    #[error("a URL here holds no user and no password")]
    UserInfo,
    /// `#` in a URL.
    #[error("a URL here has no fragment; write `%23` for `#`")]
    Fragment,
}

/// The bytes of a component and where they came from.
#[derive(Clone)]
pub struct Artifact {
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// Where they were taken from.
    pub origin: Reference,
}

impl Artifact {
    /// Computes the digest of `bytes`.
    pub fn new(bytes: Arc<[u8]>, origin: Reference) -> Self {
        Self {
            digest: Digest::of(&bytes),
            bytes,
            origin,
        }
    }
}

impl fmt::Debug for Artifact {
    /// Megabytes of code help nobody in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("bytes", &self.bytes.len())
            .field("digest", &self.digest)
            .field("origin", &self.origin)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepted(text: &str, path: &str, canonical: &str) {
        let reference = Reference::parse(text, Path::new("/here")).unwrap();
        assert_eq!(reference, Reference::File(path.into()), "{text:?}");
        assert_eq!(reference.to_string(), canonical);
        assert_eq!(
            canonical.parse(),
            Ok(reference),
            "what is printed must be read back"
        );
    }

    #[cfg(unix)]
    #[test]
    fn paths_and_file_urls_name_files() {
        accepted("tool.wasm", "/here/tool.wasm", "file:///here/tool.wasm");
        accepted("./tool.wasm", "/here/tool.wasm", "file:///here/tool.wasm");
        accepted(
            "a//b/./tool.wasm",
            "/here/a/b/tool.wasm",
            "file:///here/a/b/tool.wasm",
        );
        accepted("../tool.wasm", "/here/../tool.wasm", "file:///here/../tool.wasm");
        accepted("/x/tool.wasm", "/x/tool.wasm", "file:///x/tool.wasm");
        accepted("file:///x/tool.wasm", "/x/tool.wasm", "file:///x/tool.wasm");
        accepted("FILE:///x", "/x", "file:///x");
        accepted("file:///a%20b%3f", "/a b?", "file:///a%20b%3F");
        accepted("a b#c?%41", "/here/a b#c?%41", "file:///here/a%20b%23c%3F%2541");
        accepted("ü", "/here/ü", "file:///here/%C3%BC");
        accepted("c://x", "/here/c:/x", "file:///here/c%3A/x");
        accepted("a b://x", "/here/a b:/x", "file:///here/a%20b%3A/x");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_survives_the_round_trip() {
        let path = PathBuf::from(os_string(b"/x/\xff\xfe".to_vec()).unwrap());
        let text = Reference::File(path.clone()).to_string();
        assert_eq!(text, "file:///x/%FF%FE");
        assert_eq!(text.parse(), Ok(Reference::File(path)));
    }

    #[test]
    fn starters_are_named_with_their_scheme() {
        let reference = Reference::parse("starter:time", Path::new("/here"));
        assert_eq!(reference, Ok(Reference::Starter("time".into())));
        assert_eq!(
            reference.map(|r| (r.to_string(), r.stem())),
            Ok(("starter:time".to_owned(), "time".to_owned()))
        );
    }

    #[track_caller]
    fn refused(text: &str, error: ParseReferenceError) {
        assert_eq!(Reference::parse(text, Path::new("/here")), Err(error), "{text:?}");
    }

    #[test]
    fn malformed_references_are_refused() {
        use ParseReferenceError::{Empty, Escape, Host, Long, NoFile, Nul, Query, Scheme, StarterName};
        refused("", Empty);
        refused("starter:", StarterName);
        refused("starter:../x", StarterName);
        refused("starter:Time", StarterName);
        refused(&"a".repeat(4097), Long(4097));
        refused("a\0b", Nul);
        refused("file:///a%00b", Nul);
        refused("ftp://a.example/x.wasm", Scheme("ftp".into()));
        refused("data+x://y", Scheme("data+x".into()));
        refused("file://host/x", Host);
        refused("file://", Host);
        refused("file://./x", Host);
        refused("file:///%", Escape);
        refused("file:///%4", Escape);
        refused("file:///%zz", Escape);
        refused("file:///%+1", Escape);
        refused("file:///a?b", Query);
        refused("file:///a#b", Query);
        refused("/", NoFile);
        refused("file:///", NoFile);
        refused("..", NoFile);
    }

    #[test]
    fn a_relative_path_needs_a_current_folder() {
        assert_eq!(
            "tool.wasm".parse::<Reference>(),
            Err(ParseReferenceError::Relative)
        );
    }

    #[test]
    fn stem_is_the_name_without_extension() {
        assert_eq!(Reference::File("/x/my.tool.wasm".into()).stem(), "my.tool");
        assert_eq!(Reference::File("/x/.wasm".into()).stem(), ".wasm");
        assert_eq!(
            "oci://ghcr.io/org/tool:1".parse().map(|r: Reference| r.stem()),
            Ok("tool".to_owned())
        );
    }
}
