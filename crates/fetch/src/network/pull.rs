//! From a reference to the parts of an artifact: what a tag names is asked once, everything after goes by digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use wassette_store::{Artifact, Digest, OciReference, Reference};

use super::exchange::Ask;
use super::manifest::{self, Kind, ManifestError, Part, Parts};
use super::reach::Reach;
use super::registry::{self, Came, Item, Network, Place, manifest_error};
use super::{NetworkError, Progress};

/// Most pages, and most tags, of a list of tags.
const TAG_PAGES_MAX: usize = 10;
const TAGS_MAX: usize = 10_000;

/// Largest page of a list of tags.
const TAG_PAGE_BYTES_MAX: u64 = 1 << 20;

/// A manifest that was fetched and checked; nothing of what it names was.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What was asked for.
    pub reference: OciReference,
    /// The digest of the manifest, over the bytes that came.
    pub manifest: Digest,
    /// These bytes.
    pub manifest_bytes: Arc<[u8]>,
    /// The digest of the index through which the manifest was found, when the reference names one.
    pub index: Option<Digest>,
    /// Annotations of the manifest: 64 at most, of 4096 bytes at most; what is beyond is left out.
    pub annotations: BTreeMap<String, String>,
    /// The digest of the component, and its size in bytes.
    pub wasm: (Digest, u64),
    parts: Parts,
}

impl Resolved {
    /// What the tag names: the index where there is one, else the manifest. Compared to see that a tag moved.
    pub fn named(&self) -> Digest {
        self.index.unwrap_or(self.manifest)
    }
}

/// What came with a component.
#[derive(Clone, Debug)]
pub struct Package {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The manifest as it came.
    pub manifest_bytes: Arc<[u8]>,
    /// The digest of the index through which the manifest was found.
    pub index: Option<Digest>,
    /// The policy in the artifact: a request, which nobody granted.
    pub request: Option<String>,
    /// The WIT in the artifact, for readers.
    pub wit: Option<String>,
    /// See [`Resolved::annotations`].
    pub annotations: BTreeMap<String, String>,
}

impl Package {
    /// See [`Resolved::named`].
    pub fn named(&self) -> Digest {
        self.index.unwrap_or(self.manifest)
    }
}

impl Network {
    /// Fetches the manifest of a component.
    pub(crate) async fn resolve(
        &self,
        reference: &OciReference,
        reach: &Reach,
    ) -> Result<Resolved, NetworkError> {
        let places = self.places(reference, reach);
        let named = self.document(&places, &registry::name(reference)).await?;
        let refused = |source| manifest_error(shown(reference), source);
        let (came, index) = match named.kind {
            Kind::Image => (named, None),
            Kind::Index => {
                let chosen = named.document.choose().map_err(refused)?;
                (self.chosen(&places, chosen).await?, Some(named.digest))
            }
        };
        let parts = came.document.parts(self.artifact_bytes_max).map_err(refused)?;
        Ok(Resolved {
            reference: reference.clone(),
            manifest: came.digest,
            manifest_bytes: came.bytes.into(),
            index,
            annotations: came.document.bounded_annotations(),
            wasm: (parts.wasm.digest, parts.wasm.bytes),
            parts,
        })
    }

