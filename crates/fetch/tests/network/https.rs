//! Files from web servers.

use std::sync::Arc;

use wassette_fetch::{
    FetchError, FetchLimits, FetchOptions, Fetched, Fetcher, NetworkConfig, NetworkError, Reach,
};
use wassette_store::{Digest, Reference};

use crate::server::{Reply, Request, Server, certificate};
use crate::{assert_error, config};

const WASM: &[u8] = b"\0asm component";

/// Fetches `https://127.0.0.1/tool.wasm?key=s3cret` from a server that answers so; also the server.
async fn fetch(
    handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    reach: &Reach,
) -> (Result<Fetched, NetworkError>, Server, Reference) {
    let (root, tls) = certificate("127.0.0.1");
    let server = Server::tls(tls, handler).await;
    let limits = FetchLimits {
        artifact_bytes_max: 100,
        ..FetchLimits::default()
    };
    let config = NetworkConfig {
        extra_roots: vec![root],
        ..config()
    };
    let fetcher = Fetcher::new(limits, &[]).with_network(config).unwrap();
    let reference: Reference = format!("https://127.0.0.1:{}/tool.wasm?key=s3cret", server.port)
        .parse()
        .unwrap();
    let options = FetchOptions {
        reach,
        progress: None,
    };
    let fetched = match fetcher.fetch(&reference, &options).await {
        Ok(fetched) => Ok(fetched),
        Err(FetchError::Network(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    };
    (fetched, server, reference)
}

async fn fails(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> NetworkError {
    let (fetched, ..) = fetch(handler, &Reach::Operator).await;
    let error = fetched.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("s3cret"), "{error:?}");
    error
}

#[tokio::test]
async fn a_file_is_fetched() {
    let (fetched, server, reference) = fetch(|_| Reply::of(200, &[], WASM), &Reach::Operator).await;
    let fetched = fetched.unwrap();
    assert_eq!(
        (fetched.artifact.digest, fetched.artifact.origin),
        (Digest::of(WASM), reference)
    );
    assert!(fetched.package.is_none());
    assert_eq!(server.paths(), ["GET /tool.wasm?key=s3cret"]);
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let html = [("content-type", "text/html; charset=utf-8")];
    assert_error!(
        Err::<(), _>(fails(move |_| Reply::of(200, &html, "<html>")).await),
        NetworkError::Html { .. }
    );
    assert_error!(
        Err::<(), _>(fails(|_| Reply::of(200, &[], "")).await),
        NetworkError::Empty { .. }
    );
    assert_error!(
        Err::<(), _>(fails(|_| Reply::status(206)).await),
        NetworkError::Status { status: 206, .. }
    );
    assert_error!(
        Err::<(), _>(fails(|_| Reply::status(404)).await),
        NetworkError::NotFound { .. }
    );
    assert_error!(
        Err::<(), _>(fails(|_| Reply::status(403)).await),
        NetworkError::Login { status: 403, .. }
    );
    let large = fails(|_| Reply::of(200, &[], vec![0; 101])).await;
    assert_error!(Err::<(), _>(large), NetworkError::TooLarge { bytes_max: 100, .. });
    let endless = fails(|_| Reply::Endless(b"HTTP/1.1 200 x\r\n\r\n".to_vec())).await;
    assert_error!(
        Err::<(), _>(endless),
        NetworkError::TooLarge { bytes_max: 100, .. }
    );
    let gzip = fails(|_| Reply::of(200, &[("content-encoding", "gzip")], WASM)).await;
    assert_error!(Err::<(), _>(gzip), NetworkError::Encoded { .. });
}

#[tokio::test]
async fn redirects_stay_secure_and_pass_the_filter() {
    let plain = Server::start(|_| Reply::of(200, &[], WASM)).await;
    let location = format!("http://192.0.2.1:{}/", plain.port);
    assert_error!(
        Err::<(), _>(fails(move |_| Reply::redirect(&location)).await),
        NetworkError::Location { .. }
    );
    let reach = Reach::Public(Arc::new(|address| {
        address == std::net::IpAddr::from([127, 0, 0, 1])
    }));
    let (refused, ..) = fetch(|_| Reply::redirect("https://169.254.169.254/"), &reach).await;
    assert_error!(refused, NetworkError::Address { host } if host == "169.254.169.254");
    let (fetched, ..) = fetch(|_| Reply::of(200, &[], WASM), &reach).await;
    assert_eq!(*fetched.unwrap().artifact.bytes, *WASM);
}
