//! A registry in memory that keeps to the distribution specification, and what tests put into it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use wassette_store::Digest;

use crate::server::{Reply, Request, Server};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The content; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// By `repository` and tag or digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    keeps_referrers: bool,
}

impl Registry {
    /// One that answers `referrers` (OCI 1.1).
    pub(crate) fn with_referrers() -> Self {
        let registry = Self::default();
        registry.0.lock().unwrap().keeps_referrers = true;
        registry
    }

    /// Adds a blob; its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: impl AsRef<[u8]>) -> Json {
        let bytes = bytes.as_ref();
        let digest = Digest::of(bytes).to_string();
        self.0
            .lock()
            .unwrap()
            .blobs
            .insert(digest.clone(), bytes.to_vec());
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Adds a manifest under a tag and its digest; its descriptor.
    pub(crate) fn manifest(&self, name: (&str, &str), manifest: &Json) -> Json {
        let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        let mut content = self.0.lock().unwrap();
        for reference in [name.1, &digest] {
            let key = (name.0.to_owned(), reference.to_owned());
            content.manifests.insert(key, (media_type.clone(), bytes.clone()));
        }
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Adds a component under `tool` and this tag.
    pub(crate) fn component(&self, tag: &str, wasm: &[u8]) -> Json {
        let layers = [self.blob("application/wasm", wasm)];
        self.image(tag, &layers)
    }

    /// Adds an artifact of these layers under `tool` and this tag.
    pub(crate) fn image(&self, tag: &str, layers: &[Json]) -> Json {
        let config = self.blob(WASM_CONFIG, "{}");
        let image = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers });
        self.manifest(("tool", tag), &image)
    }

    /// What is kept under a name, as JSON.
    pub(crate) fn kept(&self, repository: &str, name: &str) -> Json {
        let content = self.0.lock().unwrap();
        let (_, bytes) = &content.manifests[&(repository.to_owned(), name.to_owned())];
        serde_json::from_slice(bytes).unwrap()
    }

    /// What is kept under a digest, as JSON.
    pub(crate) fn kept_blob(&self, digest: &str) -> Json {
        serde_json::from_slice(&self.0.lock().unwrap().blobs[digest]).unwrap()
    }

    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(|_| None).await
    }

    /// Serves it, but where the test has another answer.
    pub(crate) async fn serve_with(
        &self,
        other: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Server {
        Server::start(self.handler(other)).await
    }

    pub(crate) fn handler(
        &self,
        other: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
        let registry = self.clone();
        move |request| other(request).unwrap_or_else(|| registry.answer(request))
    }

    fn answer(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(path) = path.strip_prefix("/v2/") else {
            return Reply::status(404);
        };
        for (middle, kind) in [
            ("/manifests/", 0),
            ("/blobs/uploads/", 1),
            ("/blobs/", 2),
            ("/referrers/", 3),
        ] {
            if let Some((repository, name)) = path.split_once(middle) {
                return match kind {
                    0 => self.manifests(request, repository, name),
                    1 => self.uploads(request, query),
                    2 => self.blobs(name),
                    _ => self.referrers(repository, name),
                };
            }
        }
        Reply::status(404)
    }

    fn manifests(&self, request: &Request, repository: &str, name: &str) -> Reply {
        let mut content = self.0.lock().unwrap();
        let key = (repository.to_owned(), name.to_owned());
        if request.method != "PUT" {
            return match content.manifests.get(&key) {
                Some((media_type, bytes)) => {
                    let digest = Digest::of(bytes).to_string();
                    Reply::of(
                        200,
                        &[("content-type", media_type), ("docker-content-digest", &digest)],
                        bytes,
                    )
                }
                None => Reply::status(404),
            };
        }
        let digest = Digest::of(&request.body).to_string();
        let kept = (
            request.header("content-type").unwrap().to_owned(),
            request.body.clone(),
        );
        content
            .manifests
            .insert((repository.to_owned(), digest.clone()), kept.clone());
        content.manifests.insert(key, kept);
        let manifest: Json = serde_json::from_slice(&request.body).unwrap();
        let mut headers = vec![("docker-content-digest", digest.as_str())];
        if content.keeps_referrers && manifest.get("subject").is_some() {
            headers.push(("oci-subject", manifest["subject"]["digest"].as_str().unwrap()));
        }
        Reply::of(201, &headers, "")
    }

    fn uploads(&self, request: &Request, query: &str) -> Reply {
        if request.method == "POST" {
            return Reply::of(202, &[("location", "/v2/tool/blobs/uploads/1?state=a%2Fb")], "");
        }
        let digest = Digest::of(&request.body).to_string();
        if !query.contains(&format!("digest={}", digest.replace(':', "%3A"))) {
            return Reply::status(400);
        }
        self.0.lock().unwrap().blobs.insert(digest, request.body.clone());
        Reply::status(201)
    }

    fn blobs(&self, digest: &str) -> Reply {
        match self.0.lock().unwrap().blobs.get(digest) {
            Some(bytes) => Reply::of(200, &[("content-type", "application/octet-stream")], bytes),
            None => Reply::status(404),
        }
    }

    fn referrers(&self, repository: &str, digest: &str) -> Reply {
        let content = self.0.lock().unwrap();
        if !content.keeps_referrers {
            return Reply::status(404);
        }
        let mut found = Vec::new();
        for ((known, name), (media_type, bytes)) in &content.manifests {
            let manifest: Json = serde_json::from_slice(bytes).unwrap();
            if known == repository && name.starts_with("sha256:") && manifest["subject"]["digest"] == digest {
                found.push(
                    json!({ "mediaType": media_type, "digest": name, "size": bytes.len(),
                    "artifactType": manifest["artifactType"] }),
                );
            }
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
        Reply::of(200, &[("content-type", INDEX)], index.to_string())
    }
}
