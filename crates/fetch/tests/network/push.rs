//! What is pushed is there as specified, and comes back as it was; signatures in both layouts.

use serde_json::{Value as Json, json};
use wassette_fetch::{
    Credential, CredentialSource, Description, Interface, NetworkConfig, NetworkError, PushRequest, Reach,
    SignatureMaterial,
};
use wassette_store::Digest;

use crate::registry::{INDEX, Registry};
use crate::server::{Reply, Request, Server};
use crate::{assert_error, config, fetch, fetch_from, fetcher, oci};

const WASM: &[u8] = b"\0asm component";

fn request() -> PushRequest {
    PushRequest {
        wasm: WASM.into(),
        request: Some("version: 1".to_owned()),
        wit: Some("package a:b;".to_owned()),
        description: Description {
            title: Some("Tool".to_owned()),
            licenses: Some("MIT".to_owned()),
            created: Some("2026-01-02T03:04:05Z".to_owned()),
            ..Description::default()
        },
        interface: Interface {
            exports: vec!["a:b/run".to_owned()],
            imports: vec!["wasi:cli/stdout@0.2.0".to_owned()],
            target: None,
        },
    }
}

#[tokio::test]
async fn a_component_is_pushed_in_the_layout_and_comes_back() {
    let registry = Registry::default();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let digest = fetcher.push(&reference, request()).await.unwrap();
    let manifest = registry.kept("tool", "1");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    let types: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["mediaType"].clone())
        .collect();
    let expected = [
        "application/wasm",
        "application/vnd.wasm.policy.v1+yaml",
        "application/vnd.wassette.wit.v1+text",
    ];
    assert_eq!(types, expected);
    let annotations = json!({
        "org.opencontainers.image.title": "Tool",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
    });
    assert_eq!(manifest["annotations"], annotations);
    let layers: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["digest"].clone())
        .collect();
    let config = json!({
        "created": "2026-01-02T03:04:05Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": layers,
        "component": { "exports": ["a:b/run"], "imports": ["wasi:cli/stdout@0.2.0"] },
    });
    assert_eq!(
        registry.kept_blob(manifest["config"]["digest"].as_str().unwrap()),
        config
    );
    let fetched = fetch(&fetcher, server.port).await.unwrap();
    assert_eq!(*fetched.artifact.bytes, *WASM);
    let package = fetched.package.unwrap();
    assert_eq!(package.manifest, digest);
    assert_eq!(
        (package.request.as_deref(), package.wit.as_deref()),
        (Some("version: 1"), Some("package a:b;"))
    );
    assert_eq!(package.annotations["org.opencontainers.image.title"], "Tool");
}

#[tokio::test]
async fn the_same_is_pushed_as_the_same_and_blobs_that_are_there_are_not_sent() {
    let registry = Registry::default();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let first = fetcher.push(&reference, request()).await.unwrap();
    let count = server.requests().len();
    assert_eq!(fetcher.push(&reference, request()).await.unwrap(), first);
    assert!(
        server.paths()[count..]
            .iter()
            .all(|path| !path.starts_with("POST"))
    );
}

