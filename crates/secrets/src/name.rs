//! The name of a secret, and what can be the value of one.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a secret in bytes.
pub const SECRET_NAME_BYTES_MAX: usize = 128;

/// Longest value of a secret in bytes.
pub const SECRET_VALUE_BYTES_MAX: usize = 64 << 10;

/// The name of a secret: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 128 bytes. Upper and lower case differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = ParseSecretNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(first) = text.bytes().next() else {
            return Err(ParseSecretNameError::Empty);
        };
        if text.len() > SECRET_NAME_BYTES_MAX {
            return Err(ParseSecretNameError::Long(text.len()));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(ParseSecretNameError::Start);
        }
        let is_written_well = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !text.bytes().all(is_written_well) {
            return Err(ParseSecretNameError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretNameError {
    /// No character at all.
    #[error("the name of a secret is not empty")]
    Empty,
    /// More than [`SECRET_NAME_BYTES_MAX`] bytes; holds how many.
    #[error("the name of a secret has at most {SECRET_NAME_BYTES_MAX} bytes, not {0}")]
    Long(usize),
    /// The first character is no letter and no digit.
    #[error("the name of a secret begins with a letter or a digit")]
    Start,
    /// A character outside `A-Z`, `a-z`, `0-9`, `_`, `.` and `-`.
    #[error("the name of a secret is written in A-Z, a-z, 0-9, `_`, `.` and `-`")]
    Character,
}

/// Why a text cannot be the value of a secret. Says nothing of the text but its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretValueError {
    /// Nothing at all.
    #[error("the value of a secret is not empty")]
    Empty,
    /// More than [`SECRET_VALUE_BYTES_MAX`] bytes; holds how many.
    #[error("the value of a secret has at most {SECRET_VALUE_BYTES_MAX} bytes, not {0}")]
    Long(usize),
    /// A line break: the value would become two headers.
    #[error("the value of a secret has no line break")]
    LineBreak,
    /// NUL or another control character, which no header can have.
    #[error("the value of a secret has no control characters")]
    Control,
    /// A blank at its beginning or end, which no server gets: the value would not be found in what comes back.
    #[error("the value of a secret has no blank at its beginning or end")]
    Blank,
}

/// Says whether a text can be the value of a header, and with it of a secret.
pub(crate) fn check_value(value: &str) -> Result<(), SecretValueError> {
    if value.is_empty() {
        return Err(SecretValueError::Empty);
    }
    if value.len() > SECRET_VALUE_BYTES_MAX {
        return Err(SecretValueError::Long(value.len()));
    }
    if value.contains(['\r', '\n']) {
        return Err(SecretValueError::LineBreak);
    }
    if value.contains(char::is_control) {
        return Err(SecretValueError::Control);
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err(SecretValueError::Blank);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str, error: Option<ParseSecretNameError>) {
        let result = text.parse::<SecretName>();
        assert_eq!(result.as_ref().err(), error.as_ref(), "{text:?}");
        if let Ok(name) = result {
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn only_well_formed_names_parse() {
        use ParseSecretNameError::{Character, Empty, Long, Start};
        parsed("a", None);
        parsed("GITHUB_TOKEN", None);
        parsed("1.a-b_c", None);
        parsed(&"a".repeat(128), None);
        parsed("", Some(Empty));
        parsed(&"a".repeat(129), Some(Long(129)));
        parsed("-a", Some(Start));
        parsed(".a", Some(Start));
        parsed("_a", Some(Start));
        parsed("é", Some(Start));
        parsed("a/b", Some(Character));
        parsed("a b", Some(Character));
        parsed("a\0", Some(Character));
        parsed("a\n", Some(Character));
        parsed("aé", Some(Character));
        parsed("a=b", Some(Character));
    }

    #[track_caller]
    fn value(text: &str, error: Option<SecretValueError>) {
        assert_eq!(check_value(text).err(), error, "{} bytes", text.len());
    }

    #[test]
    fn a_value_is_what_a_header_can_carry() {
        use SecretValueError::{Blank, Control, Empty, LineBreak, Long};
        value("x", None);
        value("pässwörd with spaces \"and\\quotes", None);
        value(&"x".repeat(64 << 10), None);
        value("", Some(Empty));
        value(&"x".repeat((64 << 10) + 1), Some(Long((64 << 10) + 1)));
        value("a\nb", Some(LineBreak));
        value("a\r", Some(LineBreak));
        value("a\0", Some(Control));
        value("a\tb", Some(Control));
        value("\u{1b}[31m", Some(Control));
        value("a\u{7f}", Some(Control));
        value("a\u{85}", Some(Control));
        value(" a", Some(Blank));
        value("a ", Some(Blank));
    }
}
