//! The authorization server whose tokens `wassette serve` accepts, and where its keys are.

use crate::cli::OauthArgs;
use crate::exit::Exit;
use crate::output::shown;
use std::path::Path;
use std::sync::Arc;
use url::Url;
use wassette_host::Host;
use wassette_mcp::{Access, Issuer};

/// Lets in who has a token of this issuer.
pub(super) fn access(
    issuer: &str,
    args: &OauthArgs,
    host: &Host,
    current_dir: &Path,
) -> Result<Access, Exit> {
    reached("--oauth-issuer", issuer)?;
    match args.oauth_keys.as_deref() {
        Some(keys) if is_url(keys) => reached("--oauth-keys", keys)?,
        // Read again when it is needed, and missed at once.
        Some(keys) => {
            let path = current_dir.join(keys);
            std::fs::read(&path).map_err(|error| Exit::unreadable(&path, error))?;
        }
        None => {}
    }
    let resource = args.oauth_resource.clone().unwrap_or_default();
    let (host, keys, of_issuer) = (host.clone(), args.oauth_keys.clone(), issuer.to_owned());
    let current_dir = current_dir.to_owned();
    let fetch = Arc::new(move || {
        let (host, keys, issuer) = (host.clone(), keys.clone(), of_issuer.clone());
        let current_dir = current_dir.clone();
        let work: futures::future::BoxFuture<'static, _> = Box::pin(async move {
            match keys {
                Some(keys) if !is_url(&keys) => {
                    let path = current_dir.join(keys);
                    let read = tokio::fs::read(&path).await;
                    read.map_err(|error| format!("`{}`: {error}", shown(&path.display().to_string())))
                }
                Some(keys) => document(&host, &keys).await,
                None => discovered(&host, &issuer).await,
            }
        });
        work
    });
    let issuer = Issuer::new(issuer, &resource, fetch);
    issuer
        .map(|issuer| Access::Issuer(Box::new(issuer)))
        .map_err(|error| Exit::usage(error.to_string()))
}

fn is_url(keys: &str) -> bool {
    keys.contains("://")
}

/// Refuses at the start what could not be asked at any request: anybody on the way could give us keys over plain HTTP.
fn reached(option: &str, text: &str) -> Result<(), Exit> {
    let is_reached = Url::parse(text).is_ok_and(|url| match url.scheme() {
        "https" => true,
        "http" => is_of_this_machine(&url),
        _ => false,
    });
    if is_reached {
        return Ok(());
    }
    Err(
        Exit::usage(format!("`{option} {}` cannot be asked for keys", shown(text))).with_hint(
            "it begins with `https://`; with `http://` only on this machine (`localhost`, `127.0.0.1`, `[::1]`)",
        ),
    )
}

fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn document(host: &Host, url: &str) -> Result<Vec<u8>, String> {
    let url = Url::parse(url).map_err(|error| format!("`{}`: {error}", shown(url)))?;
    let got = host.web_document(&url).await;
    got.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

/// The keys that an issuer's metadata names (RFC 8414, or OpenID Connect Discovery where there is none).
async fn discovered(host: &Host, issuer: &str) -> Result<Vec<u8>, String> {
    let url = Url::parse(issuer).map_err(|error| error.to_string())?;
    let path = url.path().trim_end_matches('/').to_owned();
    let mut oauth = url.clone();
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    let mut openid = url;
    openid.set_path(&format!("{path}/.well-known/openid-configuration"));
    let metadata = match document(host, oauth.as_str()).await {
        Ok(metadata) => metadata,
        Err(_) => document(host, openid.as_str()).await?,
    };
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).map_err(|error| error.to_string())?;
    // What names another issuer is not this one's (RFC 8414, section 3.3).
    let named = metadata.get("issuer").and_then(|issuer| issuer.as_str());
    let named = named.ok_or("its metadata names no issuer")?;
    if named != issuer {
        return Err(format!(
            "its metadata is of the issuer `{}`, and `--oauth-issuer` is `{}`: they must be the same to the letter",
            shown(named),
            shown(issuer)
        ));
    }
    let keys = metadata
        .get("jwks_uri")
        .and_then(|keys| keys.as_str())
        .ok_or("its metadata names no keys")?;
    document(host, keys).await
}
