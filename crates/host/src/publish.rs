//! Publishing: a component, a catalogue or a revocation feed goes to a registry, signed if there is a key.

use crate::Host;
use crate::catalogue::CATALOGUE_MEDIA_TYPE;
use crate::code::blocking;
use crate::error::HostError;
use crate::feed::{FEED_MEDIA_TYPE, FeedDocument};
use crate::outcome::Outcome;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use wassette_fetch::{Description, Interface, NetworkError, PushRequest, SignatureMaterial, SinglePush};
use wassette_signature::{Material, Signer, SigningKey};
use wassette_store::{Digest, OciReference};
use wassette_wit::{Docs, World};

/// What is published.
#[derive(Clone, Debug)]
pub enum Publishable {
    /// A component, with the policy it asks for and the WIT that describes it.
    Component {
        /// The component.
        wasm: Arc<[u8]>,
        /// A policy document.
        request: Option<String>,
        /// WIT, as path and text.
        wit: Vec<(String, String)>,
    },
    /// A catalogue, as JSON.
    Catalogue(Vec<u8>),
    /// A revocation feed, as JSON.
    Feed(Vec<u8>),
}

/// What is published, where, and by whom.
#[derive(Clone)]
pub struct Publication {
    /// Where it goes.
    pub reference: OciReference,
    /// What it is.
    pub content: Publishable,
    /// What people are told.
    pub description: Description,
    /// Signs it.
    pub key: Option<Arc<SigningKey>>,
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("reference", &self.reference)
            .field("is_signed", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) async fn publish(&self, publication: Publication) -> Result<Outcome, HostError> {
        let Publication {
            reference,
            content,
            description,
            key,
        } = publication;
        let (manifest, digest) = match content {
            Publishable::Component { wasm, request, wit } => {
                let digest = Digest::of(&wasm);
                let request = self.push_request(wasm, (request, wit), description).await?;
                (self.inner.fetcher.push(&reference, request).await, digest)
            }
            Publishable::Catalogue(bytes) => {
                self.push_document(&reference, CATALOGUE_MEDIA_TYPE, bytes).await
            }
            Publishable::Feed(bytes) => {
                FeedDocument::read(&bytes).map_err(|source| HostError::Feed {
                    reference: reference.to_string(),
                    source,
                })?;
                self.push_document(&reference, FEED_MEDIA_TYPE, bytes).await
            }
        };
        let manifest = manifest.map_err(HostError::network)?;
        let signer = match key {
            Some(key) => Some(self.sign(&reference, manifest, &key).await?),
            None => None,
        };
        let reference = reference.to_string();
        tracing::info!(%reference, %manifest, "published");
        Ok(Outcome::Published {
            reference,
            manifest,
            digest,
            signer,
        })
    }

    async fn push_document(
        &self,
        reference: &OciReference,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> (Result<Digest, NetworkError>, Digest) {
        let digest = Digest::of(&bytes);
        let push = SinglePush {
            media_type: media_type.to_owned(),
            bytes,
            annotations: BTreeMap::new(),
        };
        (self.inner.fetcher.push_single(reference, push).await, digest)
    }

    /// What is no component that could be loaded is not published.
    async fn push_request(
        &self,
        wasm: Arc<[u8]>,
        (request, wit): (Option<String>, Vec<(String, String)>),
        description: Description,
    ) -> Result<PushRequest, HostError> {
        let text = one_text(&wit)?;
        let (bytes, sandbox) = (Arc::clone(&wasm), self.inner.sandbox.clone());
        let interface = blocking(move || {
            let world = World::read(&bytes).map_err(|source| HostError::World { source })?;
            sandbox
                .scan(&bytes)
                .map_err(|source| HostError::Prepare { source })?;
            if !wit.is_empty() {
                Docs::from_wit(&wit).map_err(|source| HostError::Docs { source })?;
            }
            let paths = world.functions.iter().map(|function| function.path.to_string());
            Ok::<_, HostError>(Interface {
                exports: paths.collect(),
                imports: world.imports.into_iter().map(|import| import.name).collect(),
                target: None,
            })
        })
        .await??;
        Ok(PushRequest {
            wasm,
            request,
            wit: text,
            description,
            interface,
        })
    }

    async fn sign(
        &self,
        reference: &OciReference,
        manifest: Digest,
        key: &SigningKey,
    ) -> Result<String, HostError> {
        let name = format!("{}/{}", reference.registry(), reference.repository());
        let material = key.sign_manifest(manifest.as_bytes(), &name);
        let material = material.map_err(|source| HostError::Signing { source })?;
        let pushed = self
            .inner
            .fetcher
            .push_signature(reference, manifest, &signature(material))
            .await;
        pushed.map_err(HostError::network)?;
        Ok(Signer::Key(key.public().fingerprint()).to_string())
    }
}

/// WIT as one text, which is what a layer holds. Several files of one package say so once each; what has more packages is
/// not one text.
fn one_text(wit: &[(String, String)]) -> Result<Option<String>, HostError> {
    let is_head = |line: &&str| line.trim_start().starts_with("package ") && line.trim_end().ends_with(';');
    let mut head: Option<&str> = None;
    let mut lines = Vec::new();
    for (path, text) in wit {
        for line in text.lines() {
            match head {
                _ if !is_head(&line) => lines.push(line),
                Some(known) if known == line.trim() => {}
                Some(_) => return Err(HostError::Packages { path: path.clone() }),
                None => {
                    head = Some(line.trim());
                    lines.insert(0, line);
                }
            }
        }
    }
    Ok((!wit.is_empty()).then(|| lines.join("\n")))
}

fn signature(material: Material) -> SignatureMaterial {
    match material {
        Material::Bundle(bytes) => SignatureMaterial::Bundle(bytes),
        Material::Cosign {
            payload,
            signature,
            certificate,
            chain,
            bundle,
        } => SignatureMaterial::Cosign {
            payload,
            signature,
            certificate,
            chain,
            bundle,
        },
    }
}
