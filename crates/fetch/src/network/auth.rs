//! What a registry is shown: nothing, a name with its password, or a token from the server it names.
//!
//! SECURITY: credentials go to the registry itself, and to a token server that belongs to it: the same host, the
//! same registrable domain over `https`, or one the operator (for Docker Hub: this file) allows. Anybody else that
//! a registry names gets none, and the request fails with words rather than going on without a name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Host, Url};

use super::NetworkError;
use super::credentials::{Credential, Credentials};
use super::exchange::{Answer, Ask, Exchange};
use super::reach::{self, Reach};

/// Most bytes of a token server's answer.
const TOKEN_ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Requests for one token.
const TOKEN_ATTEMPTS_MAX: u32 = 4;

/// How long a token is good for when its server does not say, by the specification.
const TOKEN_TIME: Duration = Duration::from_secs(60);

/// How long a token is used at most, whatever its server says.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(3600);

/// A token is not used in its last seconds.
const TOKEN_TIME_LEFT: Duration = Duration::from_secs(10);

/// Most tokens remembered.
const TOKENS_MAX: usize = 1024;

/// Token servers that are known to belong to a registry of another domain.
const KNOWN_REALMS: [(&str, &str); 1] = [("docker.io", "auth.docker.io")];

/// For what a token is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// A repository of a registry, as its token server knows it.
pub(crate) struct Subject<'a> {
    /// The name credentials are kept under.
    pub(crate) registry: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) access: Access,
}

impl Subject<'_> {
    fn scope(&self) -> String {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        format!("repository:{}:{actions}", self.repository)
    }
}

/// What was shown to registries, in memory only.
pub(crate) struct Auth {
    pub(crate) credentials: Credentials,
    /// Further token servers, by registry, that its credentials may be sent to.
    pub(crate) realms: BTreeMap<String, Vec<String>>,
    tokens: Mutex<HashMap<(String, String), Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// What a registry asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    fields: BTreeMap<String, String>,
}

impl Auth {
    pub(crate) fn new(credentials: Credentials, realms: BTreeMap<String, Vec<String>>) -> Self {
        Self {
            credentials,
            realms,
            tokens: Mutex::new(HashMap::new()),
        }
    }

    /// What was shown before and is still good.
    pub(crate) fn known(&self, url: &Url, subject: &Subject<'_>) -> Option<HeaderValue> {
        let tokens = self.lock();
        let token = tokens.get(&key(url, subject))?;
        (token.until > Instant::now()).then(|| token.header.clone())
    }

