//! The paths of requests a rule is about, in the one form in which they are compared.

use crate::error::{Field, RuleError};
use crate::pattern::{Glob, Segments, Shown};
use crate::url::{ParseTargetError, URL_BYTES_MAX, normal_segment};
use std::fmt;

const STARS: ParseTargetError = ParseTargetError::new(
    "a segment has more than one `*`",
    "a segment can have one `*`; `**` stands alone at the end",
);

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
            let message = format!("`{}` is not a pattern of paths: {why}", Shown(text));
            RuleError::at(Field::Paths, message).hint(why.hint())
        })
    }

    /// A path and everything below it, as in a URL that stands for a host.
    pub(crate) fn below(path: &str) -> Result<Self, ParseTargetError> {
        if path.contains('*') {
            return Self::read(path);
        }
        let Self(segments) = Self::read(if path.is_empty() { "/" } else { path })?;
        Ok(Self(Segments::new(segments.globs().to_vec(), true)))
    }

    fn read(text: &str) -> Result<Self, ParseTargetError> {
        if text.len() > URL_BYTES_MAX {
            return Err(ParseTargetError::new("it is too long", "write at most 16 KiB"));
        }
        if text.contains(['?', '#']) {
            return Err(ParseTargetError::new(
                "the query is not part of a path",
                "leave out `?` or `#` and what follows; no rule can be about it",
            ));
        }
        if text.contains('\\') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ParseTargetError::new(
                "it contains a backslash, space or control character",
                "write `/` between segments, and `%20` for a space",
            ));
        }
        if text.contains(['{', '}', '[', ']', '^', '$', '|']) || text.split('/').any(|part| part == ".*") {
            return Err(ParseTargetError::new(
                "it looks as if it meant something else",
                "only `*` stands for something: write `/users/*/delete` for any user, `/**` at the end for all below",
            ));
        }
        let rest = text.strip_prefix('/').ok_or(ParseTargetError::new(
            "it does not begin with `/`",
            "write for example `/v1/users`, or `/v1/**` for all that is below `/v1`",
        ))?;
        let mut globs = Vec::new();
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            match segment {
                "" if is_last => return Ok(Self(Segments::new(globs, true))),
                "" => {
                    return Err(ParseTargetError::new(
                        "it contains an empty segment",
                        "write one `/` between segments",
                    ));
                }
                "**" if is_last => return Ok(Self(Segments::new(globs, true))),
                "**" => {
                    return Err(ParseTargetError::new(
                        "`**` is not at the end",
                        "write `*` for one segment; `/**` at the end is all that is below",
                    ));
                }
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

fn segment_glob(segment: &str) -> Result<Glob, ParseTargetError> {
    let Some((before, after)) = segment.split_once('*') else {
        return Ok(Glob::literal(&normal_segment(segment)?));
    };
    if after.contains('*') {
        return Err(STARS);
    }
    // A dot beside the `*` is no dot segment; a request never has one.
    let part = |text: &str| match text {
        "." | ".." => Ok(text.to_owned()),
        _ => normal_segment(text),
    };
    let pattern = format!("{}*{}", part(before)?, part(after)?);
    Glob::parse(&pattern).ok_or(STARS)
}

impl fmt::Display for UrlPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
