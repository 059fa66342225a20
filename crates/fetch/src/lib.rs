//! From a reference to an artifact: the bytes, their digest, and where they came from.
//!
//! Bounded in bytes and in time, and the digest is computed while the bytes arrive. What it takes are files, the
//! starter components that the program carries, and, where it was given a network, artifacts of registries and
//! files of web servers; it also gives artifacts and signatures to registries. It does not know where bytes are
//! kept, what may be done with them, or whether a signature is good.

mod error;
mod file;
mod network;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use wassette_store::{Artifact, Digest, OciReference, Reference};

pub use error::FetchError;
pub use network::{
    AddressFilter, Credential, CredentialSource, Description, Interface, ManifestError, NetworkConfig,
    NetworkConfigError, NetworkError, NetworkErrorKind, Package, PushRequest, Reach, Received, Resolved,
    Signature, SignatureMaterial, SingleArtifact, SinglePush, SingleRequest,
};

use file::{StopOnDrop, read};
use network::registry::Network;

/// Largest artifact by default: twice the largest interpreter built into a component that we have seen.
const ARTIFACT_BYTES_MAX: u64 = 64 << 20;

/// Longest time for a file by default. A local one takes milliseconds; a network file system may hang.
const TIME_MAX: Duration = Duration::from_secs(60);

/// How much one fetch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Largest artifact in bytes.
    pub artifact_bytes_max: u64,
    /// Longest time for a file, from the request to the last byte; that of the network is in [`NetworkConfig`].
    pub time_max: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            artifact_bytes_max: ARTIFACT_BYTES_MAX,
            time_max: TIME_MAX,
        }
    }
}

/// A component that the program carries.
#[derive(Clone, Copy)]
pub struct Starter {
    /// What follows `starter:`.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// The component.
    pub wasm: &'static [u8],
}

impl std::fmt::Debug for Starter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// On whose word something is fetched, and who is told how far it is.
#[derive(Clone, Copy)]
pub struct FetchOptions<'a> {
    /// Where requests may go.
    pub reach: &'a Reach,
    /// Called as bytes of a component arrive from the network; must not block.
    pub progress: Option<&'a (dyn Fn(Received) + Send + Sync)>,
}

impl FetchOptions<'_> {
    /// On the operator's word, telling nobody.
    pub const OPERATOR: FetchOptions<'static> = FetchOptions {
        reach: &Reach::Operator,
        progress: None,
    };
}

impl std::fmt::Debug for FetchOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchOptions")
            .field("reach", self.reach)
            .finish_non_exhaustive()
    }
}

/// An artifact, and what came with it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The component.
    pub artifact: Artifact,
    /// What a registry had beside it; `None` for everything else.
    pub package: Option<Package>,
}

impl From<Artifact> for Fetched {
    fn from(artifact: Artifact) -> Self {
        Self {
            artifact,
            package: None,
        }
    }
}

