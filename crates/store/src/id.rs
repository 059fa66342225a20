//! Our stable name of a component.
//!
//! An id is short, safe in a file name, a tool name and a shell, and has one spelling. It is *not* derived
//! injectively from where the component came from: two origins may suggest the same id, which is why a
//! record binds its id to its origin and the host refuses the second one.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest id in bytes. Leaves room for a function's name within the 64 bytes that clients allow a tool name.
pub const COMPONENT_ID_BYTES_MAX: usize = 40;

/// What a stem without one usable character becomes.
const FALLBACK: &str = "component";

/// A component's id: `[a-z][a-z0-9-]*`, at most 40 bytes, no `--`, not ending in `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId(Arc<str>);

impl ComponentId {
    /// Makes an id from a file's stem or the last segment of a repository's name.
    ///
    /// Letters are lower-cased, every run of other characters becomes one `-`, what does not begin with
    /// a letter gets `c-` in front, and the result is cut at 40 bytes. Never fails: a stem without a usable
    /// character gives `component`.
    pub fn from_stem(stem: &str) -> Self {
        let mut id = String::with_capacity(COMPONENT_ID_BYTES_MAX);
        for character in stem.chars() {
            if id.len() >= COMPONENT_ID_BYTES_MAX {
                break;
            }
            let character = character.to_ascii_lowercase();
            if character.is_ascii_lowercase() || character.is_ascii_digit() {
                if id.is_empty() && character.is_ascii_digit() {
                    id.push_str("c-");
                }
                id.push(character);
            } else if !id.is_empty() && !id.ends_with('-') {
                id.push('-');
            }
        }
        id.truncate(id.trim_end_matches('-').len());
        if id.is_empty() {
            id.push_str(FALLBACK);
        }
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ComponentId {
    type Err = ParseComponentIdError;

    fn from_str(text: &str) -> Result<Self, ParseComponentIdError> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() {
            return Err(ParseComponentIdError::Empty);
        }
        if text.len() > COMPONENT_ID_BYTES_MAX {
            return Err(ParseComponentIdError::Long(text.len()));
        }
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(ParseComponentIdError::Start);
        }
        if !text.bytes().all(legal) {
            return Err(ParseComponentIdError::Character);
        }
        if text.ends_with('-') || text.contains("--") {
            return Err(ParseComponentIdError::Hyphen);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ComponentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ComponentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a component id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseComponentIdError {
    /// No character at all.
    #[error("a component id is not empty")]
    Empty,
    /// More than [`COMPONENT_ID_BYTES_MAX`] bytes; holds how many.
    #[error("a component id has at most {COMPONENT_ID_BYTES_MAX} bytes, not {0}")]
    Long(usize),
    /// The first character is not `a` to `z`.
    #[error("a component id begins with a letter from a to z")]
    Start,
    /// A character outside `a-z`, `0-9` and `-`.
    #[error("a component id is written in a-z, 0-9 and `-`")]
    Character,
    /// `-` at the end, or two in a row.
    #[error("a component id has no `--` and does not end in `-`")]
    Hyphen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str, error: Option<ParseComponentIdError>) {
        let result = text.parse::<ComponentId>();
        assert_eq!(result.as_ref().err(), error.as_ref(), "{text:?}");
        if let Ok(id) = result {
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn only_well_formed_ids_parse() {
        use ParseComponentIdError::{Character, Empty, Hyphen, Long, Start};
        parsed("a", None);
        parsed("time", None);
        parsed("a-1-b", None);
        parsed(&"a".repeat(40), None);
        parsed("", Some(Empty));
        parsed(&"a".repeat(41), Some(Long(41)));
        parsed("-a", Some(Start));
        parsed("1a", Some(Start));
        parsed("A", Some(Start));
        parsed("é", Some(Start));
        parsed("aB", Some(Character));
        parsed("a_b", Some(Character));
        parsed("a.b", Some(Character));
        parsed("a/b", Some(Character));
        parsed("a b", Some(Character));
        parsed("a\n", Some(Character));
        parsed("a\0", Some(Character));
        parsed("aé", Some(Character));
        parsed("a-", Some(Hyphen));
        parsed("a--b", Some(Hyphen));
    }

    #[track_caller]
    fn stem(stem: &str, id: &str) {
        let made = ComponentId::from_stem(stem);
        assert_eq!(made.as_str(), id, "{stem:?}");
        assert_eq!(id.parse(), Ok(made), "an id made from a stem must parse");
    }

    #[test]
    fn every_stem_gives_a_legal_id() {
        stem("time", "time");
        stem("My Tool_v2", "my-tool-v2");
        stem("fetch.component", "fetch-component");
        stem("__x__", "x");
        stem("a---b", "a-b");
        stem("7zip", "c-7zip");
        stem("", "component");
        stem("...", "component");
        stem("日本", "component");
        stem("日本x", "x");
        stem("\u{0}\n", "component");
        stem(&"x".repeat(100), &"x".repeat(40));
        stem(&format!("{}-y", "x".repeat(39)), &"x".repeat(39));
        stem(&"1".repeat(100), &format!("c-{}", "1".repeat(38)));
    }
}