    /// What answers the challenge of a registry that refused.
    pub(crate) async fn respond(
        &self,
        refusal: &Answer,
        subject: &Subject<'_>,
        (exchange, reach): (&Exchange, &Reach),
    ) -> Result<HeaderValue, NetworkError> {
        self.lock().remove(&key(&refusal.url, subject));
        let credential = self
            .credentials
            .find(subject.registry, subject.repository)
            .await?;
        let challenges = challenges(&refusal.headers);
        let named = |scheme: &str| challenges.iter().find(|one| one.scheme == scheme);
        let token = if let Some(Credential::Bearer(token)) = &credential {
            lasting(bearer(token)?)
        } else if let Some(challenge) = named("bearer") {
            let asked = Asked {
                challenge,
                subject,
                registry_url: &refusal.url,
                credential,
            };
            self.token(&asked, exchange, reach).await?
        } else if let (Some(_), Some(Credential::Password { user, password })) = (named("basic"), &credential)
        {
            lasting(basic(user, password)?)
        } else {
            return Err(refusal.error(subject.repository));
        };
        let mut tokens = self.lock();
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key(&refusal.url, subject), token.clone());
        Ok(token.header)
    }

    async fn token(
        &self,
        asked: &Asked<'_>,
        exchange: &Exchange,
        reach: &Reach,
    ) -> Result<Token, NetworkError> {
        let host = reach::host(asked.registry_url);
        let realm = self.realm(asked)?;
        let (ask, authorization) = token_ask(asked, realm)?;
        let answer = exchange.ask(&ask, authorization.as_ref(), reach).await?;
        if !answer.status.is_success() {
            return Err(answer.error(ask.what));
        }
        let wrong = |reason| NetworkError::Protocol {
            host: host.clone(),
            reason,
        };
        let answer: TokenAnswer =
            serde_json::from_slice(&answer.bytes).map_err(|_| wrong("its token server gave no token"))?;
        let token = answer.token.or(answer.access_token);
        let token = token.ok_or_else(|| wrong("its token server gave no token"))?;
        let time = answer
            .expires_in
            .map_or(TOKEN_TIME, Duration::from_secs)
            .min(TOKEN_TIME_MAX);
        Ok(Token {
            header: bearer(&token)?,
            until: Instant::now() + time.saturating_sub(TOKEN_TIME_LEFT),
        })
    }

    /// The token server, when what is known may be sent there.
    fn realm(&self, asked: &Asked<'_>) -> Result<Url, NetworkError> {
        let host = reach::host(asked.registry_url);
        let wrong = |reason| NetworkError::Protocol {
            host: host.clone(),
            reason,
        };
        let realm = asked.challenge.fields.get("realm").map(|text| Url::parse(text));
        let Some(Ok(realm)) = realm else {
            return Err(wrong("its token server is no URL"));
        };
        if !realm.username().is_empty() || realm.password().is_some() {
            return Err(wrong("its token server is a URL with a user or a password"));
        }
        let is_local = reach::is_loopback(asked.registry_url) && reach::is_loopback(&realm);
        if realm.scheme() != "https" && !(realm.scheme() == "http" && is_local) {
            return Err(NetworkError::PlainHttp {
                host: reach::host(&realm),
            });
        }
        if asked.credential.is_some() && !self.is_trusted(asked, &realm) {
            return Err(NetworkError::Realm {
                host,
                realm: reach::host(&realm),
            });
        }
        Ok(realm)
    }

    fn is_trusted(&self, asked: &Asked<'_>, realm: &Url) -> bool {
        let registry = asked.subject.registry;
        if realm.host() == asked.registry_url.host() || is_same_domain(asked.registry_url, realm) {
            return true;
        }
        let name = realm.host_str().unwrap_or_default();
        let with_port = reach::host(realm);
        KNOWN_REALMS.contains(&(registry, with_port.as_str()))
            || self.realms.get(registry).is_some_and(|allowed| {
                allowed
                    .iter()
                    .any(|one| *one == with_port || (realm.port().is_none() && one == name))
            })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Asked<'a> {
    challenge: &'a Challenge,
    subject: &'a Subject<'a>,
    registry_url: &'a Url,
    credential: Option<Credential>,
}

/// The request for a token: the distribution specification's, or with a refresh token OAuth 2's.
fn token_ask(asked: &Asked<'_>, mut realm: Url) -> Result<(Ask<'static>, Option<HeaderValue>), NetworkError> {
    let service = asked.challenge.fields.get("service").map(String::as_str);
    // SECURITY: what we need, not what the challenge names.
    let scope = asked.subject.scope();
    let mut ask = Ask::get(realm.clone(), "application/json", "token");
    ask.bytes_max = TOKEN_ANSWER_BYTES_MAX;
    if let Some(Credential::Refresh(token)) = &asked.credential {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "wassette")
            .append_pair("scope", &scope)
            .append_pair("refresh_token", token.expose_secret());
        if let Some(service) = service {
            form.append_pair("service", service);
        }
        ask.method = Method::POST;
        ask.content_type = Some("application/x-www-form-urlencoded");
        ask.body = Bytes::from(form.finish());
        return Ok((ask, None));
    }
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    realm.query_pairs_mut().append_pair("scope", &scope);
    ask.url = realm;
    ask.attempts_max = TOKEN_ATTEMPTS_MAX;
    let authorization = match &asked.credential {
        Some(Credential::Password { user, password }) => Some(basic(user, password)?),
        Some(Credential::Refresh(_) | Credential::Bearer(_)) | None => None,
    };
    Ok((ask, authorization))
}

fn key(url: &Url, subject: &Subject<'_>) -> (String, String) {
    (
        format!("{}://{}", url.scheme(), reach::host(url)),
        subject.scope(),
    )
}

/// Whether both hosts are names below one registrable domain (of the public suffix list), over `https`.
fn is_same_domain(registry: &Url, realm: &Url) -> bool {
    let (Some(Host::Domain(one)), Some(Host::Domain(other))) = (registry.host(), realm.host()) else {
        return false;
    };
    let domain = psl::domain_str(one);
    realm.scheme() == "https" && domain.is_some() && domain == psl::domain_str(other)
}

/// What does not end: it is shown until it is refused.
fn lasting(header: HeaderValue) -> Token {
    Token {
        header,
        until: Instant::now() + TOKEN_TIME_MAX,
    }
}

