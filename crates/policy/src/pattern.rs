//! Patterns over text and over paths, in their one canonical form.
//!
//! A pattern is a set that can be compared exactly: at most one `*` in a text or a segment, and `**` only at
//! the end of a path. There is no character class and no alternative.

use crate::error::{Field, RuleError};
use crate::path::AbsolutePath;
use crate::source::FORMS;
use crate::text::is_unseen;
use std::fmt;
use std::sync::Arc;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;

/// A text with at most one `*`, which stands for any run of characters, also none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Glob {
    before: String,
    after: Option<String>,
}

impl Glob {
    /// `None` when there is more than one `*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some((before, after)) = text.split_once('*') else {
            return Some(Self::literal(text));
        };
        (!after.contains('*')).then(|| Self {
            before: before.to_owned(),
            after: Some(after.to_owned()),
        })
    }

    pub(crate) fn literal(text: &str) -> Self {
        Self {
            before: text.to_owned(),
            after: None,
        }
    }

    /// The text when there is no `*`.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        self.after.is_none().then_some(self.before.as_str())
    }

    /// What stands before and after the `*`; the text and nothing when there is none.
    pub(crate) fn parts(&self) -> (&str, Option<&str>) {
        (&self.before, self.after.as_deref())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.after {
            None => text == self.before,
            Some(after) => text
                .strip_prefix(self.before.as_str())
                .is_some_and(|rest| rest.ends_with(after.as_str())),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        if let Some(after) = &self.after {
            write!(f, "*{after}")?;
        }
        Ok(())
    }
}

/// A set of absolute paths: one glob for each segment, and whether everything below belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Segments {
    globs: Vec<Glob>,
    deep: bool,
}

impl Segments {
    pub(crate) fn new(globs: Vec<Glob>, deep: bool) -> Self {
        Self { globs, deep }
    }

    pub(crate) fn globs(&self) -> &[Glob] {
        &self.globs
    }

    pub(crate) fn is_deep(&self) -> bool {
        self.deep
    }

    /// How many segments come before the first `*`.
    pub(crate) fn fixed(&self) -> usize {
        self.globs
            .iter()
            .take_while(|glob| glob.as_literal().is_some())
            .count()
    }

    /// The path before the first segment with a `*`.
    pub(crate) fn prefix(&self) -> String {
        let mut prefix = String::new();
        for literal in self.globs.iter().map_while(Glob::as_literal) {
            prefix.push('/');
            prefix.push_str(literal);
        }
        if prefix.is_empty() {
            prefix.push('/');
        }
        prefix
    }

    pub(crate) fn matches<'p>(&self, path: impl Iterator<Item = &'p str>) -> bool {
        let mut globs = self.globs.iter();
        for segment in path {
            match globs.next() {
                Some(glob) if glob.matches(segment) => {}
                Some(_) => return false,
                None => return self.deep,
            }
        }
        globs.next().is_none()
    }

    /// Whether the path and all that can be below it belong to the set.
    pub(crate) fn covers_tree<'p>(&self, path: impl Iterator<Item = &'p str>) -> bool {
        self.deep && self.matches(path)
    }

    /// Whether the path, or anything that can be below it, belongs to the set.
    pub(crate) fn touches_tree<'p>(&self, path: impl Iterator<Item = &'p str>) -> bool {
        let mut globs = self.globs.iter();
        for segment in path {
            match globs.next() {
                Some(glob) if glob.matches(segment) => {}
                Some(_) => return false,
                None => return self.deep,
            }
        }
        true
    }

    /// Whether the path is a folder between the first `*` and what belongs to the set.
    pub(crate) fn leads_through<'p>(&self, path: impl Iterator<Item = &'p str>) -> bool {
        let mut globs = self.globs.iter();
        let mut depth = 0;
        for segment in path {
            match globs.next() {
                Some(glob) if glob.matches(segment) => depth += 1,
                Some(_) | None => return false,
            }
        }
        globs.next().is_some() && depth >= self.fixed()
    }
}

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for glob in &self.globs {
            write!(f, "/{glob}")?;
        }
        if self.deep {
            return f.write_str("/**");
        }
        if self.globs.is_empty() {
            return f.write_str("/");
        }
        Ok(())
    }
}

/// The files and folders a storage rule is about.
///
/// Without `*` it is a path and everything below it. `/**` at the end says the same of a path with a `*`; a
/// `*` within a segment stands for any characters of that segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPattern(Segments);

impl PathPattern {
    /// Reads `fs:///path`; `fs://path` is below `base`.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Uri`].
    pub fn storage(uri: &str, base: Option<&AbsolutePath>) -> Result<Self, RuleError> {
        let at_fault = |message: String| RuleError::at(Field::Uri, message);
        let Some(path) = uri.strip_prefix("fs://") else {
            return Err(at_fault(format!("`{}` is not an `fs://` URI", Shown(uri)))
                .hint("write `fs:///` and the absolute path"));
        };
        if path.is_empty() {
            return Err(at_fault("the path is empty".to_owned()).hint("write `fs:///` and the absolute path"));
        }
        let absolute = match (path.starts_with('/'), base) {
            (true, _) => path.to_owned(),
            (false, Some(base)) => format!("{base}/{path}"),
            (false, None) => {
                return Err(at_fault(format!("the path `{}` is relative", Shown(path))).hint(
                    "write `fs:///` and the absolute path; nothing here says what it would be relative to",
                ));
            }
        };
        check_path_characters(&absolute)?;
        check_nothing_expands(path)?;
        Self::absolute(&absolute)
    }

    /// A path and everything below it.
    #[must_use]
    pub fn tree(path: &AbsolutePath) -> Self {
        Self(Segments::new(path.segments().map(Glob::literal).collect(), true))
    }

