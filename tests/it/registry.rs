//! A registry of artifacts on loopback, as small as can be: what a test put into it, over plain HTTP.
//!
//! It speaks the parts of the OCI distribution specification that are used for pulling and pushing, remembers what it was
//! asked, and can be told to want a password. What registries do wrong is tested in `crates/fetch`, and real ones in
//! `tests/it/foreign.rs`.

use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use wassette_host::Digest;

pub(crate) const POLICY: &str = "application/vnd.wasm.policy.v1+yaml";

#[derive(Default)]
struct Content {
    /// By digest.
    blobs: BTreeMap<String, Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// Method and path of each request.
    asked: Vec<String>,
    /// The `Authorization` header that is wanted.
    wanted: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Registry {
    host: String,
    content: Arc<Mutex<Content>>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Response {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn new(status: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Self {
            host: listener.local_addr().unwrap().to_string(),
            content: Arc::default(),
        };
        let shared = registry.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let registry = shared.clone();
                std::thread::spawn(move || registry.serve(stream));
            }
        });
        registry
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn reference(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.host)
    }

    /// From now on wants this user and password.
    pub(crate) fn lock(&self, user: &str, password: &str) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.content.lock().unwrap().wanted = Some(format!("Basic {text}"));
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.content.lock().unwrap().asked)
    }

    /// Puts layers of media type and bytes under a name such as `org/tool:1`; gives the manifest's digest.
    pub(crate) fn put(&self, name: &str, layers: &[(&str, &[u8])]) -> String {
        let mut content = self.content.lock().unwrap();
        let mut blob = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes).to_string();
            content.blobs.insert(digest.clone(), bytes.to_vec());
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = blob("application/vnd.wasm.config.v0+json", b"{}");
        let layers: Vec<Json> = layers
            .iter()
            .map(|(media_type, bytes)| blob(media_type, bytes))
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        let (repository, tag) = name.rsplit_once(':').unwrap();
        for key in [tag, &digest] {
            let key = (repository.to_owned(), key.to_owned());
            content
                .manifests
                .insert(key, (media_type.to_owned(), bytes.clone()));
        }
        digest
    }

    /// Puts a component, with the policy it asks for.
    pub(crate) fn component(&self, name: &str, wasm: &[u8], request: Option<&str>) -> String {
        let mut layers = vec![("application/wasm", wasm)];
        if let Some(request) = request {
            layers.push((POLICY, request.as_bytes()));
        }
        self.put(name, &layers)
    }

    /// Forgets a tag.
    pub(crate) fn forget(&self, repository: &str, tag: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        self.content.lock().unwrap().manifests.remove(&key).unwrap();
    }

    fn serve(&self, stream: TcpStream) {
        let Some(request) = read(&stream) else {
            return;
        };
        let response = self.answer(&request);
        let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", response.status);
        for (name, value) in &response.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", response.body.len()));
        let mut stream = stream;
        let _gone = stream.write_all(text.as_bytes());
        if request.method != "HEAD" {
            let _gone = stream.write_all(&response.body);
        }
    }

    fn answer(&self, request: &Request) -> Response {
        let mut content = self.content.lock().unwrap();
        content.asked.push(format!("{} {}", request.method, request.path));
        if content.wanted.is_some() && content.wanted.as_ref() != request.headers.get("authorization") {
            return Response::new("401 Unauthorized").with("WWW-Authenticate", "Basic realm=\"test\"");
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Response::new("404 Not Found");
        };
        for kind in ["/manifests/", "/blobs/uploads/", "/blobs/", "/referrers/"] {
            if let Some((repository, name)) = rest.split_once(kind) {
                return content.about(request, (kind, repository, name), query);
            }
        }
        Response {
            body: b"{}".to_vec(),
            ..Response::new("200 OK")
        }
    }
}

impl Content {
    fn about(
        &mut self,
        request: &Request,
        (kind, repository, name): (&str, &str, &str),
        query: &str,
    ) -> Response {
        match (request.method.as_str(), kind) {
            ("GET" | "HEAD", "/manifests/") => {
                match self.manifests.get(&(repository.to_owned(), name.to_owned())) {
                    Some((media_type, bytes)) => Response {
                        body: bytes.clone(),
                        ..Response::new("200 OK")
                            .with("Content-Type", media_type)
                            .with("Docker-Content-Digest", Digest::of(bytes).to_string())
                    },
                    None => Response::new("404 Not Found"),
                }
            }
            ("PUT", "/manifests/") => {
                let digest = Digest::of(&request.body).to_string();
                let media_type = request.headers.get("content-type").cloned().unwrap_or_default();
                for key in [name, &digest] {
                    let key = (repository.to_owned(), key.to_owned());
                    self.manifests
                        .insert(key, (media_type.clone(), request.body.clone()));
                }
                let at = format!("/v2/{repository}/manifests/{digest}");
                Response::new("201 Created")
                    .with("Location", at)
                    .with("Docker-Content-Digest", digest)
            }
            ("GET" | "HEAD", "/blobs/") => match self.blobs.get(name) {
                Some(bytes) => Response {
                    body: bytes.clone(),
                    ..Response::new("200 OK").with("Content-Type", "application/octet-stream")
                },
                None => Response::new("404 Not Found"),
            },
            ("POST", "/blobs/uploads/") => {
                let at = format!("/v2/{repository}/blobs/uploads/1");
                Response::new("202 Accepted")
                    .with("Location", at)
                    .with("Range", "0-0")
            }
            ("PATCH" | "PUT", "/blobs/uploads/") => {
                // One upload at a time is enough: what was sent in pieces is put together under its name.
                let mut bytes = self.blobs.remove("upload").unwrap_or_default();
                bytes.extend_from_slice(&request.body);
                let digest = query.split('&').find_map(|part| part.strip_prefix("digest="));
                if request.method == "PATCH" {
                    let range = format!("0-{}", bytes.len().saturating_sub(1));
                    self.blobs.insert("upload".to_owned(), bytes);
                    let at = format!("/v2/{repository}/blobs/uploads/1");
                    return Response::new("202 Accepted")
                        .with("Location", at)
                        .with("Range", range);
                }
                let digest = digest.unwrap().replace("%3A", ":");
                assert_eq!(digest, Digest::of(&bytes).to_string());
                let at = format!("/v2/{repository}/blobs/{digest}");
                self.blobs.insert(digest, bytes);
                Response::new("201 Created").with("Location", at)
            }
            _ => Response::new("404 Not Found"),
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding == "chunked")
    {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk).ok()?;
            if length == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..length]);
        }
    } else if let Some(length) = headers.get("content-length") {
        body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
    }
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}
