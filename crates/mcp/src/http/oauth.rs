//! Tokens of an authorization server (OAuth 2.1): this server is a resource server.
//!
//! A token is a JWT (RFC 9068) that the issuer signed for us: `iss`, `aud` and `exp` are required, the algorithms are
//! asymmetric ones only, and nothing in the token says where keys come from. What the issuer can take back before
//! it expires is not noticed; short lives are the remedy. Tokens are looked at here and go nowhere else.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use url::Url;

use super::access::{Claim, Denied, Principal, Scope};
use super::keys::{FetchKeys, KeyRing};

/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: u64 = 30;

/// Where clients look for what a resource says of itself.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// What signs tokens. No secret is shared with an issuer, so that `HS256` and its like are none.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// An authorization server whose tokens are accepted, and who we are to it.
pub struct Issuer {
    issuer: String,
    resource: Url,
    keys: Arc<KeyRing>,
}

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IssuerError(&'static str);

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.issuer)
            .field("resource", &self.resource.as_str())
            .finish_non_exhaustive()
    }
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    /// Words in one text (RFC 8693, section 4.2), or each by itself.
    scope: Option<Json>,
    /// The same, as Microsoft Entra and Okta call it.
    scp: Option<Json>,
}

impl Issuer {
    /// Accepts the tokens that `issuer` signs for `resource`, our address as clients know it.
    ///
    /// # Errors
    ///
    /// [`IssuerError`] for addresses that are none.
    pub fn new(issuer: &str, resource: &str, fetch: FetchKeys) -> Result<Self, IssuerError> {
        let is_address = |url: &Url| {
            matches!(url.scheme(), "https" | "http") && url.host().is_some() && url.fragment().is_none()
        };
        let known = Url::parse(issuer).ok().filter(is_address);
        known.ok_or(IssuerError(
            "the issuer is not the address of an authorization server",
        ))?;
        let resource = Url::parse(resource).ok().filter(is_address);
        Ok(Self {
            issuer: issuer.to_owned(),
            resource: resource.ok_or(IssuerError(
                "the resource is not this server's address, such as `https://example.com/mcp`",
            ))?,
            keys: KeyRing::new(issuer.to_owned(), fetch),
        })
    }

    /// Where [`Self::metadata`] is.
    pub(super) fn metadata_url(&self) -> String {
        let mut url = self.resource.clone();
        url.set_path(&self.metadata_path());
        url.into()
    }

    /// Before the path of the resource (RFC 9728, section 3.1), which behind a proxy may be another than ours.
    pub(super) fn metadata_path(&self) -> String {
        format!("{METADATA}{}", self.resource.path().trim_end_matches('/'))
    }

    /// Who issues tokens for us, and for what (RFC 9728, section 2).
    pub(super) fn metadata(&self) -> Json {
        json!({
            "resource": self.resource.as_str(),
            "authorization_servers": [self.issuer],
            "scopes_supported": Scope::ALL.map(Scope::name),
            "bearer_methods_supported": ["header"],
        })
    }

    /// For whom a token was issued.
    pub(super) async fn principal(&self, token: &str) -> Result<Principal, Denied> {
        const BAD: Denied = Denied::Invalid("the token is not a signed one of the authorization server");
        let header = decode_header(token).map_err(|_| BAD)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Denied::Invalid(
                "the token is signed in a way that is not accepted",
            ));
        }
        // What it lists must be understood or the token refused (RFC 7515, section 4.1.11), and nothing of it is here.
        if header.crit.is_some() {
            return Err(Denied::Invalid(
                "the token needs an extension that is not known here",
            ));
        }
        let key = self.keys.key(header.kid.as_deref(), header.alg).await?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| BAD)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        // With and without the slash that a URL parser adds, since both are written.
        let resource = self.resource.as_str();
        validation.set_audience(&[resource, resource.trim_end_matches('/')]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| denied(&error))?
            .claims;
        let (claim, name) = whose(&claims).ok_or(Denied::Invalid("the token does not say whose it is"))?;
        Principal::claimed(claim, name, scopes(&claims))
    }
}

/// The claim that says whose a token is, and what it says.
fn whose(claims: &Claims) -> Option<(Claim, &str)> {
    let (claim, name) = [
        (Claim::Subject, &claims.sub),
        (Claim::Client, &claims.client_id),
        (Claim::Party, &claims.azp),
    ]
    .into_iter()
    .find_map(|(claim, name)| Some((claim, name.as_deref()?)))?;
    (!name.is_empty()).then_some((claim, name))
}

/// The scopes that are ours.
fn scopes(claims: &Claims) -> BTreeSet<Scope> {
    let words: Vec<_> = [&claims.scope, &claims.scp]
        .into_iter()
        .flatten()
        .flat_map(words)
        .collect();
    Scope::ALL
        .into_iter()
        .filter(|scope| words.contains(&scope.name()))
        .collect()
}

/// What is neither a text nor a list of texts gives nothing.
fn words(claim: &Json) -> Vec<&str> {
    match claim {
        Json::String(text) => text.split(' ').collect(),
        Json::Array(texts) => texts.iter().filter_map(Json::as_str).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Vec::new(),
    }
}

fn denied(error: &jsonwebtoken::errors::Error) -> Denied {
    use jsonwebtoken::errors::ErrorKind;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest is one thing to a client: the token is bad"
    )]
    Denied::Invalid(match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidAudience => "the token was issued for another server",
        ErrorKind::InvalidIssuer => "the token is of another authorization server",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks `exp`, `iss` or `aud`",
        _ => "the token is not a signed one of the authorization server",
    })
}
