//! Questions to registries by the OCI distribution specification 1.1: which server is asked, what it is shown, and
//! whether what came is what was named.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;
use wassette_store::{Digest, OciReference, Reference};

use super::auth::{Access, Auth, Subject};
use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Exchange};
use super::manifest::{self, Document, Kind, MANIFEST_BYTES_MAX, ManifestError, Part};
use super::reach::{self, Reach};
use super::transport::Transport;
use super::{NetworkConfig, NetworkConfigError, NetworkError, Progress};

/// Most requests for one thing, where asking again changes nothing.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

/// A mirror is given up at once: the registry itself is asked next.
const MIRROR_ATTEMPTS_MAX: u32 = 1;

/// Where the registry that is named `docker.io` is.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The network, as configured.
pub(crate) struct Network {
    pub(crate) exchange: Exchange,
    auth: Auth,
    mirrors: BTreeMap<String, Endpoint>,
    /// Registries on this machine that do not speak TLS.
    plain: Mutex<HashSet<String>>,
    pub(crate) time_max: Duration,
    pub(crate) artifact_bytes_max: u64,
}

/// A server that has a registry's content.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Its own name, under which credentials are kept.
    registry: String,
    /// Host and port.
    authority: String,
    /// What goes before each repository, with a slash at its end; or nothing.
    prefix: String,
    attempts_max: u32,
}

/// A repository at a server, and on whose word it is asked.
pub(crate) struct Place<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) reference: &'a OciReference,
    pub(crate) access: Access,
    pub(crate) reach: &'a Reach,
}

/// What is taken, and how it is checked.
pub(crate) enum Item<'a> {
    /// A manifest or index by tag or digest.
    Manifest(&'a str),
    /// A layer.
    Blob(Part),
}

/// A manifest or index that came and was checked.
pub(crate) struct Came {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) document: Document,
    pub(crate) kind: Kind,
}

impl Network {
    pub(crate) fn new(config: NetworkConfig, artifact_bytes_max: u64) -> Result<Self, NetworkConfigError> {
        let mut mirrors = BTreeMap::new();
        for (registry, mirror) in config.mirrors {
            let endpoint = Endpoint::mirror(&mirror).ok_or(NetworkConfigError::Mirror(mirror))?;
            mirrors.insert(registry, endpoint);
        }
        let credentials = Credentials {
            sources: config.credentials,
            helper_path: config.helper_path,
        };
        let transport =
            Transport::new(&config.extra_roots, config.idle_max).map_err(NetworkConfigError::Roots)?;
        Ok(Self {
            exchange: Exchange {
                transport,
                retry_delay: config.retry_delay,
            },
            auth: Auth::new(credentials, config.token_hosts),
            mirrors,
            plain: Mutex::new(HashSet::new()),
            time_max: config.time_max,
            artifact_bytes_max,
        })
    }