    /// Fetches what an index chose: a manifest, and no further index.
    async fn chosen(&self, places: &[Place<'_>], chosen: Part) -> Result<Came, NetworkError> {
        let came = self.document(places, &chosen.digest.to_string()).await?;
        match came.kind {
            Kind::Image => Ok(came),
            Kind::Index => {
                let what = places.first().map(|place| shown(place.reference));
                Err(manifest_error(what.unwrap_or_default(), ManifestError::Nested))
            }
        }
    }

    /// Fetches the parts of a manifest, by their digests.
    pub(crate) async fn fetch_parts(
        &self,
        resolved: &Resolved,
        reach: &Reach,
        progress: Option<&Progress<'_>>,
    ) -> Result<(Artifact, Package), NetworkError> {
        let places = self.places(&resolved.reference, reach);
        let wasm = self
            .read(&places, &Item::Blob(resolved.parts.wasm), progress)
            .await?;
        if wasm.bytes.is_empty() {
            return Err(NetworkError::Empty {
                what: shown(&resolved.reference),
            });
        }
        let artifact = Artifact {
            digest: wasm.digest,
            bytes: wasm.bytes.into(),
            origin: Reference::Oci(resolved.reference.clone()),
        };
        let package = Package {
            manifest: resolved.manifest,
            manifest_bytes: Arc::clone(&resolved.manifest_bytes),
            index: resolved.index,
            request: self.text(&places, resolved.parts.policy).await?,
            wit: self.text(&places, resolved.parts.wit).await?,
            annotations: resolved.annotations.clone(),
        };
        Ok((artifact, package))
    }

    async fn text(&self, places: &[Place<'_>], part: Option<Part>) -> Result<Option<String>, NetworkError> {
        let Some(part) = part else {
            return Ok(None);
        };
        let item = Item::Blob(part);
        let answer = self.read(places, &item, None).await?;
        let text = String::from_utf8(answer.bytes);
        let what = places.first().map(|place| place.what(&item));
        text.map(Some)
            .map_err(|_| manifest_error(what.unwrap_or_default(), ManifestError::Text))
    }

    /// The digest of what a reference names, by the registry's word where it gives it.
    pub(crate) async fn named_digest(
        &self,
        reference: &OciReference,
        reach: &Reach,
    ) -> Result<Digest, NetworkError> {
        let name = registry::name(reference);
        let places = self.places(reference, reach);
        for place in &places {
            let what = place.what(&Item::Manifest(&name));
            let mut ask = Ask::get(
                self.url(place, &format!("manifests/{name}"))?,
                manifest::ACCEPT,
                &what,
            );
            ask.method = Method::HEAD;
            ask.attempts_max = registry::ATTEMPTS_MAX;
            // Any failure: what the whole answer says counts.
            if let Ok(answer) = self.call(place, ask).await
                && answer.status.is_success()
                && let Some(digest) = registry::content_digest(&answer, &what)?
            {
                return Ok(digest);
            }
        }
        Ok(self.read(&places, &Item::Manifest(&name), None).await?.digest)
    }

    /// The tags of a repository, as many as the bounds allow.
    pub(crate) async fn tags(
        &self,
        reference: &OciReference,
        reach: &Reach,
    ) -> Result<Vec<String>, NetworkError> {
        let places = self.places(reference, reach);
        let Some(place) = places.last() else {
            return Err(NetworkError::Off);
        };
        let what = shown(reference);
        let mut url = self.url(place, "tags/list")?;
        let mut tags = Vec::new();
        for _ in 0..TAG_PAGES_MAX {
            let mut ask = Ask::get(url.clone(), "application/json", &what);
            ask.bytes_max = TAG_PAGE_BYTES_MAX;
            ask.attempts_max = registry::ATTEMPTS_MAX;
            let answer = self.call(place, ask).await?;
            if !answer.status.is_success() {
                return Err(answer.error(&what));
            }
            let page: TagPage =
                serde_json::from_slice(&answer.bytes).map_err(|_| NetworkError::Protocol {
                    host: super::reach::host(&answer.url),
                    reason: "a list of tags that is none",
                })?;
            tags.extend(page.tags.unwrap_or_default());
            tags.truncate(TAGS_MAX);
            match answer.field(http::header::LINK).and_then(next_page) {
                Some(next) => url = following(&answer.url, next)?,
                None => break,
            }
        }
        Ok(tags)
    }
}

#[derive(serde::Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// `</v2/x/tags/list?last=y&n=100>; rel="next"`.
fn next_page(link: &str) -> Option<&str> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then_some(target)
}

fn following(from: &url::Url, next: &str) -> Result<url::Url, NetworkError> {
    let url = from
        .join(next)
        .ok()
        .filter(|url| super::reach::is_same_origin(url, from));
    url.ok_or_else(|| NetworkError::Location {
        host: super::reach::host(from),
        reason: "another server for the next page",
    })
}

/// A reference without its scheme, for messages.
pub(crate) fn shown(reference: &OciReference) -> String {
    let text = reference.to_string();
    text.strip_prefix("oci://").unwrap_or(&text).to_owned()
}
