//! The name of a process among those that serve one store: part of the ids of what lives in it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// Hexadecimal digits of a name.
const DIGITS: usize = 16;

/// A name that no other process has: 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessName(Arc<str>);

impl ProcessName {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn make() -> std::io::Result<Self> {
        let mut bytes = [0; DIGITS / 2];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| std::io::Error::other("the system has no random numbers"))?;
        Ok(Self(format!("{:016x}", u64::from_be_bytes(bytes)).into()))
    }

    /// Reads a name. What is none can be no part of a path either.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name =
            text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, among all processes, of what has this id here.
    pub(crate) fn mark(&self, id: &str) -> String {
        format!("{self}-{id}")
    }

    /// Where something with this id lives, and the id that it has there. None for an id that no process gave out.
    pub(crate) fn of(id: &str) -> Option<(Self, &str)> {
        let (name, rest) = id.split_at_checked(DIGITS)?;
        Some((Self::parse(name)?, rest.strip_prefix('-')?))
    }

    /// The id that something has here; none if it is not from here.
    pub(crate) fn own<'a>(&self, id: &'a str) -> Option<&'a str> {
        let (name, rest) = Self::of(id)?;
        (name == *self).then_some(rest)
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_where_it_is_from() {
        let (one, other) = (ProcessName::make().unwrap(), ProcessName::make().unwrap());
        assert_ne!(one, other);
        let id = one.mark("5e0c-1");
        assert_eq!(ProcessName::of(&id), Some((one.clone(), "5e0c-1")));
        assert_eq!((one.own(&id), other.own(&id)), (Some("5e0c-1"), None));
    }

    #[test]
    fn what_could_be_a_path_is_no_name() {
        for text in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "../../etc/passwd",
            "../../../../../..",
            "0123456789abcde/",
            "０１２３４５",
        ] {
            assert_eq!(ProcessName::parse(text), None, "{text}");
            assert_eq!(ProcessName::of(&format!("{text}-1")), None, "{text}");
        }
        assert!(ProcessName::parse("0123456789abcdef").is_some());
        assert_eq!(ProcessName::of("3f2504e0-4f89-41d3-9a0c-0305e82c3301"), None);
    }
}
