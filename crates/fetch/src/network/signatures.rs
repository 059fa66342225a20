//! Signatures that a registry keeps beside an artifact, read and written; whether they are good is not decided here.
//!
//! Two layouts: Sigstore bundles that refer to the manifest (OCI 1.1 referrers, and their tag where the registry
//! does not know them), and cosign's older `sha256-<hex>.sig` tag. SECURITY: only "there is none" means none; a
//! registry that fails is an error, so that nothing becomes unsigned by a failure.

use std::collections::BTreeMap;

use serde_json::json;
use wassette_store::{Digest, OciReference};

use super::NetworkError;
use super::exchange::Ask;
use super::manifest::{
    Descriptor, Document, IMAGE, INDEX, Kind, MANIFEST_BYTES_MAX, ManifestError, TEXT_BYTES_MAX,
};
use super::pull::shown;
use super::push::{self, Blob, Image};
use super::reach::Reach;
use super::registry::{self, ATTEMPTS_MAX, Came, Item, Network, Place, manifest_error};

/// Most manifests that refer to one, and most signatures in one manifest.
const SIGNATURES_MAX: usize = 16;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const REKOR_BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// A signature as it was found, which nobody verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The digest it was found for: of the manifest, or of the index that names it.
    pub subject: Digest,
    /// The signature.
    pub material: SignatureMaterial,
}

/// The parts of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureMaterial {
    /// A Sigstore bundle, JSON.
    Bundle(Vec<u8>),
    /// What cosign keeps in a layer and its annotations.
    Cosign {
        /// What was signed, JSON that names the digest.
        payload: Vec<u8>,
        /// The signature over `payload` in base64.
        signature: String,
        /// The signer's certificate in PEM.
        certificate: Option<String>,
        /// The certificates above it in PEM.
        chain: Option<String>,
        /// The entry of the transparency log, JSON.
        bundle: Option<String>,
    },
}

impl Network {
    /// All signatures of a manifest, and of the index it was found through.
    pub(crate) async fn signatures(
        &self,
        reference: &OciReference,
        subjects: &[Option<Digest>],
        reach: &Reach,
    ) -> Result<Vec<Signature>, NetworkError> {
        let mut last = Ok(Vec::new());
        // A mirror may have the artifact and not its signatures: none there is no answer yet.
        for place in self.places(reference, reach) {
            last = self.signatures_at(&place, subjects).await;
            if last.as_ref().is_ok_and(|found| !found.is_empty()) {
                break;
            }
        }
        last
    }

    async fn signatures_at(
        &self,
        place: &Place<'_>,
        subjects: &[Option<Digest>],
    ) -> Result<Vec<Signature>, NetworkError> {
        let mut found = Vec::new();
        for &subject in subjects.iter().flatten() {
            let bundles = self.bundles(place, subject).await?;
            let cosign = self.cosign(place, subject).await?;
            let all = bundles.into_iter().map(SignatureMaterial::Bundle).chain(cosign);
            found.extend(all.map(|material| Signature { subject, material }));
        }
        Ok(found)
    }

    /// Sigstore bundles that refer to this digest.
    async fn bundles(&self, place: &Place<'_>, subject: Digest) -> Result<Vec<Vec<u8>>, NetworkError> {
        let index = match self.referrers(place, subject).await? {
            Some(index) => Some(index),
            None => self
                .optional(place, &referrers_tag(subject))
                .await?
                .map(|came| came.document),
        };
        let listed = index.and_then(|index| index.manifests).unwrap_or_default();
        let may_be = |one: &&Descriptor| {
            one.artifact_type
                .as_deref()
                .is_none_or(|found| found.starts_with(BUNDLES))
        };
        let mut bundles = Vec::new();
        for descriptor in listed.iter().filter(may_be).take(SIGNATURES_MAX) {
            let part = descriptor
                .part(MANIFEST_BYTES_MAX)
                .map_err(|source| refused(place, source))?;
            // One that is listed and not there is a fault of the registry, and no signature.
            let Some(came) = self.optional(place, &part.digest.to_string()).await? else {
                continue;
            };
            let is_of_subject = came
                .document
                .subject
                .as_ref()
                .is_some_and(|one| one.digest == subject.to_string());
            let layers = came.document.layers.unwrap_or_default();
            let is_bundle = |layer: &&Descriptor| layer.media_type.starts_with(BUNDLES);
            for layer in layers
                .iter()
                .filter(is_bundle)
                .take(SIGNATURES_MAX)
                .filter(|_| is_of_subject)
            {
                bundles.push(self.small(place, layer).await?);
            }
            bundles.truncate(SIGNATURES_MAX);
        }
        Ok(bundles)
    }

