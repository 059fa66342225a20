//! Signers, and the rules that say which of them count.
//!
//! A signer is written the same way everywhere (lock files, revocations, messages):
//!
//! ```text
//! keyless:<identity>@@<issuer>     keyless:https://github.com/org/tool/.github/workflows/release.yml@refs/heads/main@@https://…
//! key:sha256:<64 hex digits>       the SHA-256 of the key's SubjectPublicKeyInfo
//! ```
//!
//! An issuer contains no `@@` and does not begin with `@`, so that the last `@@` divides the text in one way only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::{Fingerprint, PublicKey};

/// Longest identity and longest issuer.
pub const IDENTITY_BYTES_MAX: usize = 2048;

const KEYLESS: &str = "keyless:";
const KEY: &str = "key:";
const BETWEEN: &str = "@@";

/// An identity and the issuer that vouched for it: neither means anything without the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyless {
    identity: String,
    issuer: String,
}

impl Keyless {
    /// An identity under an issuer, both exactly as in the certificate.
    ///
    /// # Errors
    ///
    /// When one of them is empty, too long, has a character that is not visible ASCII (names in certificates have no
    /// others), or the issuer could not be told from the identity in writing.
    pub fn new(identity: &str, issuer: &str) -> Result<Self, ParseSignerError> {
        if !is_name(identity) {
            return Err(ParseSignerError::Identity);
        }
        check_issuer(issuer)?;
        Ok(Self {
            identity: identity.to_owned(),
            issuer: issuer.to_owned(),
        })
    }

    /// The name in the certificate: an address, or the URI of a workflow.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The URL of who confirmed the identity.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn check_issuer(issuer: &str) -> Result<(), ParseSignerError> {
    let is_distinct = !issuer.starts_with('@') && !issuer.contains(BETWEEN);
    if is_name(issuer) && is_distinct {
        return Ok(());
    }
    Err(ParseSignerError::Issuer)
}

fn is_name(text: &str) -> bool {
    (1..=IDENTITY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Who made a signature that was verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signer {
    /// Somebody whose identity an issuer confirmed when the signature was made.
    Keyless(Keyless),
    /// Who has the private half of this key.
    Key(Fingerprint),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyless(Keyless { identity, issuer }) => write!(f, "{KEYLESS}{identity}{BETWEEN}{issuer}"),
            Self::Key(fingerprint) => write!(f, "{KEY}{fingerprint}"),
        }
    }
}

impl FromStr for Signer {
    type Err = ParseSignerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(names) = text.strip_prefix(KEYLESS) {
            let (identity, issuer) = names.rsplit_once(BETWEEN).ok_or(ParseSignerError::Form)?;
            return Keyless::new(identity, issuer).map(Self::Keyless);
        }
        let fingerprint = text.strip_prefix(KEY).ok_or(ParseSignerError::Form)?;
        fingerprint.parse().map(Self::Key)
    }
}

impl Serialize for Signer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text names no signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSignerError {
    /// Neither form.
    #[error("a signer is written `keyless:<identity>@@<issuer>` or `key:sha256:<64 hex digits>`")]
    Form,
    /// The identity.
    #[error("an identity has 1 to {IDENTITY_BYTES_MAX} visible ASCII characters")]
    Identity,
    /// The issuer.
    #[error(
        "an issuer has 1 to {IDENTITY_BYTES_MAX} visible ASCII characters, no `@@`, and no `@` at its beginning"
    )]
    Issuer,
    /// A star in an identity, where it would let in too many or nobody.
    #[error(
        "`*` may stand only at the end of an identity, after `@` or `/`, behind `https://`, a host and a path"
    )]
    Star,
    /// The digest of a key.
    #[error("the digest of a key is `sha256:` and 64 lower-case hex digits")]
    Fingerprint,
}

/// Which identities a rule means: one exactly, or all that begin alike.
///
/// The URI of a workflow ends in the branch or tag it ran for (`…/release.yml@refs/tags/v1.2`), so that it is another
/// for each release; hence `*` may end it. No other pattern is offered: who could write `.*` would trust everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityPattern(String);

