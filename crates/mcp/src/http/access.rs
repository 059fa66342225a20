//! Who a request is from.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use wassette_host::Actor;

use super::oauth::Issuer;

/// What tells one of our tokens from other words.
const TOKEN_PREFIX: &str = "wst_";

/// Random bytes of a token that we make.
const TOKEN_BYTES: usize = 32;

/// Fewer characters can be guessed.
const TOKEN_CHARACTERS_MIN: usize = 24;

/// More characters are no token of anybody.
const TOKEN_CHARACTERS_MAX: usize = 16 * 1024;

/// Characters of a principal's name in the audit file.
const NAME_CHARACTERS_MAX: usize = 200;

/// Who may send requests.
#[derive(Debug)]
pub enum Access {
    /// Everybody who reaches the server.
    Open,
    /// Whoever has this token.
    Token(Token),
    /// Whoever has a token that an authorization server issued for us.
    Issuer(Box<Issuer>),
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    /// List and call components' tools.
    CallTools,
    /// Load, update and unload components.
    ManageComponents,
    /// Grant what components ask for.
    ApprovePermissions,
}

impl Scope {
    pub(crate) const ALL: [Self; 3] = [Self::CallTools, Self::ManageComponents, Self::ApprovePermissions];

    /// As tokens spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CallTools => "tools:call",
            Self::ManageComponents => "components:manage",
            Self::ApprovePermissions => "permissions:approve",
        }
    }
}

/// Who a request is from, and what that one may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    name: Arc<str>,
    scopes: BTreeSet<Scope>,
}

impl Principal {
    /// What is not printable in a name, or too long, could be mistaken for something else where it is shown.
    pub(super) fn new(name: &str, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_control() || c.is_whitespace() {
                    '_'
                } else {
                    c
                }
            })
            .take(NAME_CHARACTERS_MAX)
            .collect();
        Self {
            name: name.into(),
            scopes: scopes.into_iter().collect(),
        }
    }

    fn with_all_scopes(name: &str) -> Self {
        Self::new(name, Scope::ALL)
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// As one process tells it another.
    pub(super) fn to_header(&self) -> Result<HeaderValue, header::InvalidHeaderValue> {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| scope.name()).collect();
        let text = json!([*self.name, scopes]).to_string();
        HeaderValue::from_str(&BASE64_URL_SAFE_NO_PAD.encode(text))
    }

    pub(super) fn from_header(value: &HeaderValue) -> Option<Self> {
        let text = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
        let (name, scopes): (String, Vec<String>) = serde_json::from_slice(&text).ok()?;
        let scopes = Scope::ALL
            .into_iter()
            .filter(|scope| scopes.iter().any(|name| name == scope.name()));
        Some(Self::new(&name, scopes))
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Agent {
            principal: self.name.to_string(),
        }
    }
}

/// Why nobody is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There is no token.
    Missing,
    /// There is one, and it is none of ours; why.
    Invalid(&'static str),
    /// Whether the token is good cannot be told now.
    Unknown,
}

impl Access {
    /// Who sent these headers.
    pub(super) async fn principal(&self, headers: &HeaderMap) -> Result<Principal, Denied> {
        match self {
            Self::Open => Ok(Principal::with_all_scopes("http")),
            Self::Token(token) => {
                let is_ours = token.is(bearer(headers)?);
                is_ours
                    .then(|| Principal::with_all_scopes("http:token"))
                    .ok_or(Denied::Invalid("the token is not the one of this server"))
            }
            Self::Issuer(issuer) => issuer.principal(bearer(headers)?).await,
        }
    }

    /// What a client is told that has to authenticate.
    pub(super) fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Issuer(issuer) => Some(issuer),
            Self::Open | Self::Token(_) => None,
        }
    }
}

