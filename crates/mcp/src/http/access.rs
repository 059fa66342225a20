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
use wassette_host::{Actor, sanitize};

use super::oauth::Issuer;

/// What tells one of our tokens from other words.
const TOKEN_PREFIX: &str = "wst_";

/// Random bytes of a token that we make.
const TOKEN_BYTES: usize = 32;

/// Fewer characters can be guessed.
const TOKEN_CHARACTERS_MIN: usize = 24;

/// More characters are no token of anybody.
const TOKEN_CHARACTERS_MAX: usize = 16 * 1024;

/// Bytes of what a claim says, as far as they are shown in a principal's name.
const SHOWN_BYTES_MAX: usize = 200;

/// Bytes of what a claim may say about whose a token is. Nobody is called so; it is not cut, because what is cut may
/// be somebody else.
const CLAIM_BYTES_MAX: usize = 1024;

/// What stands before a digest in a name, and nowhere else in one.
const DIGEST_MARK: char = '#';

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
    /// Call components' tools, and what else runs a component or tells of a call. Lists need a good token and no scope.
    CallTools,
    /// Load and unload components, and take permissions back.
    ManageComponents,
    /// Approve in the client what `request-permission` asks for: a person uses it who may.
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

/// The claim that says whose a token is. What two claims say are two principals, though the words be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// `sub`.
    Subject,
    /// `client_id`.
    Client,
    /// `azp`.
    Party,
}

impl Claim {
    /// What names begin with. No colon in it, so that it ends at the first one.
    fn prefix(self) -> &'static str {
        match self {
            Self::Subject => "oauth",
            Self::Client => "oauth-client",
            Self::Party => "oauth-azp",
        }
    }
}

/// Who a request is from, and what that one may do.
///
/// INVARIANT: two that are not the same have different names. Sessions, tasks, what clients keep and what they may ask
/// are bound to the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    name: Arc<str>,
    scopes: BTreeSet<Scope>,
}

impl Principal {
    /// Whom a claim of a token names.
    pub(super) fn claimed(
        claim: Claim,
        value: &str,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Result<Self, Denied> {
        if value.len() > CLAIM_BYTES_MAX {
            return Err(Denied::Invalid("the token says too much about whose it is"));
        }
        Ok(Self::named(
            &format!("{}:{}", claim.prefix(), unmistakable(value)),
            scopes,
        ))
    }

    fn named(name: &str, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.into_iter().collect(),
        }
    }

    /// Whoever reaches us without a token of its own. It may be a program that answers for a person.
    fn shared(name: &str) -> Self {
        Self::named(name, [Scope::CallTools, Scope::ManageComponents])
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn may(&self, scope: Scope) -> bool {
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
        Some(Self::named(&name, scopes))
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Agent {
            principal: self.name.to_string(),
        }
    }
}

/// A text as one word that can be shown, and that no other text becomes.
///
/// The audit file is read by people, so what they do not see is left out. What is not shown as it is ends in its
/// digest, and so does what has the mark of one.
fn unmistakable(text: &str) -> String {
    let shown = sanitize(text, SHOWN_BYTES_MAX).replace(char::is_whitespace, "_");
    if shown == text && !text.contains(DIGEST_MARK) {
        return shown;
    }
    let digest = BASE64_URL_SAFE_NO_PAD.encode(hash(text));
    format!("{shown}{DIGEST_MARK}{digest}")
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
            Self::Open => Ok(Principal::shared("http")),
            Self::Token(token) => {
                let is_ours = token.is(bearer(headers)?);
                is_ours
                    .then(|| Principal::shared("http:token"))
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
            let principal = Principal::claimed(Claim::Subject, "änne #1", scopes.iter().copied()).unwrap();
            let header = principal.to_header().unwrap();
            assert_eq!(Principal::from_header(&header), Some(principal));
        }
        for wrong in ["", "x", "bm90IGpzb24", "eyJ9"] {
            assert_eq!(Principal::from_header(&wrong.parse().unwrap()), None, "{wrong}");
        }
    }

    fn name(claim: Claim, value: &str) -> String {
        let principal = Principal::claimed(claim, value, []).unwrap();
        principal.name.to_string()
    }

    #[test]
    fn two_that_are_not_the_same_have_different_names() {
        let long = "c".repeat(250);
        let altered = name(Claim::Subject, "a b");
        let values = [
            "a b",
            "a_b",
            "a\tb",
            "a\nb",
            " a_b",
            "a_b ",
            "a\u{200b}_b",
            "a\u{202e}_b",
            &format!("{long}1"),
            &format!("{long}2"),
            &long,
            // What another one is called.
            altered.strip_prefix("oauth:").unwrap(),
            &altered,
            "client:a_b",
            "#",
            "\u{200b}",
        ];
        let mut names = BTreeSet::new();
        for claim in [Claim::Subject, Claim::Client, Claim::Party] {
            for value in values {
                assert!(names.insert(name(claim, value)), "{claim:?} {value:?}");
            }
        }
    }

    #[test]
    fn a_name_is_one_word_that_is_seen() {
        for value in [
            "alice",
            "auth0|5f7c",
            "änne@example.com",
            &"c".repeat(SHOWN_BYTES_MAX),
        ] {
            assert_eq!(name(Claim::Subject, value), format!("oauth:{value}"));
        }
        assert_eq!(
            name(Claim::Client, "a \u{202e}b"),
            "oauth-client:a_b#dfYYnItG3LFpNyKnlBnvEeJ065GAHhHw1s5YVGZc4IM"
        );
        let long = name(Claim::Subject, &"c".repeat(CLAIM_BYTES_MAX));
        assert!(long.len() < 300, "{long}");
        assert_eq!(
            Principal::claimed(Claim::Subject, &"c".repeat(CLAIM_BYTES_MAX + 1), []),
            Err(Denied::Invalid("the token says too much about whose it is"))
        );
    }
}