    /// The list of what refers to a digest; `None` where the registry does not keep one.
    async fn referrers(&self, place: &Place<'_>, subject: Digest) -> Result<Option<Document>, NetworkError> {
        let what = shown(place.reference);
        let mut ask = Ask::get(self.url(place, &format!("referrers/{subject}"))?, INDEX, &what);
        ask.bytes_max = MANIFEST_BYTES_MAX;
        ask.attempts_max = ATTEMPTS_MAX;
        let answer = self.call(place, ask).await?;
        // Some registries send what they do not know to a page for people.
        if answer.status == http::StatusCode::NOT_FOUND
            || answer.media_type() == "text/html" && answer.status.is_success()
        {
            return Ok(None);
        }
        if answer.status != http::StatusCode::OK {
            return Err(answer.error(&what));
        }
        let (document, kind) =
            Document::parse(&answer.bytes, &answer.media_type()).map_err(|source| refused(place, source))?;
        match kind {
            Kind::Index => Ok(Some(document)),
            Kind::Image => Err(refused(place, ManifestError::Kind)),
        }
    }

    /// Signatures in cosign's older layout.
    async fn cosign(
        &self,
        place: &Place<'_>,
        subject: Digest,
    ) -> Result<Vec<SignatureMaterial>, NetworkError> {
        let Some(came) = self.optional(place, &cosign_tag(subject)).await? else {
            return Ok(Vec::new());
        };
        let layers = came
            .document
            .plain_layers()
            .map_err(|source| refused(place, source))?;
        let mut found = Vec::new();
        for layer in layers
            .iter()
            .filter(|layer| layer.media_type == PAYLOAD)
            .take(SIGNATURES_MAX)
        {
            let annotation = |name: &str| layer.annotations.as_ref().and_then(|all| all.get(name)).cloned();
            let Some(signature) = annotation(SIGNATURE) else {
                continue;
            };
            found.push(SignatureMaterial::Cosign {
                payload: self.small(place, layer).await?,
                signature,
                certificate: annotation(CERTIFICATE),
                chain: annotation(CHAIN),
                bundle: annotation(REKOR_BUNDLE),
            });
        }
        Ok(found)
    }