    fn absolute(path: &str) -> Result<Self, RuleError> {
        let mut globs = Vec::new();
        let mut is_tree = false;
        for segment in path.split('/').filter(|s| !s.is_empty() && *s != ".") {
            if is_tree {
                return Err(
                    RuleError::at(Field::Uri, "`**` is not at the end of the path").hint(
                        "`/**` at the end is all that is below; one `*` stands for a part of one segment",
                    ),
                );
            }
            if segment == ".." {
                return Err(
                    RuleError::at(Field::Uri, "the path contains `..`").hint("write the path it leads to")
                );
            }
            if segment == "**" {
                is_tree = true;
                continue;
            }
            globs.push(Glob::parse(segment).ok_or_else(|| {
                RuleError::at(Field::Uri, format!("`{}` has more than one `*`", Shown(segment)))
                    .hint("a segment can have one `*`; `**` stands alone at the end")
            })?);
        }
        let deep = is_tree || globs.iter().all(|glob| glob.as_literal().is_some());
        Ok(Self(Segments::new(globs, deep)))
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.0
    }

    /// The path before the first segment with a `*`.
    #[must_use]
    pub fn prefix(&self) -> AbsolutePath {
        // Its characters and length were checked, so it is a path; the root would be no grant at all.
        self.0.prefix().parse().unwrap_or_else(|_| AbsolutePath::root())
    }

    /// Whether this path belongs to it.
    #[must_use]
    pub fn matches(&self, path: &AbsolutePath) -> bool {
        self.0.matches(path.segments())
    }
}

impl fmt::Display for PathPattern {
    /// As in a rule, with `fs://` before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fs://")?;
        if self.0.deep && self.0.fixed() == self.0.globs.len() && !self.0.globs.is_empty() {
            return Segments::new(self.0.globs.clone(), false).fmt(f);
        }
        self.0.fmt(f)
    }
}

/// What shells and other readers of paths would replace, or take for more than a path.
fn check_nothing_expands(path: &str) -> Result<(), RuleError> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let first = segments.clone().next().unwrap_or_default();
    let is_drive = first.len() == 2 && first.ends_with(':');
    if first.starts_with('~') || is_drive || segments.any(|segment| segment.starts_with('$')) {
        return Err(
            RuleError::at(Field::Uri, format!("`{}` would not be what it says", Shown(path)))
                .hint("nothing is expanded here: write the whole path of the folder"),
        );
    }
    let is_mount = path.contains(":/") || path.ends_with(":ro") || path.ends_with(":rw");
    if is_mount {
        return Err(RuleError::at(Field::Uri, "a path is written alone")
            .hint("how it is used stands in `access`, and where the component sees it in `guest`"));
    }
    Ok(())
}

fn check_path_characters(path: &str) -> Result<(), RuleError> {
    if path.len() > PATTERN_BYTES_MAX {
        return Err(RuleError::at(
            Field::Uri,
            format!("the path is longer than {PATTERN_BYTES_MAX} bytes"),
        )
        .hint("name a folder above it"));
    }
    if let Some(control) = path.chars().find(|c| c.is_control()) {
        return Err(RuleError::at(
            Field::Uri,
            format!("the path contains the control character {:?}", control),
        )
        .hint("leave it out, or name the folder that such a file is in"));
    }
    let Some(special) = path
        .chars()
        .find(|c| matches!(c, '?' | '[' | ']' | '{' | '}' | '%' | '\\'))
    else {
        return Ok(());
    };
    Err(RuleError::at(
        Field::Uri,
        format!("the path contains `{special}`, which has no meaning here"),
    )
    .hint("only `*` stands for something else, and nothing is decoded; grant the folder instead"))
}

/// Names of functions that are not offered as tools: a text with at most one `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolPattern(Glob);

impl ToolPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Tool`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        let pattern = text_pattern(Field::Tool, text)?;
        // The names of WIT: `namespace:package/interface@1.0.0-rc+b#resource.method`.
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-:/@.+#[]*".contains(c);
        if !text.chars().all(is_part) {
            let hint = "only `*` stands for something; write the name that the component has for it: `write-file`, not `files_write-file`";
            return Err(
                RuleError::at(Field::Tool, format!("no function is like `{}`", Shown(text))).hint(hint),
            );
        }
        Ok(Self(pattern))
    }

    /// Whether a function's name belongs to it.
    #[must_use]
    pub fn matches(&self, function: &str) -> bool {
        self.0.matches(function)
    }

    pub(crate) fn glob(&self) -> &Glob {
        &self.0
    }
}

impl fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn text_pattern(field: Field, text: &str) -> Result<Glob, RuleError> {
    if text.is_empty() {
        return Err(
            RuleError::at(field, "the pattern is empty").hint("write a name, or a part of one and `*`")
        );
    }
    if text.len() > PATTERN_BYTES_MAX {
        return Err(RuleError::at(
            field,
            format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"),
        )
        .hint("write the beginning and `*`"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            RuleError::at(field, "the pattern contains a space or control character")
                .hint("leave it out; no name has one"),
        );
    }
    Glob::parse(text).ok_or_else(|| {
        let hint = if field == Field::Source {
            FORMS
        } else {
            "write several patterns"
        };
        RuleError::at(field, "the pattern has more than one `*`").hint(hint)
    })
}

/// User input in a message: bounded, and without control characters.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARACTERS_MAX: usize = 100;
        for character in self.0.chars().take(SHOWN_CHARACTERS_MAX) {
            if is_unseen(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if self.0.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

/// The text of a rule, as permits, denials and reports carry it.
pub(crate) type RuleText = Arc<str>;