    /// Ends what takes too long altogether.
    pub(crate) async fn timed<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, NetworkError>>,
    ) -> Result<T, NetworkError> {
        let done = tokio::time::timeout(self.time_max, work).await;
        done.unwrap_or_else(|_elapsed| {
            Err(NetworkError::Time {
                what: what.to_owned(),
                time_max: self.time_max,
            })
        })
    }

    /// Where this is read from, in the order in which it is tried: the mirror, then the registry itself.
    pub(crate) fn places<'a>(&self, reference: &'a OciReference, reach: &'a Reach) -> Vec<Place<'a>> {
        let mirror = self.mirrors.get(reference.registry()).cloned();
        let endpoints = mirror.into_iter().chain([Endpoint::origin(reference.registry())]);
        endpoints
            .map(|endpoint| Place {
                endpoint,
                reference,
                access: Access::Pull,
                reach,
            })
            .collect()
    }

    /// Where this is written to: the registry itself, on the operator's word.
    pub(crate) fn target<'a>(&self, reference: &'a OciReference) -> Place<'a> {
        Place {
            endpoint: Endpoint::origin(reference.registry()),
            reference,
            access: Access::Push,
            reach: &Reach::Operator,
        }
    }

    /// Asks whether the credentials are taken, at the place that the distribution specification has for that.
    pub(crate) async fn check_login(&self, reference: &OciReference) -> Result<(), NetworkError> {
        let place = Place {
            access: Access::Pull,
            ..self.target(reference)
        };
        let mut url = self.url(&place, "")?;
        url.set_path("/v2/");
        let mut ask = Ask::get(url, "*/*", reference.registry());
        // What it says besides is not looked at, and may be anything.
        ask.bytes_max = MANIFEST_BYTES_MAX;
        let answer = self.call(&place, ask).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(answer.error(reference.registry()))
    }

    /// Takes an item from the first place that has it as it should be.
    pub(crate) async fn read(
        &self,
        places: &[Place<'_>],
        item: &Item<'_>,
        progress: Option<&Progress<'_>>,
    ) -> Result<Answer, NetworkError> {
        let mut failed = NetworkError::Off;
        for place in places {
            match self.read_at(place, item, progress).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tracing::debug!(host = %place.endpoint.authority, %error, "not taken from here");
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    pub(crate) async fn read_at(
        &self,
        place: &Place<'_>,
        item: &Item<'_>,
        progress: Option<&Progress<'_>>,
    ) -> Result<Answer, NetworkError> {
        let (path, accept, bytes_max) = match item {
            Item::Manifest(name) => (format!("manifests/{name}"), manifest::ACCEPT, MANIFEST_BYTES_MAX),
            Item::Blob(part) => (format!("blobs/{}", part.digest), "*/*", part.bytes),
        };
        let what = place.what(item);
        let mut ask = Ask::get(self.url(place, &path)?, accept, &what);
        ask.bytes_max = bytes_max;
        ask.progress = progress;
        ask.attempts_max = place.endpoint.attempts_max;
        let answer = self.call(place, ask).await?;
        if answer.status != http::StatusCode::OK {
            return Err(answer.error(&what));
        }
        check(&answer, item, &what)?;
        Ok(answer)
    }

    /// Takes and reads a manifest or index.
    pub(crate) async fn document(&self, places: &[Place<'_>], name: &str) -> Result<Came, NetworkError> {
        let answer = self.read(places, &Item::Manifest(name), None).await?;
        let what = places.first().map(|place| place.what(&Item::Manifest(name)));
        let (document, kind) = Document::parse(&answer.bytes, &answer.media_type())
            .map_err(|source| manifest_error(what.unwrap_or_default(), source))?;
        Ok(Came {
            digest: answer.digest,
            bytes: answer.bytes,
            document,
            kind,
        })
    }

    /// Asks a registry, showing it what it asks for.
    pub(crate) async fn call(&self, place: &Place<'_>, mut ask: Ask<'_>) -> Result<Answer, NetworkError> {
        let answered = self.authorized(place, &ask).await;
        let is_local = reach::is_loopback(&ask.url) && matches!(place.reach, Reach::Operator);
        let authority = &place.endpoint.authority;
        match (answered, ask.url.scheme()) {
            // Only here is plain HTTP ever begun with: a registry on this machine that does not speak TLS. Any other
            // failure of TLS, such as of its certificate, stays one.
            (Err(NetworkError::NotTls { host }), "https")
                if is_local && place.endpoint.is(&ask.url) && host == reach::host(&ask.url) =>
            {
                self.plain().insert(authority.clone());
                let plain = ask.url.as_str().replacen("https://", "http://", 1);
                ask.url = Url::parse(&plain).map_err(|_| wrong_url(place))?;
                self.authorized(place, &ask).await
            }
            (Err(error), "http") => {
                self.plain().remove(authority);
                Err(error)
            }
            (answered, _) => answered,
        }
    }

    async fn authorized(&self, place: &Place<'_>, ask: &Ask<'_>) -> Result<Answer, NetworkError> {
        let repository = format!("{}{}", place.endpoint.prefix, place.reference.repository());
        let subject = Subject {
            registry: &place.endpoint.registry,
            repository: &repository,
            access: place.access,
        };
        // SECURITY: an upload may go on at another server, which is shown nothing.
        let is_own = place.endpoint.is(&ask.url);
        let known = self.auth.known(&ask.url, &subject).filter(|_| is_own);
        let answer = self.exchange.ask(ask, known.as_ref(), place.reach).await?;
        let is_challenge = answer.status == http::StatusCode::UNAUTHORIZED;
        // SECURITY: what a server says to which we were redirected is no challenge of the registry.
        if !is_challenge || !is_own || !reach::is_same_origin(&answer.url, &ask.url) {
            return Ok(answer);
        }
        let header = self
            .auth
            .respond(&answer, &subject, (&self.exchange, place.reach))
            .await?;
        self.exchange.ask(ask, Some(&header), place.reach).await
    }

    /// The URL of something in a repository.
    pub(crate) fn url(&self, place: &Place<'_>, path: &str) -> Result<Url, NetworkError> {
        let Endpoint {
            authority, prefix, ..
        } = &place.endpoint;
        let is_plain = matches!(place.reach, Reach::Operator) && self.plain().contains(authority);
        let scheme = if is_plain { "http" } else { "https" };
        let repository = place.reference.repository();
        Url::parse(&format!("{scheme}://{authority}/v2/{prefix}{repository}/{path}"))
            .map_err(|_| wrong_url(place))
    }

    fn plain(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    fn origin(registry: &str) -> Self {
        let (name, host) = DOCKER_HUB;
        Self {
            registry: registry.to_owned(),
            authority: if registry == name { host } else { registry }.to_owned(),
            prefix: String::new(),
            attempts_max: ATTEMPTS_MAX,
        }
    }

    /// Whether a URL is of this server; with the usual port written or not.
    fn is(&self, url: &Url) -> bool {
        let own = Url::parse(&format!("{}://{}/", url.scheme(), self.authority));
        own.is_ok_and(|own| reach::is_same_origin(&own, url))
    }

    /// Reads `host[:port][/prefix]`, which is a reference that lacks its last part.
    fn mirror(text: &str) -> Option<Self> {
        let Ok(Reference::Oci(oci)) = format!("oci://{text}/x:x").parse() else {
            return None;
        };
        Some(Self {
            prefix: oci.repository().strip_suffix('x')?.to_owned(),
            attempts_max: MIRROR_ATTEMPTS_MAX,
            ..Self::origin(oci.registry())
        })
    }
}

impl Place<'_> {
    /// An item of this repository, for messages.
    pub(crate) fn what(&self, item: &Item<'_>) -> String {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        match item {
            Item::Manifest(name) if name.contains(':') => format!("{registry}/{repository}@{name}"),
            Item::Manifest(name) => format!("{registry}/{repository}:{name}"),
            Item::Blob(part) => format!("{registry}/{repository}@{}", part.digest),
        }
    }
}

/// What a reference is fetched by: its digest, or else its tag.
pub(crate) fn name(reference: &OciReference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    }
}

pub(crate) fn manifest_error(what: impl Into<String>, source: ManifestError) -> NetworkError {
    NetworkError::Manifest {
        what: what.into(),
        source,
    }
}

fn wrong_url(place: &Place<'_>) -> NetworkError {
    NetworkError::Protocol {
        host: place.endpoint.authority.clone(),
        reason: "a name that makes no URL",
    }
}

fn check(answer: &Answer, item: &Item<'_>, what: &str) -> Result<(), NetworkError> {
    let found = u64::try_from(answer.bytes.len()).unwrap_or(u64::MAX);
    let expected = match item {
        Item::Manifest(name) => {
            let claimed = content_digest(answer, what)?;
            let named = name.contains(':').then(|| name.parse().ok()).flatten();
            [claimed, named]
        }
        Item::Blob(part) if part.bytes != found => {
            return Err(NetworkError::Length {
                what: what.to_owned(),
                expected: part.bytes,
                found,
            });
        }
        Item::Blob(part) => [Some(part.digest), None],
    };
    match expected
        .into_iter()
        .flatten()
        .find(|digest| *digest != answer.digest)
    {
        None => Ok(()),
        Some(expected) => Err(NetworkError::Digest {
            what: what.to_owned(),
            expected,
            found: answer.digest,
        }),
    }
}

/// The digest that a registry says a manifest has.
pub(crate) fn content_digest(answer: &Answer, what: &str) -> Result<Option<Digest>, NetworkError> {
    let Some(value) = answer.headers.get("docker-content-digest") else {
        return Ok(None);
    };
    let digest = value.to_str().ok().and_then(|text| text.parse().ok());
    digest.map(Some).ok_or_else(|| NetworkError::Algorithm {
        host: reach::host(&answer.url),
        what: what.to_owned(),
    })
}