    /// A manifest or index at this place, when there is one.
    async fn optional(&self, place: &Place<'_>, name: &str) -> Result<Option<Came>, NetworkError> {
        let answer = match self.read_at(place, &Item::Manifest(name), None).await {
            Ok(answer) => answer,
            Err(NetworkError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (document, kind) =
            Document::parse(&answer.bytes, &answer.media_type()).map_err(|source| refused(place, source))?;
        Ok(Some(Came {
            digest: answer.digest,
            bytes: answer.bytes,
            document,
            kind,
        }))
    }

    async fn small(&self, place: &Place<'_>, layer: &Descriptor) -> Result<Vec<u8>, NetworkError> {
        let part = layer
            .part(TEXT_BYTES_MAX)
            .map_err(|source| refused(place, source))?;
        Ok(self.read_at(place, &Item::Blob(part), None).await?.bytes)
    }

    /// Keeps a signature beside the manifest it is of, in the layout of its kind, and leaves the others there.
    pub(crate) async fn push_signature(
        &self,
        reference: &OciReference,
        manifest: Digest,
        material: &SignatureMaterial,
    ) -> Result<(), NetworkError> {
        let place = self.target(reference);
        match material {
            SignatureMaterial::Bundle(bytes) => self.push_bundle(&place, manifest, bytes).await,
            SignatureMaterial::Cosign { payload, .. } => {
                let mut blob = Blob::new(PAYLOAD, payload.clone());
                blob.descriptor.annotations = Some(annotations(material));
                self.push_cosign(&place, manifest, blob).await
            }
        }
    }

    async fn push_bundle(
        &self,
        place: &Place<'_>,
        manifest: Digest,
        bytes: &[u8],
    ) -> Result<(), NetworkError> {
        let signed = self
            .read_at(place, &Item::Manifest(&manifest.to_string()), None)
            .await?;
        let mut image = Image::of(Blob::empty(), vec![Blob::new(BUNDLE, bytes.to_vec())]);
        for blob in image.layers.iter().chain([&image.config]) {
            self.push_blob(place, blob).await?;
        }
        image.document.artifact_type = Some(BUNDLE.to_owned());
        image.document.subject = Some(Descriptor::of(media_type(&signed.bytes), &signed.bytes));
        let bytes = push::json(&image.document);
        let mut entry = Descriptor::of(IMAGE, &bytes);
        entry.artifact_type = Some(BUNDLE.to_owned());
        let name = entry.digest.clone();
        let (_digest, head) = self.push_document(place, &name, (IMAGE, bytes)).await?;
        // A registry that keeps referrers says so; for another, whoever pushes keeps the list.
        if head.contains_key("oci-subject") {
            return Ok(());
        }
        self.list_referrer(place, &referrers_tag(manifest), entry).await
    }

    async fn list_referrer(
        &self,
        place: &Place<'_>,
        tag: &str,
        entry: Descriptor,
    ) -> Result<(), NetworkError> {
        let mut index = match self.optional(place, tag).await? {
            Some(came) => came.document,
            None => Document {
                schema_version: 2,
                media_type: Some(INDEX.to_owned()),
                ..Document::default()
            },
        };
        let listed = index.manifests.get_or_insert_default();
        if listed.iter().any(|one| one.digest == entry.digest) {
            return Ok(());
        }
        listed.push(entry);
        self.push_document(place, tag, (INDEX, push::json(&index)))
            .await?;
        Ok(())
    }

    async fn push_cosign(&self, place: &Place<'_>, manifest: Digest, blob: Blob) -> Result<(), NetworkError> {
        let tag = cosign_tag(manifest);
        let mut document = match self.optional(place, &tag).await? {
            Some(came) => came.document,
            None => Image::of(Blob::empty(), Vec::new()).document,
        };
        let layers = document.layers.get_or_insert_default();
        if layers.contains(&blob.descriptor) {
            return Ok(());
        }
        layers.push(blob.descriptor.clone());
        // cosign reads it as an image, whose configuration lists the layers.
        let digests: Vec<_> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({ "architecture": "", "os": "", "config": {}, "rootfs": { "type": "layers", "diff_ids": digests } });
        let config = Blob::new(IMAGE_CONFIG, push::json(&config));
        document.config = Some(config.descriptor.clone());
        self.push_blob(place, &blob).await?;
        self.push_blob(place, &config).await?;
        self.push_document(place, &tag, (IMAGE, push::json(&document)))
            .await?;
        Ok(())
    }
}

fn annotations(material: &SignatureMaterial) -> BTreeMap<String, String> {
    let SignatureMaterial::Cosign {
        signature,
        certificate,
        chain,
        bundle,
        ..
    } = material
    else {
        return BTreeMap::new();
    };
    let optional = [(CERTIFICATE, certificate), (CHAIN, chain), (REKOR_BUNDLE, bundle)];
    let optional = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let all = optional.chain([(SIGNATURE, signature)]);
    all.map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// What a manifest calls itself.
fn media_type(bytes: &[u8]) -> &'static str {
    let document = serde_json::from_slice::<Document>(bytes);
    let is_index = document.is_ok_and(|document| document.manifests.is_some());
    if is_index { INDEX } else { IMAGE }
}

/// The tag under which referrers are listed where the registry does not (distribution specification, "Referrers
/// Tag Schema").
fn referrers_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

fn cosign_tag(subject: Digest) -> String {
    format!("sha256-{}.sig", subject.hex())
}

fn refused(place: &Place<'_>, source: ManifestError) -> NetworkError {
    let what = format!("{} (signatures)", registry::name(place.reference));
    manifest_error(
        format!(
            "{}/{}: {what}",
            place.reference.registry(),
            place.reference.repository()
        ),
        source,
    )
}
