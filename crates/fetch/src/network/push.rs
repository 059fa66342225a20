//! Giving artifacts to a registry: blobs first, the manifest last, so that what is named is always whole.
//!
//! A component is written in the CNCF's Wasm OCI artifact layout; the same input gives the same manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde::Serialize;
use wassette_store::{Digest, OciReference};

use super::NetworkError;
use super::exchange::{self, Ask};
use super::manifest::{Descriptor, Document, IMAGE, POLICY, WASM, WASM_CONFIG, WIT};
use super::pull::shown;
use super::reach;
use super::registry::{ATTEMPTS_MAX, Network, Place, content_digest};

/// Most bytes of an answer to a write, which nobody reads.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The configuration's time when none is given: the artifact is then the same whenever it is made.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What people are told about an artifact; each is an annotation of the OCI image specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// A name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its licence, as an SPDX expression.
    pub licenses: Option<String>,
    /// A URL of its source code.
    pub source: Option<String>,
    /// When it was made (RFC 3339). Without it the same component gives the same artifact.
    pub created: Option<String>,
}

/// The world of a component, as the artifact's configuration names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// Names of what it imports.
    pub imports: Vec<String>,
    /// The world it is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A component to be pushed.
#[derive(Clone)]
pub struct PushRequest {
    /// The component.
    pub wasm: Arc<[u8]>,
    /// A policy that asks for permissions. Tools that take one layer only do not read an artifact with it.
    pub request: Option<String>,
    /// Its WIT as text.
    pub wit: Option<String>,
    /// What people are told.
    pub description: Description,
    /// Its world.
    pub interface: Interface,
}

impl std::fmt::Debug for PushRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushRequest")
            .field("wasm", &self.wasm.len())
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// The configuration of the CNCF's layout.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig<'a> {
    created: &'a str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<&'a str>,
    component: &'a Interface,
}

/// Bytes and what a manifest says about them.
pub(crate) struct Blob {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Bytes,
}

impl Blob {
    pub(crate) fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            bytes,
        }
    }

    /// The configuration of an artifact that has none.
    pub(crate) fn empty() -> Self {
        Self::new(EMPTY, Bytes::from_static(b"{}"))
    }
}

/// A manifest and what it names.
pub(crate) struct Image {
    pub(crate) config: Blob,
    pub(crate) layers: Vec<Blob>,
    pub(crate) document: Document,
}

impl Image {
    pub(crate) fn of(config: Blob, layers: Vec<Blob>) -> Self {
        let document = Document {
            schema_version: 2,
            media_type: Some(IMAGE.to_owned()),
            config: Some(config.descriptor.clone()),
            layers: Some(layers.iter().map(|layer| layer.descriptor.clone()).collect()),
            ..Document::default()
        };
        Self {
            config,
            layers,
            document,
        }
    }
}

impl Description {
    fn annotations(&self) -> BTreeMap<String, String> {
        let fields = [
            ("title", &self.title),
            ("description", &self.description),
            ("version", &self.version),
            ("licenses", &self.licenses),
            ("source", &self.source),
            ("created", &self.created),
        ];
        let said = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)));
        said.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value))
            .collect()
    }
}

impl Network {
    /// Pushes a component; the digest of its manifest.
    pub(crate) async fn push(
        &self,
        reference: &OciReference,
        request: PushRequest,
    ) -> Result<Digest, NetworkError> {
        let mut layers = vec![Blob::new(WASM, Bytes::from_owner(request.wasm))];
        layers.extend(request.request.map(|text| Blob::new(POLICY, text)));
        layers.extend(request.wit.map(|text| Blob::new(WIT, text)));
        let config = WasmConfig {
            created: request.description.created.as_deref().unwrap_or(NO_TIME),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: layers
                .iter()
                .map(|layer| layer.descriptor.digest.as_str())
                .collect(),
            component: &request.interface,
        };
        let config = Blob::new(WASM_CONFIG, json(&config));
        let annotations = request.description.annotations();
        let mut image = Image::of(config, layers);
        image.document.annotations = (!annotations.is_empty()).then_some(annotations);
        self.push_image(reference, &image).await
    }