#[tokio::test]
async fn a_push_shows_its_credentials_and_names_its_tag() {
    let registry = Registry::default();
    let realm = Server::start(|_| Reply::of(200, &[], r#"{"token":"t0ken"}"#)).await;
    let challenge = format!("Bearer realm=\"http://127.0.0.1:{}/t\"", realm.port);
    let server = registry
        .serve_with(move |request| {
            let is_shown = request.header("authorization") == Some("Bearer t0ken");
            (!is_shown).then(|| Reply::of(401, &[("www-authenticate", &challenge)], ""))
        })
        .await;
    let credential = Credential::Password {
        user: "u".to_owned(),
        password: "p".into(),
    };
    let entry = CredentialSource::Entry {
        registry: format!("127.0.0.1:{}", server.port),
        credential,
    };
    let fetcher = fetcher(NetworkConfig {
        credentials: vec![entry],
        ..config()
    });
    let reference = oci("127.0.0.1", server.port, "tool:1");
    let digest = fetcher.push(&reference, request()).await.unwrap();
    assert_eq!(realm.paths(), ["GET /t?scope=repository%3Atool%3Apull%2Cpush"]);
    let refused = fetcher.push(&reference.with_digest(digest), request()).await;
    assert_error!(refused, NetworkError::Pinned { .. });
}

#[tokio::test]
async fn an_upload_that_goes_on_elsewhere_shows_nothing_there_and_stays_secure() {
    let registry = Registry::default();
    let shared = registry.clone();
    let store = Server::start(shared.handler(|_| None)).await;
    let attempt = async |location: String| {
        let server = registry
            .serve_with(move |request: &Request| match request.header("authorization") {
                None => Some(Reply::of(401, &[("www-authenticate", "Basic realm=x")], "")),
                Some(_) => (request.method == "POST").then(|| Reply::of(202, &[("location", &location)], "")),
            })
            .await;
        let credential = Credential::Password {
            user: "u".to_owned(),
            password: "p".into(),
        };
        let entry = CredentialSource::Entry {
            registry: format!("127.0.0.1:{}", server.port),
            credential,
        };
        let fetcher = fetcher(NetworkConfig {
            credentials: vec![entry],
            ..config()
        });
        fetcher
            .push(&oci("127.0.0.1", server.port, "tool:1"), request())
            .await
    };
    assert_error!(
        attempt("http://192.0.2.1/x".to_owned()).await,
        NetworkError::Location { .. }
    );
    assert_error!(attempt(String::new()).await, NetworkError::Location { .. });
    attempt(format!("http://127.0.0.1:{}/v2/tool/blobs/uploads/2", store.port))
        .await
        .unwrap();
    assert_eq!(store.requests().len(), 4);
    assert!(
        store
            .requests()
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_registry_that_refuses_a_push_is_named() {
    let registry = Registry::default();
    let server = registry
        .serve_with(|request| (request.method == "POST").then(|| Reply::status(403)))
        .await;
    let refused = fetcher(config())
        .push(&oci("127.0.0.1", server.port, "tool:1"), request())
        .await;
    assert_error!(refused, NetworkError::Login { status: 403, .. });
    let headers = [(
        "docker-content-digest",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )];
    let server = registry
        .serve_with(move |request| {
            let is_manifest = request.method == "PUT" && request.path.contains("/manifests/");
            is_manifest.then(|| Reply::of(201, &headers, ""))
        })
        .await;
    let refused = fetcher(config())
        .push(&oci("127.0.0.1", server.port, "tool:1"), request())
        .await;
    assert_error!(refused, NetworkError::Digest { found, .. } if found == Digest::of(b""));
}

fn cosign(signature: &str) -> SignatureMaterial {
    SignatureMaterial::Cosign {
        payload: br#"{"critical":{}}"#.to_vec(),
        signature: signature.to_owned(),
        certificate: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        chain: None,
        bundle: Some("{}".to_owned()),
    }
}

#[tokio::test]
async fn signatures_of_both_layouts_are_kept_beside_each_other() {
    for registry in [Registry::default(), Registry::with_referrers()] {
        let server = registry.serve().await;
        let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
        let manifest = fetcher.push(&reference, request()).await.unwrap();
        let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
        let found = async || {
            let found = fetcher.signatures(&resolved, &Reach::Operator).await.unwrap();
            assert!(found.iter().all(|one| one.subject == manifest));
            found.into_iter().map(|one| one.material).collect::<Vec<_>>()
        };
        assert_eq!(found().await, []);
        let mut all = vec![
            SignatureMaterial::Bundle(b"{\"one\":1}".to_vec()),
            SignatureMaterial::Bundle(b"{\"two\":2}".to_vec()),
            cosign("AAAA"),
            cosign("BBBB"),
        ];
        for material in &all {
            fetcher
                .push_signature(&reference, manifest, material)
                .await
                .unwrap();
            // Again: it is there already.
            fetcher
                .push_signature(&reference, manifest, material)
                .await
                .unwrap();
        }
        let mut found = found().await;
        let key = |one: &SignatureMaterial| format!("{one:?}");
        found.sort_by_key(key);
        all.sort_by_key(key);
        assert_eq!(found, all);
        // The artifact itself did not change.
        assert_eq!(
            fetch(&fetcher, server.port)
                .await
                .unwrap()
                .package
                .unwrap()
                .manifest,
            manifest
        );
    }
}

#[tokio::test]
async fn the_referrer_names_its_subject_and_its_type() {
    let registry = Registry::default();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let manifest = fetcher.push(&reference, request()).await.unwrap();
    let bundle = SignatureMaterial::Bundle(b"{}".to_vec());
    fetcher
        .push_signature(&reference, manifest, &bundle)
        .await
        .unwrap();
    let index = registry.kept("tool", &format!("sha256-{}", manifest.hex()));
    let bundle_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(
        (&index["mediaType"], &index["manifests"][0]["artifactType"]),
        (&json!(INDEX), &json!(bundle_type))
    );
    let referrer = registry.kept("tool", index["manifests"][0]["digest"].as_str().unwrap());
    assert_eq!(referrer["subject"]["digest"], manifest.to_string());
    assert_eq!(referrer["artifactType"], bundle_type);
    assert_eq!(
        referrer["config"]["mediaType"],
        "application/vnd.oci.empty.v1+json"
    );
}

#[tokio::test]
async fn a_registry_that_fails_is_not_one_without_signatures() {
    let registry = Registry::default();
    registry.component("1", WASM);
    for (part, status) in [
        ("/referrers/", 500),
        ("/manifests/sha256-", 500),
        (".sig", 403),
        ("/referrers/", 400),
    ] {
        let fail = move |request: &Request| request.path.contains(part).then(|| Reply::status(status));
        let server = registry.serve_with(fail).await;
        let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
        let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
        let refused = fetcher.signatures(&resolved, &Reach::Operator).await;
        assert_error!(refused, NetworkError::Status { status: s, .. } | NetworkError::Login { status: s, .. } if s == status);
    }
}

#[tokio::test]
async fn signatures_of_other_manifests_and_beyond_the_bounds_are_left_out() {
    let registry = Registry::with_referrers();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let manifest = fetcher.push(&reference, request()).await.unwrap();
    for number in 0..18 {
        let bundle = SignatureMaterial::Bundle(number.to_string().into_bytes());
        fetcher
            .push_signature(&reference, manifest, &bundle)
            .await
            .unwrap();
        fetcher
            .push_signature(&reference, manifest, &cosign(&number.to_string()))
            .await
            .unwrap();
    }
    let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
    let found = fetcher.signatures(&resolved, &Reach::Operator).await.unwrap();
    let bundles = found
        .iter()
        .filter(|one| matches!(one.material, SignatureMaterial::Bundle(_)))
        .count();
    assert_eq!((bundles, found.len()), (16, 32));
}

#[tokio::test]
async fn a_mirror_without_signatures_does_not_hide_them() {
    let registry = Registry::default();
    let origin = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", origin.port, "tool:1"));
    let manifest = fetcher.push(&reference, request()).await.unwrap();
    fetcher
        .push_signature(&reference, manifest, &cosign("AAAA"))
        .await
        .unwrap();
    let hide = |request: &Request| request.path.contains("sha256-").then(|| Reply::status(404));
    let mirror = registry.serve_with(hide).await;
    let mirrors = [(
        format!("127.0.0.1:{}", origin.port),
        format!("127.0.0.1:{}", mirror.port),
    )];
    let fetcher = crate::fetcher(NetworkConfig {
        mirrors: mirrors.into(),
        ..config()
    });
    let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
    let found = fetcher.signatures(&resolved, &Reach::Operator).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(fetch_from(&fetcher, reference, &Reach::Operator).await.is_ok());
}

/// A bundle is found by the type of its artifact, whichever version it has.
#[tokio::test]
async fn bundles_of_another_version_are_found() {
    let registry = Registry::with_referrers();
    let server = registry.serve().await;
    let (fetcher, reference) = (fetcher(config()), oci("127.0.0.1", server.port, "tool:1"));
    let manifest = fetcher.push(&reference, request()).await.unwrap();
    let add = |artifact_type: &str, bytes: &str| {
        let layer = registry.blob(artifact_type, bytes);
        let config = registry.blob("application/vnd.oci.empty.v1+json", "{}");
        let document: Json = json!({ "schemaVersion": 2, "mediaType": crate::registry::IMAGE, "artifactType": artifact_type,
            "config": config, "layers": [layer], "subject": { "digest": manifest.to_string(), "size": 1 } });
        registry.manifest(("tool", bytes), &document);
    };
    add("application/vnd.dev.sigstore.bundle+json;version=0.3", "old");
    add("application/spdx+json", "sbom");
    let resolved = fetcher.resolve(&reference, &Reach::Operator).await.unwrap();
    let found = fetcher.signatures(&resolved, &Reach::Operator).await.unwrap();
    let materials: Vec<_> = found.into_iter().map(|one| one.material).collect();
    assert_eq!(materials, [SignatureMaterial::Bundle(b"old".to_vec())]);
}