impl IdentityPattern {
    fn matches(&self, identity: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => identity.len() > start.len() && identity.starts_with(start),
            None => self.0 == identity,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentityPattern {
    type Err = ParseSignerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_name(text) {
            return Err(ParseSignerError::Identity);
        }
        if let Some((start, rest)) = text.split_once('*') {
            let names_somebody = start.strip_prefix("https://").is_some_and(has_host_and_path);
            if !rest.is_empty() || !start.ends_with(['@', '/']) || !names_somebody {
                return Err(ParseSignerError::Star);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a URL without its scheme names a place on a host: `github.com/*` would be everybody there.
fn has_host_and_path(text: &str) -> bool {
    let mut parts = text.split('/').map(|part| part.trim_matches('@'));
    let host = parts.next().unwrap_or_default();
    let first = parts.next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && !first.is_empty()
}

/// Who counts as a signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerRule {
    /// An identity under an issuer.
    Keyless {
        /// Which identities.
        identity: IdentityPattern,
        /// The issuer, exactly.
        issuer: String,
    },
    /// Who has the private half of this key.
    Key(PublicKey),
}

impl SignerRule {
    /// A rule for an identity, or for all that begin alike, under one issuer.
    ///
    /// # Errors
    ///
    /// Those of [`Keyless::new`], and a `*` that stands where it may not.
    pub fn keyless(identity: &str, issuer: &str) -> Result<Self, ParseSignerError> {
        check_issuer(issuer)?;
        Ok(Self::Keyless {
            identity: identity.parse()?,
            issuer: issuer.to_owned(),
        })
    }

    /// Whether the rule means this signer.
    pub fn means(&self, signer: &Signer) -> bool {
        match (self, signer) {
            (Self::Keyless { identity, issuer }, Signer::Keyless(signer)) => {
                identity.matches(&signer.identity) && *issuer == signer.issuer
            }
            (Self::Key(key), Signer::Key(fingerprint)) => key.fingerprint() == *fingerprint,
            (Self::Keyless { .. }, Signer::Key(_)) | (Self::Key(_), Signer::Keyless(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.example";

    #[track_caller]
    fn round(text: &str, expected: &Signer) {
        assert_eq!(text.parse().as_ref(), Ok(expected));
        assert_eq!(expected.to_string(), text);
        let json = serde_json::to_string(expected).expect("text");
        assert_eq!(
            serde_json::from_str::<Signer>(&json).expect("a signer"),
            *expected
        );
    }

    #[test]
    fn a_signer_is_written_and_read_alike() {
        let workflow = "https://github.com/o/t/.github/workflows/r.yml@refs/heads/main";
        let keyless = |identity, issuer| Signer::Keyless(Keyless::new(identity, issuer).expect("names"));
        round(
            &format!("keyless:{workflow}@@{ISSUER}"),
            &keyless(workflow, ISSUER),
        );
        round("keyless:dev@@@https://i", &keyless("dev@", "https://i"));
        round("keyless:a@@b@@https://i", &keyless("a@@b", "https://i"));
        let hex = "ab".repeat(32);
        let key = Signer::Key(Fingerprint::of_digest([0xab; 32]));
        round(&format!("key:sha256:{hex}"), &key);
    }

    #[test]
    fn what_names_nobody_is_refused() {
        let long = "a".repeat(IDENTITY_BYTES_MAX + 1);
        for (text, expected) in [
            ("", ParseSignerError::Form),
            ("dev@example.org", ParseSignerError::Form),
            ("keyless:dev@example.org", ParseSignerError::Form),
            ("keyless:@@https://i", ParseSignerError::Identity),
            ("keyless:dev@example.org@@", ParseSignerError::Issuer),
            ("keyless:a b@@https://i", ParseSignerError::Identity),
            ("keyless:a\u{202e}b@@https://i", ParseSignerError::Identity),
            (&format!("keyless:{long}@@https://i"), ParseSignerError::Identity),
            ("key:sha256:ab", ParseSignerError::Fingerprint),
            ("key:md5:ab", ParseSignerError::Fingerprint),
            (
                &format!("key:sha256:{}", "AB".repeat(32)),
                ParseSignerError::Fingerprint,
            ),
            (
                &format!("key:sha256:{}", "+b".repeat(32)),
                ParseSignerError::Fingerprint,
            ),
        ] {
            assert_eq!(text.parse::<Signer>(), Err(expected), "{text}");
        }
        assert_eq!(Keyless::new("a", "@b"), Err(ParseSignerError::Issuer));
        assert_eq!(Keyless::new("a", "b@@c"), Err(ParseSignerError::Issuer));
    }

    #[track_caller]
    fn meant(identity: &str, by: &str, expected: bool) {
        let rule = SignerRule::keyless(by, ISSUER).expect("a rule");
        let signer = |issuer| Signer::Keyless(Keyless::new(identity, issuer).expect("names"));
        assert_eq!(rule.means(&signer(ISSUER)), expected);
        assert!(!rule.means(&signer("https://issuer.example/")));
        assert!(!rule.means(&signer("https://other.example")));
    }

    #[test]
    fn a_rule_means_an_identity_and_its_issuer() {
        meant("dev@example.org", "dev@example.org", true);
        meant("dev@example.org.evil.example", "dev@example.org", false);
        meant("Dev@example.org", "dev@example.org", false);
        let tags = "https://github.com/o/t/.github/workflows/r.yml@*";
        meant(
            "https://github.com/o/t/.github/workflows/r.yml@refs/tags/v1",
            tags,
            true,
        );
        meant("https://github.com/o/t/.github/workflows/r.yml@", tags, false);
        meant(
            "https://github.com/o/t/.github/workflows/r.yml.evil@refs/tags/v1",
            tags,
            false,
        );
        meant("https://github.com/o/x", "https://github.com/o/*", true);
        meant("https://github.com/ox/x", "https://github.com/o/*", false);
    }

    #[test]
    fn a_star_stands_only_where_it_still_means_somebody() {
        for text in [
            "*",
            "*@example.org",
            "dev@*",
            "https://*",
            "https://github.com/*",
            "https://github.com/o*",
            "https://github.com/@*",
            "https://github.com//*",
            "https://a@b/o/*",
            "http://github.com/o/*",
            "https://github.com/o/*/x",
            "https://github.com/o/**",
        ] {
            assert_eq!(
                SignerRule::keyless(text, ISSUER),
                Err(ParseSignerError::Star),
                "{text}"
            );
        }
        assert_eq!(SignerRule::keyless("", ISSUER), Err(ParseSignerError::Identity));
        assert_eq!(
            SignerRule::keyless("dev@example.org", ""),
            Err(ParseSignerError::Issuer)
        );
    }
}