fn basic(user: &str, password: &SecretString) -> Result<HeaderValue, NetworkError> {
    let pair = format!("{user}:{}", password.expose_secret());
    sensitive(&format!("Basic {}", STANDARD.encode(pair)))
}

fn bearer(token: &SecretString) -> Result<HeaderValue, NetworkError> {
    sensitive(&format!("Bearer {}", token.expose_secret()))
}

fn sensitive(text: &str) -> Result<HeaderValue, NetworkError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| NetworkError::Protocol {
        host: "token server".to_owned(),
        reason: "a token that cannot be sent",
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter();
    texts
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect()
}

/// Reads challenges (RFC 9110, section 11.6.1): `Bearer realm="…",service="…", Basic realm="…"`.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after_spaces = after.trim_start_matches(' ');
        match (after_spaces.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = read_value(value.trim_start_matches(' '));
                challenge.fields.entry(word.to_ascii_lowercase()).or_insert(value);
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge {
                    scheme: word.to_ascii_lowercase(),
                    ..Challenge::default()
                });
                rest = after;
            }
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    challenges
}

/// A token or a quoted string, and what follows.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(scheme: &str, fields: &[(&str, &str)]) -> Challenge {
        Challenge {
            scheme: scheme.to_owned(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn challenges_are_read() {
        let bearer = challenge(
            "bearer",
            &[
                ("realm", "https://a.example/t"),
                ("service", "a, b"),
                ("scope", "x\"y"),
            ],
        );
        let basic = challenge("basic", &[("realm", "x")]);
        assert_eq!(
            parse(r#"Bearer realm="https://a.example/t",service="a, b", scope="x\"y", Basic realm=x"#),
            [bearer, basic]
        );
        assert_eq!(parse("Negotiate"), [challenge("negotiate", &[])]);
        for text in ["", ",, ", "realm=x", "Bearer realm=\"", "Bearer =", "=", "\""] {
            parse(text);
        }
        assert_eq!(
            parse("Basic realm=\"a\", realm=\"b\""),
            [challenge("basic", &[("realm", "a")])]
        );
    }

    #[track_caller]
    fn check_realm(registry: (&str, &str), realm: &str, is_trusted: bool) {
        let realms = BTreeMap::from([("r.example".to_owned(), vec!["login.other".to_owned()])]);
        let auth = Auth::new(Credentials::default(), realms);
        let challenge = challenge("bearer", &[("realm", realm)]);
        let asked = Asked {
            challenge: &challenge,
            subject: &Subject {
                registry: registry.0,
                repository: "x",
                access: Access::Pull,
            },
            registry_url: &Url::parse(registry.1).unwrap(),
            credential: Some(Credential::Refresh("token".into())),
        };
        assert_eq!(auth.realm(&asked).is_ok(), is_trusted, "{realm}");
    }

    #[test]
    fn credentials_go_to_servers_of_the_registry_only() {
        let ours = ("reg.r.example", "https://reg.r.example/");
        check_realm(ours, "https://reg.r.example/token", true);
        check_realm(ours, "https://reg.r.example:8443/token", true);
        check_realm(ours, "https://auth.r.example/token", true);
        check_realm(ours, "http://auth.r.example/token", false);
        check_realm(ours, "http://reg.r.example/token", false);
        check_realm(ours, "https://r.example.evil/token", false);
        check_realm(ours, "https://evil.example/token", false);
        check_realm(ours, "https://u:p@auth.r.example/token", false);
        // Under a public suffix, two names belong to two people.
        check_realm(
            ("a.github.io", "https://a.github.io/"),
            "https://b.github.io/",
            false,
        );
        check_realm(
            ("r.example", "https://r.example/"),
            "https://login.other/token",
            true,
        );
        check_realm(
            ("r.example", "https://r.example/"),
            "https://login.other:1/token",
            false,
        );
        check_realm(
            ("s.example", "https://s.example/"),
            "https://login.other/token",
            false,
        );
        let hub = ("docker.io", "https://registry-1.docker.io/");
        check_realm(hub, "https://auth.docker.io/token", true);
        check_realm(
            ("localhost:1", "http://localhost:1/"),
            "http://localhost:2/token",
            true,
        );
        check_realm(
            ("localhost:1", "http://localhost:1/"),
            "http://127.0.0.1:2/token",
            false,
        );
        check_realm(("10.0.0.1", "https://10.0.0.1/"), "https://10.0.0.2/token", false);
    }
}
