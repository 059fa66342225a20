//! Who is shown which credentials: the registry itself and its own token server, and nobody else.

use std::time::Duration;

use wassette_fetch::{Credential, CredentialSource, Fetcher, NetworkConfig, NetworkError, Reach};

use crate::registry::Registry;
use crate::server::{Reply, Request, Server, certificate};
use crate::{assert_error, config, fetch, fetch_from, fetcher, oci};

const WASM: &[u8] = b"\0asm component";

/// `user:hunter2`.
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

fn password() -> Credential {
    Credential::Password {
        user: "user".to_owned(),
        password: "hunter2".into(),
    }
}

/// With this for `127.0.0.1:port`.
fn with(port: u16, credential: Credential) -> NetworkConfig {
    NetworkConfig {
        credentials: vec![CredentialSource::Entry {
            registry: format!("127.0.0.1:{port}"),
            credential,
        }],
        ..config()
    }
}

/// A registry with `tool:1` that wants this field, and else answers with this challenge.
async fn guarded(wanted: &'static str, challenge: impl Into<String>) -> Server {
    let registry = Registry::default();
    registry.component("1", WASM);
    let challenge = challenge.into();
    registry
        .serve_with(move |request| {
            let is_shown = request.header("authorization") == Some(wanted);
            (!is_shown).then(|| Reply::of(401, &[("www-authenticate", &challenge)], ""))
        })
        .await
}

/// A token server that gives `t0ken`.
fn tokens(_: &Request) -> Reply {
    Reply::of(200, &[], r#"{"token":"t0ken","expires_in":300}"#)
}

fn bearer(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:evil:pull\"")
}

#[tokio::test]
async fn a_password_goes_to_the_registry_that_asks_for_it() {
    let server = guarded(BASIC, "Basic realm=\"x\"").await;
    let fetcher = fetcher(with(server.port, password()));
    assert_eq!(*fetch(&fetcher, server.port).await.unwrap().artifact.bytes, *WASM);
    // Asked once, shown from then on.
    let refused = server
        .requests()
        .iter()
        .filter(|one| one.header("authorization").is_none())
        .count();
    assert_eq!((refused, server.requests().len()), (1, 3));
}

#[tokio::test]
async fn without_credentials_or_with_wrong_ones_the_login_is_named() {
    let server = guarded("Basic other", "Basic realm=\"x\"").await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(&refused, NetworkError::Login { status: 401, .. });
    assert!(
        refused
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("wassette registry login")
    );
    let refused = fetch(&fetcher(with(server.port, password())), server.port).await;
    assert_error!(refused, NetworkError::Login { status: 401, .. });
    let registry = Registry::default();
    let server = registry.serve_with(|_| Some(Reply::status(403))).await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(refused, NetworkError::Login { status: 403, .. });
}