/// The token of the one `Authorization` header. Tokens in the address are not read: addresses are logged.
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Denied::Missing)?;
    if values.next().is_some() {
        return Err(Denied::Invalid("there is more than one `Authorization` header"));
    }
    let value = value
        .to_str()
        .map_err(|_| Denied::Invalid("the token is not text"))?;
    let (scheme, token) = value
        .split_once(' ')
        .ok_or(Denied::Invalid("the token is missing"))?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Denied::Invalid("the scheme must be `Bearer`"));
    }
    if token.len() > TOKEN_CHARACTERS_MAX {
        return Err(Denied::Invalid("the token is too long"));
    }
    Ok(token)
}

/// A secret that lets its bearer in; here only what it hashes to, so that comparing tells nothing about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Why a text is no token.
#[derive(Debug, thiserror::Error)]
#[error("a token has {TOKEN_CHARACTERS_MIN} to 1024 visible ASCII characters")]
pub struct ParseTokenError(());

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`ParseTokenError`] for one that can be guessed or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, ParseTokenError> {
        let is_sound = (TOKEN_CHARACTERS_MIN..=1024).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(hash(text))).ok_or(ParseTokenError(()))
    }

    /// Makes the text of a new one, of 256 random bits.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn make() -> std::io::Result<String> {
        let mut bytes = [0; TOKEN_BYTES];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| std::io::Error::other("the system has no random numbers"))?;
        Ok(format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn is(&self, text: &str) -> bool {
        verify_slices_are_equal(&self.0, &hash(text)).is_ok()
    }
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with(access: &Access, values: &[&str]) -> Result<String, Denied> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        access
            .principal(&headers)
            .await
            .map(|principal| principal.name.to_string())
    }

    #[tokio::test]
    async fn only_the_token_lets_in() {
        let text = Token::make().unwrap();
        assert_ne!(text, Token::make().unwrap());
        let access = Access::Token(Token::new(&text).unwrap());
        let ours = format!("Bearer {text}");
        assert_eq!(with(&access, &[&ours]).await, Ok("http:token".to_owned()));
        assert_eq!(
            with(&access, &[&format!("bearer  {text}")]).await,
            Ok("http:token".to_owned())
        );
        assert_eq!(with(&access, &[]).await, Err(Denied::Missing));
        for wrong in [
            "Bearer wst_another",
            "Bearer ",
            "Bearer",
            &format!("Basic {text}"),
            &text,
            &format!("{ours}x"),
        ] {
            assert!(
                matches!(with(&access, &[wrong]).await, Err(Denied::Invalid(_))),
                "{wrong}"
            );
        }
        assert!(matches!(
            with(&access, &[&ours, &ours]).await,
            Err(Denied::Invalid(_))
        ));
        let long = format!("Bearer {}", "a".repeat(TOKEN_CHARACTERS_MAX + 1));
        assert!(matches!(with(&access, &[&long]).await, Err(Denied::Invalid(_))));
        assert!(!format!("{access:?}").contains(&text));
    }

    #[test]
    fn tokens_that_can_be_guessed_are_refused() {
        for text in [
            "",
            "short",
            "twenty-three-characters",
            &"a b".repeat(10),
            &"ä".repeat(20),
            &"a".repeat(1025),
        ] {
            assert!(Token::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_process_is_told_who_it_is_and_no_more() {
        for scopes in [&[][..], &[Scope::CallTools], &Scope::ALL] {
            let principal = Principal::new("änne#1", scopes.iter().copied());
            let header = principal.to_header().unwrap();
            assert_eq!(Principal::from_header(&header), Some(principal));
        }
        for wrong in ["", "x", "bm90IGpzb24", "eyJ9"] {
            assert_eq!(Principal::from_header(&wrong.parse().unwrap()), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_is_shown_as_one_word() {
        let principal = Principal::new(&format!("a b\n{}", "c".repeat(300)), []);
        assert_eq!(principal.name.len(), NAME_CHARACTERS_MAX);
        assert!(principal.name.starts_with("a_b_c"));
    }
}
