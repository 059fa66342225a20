//! `oci://registry[:port]/repository[:tag][@sha256:…]`: an artifact in a registry.
//!
//! The registry is always written: a name without one means Docker Hub to some tools and a search list to
//! others, and an id must not be bound to either by accident. Grammar and bounds are those of the OCI
//! distribution specification 1.1 ("Pulling manifests"); what is printed is read back as the same value.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::ParseReferenceError;
use crate::Digest;

/// Longest registry and repository together in bytes; the specification recommends this of clients.
pub const OCI_NAME_BYTES_MAX: usize = 255;

/// Longest tag in bytes, by the specification.
pub const OCI_TAG_BYTES_MAX: usize = 128;

/// The tag that is meant when neither a tag nor a digest is written.
const TAG: &str = "latest";

/// What such a reference starts with.
const OCI: &str = "oci://";

/// An artifact in a registry, by tag, by digest, or by both.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OciReference {
    registry: Arc<str>,
    repository: Arc<str>,
    // INVARIANT: there is a tag or a digest.
    tag: Option<Arc<str>>,
    digest: Option<Digest>,
}

impl OciReference {
    /// Reads what follows `oci://`.
    pub(super) fn parse(rest: &str) -> Result<Self, ParseReferenceError> {
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
            None => (rest, None),
        };
        let (registry, path) = name.split_once('/').ok_or(ParseReferenceError::NoRegistry)?;
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(parse_tag(tag)?)),
            None => (path, None),
        };
        let registry = parse_registry(registry)?;
        if !is_repository(repository) {
            return Err(ParseReferenceError::Repository);
        }
        if registry.len() + 1 + repository.len() > OCI_NAME_BYTES_MAX {
            return Err(ParseReferenceError::OciName(
                registry.len() + 1 + repository.len(),
            ));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| TAG.into()));
        Ok(Self {
            registry: registry.into(),
            repository: repository.into(),
            tag,
            digest,
        })
    }

    /// The registry as the user names it, with its port when one was written: `ghcr.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry: `org/tool`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` when only a digest was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest or index; where there is one, the tag is for the reader only.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same artifact by this digest; the tag stays for the reader.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Another version of the same repository.
    ///
    /// # Errors
    ///
    /// [`ParseReferenceError::Tag`] when the text is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ParseReferenceError> {
        Ok(Self {
            tag: Some(parse_tag(tag)?),
            digest: None,
            ..self.clone()
        })
    }

    /// What stays the same from version to version: registry and repository.
    pub fn source(&self) -> String {
        format!("{OCI}{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OCI}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_digest(text: &str) -> Result<Digest, ParseReferenceError> {
    text.parse().map_err(ParseReferenceError::Digest)
}

/// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
fn parse_tag(tag: &str) -> Result<Arc<str>, ParseReferenceError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_tag = (1..=OCI_TAG_BYTES_MAX).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || b".-".contains(&byte));
    if is_tag {
        Ok(tag.into())
    } else {
        Err(ParseReferenceError::Tag)
    }
}