#[tokio::test]
async fn a_token_is_asked_for_what_is_needed_and_kept() {
    let realm = Server::start(tokens).await;
    let server = guarded(
        "Bearer t0ken",
        bearer(&format!("http://127.0.0.1:{}/token?x=1", realm.port)),
    )
    .await;
    let fetcher = fetcher(with(server.port, password()));
    fetch(&fetcher, server.port).await.unwrap();
    fetch(&fetcher, server.port).await.unwrap();
    let asked = realm.requests();
    assert_eq!(asked.len(), 1, "the token is kept");
    assert_eq!(
        asked[0].path,
        "/token?x=1&service=reg&scope=repository%3Atool%3Apull"
    );
    assert_eq!(asked[0].header("authorization"), Some(BASIC));
    // The password itself is not shown to the registry.
    assert!(
        server
            .requests()
            .iter()
            .all(|one| one.header("authorization") != Some(BASIC))
    );
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_and_a_bearer_token_sent() {
    let realm = Server::start(|_| Reply::of(200, &[], r#"{"access_token":"t0ken"}"#)).await;
    let server = guarded(
        "Bearer t0ken",
        bearer(&format!("http://127.0.0.1:{}/token", realm.port)),
    )
    .await;
    fetch(
        &fetcher(with(server.port, Credential::Refresh("long&lived".into()))),
        server.port,
    )
    .await
    .unwrap();
    let asked = realm.requests();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("POST", "/token")
    );
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert_eq!(
        form,
        "grant_type=refresh_token&client_id=wassette&scope=repository%3Atool%3Apull&refresh_token=long%26lived&service=reg"
    );
    fetch(
        &fetcher(with(server.port, Credential::Bearer("t0ken".into()))),
        server.port,
    )
    .await
    .unwrap();
    assert_eq!(realm.requests().len(), 1);
}

#[tokio::test]
async fn credentials_are_not_sent_to_a_foreign_token_server() {
    // Another host of this machine, with and without TLS, and with the certificate trusted.
    let (root, tls) = certificate("localhost");
    let secure = Server::tls(tls, tokens).await;
    let plain = Server::start(tokens).await;
    for realm in [
        format!("http://localhost:{}/t", plain.port),
        format!("https://localhost:{}/t", secure.port),
    ] {
        let server = guarded("Bearer t0ken", bearer(&realm)).await;
        for credential in [password(), Credential::Refresh("r".into())] {
            let config = NetworkConfig {
                extra_roots: vec![root.clone()],
                ..with(server.port, credential)
            };
            let refused = fetch(&fetcher(config), server.port).await;
            assert_error!(refused, NetworkError::Realm { realm, .. } if realm.starts_with("localhost:"));
        }
    }
    assert_eq!(
        (plain.requests().len(), secure.requests().len()),
        (0, 0),
        "nobody else was asked"
    );
}

#[tokio::test]
async fn a_foreign_token_server_gives_anonymous_tokens_and_more_when_allowed() {
    let (root, tls) = certificate("localhost");
    let realm = Server::tls(tls, tokens).await;
    let server = guarded(
        "Bearer t0ken",
        bearer(&format!("https://localhost:{}/t", realm.port)),
    )
    .await;
    let anonymous = NetworkConfig {
        extra_roots: vec![root.clone()],
        ..config()
    };
    fetch(&fetcher(anonymous), server.port).await.unwrap();
    assert_eq!(realm.requests()[0].header("authorization"), None);
    let allowed = [(
        format!("127.0.0.1:{}", server.port),
        vec![format!("localhost:{}", realm.port)],
    )];
    let allowed = NetworkConfig {
        extra_roots: vec![root],
        token_hosts: allowed.into(),
        ..with(server.port, password())
    };
    fetch(&fetcher(allowed), server.port).await.unwrap();
    assert_eq!(realm.requests()[1].header("authorization"), Some(BASIC));
}

#[tokio::test]
async fn a_token_server_over_plain_http_elsewhere_is_not_asked() {
    let server = guarded("Bearer t0ken", bearer("http://192.0.2.1/token")).await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(refused, NetworkError::PlainHttp { host } if host == "192.0.2.1");
}

#[tokio::test]
async fn a_token_that_does_not_end_or_is_none_is_refused() {
    let head = b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\n\r\n";
    let endless = Server::start(|_| Reply::Endless(head.to_vec())).await;
    let server = guarded(
        "Bearer t0ken",
        bearer(&format!("http://127.0.0.1:{}/t", endless.port)),
    )
    .await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(refused, NetworkError::TooLarge { what, bytes_max: 65536 } if what == "token");
    for answer in ["", "{}", "[]", r#"{"token":7}"#, r#"{"token":"a\nb"}"#] {
        let realm = Server::start(move |_| Reply::of(200, &[], answer)).await;
        let server = guarded(
            "Bearer t0ken",
            bearer(&format!("http://127.0.0.1:{}/t", realm.port)),
        )
        .await;
        assert_error!(
            fetch(&fetcher(config()), server.port).await,
            NetworkError::Protocol { .. }
        );
    }
}

#[tokio::test]
async fn credentials_stay_behind_when_a_download_is_redirected() {
    let store = Server::start(|_| Reply::of(200, &[], WASM)).await;
    let registry = Registry::default();
    registry.component("1", WASM);
    // Another port is another server.
    let location = format!("http://127.0.0.1:{}/blob?signature=s3cret", store.port);
    let server = registry
        .serve_with(move |request| match request.header("authorization") {
            None => Some(Reply::of(401, &[("www-authenticate", "Basic realm=x")], "")),
            Some(_) => request
                .path
                .contains("/blobs/")
                .then(|| Reply::redirect(&location)),
        })
        .await;
    let fetcher = fetcher(with(server.port, password()));
    assert_eq!(*fetch(&fetcher, server.port).await.unwrap().artifact.bytes, *WASM);
    assert_eq!(
        server.requests().last().unwrap().header("authorization"),
        Some(BASIC)
    );
    assert_eq!(store.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_challenge_of_a_server_we_were_redirected_to_is_not_answered() {
    let store = Server::start(|_| Reply::of(401, &[("www-authenticate", "Basic realm=x")], "")).await;
    let registry = Registry::default();
    registry.component("1", WASM);
    let location = format!("http://127.0.0.1:{}/blob", store.port);
    let server = registry
        .serve_with(move |request| {
            request
                .path
                .contains("/blobs/")
                .then(|| Reply::redirect(&location))
        })
        .await;
    let refused = fetch(&fetcher(with(server.port, password())), server.port).await;
    assert_error!(refused, NetworkError::Login { host, .. } if host == format!("127.0.0.1:{}", store.port));
    assert!(
        store
            .requests()
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_registry_gets_no_credentials_of_another() {
    let server = guarded(BASIC, "Basic realm=\"x\"").await;
    let refused = fetch(&fetcher(with(server.port + 1, password())), server.port).await;
    assert_error!(refused, NetworkError::Login { .. });
    assert!(
        server
            .requests()
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let server = guarded(
        "Basic other",
        bearer("https://user:hunter2@localhost/t?key=hunter2"),
    )
    .await;
    let fetcher = fetcher(with(server.port, password()));
    let error = fetch(&fetcher, server.port).await.unwrap_err();
    assert_error!(Err::<(), _>(&error), NetworkError::Protocol { .. });
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert!(!format!("{:?} {fetcher:?}", password()).contains("hunter2"));
}

fn docker(text: &str) -> (tempfile::TempDir, CredentialSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, text).unwrap();
    (folder, CredentialSource::DockerConfig(path))
}

fn reading(sources: Vec<CredentialSource>) -> Fetcher {
    fetcher(NetworkConfig {
        credentials: sources,
        ..config()
    })
}

#[tokio::test]
async fn a_docker_config_is_read_and_a_missing_one_says_nothing() {
    let server = guarded(BASIC, "Basic realm=\"x\"").await;
    let auths = format!(
        r#"{{"auths":{{"127.0.0.1:{}":{{"auth":"dXNlcjpodW50ZXIy"}}}}}}"#,
        server.port
    );
    let (_folder, source) = docker(&auths);
    let missing = CredentialSource::DockerConfig("/missing/config.json".into());
    fetch(&reading(vec![missing.clone(), source]), server.port)
        .await
        .unwrap();
    assert_error!(
        fetch(&reading(vec![missing]), server.port).await,
        NetworkError::Login { .. }
    );
    let (_folder, broken) = docker(r#"{"auths": hunter2}"#);
    let refused = fetch(&reading(vec![broken]), server.port).await;
    assert_error!(&refused, NetworkError::Credentials { .. });
    assert!(!format!("{:?}", refused.unwrap_err()).contains("hunter2"));
}

/// One test, because a program that was just written cannot be started while another thread is starting one.
#[cfg(unix)]
#[tokio::test]
async fn credential_helpers_are_started_only_when_switched_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = guarded(BASIC, "Basic realm=\"x\"").await;
    let folder = tempfile::tempdir().unwrap();
    let install = |name: &str, script: &str| {
        let path = folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let mark = folder.path().join("started");
    let good = format!(
        r#"touch {}; read key || true; [ "$1 $key" = "get 127.0.0.1:{}" ] && echo '{{"Username":"user","Secret":"hunter2"}}'"#,
        mark.display(),
        server.port
    );
    install("good", &good);
    install("none", "echo 'credentials not found in native keychain'; exit 1");
    install("bad", "echo oops; exit 1");
    install(
        "endless",
        "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    );
    let attempt = async |name: &str, is_on: bool| {
        let text = format!(r#"{{"credHelpers":{{"127.0.0.1:{}":"{name}"}}}}"#, server.port);
        let (_folder, source) = docker(&text);
        let config = NetworkConfig {
            credentials: vec![source],
            helper_path: is_on.then(|| folder.path().into()),
            ..config()
        };
        fetch(&fetcher(config), server.port).await
    };
    assert_error!(attempt("good", false).await, NetworkError::Login { .. });
    assert!(!mark.exists());
    attempt("good", true).await.unwrap();
    assert!(mark.exists());
    assert_error!(attempt("none", true).await, NetworkError::Login { .. });
    let reason = async |name: &str| match attempt(name, true).await {
        Err(NetworkError::Helper { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("bad").await, "failed");
    assert_eq!(reason("endless").await, "answered more than fits");
    assert_eq!(reason("missing").await, "is not installed");
    assert_eq!(
        reason("../good").await,
        "is not started: its name is not of `a-z`, `0-9` and `-`"
    );
}

#[tokio::test]
async fn a_mirror_is_shown_its_own_credentials() {
    let origin = guarded(BASIC, "Basic realm=\"x\"").await;
    let mirror = guarded(BASIC, "Basic realm=\"x\"").await;
    let mirrors = [(
        format!("127.0.0.1:{}", origin.port),
        format!("127.0.0.1:{}", mirror.port),
    )];
    let config = NetworkConfig {
        mirrors: mirrors.into(),
        ..with(origin.port, password())
    };
    fetch(&fetcher(config), origin.port).await.unwrap();
    assert!(
        mirror
            .requests()
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
    assert!(!mirror.requests().is_empty(), "it was asked first");
}

#[tokio::test]
async fn for_others_than_the_operator_token_servers_pass_the_filter() {
    let (root, tls) = certificate("127.0.0.1");
    let registry = Registry::default();
    registry.component("1", WASM);
    let challenge = bearer("https://169.254.169.254/token");
    let handler = registry.handler(move |_| Some(Reply::of(401, &[("www-authenticate", &challenge)], "")));
    let server = Server::tls(tls, handler).await;
    let config = NetworkConfig {
        extra_roots: vec![root],
        time_max: Duration::from_secs(5),
        ..config()
    };
    let reach = Reach::Public(std::sync::Arc::new(|address| address.is_loopback()));
    let refused = fetch_from(&fetcher(config), oci("127.0.0.1", server.port, "tool:1"), &reach).await;
    assert_error!(refused, NetworkError::Address { host } if host == "169.254.169.254");
}
