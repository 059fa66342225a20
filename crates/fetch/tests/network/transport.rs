//! Where requests go, how often, and how much is read: redirects, retries, limits, mirrors, TLS.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wassette_fetch::{Fetcher, NetworkConfig, NetworkError, Reach};

use crate::registry::Registry;
use crate::server::{Reply, Request, Server, certificate};
use crate::{assert_error, config, fetch, fetch_from, fetcher, oci};

const WASM: &[u8] = b"\0asm component";

fn registry() -> Registry {
    let registry = Registry::default();
    registry.component("1", WASM);
    registry
}

/// Fetches from a registry that answers this for every blob.
async fn fetch_blob(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<(), NetworkError> {
    let other = move |request: &Request| request.path.contains("/blobs/").then(|| reply(request));
    let server = registry().serve_with(other).await;
    fetch(&fetcher(config()), server.port).await.map(drop)
}

#[tokio::test]
async fn redirects_are_followed_five_times() {
    for (redirects, is_taken) in [(5, true), (6, false)] {
        let count = AtomicUsize::new(0);
        let fetched = fetch_blob(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            done if done < redirects => Reply::redirect("/v2/tool/blobs/next"),
            _ => Reply::of(200, &[], WASM),
        });
        match fetched.await {
            Ok(()) => assert!(is_taken),
            Err(error) => {
                assert!(!is_taken);
                assert_error!(
                    Err::<(), _>(error),
                    NetworkError::Redirects { redirects_max: 5, .. }
                );
            }
        }
    }
}

#[tokio::test]
async fn redirects_to_where_nothing_is_fetched_from_are_refused() {
    for location in [
        "http://192.0.2.1/x",
        "file:///etc/passwd",
        "https://u:p@a.example/",
        "",
    ] {
        let refused = fetch_blob(move |_| Reply::redirect(location)).await;
        assert_error!(refused, NetworkError::Location { .. });
    }
    let refused = fetch_blob(|_| Reply::status(302)).await;
    assert_error!(
        refused,
        NetworkError::Location {
            reason: "nowhere",
            ..
        }
    );
}

/// A registry by TLS on `127.0.0.1` that redirects blobs there; fetched where only 127.0.0.1 may be reached.
async fn fetch_public(location: String) -> Result<(), NetworkError> {
    let (root, tls) = certificate("127.0.0.1");
    let other = move |request: &Request| {
        request
            .path
            .contains("/blobs/")
            .then(|| Reply::redirect(&location))
    };
    let server = Server::tls(tls, registry().handler(other)).await;
    let config = NetworkConfig {
        extra_roots: vec![root],
        ..config()
    };
    let reach = Reach::Public(Arc::new(|address| address == IpAddr::from([127, 0, 0, 1])));
    fetch_from(&fetcher(config), oci("127.0.0.1", server.port, "tool:1"), &reach)
        .await
        .map(drop)
}