/// Reads `host[:port]` in lower case, an IPv6 address in brackets.
fn parse_registry(text: &str) -> Result<String, ParseReferenceError> {
    let text = text.to_ascii_lowercase();
    let (host, port) = split_port(&text)?;
    let is_named = port.is_some() || host.contains('.') || host.starts_with('[') || host == "localhost";
    if !is_named {
        return Err(ParseReferenceError::NoRegistry);
    }
    let host = parse_host(host).ok_or(ParseReferenceError::Registry)?;
    Ok(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), ParseReferenceError> {
    let after_address = text.rfind(']').map_or(0, |end| end + 1);
    let Some((_, port)) = text.get(after_address..).and_then(|rest| rest.rsplit_once(':')) else {
        return Ok((text, None));
    };
    let host = text.get(..text.len() - port.len() - 1).unwrap_or_default();
    // `parse` alone would take `+80` and `0080`, two more names for one registry.
    let number: u16 = port.parse().map_err(|_| ParseReferenceError::Registry)?;
    if number == 0 || number.to_string() != port {
        return Err(ParseReferenceError::Registry);
    }
    Ok((host, Some(number)))
}

/// One text for one host: no other spelling of an address is let through, such as `0x7f.1` for `127.0.0.1`.
fn parse_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let is_name = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.len() > 253 || !host.split('.').all(is_name) {
        return None;
    }
    let parsed = url::Host::parse(host).ok()?;
    (parsed.to_string() == host).then(|| host.to_owned())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, any number of them between slashes.
fn is_repository(text: &str) -> bool {
    text.split('/').all(is_path_part)
}

fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_in_words =
        part.bytes().next().is_some_and(is_word) && part.bytes().next_back().is_some_and(is_word);
    let are_separators = part
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'));
    ends_in_words && are_separators
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reference;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn read(text: &str) -> Result<OciReference, ParseReferenceError> {
        match text.parse::<Reference>() {
            Ok(Reference::Oci(oci)) => Ok(oci),
            Ok(other) => panic!("{text:?} was read as {other:?}"),
            Err(error) => Err(error),
        }
    }

    /// `parts`: registry, repository, tag.
    #[track_caller]
    fn accepted(text: &str, canonical: &str, parts: (&str, &str, Option<&str>)) {
        let oci = read(text).unwrap();
        assert_eq!(oci.to_string(), canonical);
        assert_eq!((oci.registry(), oci.repository(), oci.tag()), parts);
        assert_eq!(oci.source(), format!("oci://{}/{}", parts.0, parts.1));
        assert_eq!(read(canonical), Ok(oci), "what is printed must be read back");
    }

    #[test]
    fn references_are_read_and_printed_in_one_form() {
        accepted(
            "oci://ghcr.io/org/tool",
            "oci://ghcr.io/org/tool:latest",
            ("ghcr.io", "org/tool", Some("latest")),
        );
        accepted(
            "OCI://GHCR.io/tool:1.2",
            "oci://ghcr.io/tool:1.2",
            ("ghcr.io", "tool", Some("1.2")),
        );
        accepted(
            "oci://localhost/t:V_1",
            "oci://localhost/t:V_1",
            ("localhost", "t", Some("V_1")),
        );
        accepted(
            "oci://localhost:5000/t",
            "oci://localhost:5000/t:latest",
            ("localhost:5000", "t", Some("latest")),
        );
        accepted(
            "oci://build:80/a/b/c:x",
            "oci://build:80/a/b/c:x",
            ("build:80", "a/b/c", Some("x")),
        );
        accepted(
            "oci://127.0.0.1:5000/t:_",
            "oci://127.0.0.1:5000/t:_",
            ("127.0.0.1:5000", "t", Some("_")),
        );
        accepted(
            "oci://[0::1]:5000/t:1",
            "oci://[::1]:5000/t:1",
            ("[::1]:5000", "t", Some("1")),
        );
        accepted("oci://[::1]/t:1", "oci://[::1]/t:1", ("[::1]", "t", Some("1")));
        accepted(
            "oci://a.example/x.y/a_b/a__b/a--b/0",
            "oci://a.example/x.y/a_b/a__b/a--b/0:latest",
            ("a.example", "x.y/a_b/a__b/a--b/0", Some("latest")),
        );
    }

    #[test]
    fn a_digest_needs_no_tag_and_may_have_one() {
        let only = format!("oci://ghcr.io/tool@sha256:{HEX}");
        accepted(&only, &only, ("ghcr.io", "tool", None));
        let both = format!("oci://ghcr.io/tool:1@sha256:{HEX}");
        accepted(&both, &both, ("ghcr.io", "tool", Some("1")));
        assert_eq!(read(&both).unwrap().digest(), Some(Digest::of(b"")));
    }

    #[test]
    fn versions_of_one_repository_have_one_source() {
        let first = read("oci://ghcr.io/tool:1").unwrap();
        let second = first.with_tag("2").unwrap();
        let pinned = first.with_digest(Digest::of(b""));
        assert_eq!(second.to_string(), "oci://ghcr.io/tool:2");
        assert_eq!(pinned.to_string(), format!("oci://ghcr.io/tool:1@sha256:{HEX}"));
        assert_eq!(
            pinned.with_tag("3").unwrap().digest(),
            None,
            "the digest was of another version"
        );
        assert_eq!(first.with_tag(""), Err(ParseReferenceError::Tag));
        assert_eq!(
            (first.source(), pinned.source()),
            (second.source(), second.source())
        );
    }

    #[track_caller]
    fn refused(text: &str, error: ParseReferenceError) {
        assert_eq!(read(text), Err(error), "{text:?}");
    }

    #[test]
    fn malformed_registries_are_refused() {
        use ParseReferenceError::{Digest as NoDigest, NoRegistry, Registry};
        for text in [
            "oci://",
            "oci://tool",
            "oci://org/tool",
            "oci://tool:1",
            "oci:///tool",
            "oci://library/x:1",
        ] {
            refused(text, NoRegistry);
        }
        for text in [
            "oci://ghcr.io:/t",
            "oci://ghcr.io:0/t",
            "oci://ghcr.io:080/t",
            "oci://ghcr.io:+80/t",
            "oci://ghcr.io:65536/t",
            "oci://user@ghcr.io/t",
            "oci://ghcr..io/t",
            "oci://-a.example/t",
            "oci://a_b.example/t",
            "oci://ä.example/t",
            "oci://0x7f.1/t",
            "oci://127.1/t",
            "oci://127.0.0.01/t",
            "oci://1.2.3.4.5/t",
            "oci://[::1/t",
            "oci://[::g]/t",
            "oci://[127.0.0.1]/t",
        ] {
            let error = read(text).unwrap_err();
            // An `@` starts a digest, wherever it stands.
            assert!(matches!(error, Registry | NoDigest(_)), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn malformed_repositories_tags_and_digests_are_refused() {
        use crate::ParseDigestError;
        use ParseReferenceError::{Digest as NoDigest, OciName, Repository, Tag};
        for text in [
            "oci://ghcr.io/",
            "oci://ghcr.io//t",
            "oci://ghcr.io/t/",
            "oci://ghcr.io/Tool",
            "oci://ghcr.io/../t",
            "oci://ghcr.io/a..b",
            "oci://ghcr.io/a___b",
            "oci://ghcr.io/-a",
            "oci://ghcr.io/a-",
            "oci://ghcr.io/a._b",
            "oci://ghcr.io/a b",
            "oci://ghcr.io/a?b",
            "oci://ghcr.io/a%2fb",
        ] {
            refused(text, Repository);
        }
        for text in [
            "oci://ghcr.io/t:",
            "oci://ghcr.io/t:.1",
            "oci://ghcr.io/t:-1",
            "oci://ghcr.io/t:a/b",
            "oci://ghcr.io/t:ä",
        ] {
            refused(text, Tag);
        }
        refused(&format!("oci://ghcr.io/t:{}", "a".repeat(129)), Tag);
        refused(&format!("oci://ghcr.io/{}", "a".repeat(248)), OciName(256));
        refused("oci://ghcr.io/t@", NoDigest(ParseDigestError::Algorithm));
        refused("oci://ghcr.io/t@sha512:00", NoDigest(ParseDigestError::Algorithm));
        refused("oci://ghcr.io/t@sha256:00", NoDigest(ParseDigestError::Length(2)));
        refused(
            &format!("oci://ghcr.io/t@sha256:{HEX}:1"),
            NoDigest(ParseDigestError::Length(66)),
        );
    }

    #[test]
    fn bounds_are_met_exactly() {
        assert!(read(&format!("oci://ghcr.io/t:{}", "a".repeat(OCI_TAG_BYTES_MAX))).is_ok());
        assert!(read(&format!("oci://ghcr.io/{}", "a".repeat(OCI_NAME_BYTES_MAX - 8))).is_ok());
    }
}
