//! The identity of bytes: a SHA-256 digest, written `sha256:<64 lower-case hexadecimal digits>`.
//!
//! Exactly one text stands for one digest, so that texts may be compared: upper case, other algorithms
//! and surrounding space are refused, not repaired.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";
const BYTES: usize = 32;

/// The SHA-256 digest of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; BYTES]);

impl Digest {
    /// Computes the digest of bytes that are already in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut builder = DigestBuilder::new();
        builder.update(bytes);
        builder.finish()
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The 64 hexadecimal digits without the algorithm's name; also the name of the blob's file.
    pub fn hex(&self) -> String {
        // Not by `format!`: a digest is in every line of the audit file, and 32 small strings are felt there.
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let hex = text.strip_prefix(PREFIX).ok_or(ParseDigestError::Algorithm)?;
        parse_hex(hex).map(Self)
    }
}

/// Reads exactly 64 lower-case hexadecimal digits.
fn parse_hex(hex: &str) -> Result<[u8; BYTES], ParseDigestError> {
    if hex.len() != 2 * BYTES {
        return Err(ParseDigestError::Length(hex.len()));
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(ParseDigestError::Digit),
            };
            *byte = (*byte << 4) | value;
        }
    }
    Ok(bytes)
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// The text does not begin with `sha256:`.
    #[error("a digest begins with `sha256:`")]
    Algorithm,
    /// Not 64 digits; holds the number of bytes found.
    #[error("a sha256 digest has 64 digits, not {0}")]
    Length(usize),
    /// A character that is no lower-case hexadecimal digit.
    #[error("a digest is written in the digits 0-9 and a-f")]
    Digit,
}

/// Computes a digest piece by piece, while bytes arrive.
#[derive(Clone, Default)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Starts with no bytes seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Ends the computation.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for DigestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestBuilder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        let mut builder = DigestBuilder::new();
        builder.update(b"ab");
        builder.update(b"");
        builder.update(b"c");
        assert_eq!(builder.finish(), Digest::of(b"abc"));
    }

    #[track_caller]
    fn refused(text: &str, error: ParseDigestError) {
        assert_eq!(text.parse::<Digest>(), Err(error), "{text:?}");
        assert!(serde_json::from_value::<Digest>(text.into()).is_err(), "{text:?}");
    }

    #[test]
    fn malformed_digests_are_refused() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        refused("", ParseDigestError::Algorithm);
        refused(hex, ParseDigestError::Algorithm);
        refused(&format!("sha512:{hex}"), ParseDigestError::Algorithm);
        refused(&format!("SHA256:{hex}"), ParseDigestError::Algorithm);
        refused(&format!(" sha256:{hex}"), ParseDigestError::Algorithm);
        refused("sha256:", ParseDigestError::Length(0));
        refused(EMPTY.trim_end_matches('5'), ParseDigestError::Length(62));
        refused(&format!("{EMPTY}0"), ParseDigestError::Length(65));
        refused(&format!("{EMPTY}\n"), ParseDigestError::Length(65));
        refused(&EMPTY.replacen('e', "E", 1), ParseDigestError::Digit);
        refused(&EMPTY.replacen('e', "g", 1), ParseDigestError::Digit);
        refused(&EMPTY.replacen("e3", "é", 1), ParseDigestError::Digit);
        refused(&EMPTY.replacen('e', "+", 1), ParseDigestError::Digit);
        refused(&EMPTY.replacen("e3", "..", 1), ParseDigestError::Digit);
        refused(&EMPTY.replacen('e', "\0", 1), ParseDigestError::Digit);
    }

    #[test]
    fn json_is_the_text() {
        let json = serde_json::to_value(Digest::of(b"")).unwrap();
        assert_eq!(json, EMPTY);
        assert_eq!(serde_json::from_value::<Digest>(json).unwrap(), Digest::of(b""));
    }
}
