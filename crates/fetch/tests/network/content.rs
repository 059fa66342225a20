//! What is in a registry: components that are taken, and artifacts that are refused.

use std::sync::Mutex;

use serde_json::json;
use wassette_fetch::{FetchOptions, ManifestError, NetworkError, Reach, Received, SinglePush, SingleRequest};
use wassette_store::{Digest, Reference};

use crate::registry::{IMAGE, INDEX, Registry};
use crate::server::Reply;
use crate::{assert_error, config, fetch, fetcher, oci};

const WASM: &[u8] = b"\0asm component";

#[tokio::test]
async fn a_component_is_fetched_with_its_manifest_and_progress() {
    let registry = Registry::default();
    let manifest = registry.component("1", WASM);
    let server = registry.serve().await;
    let reference = Reference::Oci(oci("127.0.0.1", server.port, "tool:1"));
    let seen = Mutex::new(Vec::new());
    let progress = |received| seen.lock().unwrap().push(received);
    let options = FetchOptions {
        reach: &Reach::Operator,
        progress: Some(&progress),
    };
    let fetched = fetcher(config()).fetch(&reference, &options).await.unwrap();
    assert_eq!(*fetched.artifact.bytes, *WASM);
    assert_eq!(
        (fetched.artifact.digest, fetched.artifact.origin),
        (Digest::of(WASM), reference)
    );
    let package = fetched.package.unwrap();
    assert_eq!(package.manifest.to_string(), manifest["digest"]);
    assert_eq!(Digest::of(&package.manifest_bytes), package.manifest);
    assert_eq!((package.request, package.wit, package.index), (None, None, None));
    let whole = WASM.len().try_into().unwrap();
    let last = seen.lock().unwrap().last().copied();
    assert_eq!(
        last,
        Some(Received {
            received: whole,
            total: Some(whole)
        })
    );
}

#[tokio::test]
async fn policy_and_wit_come_along_and_other_layers_do_not() {
    let registry = Registry::default();
    let layers = [
        registry.blob("application/vnd.wassette.policy+yaml", "version: 1"),
        registry.blob("application/vnd.wasm.content.layer.v1+wasm", WASM),
        registry.blob("application/vnd.wassette.wit.v1+text", "package a:b;"),
        registry.blob("application/spdx+json", "never fetched"),
    ];
    registry.image("1", &layers);
    let server = registry.serve().await;
    let package = fetch(&fetcher(config()), server.port)
        .await
        .unwrap()
        .package
        .unwrap();
    assert_eq!(package.request.as_deref(), Some("version: 1"));
    assert_eq!(package.wit.as_deref(), Some("package a:b;"));
    let other = format!("GET /v2/tool/blobs/{}", layers[3]["digest"].as_str().unwrap());
    assert!(!server.paths().contains(&other));
}

