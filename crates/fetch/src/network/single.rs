//! Artifacts of one part and another type: catalogs and feeds of revocations.

use std::collections::BTreeMap;

use wassette_store::{Digest, OciReference};

use super::NetworkError;
use super::manifest::{Kind, ManifestError};
use super::pull::shown;
use super::push::{Blob, Image};
use super::reach::Reach;
use super::registry::{self, Item, Network, manifest_error};

/// An artifact of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleArtifact {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The part.
    pub bytes: Vec<u8>,
    /// Annotations of the manifest, bounded as those of a component.
    pub annotations: BTreeMap<String, String>,
}

/// An artifact of one part to be pushed.
#[derive(Clone, Debug)]
pub struct SinglePush {
    /// The type of the part, and of the artifact.
    pub media_type: String,
    /// The part.
    pub bytes: Vec<u8>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// Which artifact of one part is read, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct SingleRequest<'a> {
    /// Where it is.
    pub reference: &'a OciReference,
    /// The type of its part.
    pub media_type: &'a str,
    /// Largest part in bytes.
    pub bytes_max: u64,
}

impl Network {
    pub(crate) async fn read_single(
        &self,
        request: &SingleRequest<'_>,
        reach: &Reach,
    ) -> Result<SingleArtifact, NetworkError> {
        let places = self.places(request.reference, reach);
        let came = self.document(&places, &registry::name(request.reference)).await?;
        let refused = |source| manifest_error(shown(request.reference), source);
        let layers = match came.kind {
            Kind::Image => came.document.plain_layers().map_err(refused)?,
            Kind::Index => return Err(refused(ManifestError::Type(request.media_type.to_owned()))),
        };
        let part = match layers {
            [one] if one.media_type == request.media_type => one.part(request.bytes_max).map_err(refused)?,
            _ => return Err(refused(ManifestError::Type(request.media_type.to_owned()))),
        };
        let answer = self.read(&places, &Item::Blob(part), None).await?;
        Ok(SingleArtifact {
            manifest: came.digest,
            bytes: answer.bytes,
            annotations: came.document.bounded_annotations(),
        })
    }

    pub(crate) async fn push_single(
        &self,
        reference: &OciReference,
        push: SinglePush,
    ) -> Result<Digest, NetworkError> {
        let layers = vec![Blob::new(&push.media_type, push.bytes)];
        let mut image = Image::of(Blob::empty(), layers);
        image.document.artifact_type = Some(push.media_type);
        image.document.annotations = (!push.annotations.is_empty()).then_some(push.annotations);
        self.push_image(reference, &image).await
    }
}
