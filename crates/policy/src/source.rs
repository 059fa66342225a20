//! From where components may be loaded: patterns over the one form in which references are written.
//!
//! A pattern that no reference can match is refused. It would let nothing in where it allows, and look at nothing where
//! it says that signatures are required.

use crate::error::{Field, RuleError};
use crate::pattern::{Glob, Shown, text_pattern};
use std::fmt;

/// References from which components may be loaded: a text with at most one `*`, or `/**` at its end.
///
/// A `*` stands for any characters but `/`; `**` at the end for any characters. In `starter:*` nothing but
/// the name can follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePattern {
    glob: Glob,
    deep: bool,
}

impl SourcePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Source`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        let (text, deep) = match text.strip_suffix("**") {
            Some(before) if before.ends_with('/') => (before, true),
            Some(_) | None => (text, false),
        };
        let glob = text_pattern(Field::Source, text)?;
        if let Some(hint) = why_no_reference(text, deep) {
            let message = format!("no reference is like `{}`", Shown(text));
            return Err(RuleError::at(Field::Source, message).hint(hint));
        }
        if deep && glob.as_literal().is_none() {
            return Err(RuleError::at(Field::Source, "the pattern has both `*` and `**`")
                .hint("keep `**`, and write out what the `*` stands for"));
        }
        Ok(Self { glob, deep })
    }

    /// Whether a reference, in its canonical text, belongs to it, with or without its tag and digest: a pattern for
    /// `oci://host/tool` that did not mean `oci://host/tool:1` would be one for nothing.
    ///
    /// A reference with a segment `.` or `..`, or with an escaped one, belongs to no pattern with `*`.
    #[must_use]
    pub fn matches(&self, reference: &str) -> bool {
        self.is_of(reference) || repository(reference).is_some_and(|repository| self.is_of(repository))
    }

    fn is_of(&self, reference: &str) -> bool {
        let (before, after) = self.glob.parts();
        if !self.deep && after.is_none() {
            return reference == before;
        }
        let lower = reference.to_ascii_lowercase();
        let is_plain = !["%2e", "%2f", "%5c", "\\"].iter().any(|odd| lower.contains(odd))
            && !reference.split('/').any(|segment| matches!(segment, "." | ".."));
        let Some(rest) = reference.strip_prefix(before) else {
            return false;
        };
        if self.deep {
            return is_plain && !rest.is_empty();
        }
        let Some(star) = rest.strip_suffix(after.unwrap_or_default()) else {
            return false;
        };
        is_plain && !star.is_empty() && !star.contains('/')
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.glob, if self.deep { "**" } else { "" })
    }
}

/// A reference to a registry without its tag and digest.
fn repository(reference: &str) -> Option<&str> {
    let path = reference.strip_prefix("oci://")?;
    let name = path.split('@').next().unwrap_or_default();
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':'));
    let tag = tag.map_or(0, |(_, tag)| 1 + tag.len());
    reference.get(.."oci://".len() + name.len() - tag)
}

pub(crate) const FORMS: &str = "write `oci://ghcr.io/org/*`, `https://example.com/**`, `file:///srv/**` or `starter:*`; \
    `oci://**` is every registry";

/// What to write instead of a text that no reference in its one form can match; `None` when there is one.
fn why_no_reference(text: &str, deep: bool) -> Option<&'static str> {
    if let Some(name) = text.strip_prefix("starter:") {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*');
        return (name.is_empty() || !name.chars().all(is_name))
            .then_some("the name of a starter has lower case, digits and `-`");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(FORMS);
    };
    let Some((server, path)) = rest.split_once('/') else {
        // Behind a registry or a server there always is a `/`, which no `*` stands for. Where all below is meant there
        // is one, so that here nothing but the scheme is before it.
        return (!(deep && matches!(scheme, "oci" | "https"))).then_some(FORMS);
    };
    let mut segments = path.split('/').rev();
    let last = segments.next().unwrap_or_default();
    if segments
        .chain([last].into_iter().filter(|_| !deep))
        .any(|part| matches!(part, "" | "." | ".."))
    {
        return Some(
            "leave out what stands for no name: `//`, `.`, `..` and a `/` at the end; `/*` is a folder's files, `/**` all below it",
        );
    }
    match scheme {
        "file" if server.is_empty() => why_no_file(path),
        "oci" | "https" if server.is_empty() => Some(FORMS),
        "oci" => why_no_server(server).or_else(|| why_no_repository(path)),
        "https" if server.ends_with(":443") => Some("leave `:443` out; it is meant without being written"),
        "https" => why_no_server(server),
        _ => Some(FORMS),
    }
}

fn why_no_server(server: &str) -> Option<&'static str> {
    if server.contains('@') {
        return Some("leave out what stands before `@`");
    }
    server
        .contains(|c: char| !c.is_ascii() || c.is_ascii_uppercase())
        .then_some("write the host in lower case, a name with other letters as DNS has it (`xn--…`)")
}

/// Repositories are in lower case; tags need not be.
fn why_no_repository(path: &str) -> Option<&'static str> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = name.split([':', '@']).next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/*".contains(c);
    (!folders.chars().chain(name.chars()).all(is_part))
        .then_some("write the repository as registries have it: lower case, digits, `.`, `_`, `-`")
}

/// All but a few characters of a path are escaped, in upper case.
fn why_no_file(path: &str) -> Option<&'static str> {
    let is_plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "/-._~*".contains(c))
    };
    let is_digit = |digit: &u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(digit);
    let is_escape = |text: &str| {
        text.as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(is_digit))
    };
    let mut parts = path.split('%');
    let is_written_so =
        parts.next().is_some_and(is_plain) && parts.all(|part| is_escape(part) && is_plain(part));
    (!is_written_so).then_some("write it as `wassette component list` shows it: a blank is `%20`")
}