    /// Pushes an image manifest under the reference's tag, after what it names.
    pub(crate) async fn push_image(
        &self,
        reference: &OciReference,
        image: &Image,
    ) -> Result<Digest, NetworkError> {
        let tag = tag(reference)?;
        let place = self.target(reference);
        for blob in image.layers.iter().chain([&image.config]) {
            self.push_blob(&place, blob).await?;
        }
        let manifest = (IMAGE, json(&image.document));
        let (digest, _head) = self.push_document(&place, tag, manifest).await?;
        Ok(digest)
    }

    /// Uploads a blob that the registry does not have.
    pub(crate) async fn push_blob(&self, place: &Place<'_>, blob: &Blob) -> Result<(), NetworkError> {
        let what = shown(place.reference);
        let digest = &blob.descriptor.digest;
        let mut ask = Ask::get(self.url(place, &format!("blobs/{digest}"))?, "*/*", &what);
        ask.method = Method::HEAD;
        ask.attempts_max = ATTEMPTS_MAX;
        if self.call(place, ask).await?.status == StatusCode::OK {
            return Ok(());
        }
        let mut ask = Ask::get(self.url(place, "blobs/uploads/")?, "*/*", &what);
        ask.method = Method::POST;
        ask.bytes_max = ANSWER_BYTES_MAX;
        let begun = self.call(place, ask).await?;
        if begun.status != StatusCode::ACCEPTED {
            return Err(begun.error(&what));
        }
        let location = begun.field(LOCATION).unwrap_or_default();
        let mut url = exchange::next(&begun.url, location).map_err(|reason| NetworkError::Location {
            host: reach::host(&begun.url),
            reason,
        })?;
        url.query_pairs_mut().append_pair("digest", digest);
        let mut ask = Ask::get(url, "*/*", &what);
        ask.method = Method::PUT;
        ask.content_type = Some("application/octet-stream");
        ask.body = blob.bytes.clone();
        ask.bytes_max = ANSWER_BYTES_MAX;
        let done = self.call(place, ask).await?;
        if done.status != StatusCode::CREATED {
            return Err(done.error(&what));
        }
        Ok(())
    }

    /// Puts a manifest or index under a tag or its digest; also the head of the answer.
    pub(crate) async fn push_document(
        &self,
        place: &Place<'_>,
        name: &str,
        (media_type, bytes): (&str, Vec<u8>),
    ) -> Result<(Digest, http::HeaderMap), NetworkError> {
        let what = shown(place.reference);
        let digest = Digest::of(&bytes);
        let mut ask = Ask::get(self.url(place, &format!("manifests/{name}"))?, "*/*", &what);
        ask.method = Method::PUT;
        ask.content_type = Some(media_type);
        ask.body = bytes.into();
        ask.bytes_max = ANSWER_BYTES_MAX;
        // The same bytes under the same name: putting them twice is putting them once.
        ask.attempts_max = ATTEMPTS_MAX;
        let answer = self.call(place, ask).await?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.error(&what));
        }
        match content_digest(&answer, &what)? {
            Some(found) if found != digest => Err(NetworkError::Digest {
                what,
                expected: digest,
                found,
            }),
            Some(_) | None => Ok((digest, answer.headers)),
        }
    }
}

/// The tag that is written; what is named by a digest cannot be chosen.
pub(crate) fn tag(reference: &OciReference) -> Result<&str, NetworkError> {
    match (reference.tag(), reference.digest()) {
        (Some(tag), None) => Ok(tag),
        (_, Some(_)) | (None, None) => Err(NetworkError::Pinned {
            what: shown(reference),
        }),
    }
}

/// Maps with text as keys and plain structures always have a JSON form.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