#[tokio::test]
async fn for_others_than_the_operator_every_hop_passes_the_filter() {
    let metadata = fetch_public("https://169.254.169.254/latest/meta-data/".to_owned()).await;
    assert_error!(metadata, NetworkError::Address { host } if host == "169.254.169.254");
    let other = Server::start(|_| Reply::of(200, &[], WASM)).await;
    let mapped = fetch_public(format!("https://[::ffff:127.0.0.2]:{}/", other.port)).await;
    assert_error!(mapped, NetworkError::Address { .. });
    let plain = fetch_public(format!("http://127.0.0.1:{}/", other.port)).await;
    assert_error!(plain, NetworkError::PlainHttp { .. });
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn for_others_than_the_operator_the_registry_passes_the_filter_and_speaks_tls() {
    let server = registry().serve().await;
    let reference = || oci("127.0.0.1", server.port, "tool:1");
    let nowhere = Reach::Public(Arc::new(|_| false));
    let refused = fetch_from(&fetcher(config()), reference(), &nowhere).await;
    assert_error!(refused, NetworkError::Address { .. });
    let refused = fetch_from(
        &fetcher(config()),
        oci("localhost", server.port, "tool:1"),
        &nowhere,
    )
    .await;
    assert_error!(refused, NetworkError::Address { .. });
    let anywhere = Reach::Public(Arc::new(|_| true));
    let refused = fetch_from(&fetcher(config()), reference(), &anywhere).await;
    assert_error!(refused, NetworkError::NotTls { .. });
    assert!(server.requests().is_empty());
    // A connection that the operator's request left open is not used for another's.
    let fetcher = fetcher(config());
    fetch_from(&fetcher, reference(), &Reach::Operator).await.unwrap();
    assert_error!(
        fetch_from(&fetcher, reference(), &nowhere).await,
        NetworkError::Address { .. }
    );
}

/// Fetches from a registry that gives these answers first; how often it was asked for the manifest.
async fn fetch_after(answers: Vec<Reply>) -> (Result<(), NetworkError>, usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = registry()
        .serve_with(move |request| {
            let is_manifest = request.path.contains("/manifests/");
            is_manifest.then(|| answers.get(counted.fetch_add(1, Ordering::Relaxed)).cloned())?
        })
        .await;
    let fetched = fetch(&fetcher(config()), server.port).await.map(drop);
    (fetched, count.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_fails_in_passing_is_asked_again_four_times_at_most() {
    for status in [429, 500, 502, 503] {
        let (fetched, count) = fetch_after(vec![Reply::status(status); 3]).await;
        assert!(fetched.is_ok(), "{status}: {fetched:?}");
        assert_eq!(count, 4);
    }
    let (fetched, count) = fetch_after(vec![Reply::Raw(b"HTTP/1.1 200 x\r\nconte".to_vec()); 2]).await;
    assert!(fetched.is_ok() && count >= 3, "{fetched:?} {count}");
    let (refused, count) = fetch_after(vec![Reply::status(429); 9]).await;
    assert_error!(refused, NetworkError::Busy { .. });
    assert_eq!(count, 4);
    let body = r#"{"errors":[{"code":"UNAVAILABLE","message":"hunter2"}]}"#;
    let (refused, count) = fetch_after(vec![Reply::of(503, &[], body); 9]).await;
    assert_error!(refused, NetworkError::Status { status: 503, code: Some(code), .. } if code == "UNAVAILABLE");
    assert_eq!(count, 4);
}

#[tokio::test]
async fn what_stays_wrong_is_asked_once() {
    let (refused, count) = fetch_after(vec![Reply::status(404); 9]).await;
    assert_error!(refused, NetworkError::NotFound { what } if what.ends_with("/tool:1"));
    assert_eq!(count, 1);
    let (refused, count) = fetch_after(vec![Reply::status(400); 9]).await;
    assert_error!(
        refused,
        NetworkError::Status {
            status: 400,
            code: None,
            ..
        }
    );
    assert_eq!(count, 1);
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_kept() {
    let begin = Instant::now();
    let (fetched, count) = fetch_after(vec![Reply::of(429, &[("retry-after", "1")], "")]).await;
    assert!(fetched.is_ok());
    assert_eq!(count, 2);
    // A lower bound only: what runs beside this makes it longer, never shorter.
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_manifest_of_a_gigabyte_is_given_up_at_the_limit() {
    let head = "HTTP/1.1 200 x\r\ncontent-type: application/vnd.oci.image.manifest.v1+json\r\n";
    // By its own word, without a byte of it.
    let said = format!("{head}content-length: 1073741824\r\n\r\n").into_bytes();
    let (refused, _) = fetch_after(vec![Reply::Stall(said)]).await;
    assert_error!(
        refused,
        NetworkError::TooLarge {
            bytes_max: 1_048_576,
            ..
        }
    );
    // And without a word.
    let unsaid = format!("{head}\r\n").into_bytes();
    let server = Server::start(move |_| Reply::Endless(unsaid.clone())).await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(
        refused,
        NetworkError::TooLarge {
            bytes_max: 1_048_576,
            ..
        }
    );
    // What lies in the buffers of the system is sent and not read.
    assert!(*server.sent.lock().unwrap() < 32 << 20);
}

#[tokio::test]
async fn a_head_without_end_and_a_silent_server_are_given_up() {
    let server = Server::start(|_| Reply::Endless(b"HTTP/1.1 200 x\r\nx: ".to_vec())).await;
    assert_error!(
        fetch(&fetcher(config()), server.port).await,
        NetworkError::Broken { .. }
    );
    let server = Server::start(|_| Reply::Stall(Vec::new())).await;
    assert_error!(
        fetch(&fetcher(config()), server.port).await,
        NetworkError::Idle { .. }
    );
    let server = Server::start(|_| Reply::Stall(Vec::new())).await;
    let time_max = Duration::from_millis(100);
    let config = NetworkConfig { time_max, ..config() };
    assert_error!(fetch(&fetcher(config), server.port).await, NetworkError::Time { time_max: t, .. } if t == time_max);
}

#[tokio::test]
async fn an_error_without_end_is_read_to_its_limit() {
    let head = b"HTTP/1.1 404 x\r\ncontent-type: application/json\r\n\r\n";
    let server = Server::start(|_| Reply::Endless(head.to_vec())).await;
    assert_error!(
        fetch(&fetcher(config()), server.port).await,
        NetworkError::NotFound { .. }
    );
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    assert_error!(
        fetch(&fetcher(config()), port).await,
        NetworkError::Connect { .. }
    );
    let off = Fetcher::new(wassette_fetch::FetchLimits::default(), &[]);
    assert_error!(fetch(&off, port).await, NetworkError::Off);
}

/// A fetcher for which this mirror is asked first.
fn mirrored(origin: u16, mirror: &str) -> Fetcher {
    let mirrors = [(format!("127.0.0.1:{origin}"), mirror.to_owned())];
    fetcher(NetworkConfig {
        mirrors: mirrors.into(),
        ..config()
    })
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_the_registry_when_it_fails() {
    let origin = registry().serve().await;
    let copy = registry().serve().await;
    fetch(
        &mirrored(origin.port, &format!("127.0.0.1:{}", copy.port)),
        origin.port,
    )
    .await
    .unwrap();
    assert!(origin.requests().is_empty());
    assert_eq!(copy.requests().len(), 2);
    // One that is down, that has nothing, and whose blobs are others.
    fetch(&mirrored(origin.port, "127.0.0.1:1"), origin.port)
        .await
        .unwrap();
    let empty = Registry::default().serve().await;
    fetch(
        &mirrored(origin.port, &format!("127.0.0.1:{}", empty.port)),
        origin.port,
    )
    .await
    .unwrap();
    let lie = |request: &Request| {
        request
            .path
            .contains("/blobs/")
            .then(|| Reply::of(200, &[], b"\0asm manipulate"))
    };
    let lying = registry().serve_with(lie).await;
    let fetched = fetch(
        &mirrored(origin.port, &format!("127.0.0.1:{}", lying.port)),
        origin.port,
    )
    .await;
    assert_eq!(*fetched.unwrap().artifact.bytes, *WASM);
}

#[tokio::test]
async fn a_mirror_may_have_a_folder_of_its_own() {
    let origin = Registry::default().serve().await;
    let registry = Registry::default();
    let manifest = registry.component("1", WASM);
    let kept = registry.kept("tool", manifest["digest"].as_str().unwrap());
    registry.manifest(("proxy/hub/tool", "1"), &kept);
    let mirror = registry.serve().await;
    let fetcher = mirrored(origin.port, &format!("127.0.0.1:{}/proxy/hub", mirror.port));
    fetch(&fetcher, origin.port).await.unwrap();
    assert_eq!(mirror.paths()[0], "GET /v2/proxy/hub/tool/manifests/1");
    assert!(origin.requests().is_empty());
    let refused = wassette_fetch::Fetcher::new(wassette_fetch::FetchLimits::default(), &[]).with_network(
        NetworkConfig {
            mirrors: [("x".to_owned(), "http://y".to_owned())].into(),
            ..config()
        },
    );
    assert_error!(refused, wassette_fetch::NetworkConfigError::Mirror(text) if text == "http://y");
}

#[tokio::test]
async fn an_own_authority_is_trusted_when_configured_and_named_when_not() {
    let (root, tls) = certificate("127.0.0.1");
    let server = Server::tls(tls, registry().handler(|_| None)).await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(&refused, NetworkError::UnknownIssuer { .. });
    assert!(refused.unwrap_err().hint().unwrap().contains("own CA"));
    assert!(
        server.requests().is_empty(),
        "a bad certificate is no reason for plain http"
    );
    let config = NetworkConfig {
        extra_roots: vec![root],
        ..config()
    };
    fetch(&fetcher(config.clone()), server.port).await.unwrap();
    // For another name, the certificate is none.
    let refused = fetch_from(
        &fetcher(config),
        oci("localhost", server.port, "tool:1"),
        &Reach::Operator,
    )
    .await;
    assert_error!(refused, NetworkError::Tls { .. });
}

#[tokio::test]
async fn plain_http_is_for_this_machine() {
    let server = registry().serve().await;
    for host in ["127.0.0.1", "localhost"] {
        fetch_from(
            &fetcher(config()),
            oci(host, server.port, "tool:1"),
            &Reach::Operator,
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = registry().serve().await;
    let fetcher = fetcher(config());
    for _ in 0..3 {
        fetch(&fetcher, server.port).await.unwrap();
    }
    assert_eq!(server.requests().len(), 6);
    // The first attempt by TLS, and one connection by plain http.
    assert_eq!(server.connections(), 2);
}
