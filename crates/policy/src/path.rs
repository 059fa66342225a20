//! Absolute paths as text: normal, comparable, and without a file system behind them.

use std::fmt;
use std::str::FromStr;

/// Longest path, in bytes; Linux's `PATH_MAX`.
pub const PATH_BYTES_MAX: usize = 4096;

/// An absolute path with `/` between its segments, none of which is empty, `.` or `..`, and without NUL.
///
/// `/` alone is the root. Whether anything is there is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AbsolutePath(String);

/// Why a text is not an [`AbsolutePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePathError {
    /// It does not begin with `/`.
    #[error("the path is not absolute")]
    Relative,
    /// It has a segment `..`.
    #[error("the path contains `..`")]
    Parent,
    /// It has a NUL character.
    #[error("the path contains a NUL character")]
    Nul,
    /// It is longer than [`PATH_BYTES_MAX`].
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
}

impl ParsePathError {
    /// What to write instead.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Relative => "begin with `/`",
            Self::Parent => "write the path it leads to",
            Self::Nul => "leave the character out; no path has it",
            Self::TooLong => "name a folder above it",
        }
    }
}

impl AbsolutePath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Its segments from the root on; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The folder it is in; the root has none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _name) = self.0.rsplit_once('/').filter(|_| !self.is_root())?;
        Some(if parent.is_empty() {
            Self::root()
        } else {
            Self(parent.to_owned())
        })
    }

    /// Its last segment; the root has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segments().next_back()
    }

    /// What is below it under this relative path. Dots and empty segments in `below` drop out; `..` is an error.
    ///
    /// # Errors
    ///
    /// As for parsing.
    pub fn join(&self, below: &str) -> Result<Self, ParsePathError> {
        format!("{}/{below}", self.0).parse()
    }

    /// The part of `self` below `folder`, without a leading `/`; empty when they are the same.
    #[must_use]
    pub fn below(&self, folder: &Self) -> Option<&str> {
        if folder.is_root() {
            return self.0.strip_prefix('/');
        }
        let rest = self.0.strip_prefix(folder.as_str())?;
        if rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix('/')
    }
}

impl FromStr for AbsolutePath {
    type Err = ParsePathError;

    /// Empty segments and `.` drop out, as the kernel would have it; `..` is refused, because what it means
    /// depends on links.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err(ParsePathError::Relative);
        }
        if text.contains('\0') {
            return Err(ParsePathError::Nul);
        }
        let mut path = String::with_capacity(text.len());
        for segment in text.split('/').filter(|s| !s.is_empty() && *s != ".") {
            if segment == ".." {
                return Err(ParsePathError::Parent);
            }
            path.push('/');
            path.push_str(segment);
        }
        if path.is_empty() {
            path.push('/');
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(ParsePathError::TooLong);
        }
        Ok(Self(path))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