/// Serves `tool:1` of these layers; the error of fetching it.
async fn refused(make: impl FnOnce(&Registry)) -> ManifestError {
    let registry = Registry::default();
    make(&registry);
    let server = registry.serve().await;
    let error = match fetch(&fetcher(config()), server.port).await {
        Err(NetworkError::Manifest { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert!(
        server.paths().iter().all(|path| path.contains("/manifests/")),
        "nothing else was fetched"
    );
    error
}

#[tokio::test]
async fn artifacts_that_are_no_component_are_refused_before_anything_is_downloaded() {
    let two = refused(|registry| {
        let layers = [
            registry.blob("application/wasm", "a"),
            registry.blob("application/wasm", "b"),
        ];
        registry.image("1", &layers);
    });
    assert_eq!(two.await, ManifestError::ManyWasm(2));
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    let compressed = refused(|registry| {
        let layers = [registry.blob("application/wasm", "a"), registry.blob(gzip, "b")];
        registry.image("1", &layers);
    });
    assert_eq!(compressed.await, ManifestError::Compressed(gzip.to_owned()));
    let foreign = refused(|registry| {
        let mut layer = registry.blob("application/wasm", "a");
        layer["urls"] = json!(["https://elsewhere.example/a"]);
        registry.image("1", &[layer]);
    });
    assert_eq!(foreign.await, ManifestError::ForeignUrls);
    let large = refused(|registry| {
        let mut layer = registry.blob("application/wasm", "a");
        layer["size"] = json!(65 << 20);
        registry.image("1", &[layer]);
    });
    let error = ManifestError::TooLarge {
        bytes: 65 << 20,
        bytes_max: 64 << 20,
    };
    assert_eq!(large.await, error);
    let other = refused(|registry| {
        let mut layer = registry.blob("application/wasm", "a");
        layer["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
        registry.image("1", &[layer]);
    });
    assert_eq!(other.await, ManifestError::Algorithm);
}

#[tokio::test]
async fn the_component_of_an_index_is_chosen() {
    let registry = Registry::default();
    let mut entry = registry.component("of-index", WASM);
    entry["platform"] = json!({ "architecture": "wasm", "os": "wasip2" });
    let other = json!({ "mediaType": IMAGE, "digest": Digest::of(b"other").to_string(), "size": 5,
        "platform": { "architecture": "amd64", "os": "linux" } });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, entry] });
    let index = registry.manifest(("tool", "1"), &index);
    let server = registry.serve().await;
    let fetched = fetch(&fetcher(config()), server.port).await.unwrap();
    assert_eq!(*fetched.artifact.bytes, *WASM);
    let package = fetched.package.unwrap();
    assert_eq!(package.manifest.to_string(), entry["digest"]);
    assert_eq!(package.named().to_string(), index["digest"]);
}

#[tokio::test]
async fn indexes_that_name_none_or_several_or_an_index_are_refused() {
    let index =
        |entries: serde_json::Value| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let wasm = |registry: &Registry, bytes: &[u8]| {
        let mut entry = registry.component("of-index", bytes);
        entry["platform"] = json!({ "architecture": "wasm", "os": "x" });
        entry
    };
    let several = refused(|registry| {
        let entries = [wasm(registry, b"a"), wasm(registry, b"b")];
        registry.manifest(("tool", "1"), &index(json!(entries)));
    });
    assert!(matches!(several.await, ManifestError::Ambiguous(list) if list.matches("(x/wasm)").count() == 2));
    let none = refused(|registry| {
        registry.manifest(("tool", "1"), &index(json!([])));
    });
    assert_eq!(none.await, ManifestError::NoPlatform("none".to_owned()));
    let nested = refused(|registry| {
        let mut inner = registry.manifest(("tool", "inner"), &index(json!([])));
        inner["platform"] = json!({ "architecture": "wasm", "os": "x" });
        registry.manifest(("tool", "1"), &index(json!([inner])));
    });
    assert_eq!(nested.await, ManifestError::Nested);
    // One that hides what it is.
    let hidden = refused(|registry| {
        let mut inner = registry.manifest(("tool", "inner"), &index(json!([])));
        inner["platform"] = json!({ "architecture": "wasm", "os": "x" });
        inner["mediaType"] = json!(IMAGE);
        registry.manifest(("tool", "1"), &index(json!([inner])));
    });
    assert_eq!(hidden.await, ManifestError::Nested);
}

#[tokio::test]
async fn another_manifest_than_named_is_refused() {
    let registry = Registry::default();
    registry.component("1", WASM);
    let other = Digest::of(b"another");
    // By the reference's digest.
    let server = registry
        .serve_with(|request| {
            let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": {}, "layers": [] });
            let answer = Reply::of(200, &[("content-type", IMAGE)], manifest.to_string());
            request.path.contains("/manifests/").then_some(answer)
        })
        .await;
    let reference = oci("127.0.0.1", server.port, &format!("tool@{other}"));
    let refused = crate::fetch_from(&fetcher(config()), reference, &Reach::Operator).await;
    assert_error!(refused, NetworkError::Digest { expected, .. } if expected == other);
    // By the registry's own word.
    let server = registry
        .serve_with(move |request| {
            let headers = [
                ("content-type", IMAGE),
                ("docker-content-digest", &*other.to_string()),
            ];
            request
                .path
                .contains("/manifests/")
                .then(|| Reply::of(200, &headers, "{}"))
        })
        .await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(refused, NetworkError::Digest { expected, found, .. } if (expected, found) == (other, Digest::of(b"{}")));
    let server = registry
        .serve_with(|request| {
            let headers = [("content-type", IMAGE), ("docker-content-digest", "sha512:00")];
            request
                .path
                .contains("/manifests/")
                .then(|| Reply::of(200, &headers, "{}"))
        })
        .await;
    assert_error!(
        fetch(&fetcher(config()), server.port).await,
        NetworkError::Algorithm { .. }
    );
}

/// Fetches `tool:1` of a registry that answers this for every blob.
async fn fetch_lying(reply: Reply) -> Result<wassette_fetch::Fetched, NetworkError> {
    let registry = Registry::default();
    registry.component("1", WASM);
    let lie = move |request: &crate::server::Request| request.path.contains("/blobs/").then(|| reply.clone());
    let server = registry.serve_with(lie).await;
    fetch(&fetcher(config()), server.port).await
}

#[tokio::test]
async fn other_bytes_than_named_are_refused() {
    let whole = u64::try_from(WASM.len()).unwrap();
    let mut other = WASM.to_vec();
    other[3] ^= 1;
    let found = Digest::of(&other);
    let refused = fetch_lying(Reply::of(200, &[], &other)).await;
    assert_error!(refused, NetworkError::Digest { expected, found: f, .. } if expected == Digest::of(WASM) && f == found);
    let refused = fetch_lying(Reply::of(200, &[], &WASM[1..])).await;
    assert_error!(refused, NetworkError::Length { expected, found, .. } if (expected, found) == (whole, whole - 1));
    let refused = fetch_lying(Reply::of(200, &[], [WASM, b"x"].concat())).await;
    assert_error!(refused, NetworkError::TooLarge { bytes_max, .. } if bytes_max == whole);
    // More than named, without saying how much.
    let head = b"HTTP/1.1 200 x\r\ncontent-type: x/y\r\n\r\n".as_slice();
    let refused = fetch_lying(Reply::Endless(head.to_vec())).await;
    assert_error!(refused, NetworkError::TooLarge { bytes_max, .. } if bytes_max == whole);
    let refused = fetch_lying(Reply::of(200, &[("content-encoding", "gzip")], WASM)).await;
    assert_error!(refused, NetworkError::Encoded { .. });
    let truncated = [
        format!("HTTP/1.1 200 x\r\ncontent-length: {whole}\r\n\r\n").as_bytes(),
        &WASM[..4],
    ]
    .concat();
    assert_error!(
        fetch_lying(Reply::Raw(truncated.clone())).await,
        NetworkError::Broken { .. }
    );
    assert_error!(
        fetch_lying(Reply::Stall(truncated)).await,
        NetworkError::Idle { .. }
    );
}

#[tokio::test]
async fn a_text_in_an_artifact_is_utf8() {
    let registry = Registry::default();
    let layers = [
        registry.blob("application/wasm", WASM),
        registry.blob("text/yaml", b"\xff"),
    ];
    registry.image("1", &layers);
    let server = registry.serve().await;
    let refused = fetch(&fetcher(config()), server.port).await;
    assert_error!(
        refused,
        NetworkError::Manifest {
            source: ManifestError::Text,
            ..
        }
    );
}

#[tokio::test]
async fn what_was_resolved_is_fetched_although_the_tag_moved() {
    let registry = Registry::default();
    registry.component("1", WASM);
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
    assert_eq!(server.paths(), ["GET /v2/tool/manifests/1"]);
    assert_eq!(resolved.wasm, (Digest::of(WASM), WASM.len().try_into().unwrap()));
    let digest = async || fetcher.named_digest(&reference, &Reach::Operator).await.unwrap();
    assert_eq!(digest().await, resolved.named());
    registry.component("1", b"\0asm another");
    assert_ne!(digest().await, resolved.named());
    assert_eq!(
        server.paths()[1..],
        ["HEAD /v2/tool/manifests/1", "HEAD /v2/tool/manifests/1"]
    );
    let fetched = fetcher
        .fetch_resolved(&resolved, &FetchOptions::OPERATOR)
        .await
        .unwrap();
    assert_eq!(*fetched.artifact.bytes, *WASM);
    assert_eq!(fetched.package.unwrap().manifest, resolved.manifest);
    let pinned = reference.with_digest(resolved.manifest);
    let fetched = crate::fetch_from(&fetcher, pinned, &Reach::Operator)
        .await
        .unwrap();
    assert_eq!(*fetched.artifact.bytes, *WASM);
}

#[tokio::test]
async fn a_registry_without_head_is_asked_for_the_whole() {
    let registry = Registry::default();
    let manifest = registry.component("1", WASM);
    let server = registry
        .serve_with(|request| (request.method == "HEAD").then(|| Reply::status(405)))
        .await;
    let reference = oci("127.0.0.1", server.port, "tool:1");
    let digest = fetcher(config()).named_digest(&reference, &Reach::Operator).await;
    assert_eq!(digest.unwrap().to_string(), manifest["digest"]);
}

#[tokio::test]
async fn artifacts_of_one_part_are_pushed_and_read() {
    let registry = Registry::default();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:feed"));
    let push = SinglePush {
        media_type: "application/x-feed".to_owned(),
        bytes: b"entries".to_vec(),
        annotations: [("sequence".to_owned(), "7".to_owned())].into(),
    };
    let digest = fetcher.push_single(&reference, push).await.unwrap();
    let read = async |media_type: &str, bytes_max| {
        let request = SingleRequest {
            reference: &reference,
            media_type,
            bytes_max,
        };
        fetcher.read_single(&request, &Reach::Operator).await
    };
    let artifact = read("application/x-feed", 7).await.unwrap();
    assert_eq!((artifact.manifest, &*artifact.bytes), (digest, &b"entries"[..]));
    assert_eq!(artifact.annotations["sequence"], "7");
    let too_large = ManifestError::TooLarge {
        bytes: 7,
        bytes_max: 6,
    };
    assert_error!(read("application/x-feed", 6).await, NetworkError::Manifest { source, .. } if source == too_large);
    let other = ManifestError::Type("application/x-other".to_owned());
    assert_error!(read("application/x-other", 7).await, NetworkError::Manifest { source, .. } if source == other);
}

#[tokio::test]
async fn tags_are_listed_page_by_page_at_one_server() {
    let registry = Registry::default();
    let server = registry
        .serve_with(|request| match request.path.as_str() {
            "/v2/tool/tags/list" => {
                let next = "</v2/tool/tags/list?last=b>; rel=\"next\"";
                Some(Reply::of(200, &[("link", next)], r#"{"tags":["a","b"]}"#))
            }
            "/v2/tool/tags/list?last=b" => Some(Reply::of(200, &[], r#"{"name":"tool","tags":["c"]}"#)),
            "/v2/other/tags/list" => {
                let next = "<https://elsewhere.example/v2/>; rel=\"next\"";
                Some(Reply::of(200, &[("link", next)], r#"{"tags":["a"]}"#))
            }
            _ => None,
        })
        .await;
    let fetcher = fetcher(config());
    let tags = async |repository: &str| {
        let reference = oci("127.0.0.1", server.port, repository);
        fetcher.tags(&reference, &Reach::Operator).await
    };
    assert_eq!(tags("tool").await.unwrap(), ["a", "b", "c"]);
    assert_error!(tags("other").await, NetworkError::Location { .. });
}