/// Fetches artifacts within limits. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Fetcher {
    limits: FetchLimits,
    starters: &'static [Starter],
    network: Option<Arc<Network>>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("limits", &self.limits)
            .field("network", &self.network.is_some())
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Makes a fetcher with these limits, for a program that carries these components. It has no network.
    pub fn new(limits: FetchLimits, starters: &'static [Starter]) -> Self {
        Self {
            limits,
            starters,
            network: None,
        }
    }

    /// Gives it a network.
    ///
    /// # Errors
    ///
    /// [`NetworkConfigError`] says what in the configuration cannot be used.
    pub fn with_network(self, config: NetworkConfig) -> Result<Self, NetworkConfigError> {
        let network = Network::new(config, self.limits.artifact_bytes_max)?;
        Ok(Self {
            network: Some(Arc::new(network)),
            ..self
        })
    }

    /// Fetches what the reference names.
    ///
    /// Dropping the future stops the reading.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    pub async fn fetch(
        &self,
        reference: &Reference,
        options: &FetchOptions<'_>,
    ) -> Result<Fetched, FetchError> {
        match reference {
            Reference::File(path) => Ok(self.file(reference, path).await?.into()),
            Reference::Starter(name) => Ok(self.starter(name)?.into()),
            Reference::Oci(oci) => {
                let network = self.network()?;
                let work = async {
                    let resolved = network.resolve(oci, options.reach).await?;
                    network
                        .fetch_parts(&resolved, options.reach, options.progress)
                        .await
                };
                let (artifact, package) = network.timed(&reference.shown(), work).await?;
                Ok(Fetched {
                    artifact,
                    package: Some(package),
                })
            }
            Reference::Https(https) => {
                let network = self.network()?;
                let work = network.fetch_https(https, options.reach, options.progress);
                Ok(network.timed(&reference.shown(), work).await?.into())
            }
        }
    }

    /// Fetches the manifest of a component, and nothing that it names.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`]; what could not be fetched afterwards is refused here already.
    pub async fn resolve(&self, reference: &OciReference, reach: &Reach) -> Result<Resolved, NetworkError> {
        let network = self.network()?;
        network
            .timed(&reference.to_string(), network.resolve(reference, reach))
            .await
    }

    /// Fetches the component of a manifest, and what comes with it, by their digests alone.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn fetch_resolved(
        &self,
        resolved: &Resolved,
        options: &FetchOptions<'_>,
    ) -> Result<Fetched, NetworkError> {
        let network = self.network()?;
        let work = network.fetch_parts(resolved, options.reach, options.progress);
        let (artifact, package) = network.timed(&resolved.reference.to_string(), work).await?;
        Ok(Fetched {
            artifact,
            package: Some(package),
        })
    }

    /// The digest of what a reference names now, to be compared with [`Resolved::named`]: usually one request without a
    /// body. It is the registry's word; nothing may be trusted on it.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn named_digest(
        &self,
        reference: &OciReference,
        reach: &Reach,
    ) -> Result<Digest, NetworkError> {
        let network = self.network()?;
        network
            .timed(&reference.to_string(), network.named_digest(reference, reach))
            .await
    }

    /// The signatures that the registry keeps for a manifest, unverified. None means that there is none: a registry
    /// that fails is an error.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn signatures(
        &self,
        resolved: &Resolved,
        reach: &Reach,
    ) -> Result<Vec<Signature>, NetworkError> {
        let network = self.network()?;
        let subjects = [Some(resolved.manifest), resolved.index];
        let work = network.signatures(&resolved.reference, &subjects, reach);
        network.timed(&resolved.reference.to_string(), work).await
    }

    /// The same for any manifest, and the index that names it, if there is one.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn signatures_of(
        &self,
        reference: &OciReference,
        (manifest, index): (Digest, Option<Digest>),
        reach: &Reach,
    ) -> Result<Vec<Signature>, NetworkError> {
        let network = self.network()?;
        let subjects = [Some(manifest), index];
        let work = network.signatures(reference, &subjects, reach);
        network.timed(&reference.to_string(), work).await
    }

    /// Whether the registry takes the credentials that are configured for it. The repository plays no part.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Login`] when it does not; see [`NetworkError`].
    pub async fn check_login(&self, reference: &OciReference) -> Result<(), NetworkError> {
        let network = self.network()?;
        network
            .timed(reference.registry(), network.check_login(reference))
            .await
    }

    /// Tags of a repository, in the registry's order, 10 000 at most.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn tags(&self, reference: &OciReference, reach: &Reach) -> Result<Vec<String>, NetworkError> {
        let network = self.network()?;
        network
            .timed(&reference.source(), network.tags(reference, reach))
            .await
    }

    /// Pushes a component under the reference's tag; the digest of its manifest.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`]; [`NetworkError::Pinned`] for a reference with a digest.
    pub async fn push(&self, reference: &OciReference, request: PushRequest) -> Result<Digest, NetworkError> {
        let network = self.network()?;
        network
            .timed(&reference.to_string(), network.push(reference, request))
            .await
    }

    /// Keeps a signature of a manifest beside it, in the layout of its kind; those that are there stay.
    ///
    /// Registries have no way to add to a list at once: of two who sign at the same moment, one may be lost.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn push_signature(
        &self,
        reference: &OciReference,
        manifest: Digest,
        material: &SignatureMaterial,
    ) -> Result<(), NetworkError> {
        let network = self.network()?;
        let work = network.push_signature(reference, manifest, material);
        network.timed(&reference.to_string(), work).await
    }

    /// Gets a small JSON document of a web server, on the operator's word: by `https`, or from this machine by `http`.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn web_document(&self, url: &Url) -> Result<Vec<u8>, NetworkError> {
        let network = self.network()?;
        network.timed(url.as_str(), network.web_document(url)).await
    }

    /// Reads an artifact of one part and another type: a catalog, a feed.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn read_single(
        &self,
        request: &SingleRequest<'_>,
        reach: &Reach,
    ) -> Result<SingleArtifact, NetworkError> {
        let network = self.network()?;
        let work = network.read_single(request, reach);
        network.timed(&request.reference.to_string(), work).await
    }

    /// Pushes an artifact of one part and another type; the digest of its manifest.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub async fn push_single(
        &self,
        reference: &OciReference,
        push: SinglePush,
    ) -> Result<Digest, NetworkError> {
        let network = self.network()?;
        network
            .timed(&reference.to_string(), network.push_single(reference, push))
            .await
    }

    fn network(&self) -> Result<&Network, NetworkError> {
        self.network.as_deref().ok_or(NetworkError::Off)
    }

    async fn file(&self, reference: &Reference, path: &Path) -> Result<Artifact, FetchError> {
        let stop = StopOnDrop::default();
        let work = {
            let (path, bytes_max, is_stopped) = (
                path.to_owned(),
                self.limits.artifact_bytes_max,
                Arc::clone(&stop.0),
            );
            tokio::task::spawn_blocking(move || read(path, bytes_max, &is_stopped))
        };
        match tokio::time::timeout(self.limits.time_max, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(FetchError::Stopped(reference.clone())),
            Err(_) => Err(FetchError::Timeout {
                reference: reference.clone(),
                time_max: self.limits.time_max,
            }),
        }
    }

    fn starter(&self, name: &Arc<str>) -> Result<Artifact, FetchError> {
        let found = self.starters.iter().find(|starter| starter.name == name.as_ref());
        let starter = found.ok_or_else(|| FetchError::NoStarter {
            name: name.to_string(),
            known: self.starters,
        })?;
        Ok(Artifact::new(
            starter.wasm.into(),
            Reference::Starter(Arc::clone(name)),
        ))
    }
}

#[cfg(test)]
mod tests;
