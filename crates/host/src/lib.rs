//! The core: an untrusted component becomes tools, and every call of a tool is decided, bounded and written
//! down.
//!
//! Two entrances, kept apart: [`Host::execute`] changes what there is (the control plane) and
//! [`Host::call`] runs it (the data plane). The catalog between them is an immutable snapshot, swapped
//! whole; no lock is held across a fetch, a compilation or a guest. The crate knows neither protocols nor
//! terminals, and reads neither environment nor clock: they are passed in.

mod admission;
mod annotations;
mod asking;
mod audit;
mod call;
mod catalog;
mod catalogue;
mod ceiling;
mod code;
mod command;
mod error;
mod feed;
mod grant;
mod grantable;
mod inspect;
mod intact;
mod load;
mod locked;
mod outcome;
mod presentation;
mod protect;
mod publish;
mod result;
mod revocation;
mod rich;
mod running;
mod secrets;
mod standing;
mod state;
mod taking;
mod target;
mod trust;
mod unfit;
mod unload;
mod update;
mod version;

use admission::Admission;
use audit::Audit;
use ceiling::{Above, CeilingFile, Stamp};
use code::{Code, blocking};
use feed::Freshness;
use protect::Protection;
use running::Running;
use standing::Terms;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OnceCell, Semaphore, watch};
use wassette_fetch::{FetchLimits, Fetcher};
use wassette_sandbox::{Sandbox, SandboxConfig};
use wassette_signature::Verifier;
use wassette_store::{Look, Store};

pub use annotations::Annotations;
pub use asking::Asked;
pub use call::{CallId, CallReport};
pub use catalog::{Catalog, CatalogTool, Component, Revision};
pub use catalogue::{CATALOGUE_MEDIA_TYPE, CatalogueEntry, CatalogueSource, Found, ParseCatalogueError};
pub use ceiling::{CeilingError, read_ceiling, read_text};
pub use command::{Actor, Command, GrantRequested, LoadRequest, UpdateRequest};
pub use error::{ErrorKind, HostError, OpenHostError};
pub use feed::{FEED_GRACE, FEED_MEDIA_TYPE, FeedDocument, FeedError, FeedSynced};
pub use grantable::{GrantKind, Grantable, peer, revocable, rule_texts, socket_peer};
pub use inspect::{Ability, Inspection, Version};
pub use locked::Locked;
pub use outcome::{Change, Loaded, Outcome, PolicyChange, PolicyChanged, Presented, Progress, Silent, Step};
pub use presentation::{Present, Shown};
pub use protect::{ProtectError, Whose};
pub use publish::{Publication, Publishable};
pub use result::{Answer, CallResult, Failure, FailureKind};
pub use revocation::{ParseSubjectError, Subject};
pub use secrecy::{ExposeSecret, SecretString};
pub use secrets::Variables;
pub use state::{ComponentState, Unavailable};
pub use target::{Request, Target};
pub use trust::Verification;
pub use update::Availability;
pub use version::{Difference, Provenance, Quarantine, SignersChanged};
use wassette_fetch::Credential;
pub use wassette_fetch::{CredentialSource, Description, NetworkConfig, Starter};
use wassette_policy::Authority;
pub use wassette_policy::SourcePattern;
pub use wassette_policy::{
    AbsolutePath, AccessKind, AccessText, Ceiling, Decision, Effect, EnvironmentRule, Explanation, Grant,
    Layer, LimitKey, LimitSettings, Limits, NetworkRule, NetworkSpec, ParseAccessError, ParseLimitError,
    ParseOptions, ParsePathError, ParsePolicyError, Policy, PolicyDiff, PolicyPart, Relation, RuleError,
    SecretRule, SecretSpec, StorageRule, StorageSpec,
};
pub use wassette_sandbox::{
    Allocation, COMPILER_ARGUMENT, Client, Compiler, CompilerLimits, CompilerProgram, CompilerRunError,
    GuestOutput, KeptList, Level, Log, Progress as GuestProgress, Usage, run_compiler,
};
pub use wassette_secrets::{Backend, ParseSecretNameError, SecretName, Secrets, SecretsConfig, SecretsError};
pub use wassette_signature::SigningKey;
pub use wassette_store::{
    BackupError, CheckReport, ComponentId, Copied, Digest, Key, ParseComponentIdError, ParseReferenceError,
    Reference,
};
pub use wassette_wit::{DecodeError, FunctionPath, Omitted, Tool, ToolName, sanitize};

/// Loads at a time; others wait. Each may hold a component of the largest size in memory.
const LOADS_MAX: usize = 2;

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The store's folder; made when it is missing.
    pub folder: PathBuf,
    /// Folders from which an agent may load components. None: an agent loads no file.
    pub agent_folders: Vec<PathBuf>,
    /// References to registries and web servers from which an agent may load. None: it loads nothing from there.
    pub agent_patterns: Vec<SourcePattern>,
    /// Where components are found by name.
    pub catalogues: Vec<CatalogueSource>,
    /// Lists of what is revoked, in registries.
    pub feeds: Vec<Reference>,
    /// How long a feed that cannot be asked is good for.
    pub feed_grace: Duration,
    /// How registries and web servers are reached.
    pub network: NetworkConfig,
    /// The root of trust for keyless signatures, as JSON; that of the public Sigstore otherwise.
    pub trusted_root: Option<Vec<u8>>,
    /// Components that the program carries.
    pub starters: &'static [Starter],
    /// How guests get their memory, and what is compiled.
    pub sandbox: SandboxConfig,
    /// What compiles components, and what that may cost.
    pub compiler: Compiler,
    /// The limits of every call, where neither its policy nor the ceiling says otherwise.
    pub limits: Limits,
    /// The operator's ceiling: a policy file that nothing exceeds. None: there is no ceiling.
    pub ceiling: Option<PathBuf>,
    /// What components can be granted of the environment.
    pub variables: Variables,
    /// Where secrets are kept.
    pub secrets: SecretsConfig,
    /// Files and folders of our own besides the store, the secrets and the ceiling; they can never be granted.
    pub own: Vec<PathBuf>,
    /// Names of tools that no component may have.
    pub reserved: Vec<&'static str>,
    /// The home of the user who runs us, whose keys and start-up files can never be granted.
    pub home: Option<PathBuf>,
    /// Tells the time for the audit file.
    pub clock: fn() -> SystemTime,
}

impl HostConfig {
    /// The defaults for a store in `folder`: agents load nothing, there is no ceiling, secrets are in an encrypted file
    /// beside the store, and components are compiled in this process, which a program should not leave so.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            agent_folders: Vec::new(),
            agent_patterns: Vec::new(),
            catalogues: vec![CatalogueSource::Starters],
            feeds: Vec::new(),
            feed_grace: FEED_GRACE,
            network: NetworkConfig::default(),
            trusted_root: None,
            starters: &[],
            sandbox: SandboxConfig::DEFAULT,
            compiler: Compiler::IN_PROCESS,
            limits: Limits::DEFAULT,
            ceiling: None,
            variables: Variables::default(),
            secrets: SecretsConfig {
                folder: folder.with_extension("secrets"),
                backend: Backend::File,
            },
            own: Vec::new(),
            reserved: Vec::new(),
            home: None,
            clock: SystemTime::now,
        }
    }
}

/// Components, and the calls of their tools. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: HostConfig,
    nothing: Arc<Authority>,
    store: Store,
    sandbox: Sandbox,
    fetcher: Fetcher,
    audit: Audit,
    code: Code,
    admission: Admission,
    running: Arc<Running>,
    /// One turn for each load: what is read but not yet compiled is in memory.
    loads: Semaphore,
    catalog: RwLock<Arc<Catalog>>,
    changed: watch::Sender<Revision>,
    /// What can never be granted.
    protection: Arc<Protection>,
    ceiling: CeilingFile,
    /// The ceiling of the catalog.
    above: RwLock<Arc<Above>>,
    /// Opened when the first secret is asked for: asking the keyring takes time.
    secrets: OnceCell<Secrets>,
    /// What the store and the ceiling looked like before the catalog was made of them.
    seen: Mutex<Seen>,
    /// Made when the first signature is looked at.
    verifier: std::sync::OnceLock<Verifier>,
    /// Held while the catalog is rebuilt, so that two rebuilds cannot swap in the wrong order.
    rebuilding: tokio::sync::Mutex<()>,
}

/// What the catalog was made of. Equal: nothing has changed since.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    store: Option<Look>,
    ceiling: Option<Stamp>,
}

/// What can never be granted, with the links in it followed.
async fn protection(config: &HostConfig) -> Result<Protection, OpenHostError> {
    let mut own = config.own.clone();
    own.extend([config.folder.clone(), config.secrets.folder.clone()]);
    own.extend(config.ceiling.clone());
    let home = config.home.clone();
    let protection = blocking(move || Protection::new(&own, home.as_deref())).await;
    protection.map_err(OpenHostError::Catalog)
}

impl Host {
    /// Opens the store and reads the catalog from it. Compiles nothing and touches no component.
    ///
    /// # Errors
    ///
    /// [`OpenHostError`] when the store, the audit file or the engine cannot be had.
    pub async fn open(config: HostConfig) -> Result<Self, OpenHostError> {
        let store = Store::open(&config.folder).await?;
        let audit = Audit::open(&store, config.clock)?;
        let sandbox = Sandbox::new(&config.sandbox)?;
        let inner = Inner {
            nothing: Arc::new(Authority::nothing(config.limits.clone())),
            code: Code::new(store.clone(), sandbox.clone(), &config),
            admission: Admission::new(config.sandbox.calls_max, Instant::now),
            running: Arc::default(),
            loads: Semaphore::new(LOADS_MAX),
            fetcher: Fetcher::new(FetchLimits::default(), config.starters)
                .with_network(config.network.clone())?,
            catalog: RwLock::new(Arc::new(Catalog::empty())),
            changed: watch::Sender::new(Revision(0)),
            protection: Arc::new(protection(&config).await?),
            ceiling: CeilingFile::new(config.ceiling.clone()),
            above: RwLock::new(Arc::new(Above::Nothing)),
            secrets: OnceCell::new(),
            seen: Mutex::new(Seen::default()),
            verifier: std::sync::OnceLock::new(),
            rebuilding: tokio::sync::Mutex::new(()),
            config,
            store,
            sandbox,
            audit,
        };
        let host = Self {
            inner: Arc::new(inner),
        };
        host.rebuild().await.map_err(OpenHostError::Catalog)?;
        Ok(host)
    }

    /// What is offered now, as of the last [`Host::refresh`].
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.inner.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of each new catalog.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<Revision> {
        self.inner.changed.subscribe()
    }

    /// Notices what other processes changed, and another ceiling. Costs about a microsecond each when they did not.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`] when the store cannot be read; the catalog then stays as it was.
    pub async fn refresh(&self) -> Result<(), HostError> {
        let look = self
            .inner
            .store
            .look()
            .map_err(|source| HostError::Look { source })?;
        let seen = Seen {
            store: Some(look),
            ceiling: self.inner.ceiling.stamp(),
        };
        let is_over = |until| self.now_ms() > until;
        if *self.seen() == seen && !self.catalog().until_ms().is_some_and(is_over) {
            return Ok(());
        }
        self.rebuild().await
    }

    /// Copies the store as of one moment to a folder that is not there yet or empty. It holds no secrets and no keys.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; the folder is then as it was.
    pub async fn backup(&self, target: &Path) -> Result<Copied, BackupError> {
        self.inner.store.backup(target).await
    }

    /// Makes a store from a copy, in a folder that is not there yet or empty. Everything in it is verified first.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; the folder is then as it was.
    pub async fn restore(source: &Path, folder: &Path) -> Result<Copied, BackupError> {
        Store::restore(source, folder).await
    }

    /// Reads the database and every component that a record or a version needs. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`] when the database is damaged; what is wrong with components is reported.
    pub async fn check_store(&self) -> Result<CheckReport, HostError> {
        let checked = self.inner.store.check(|_done, _total| {}).await;
        checked.map_err(|source| HostError::Store { source })
    }

    /// Whether a registry takes these credentials.
    ///
    /// # Errors
    ///
    /// [`HostError::Fetch`] when it does not, or cannot be asked.
    pub async fn check_login(
        &self,
        registry: &str,
        user: &str,
        password: &SecretString,
    ) -> Result<(), HostError> {
        let reference = format!("oci://{registry}/login").parse();
        let Ok(Reference::Oci(reference)) = reference else {
            return Err(HostError::NoRegistry {
                registry: registry.to_owned(),
            });
        };
        let mut config = self.inner.config.network.clone();
        config.credentials = vec![CredentialSource::Entry {
            registry: registry.to_owned(),
            credential: Credential::Password {
                user: user.to_owned(),
                password: password.clone(),
            },
        }];
        let fetcher = Fetcher::new(FetchLimits::default(), &[]).with_network(config);
        let fetcher = fetcher.map_err(|_was_used_before| HostError::Interrupted)?;
        fetcher.check_login(&reference).await.map_err(HostError::network)
    }

    /// Gets a small JSON document of a web server, on the operator's word: by `https`, or from this machine by `http`.
    ///
    /// # Errors
    ///
    /// [`HostError::Document`].
    pub async fn web_document(&self, url: &url::Url) -> Result<Vec<u8>, HostError> {
        let got = self.inner.fetcher.web_document(url).await;
        got.map_err(|error| HostError::Document { source: error.into() })
    }

    /// The key that seals what clients keep for components between two calls: the same in all processes that share the
    /// store. Blocks for a moment.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`] when it can neither be read nor made.
    pub fn state_key(&self) -> Result<Key, HostError> {
        let key = self.inner.store.state_key();
        key.map_err(|source| HostError::Store { source })
    }

    /// Whether this is the first use of what is good once, until then (in seconds since 1970), in all processes that
    /// share the store.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`] when that cannot be written down; it is then to be taken for used.
    pub async fn first_use(&self, name: [u8; 12], good_until: u64) -> Result<bool, HostError> {
        let first = self.inner.store.first_use(name, good_until).await;
        first.map_err(|source| HostError::Store { source })
    }

    /// Closes the store. Dropping the host does the same a little later; nothing is lost either way.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ceiling of the catalog.
    fn above(&self) -> Arc<Above> {
        Arc::clone(&self.inner.above.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the records and the ceiling, and swaps the catalog when they changed.
    async fn rebuild(&self) -> Result<(), HostError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.rebuilding.lock().await;
        // Look before reading: a change in between then shows at the next look.
        let look = inner.store.look().map_err(|source| HostError::Look { source })?;
        let stamp = inner.ceiling.stamp();
        let snapshot = inner
            .store
            .snapshot()
            .await
            .map_err(|source| HostError::Store { source })?;
        let above = self.read_ceiling(stamp).await?;
        let current = self.catalog();
        let same_terms = above == self.above();
        let (feeds, grace) = (&inner.config.feeds, inner.config.feed_grace);
        let freshness = Freshness::of(feeds, &snapshot.feeds, grace, self.now_ms());
        if current.epoch() != Some(snapshot.epoch) || !same_terms || !current.is_as_fresh(&freshness) {
            let terms = Terms {
                freshness: &freshness,
                above: &above,
                defaults: &inner.config.limits,
                variables: &inner.config.variables,
                protection: &inner.protection,
            };
            let next = current.next(snapshot, &terms, same_terms);
            inner.code.retain(&next);
            let revision = next.revision();
            if let (Above::Broken(reason), false) = (above.as_ref(), same_terms) {
                tracing::error!(%reason, "the ceiling cannot be used, so nothing is allowed");
            }
            *inner.above.write().unwrap_or_else(PoisonError::into_inner) = above;
            let next = Arc::new(next);
            *inner.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&next);
            inner.running.replaced(&next);
            inner.admission.retain(&next);
            inner.changed.send_replace(revision);
        }
        // A file that was written a moment ago may be written again without looking different.
        let is_settled = stamp.is_none_or(|stamp| stamp.is_settled((inner.config.clock)()));
        *self.seen() = Seen {
            store: is_settled.then_some(look),
            ceiling: stamp,
        };
        Ok(())
    }

    /// The ceiling as it is now; read again only if it looks different.
    async fn read_ceiling(&self, stamp: Option<Stamp>) -> Result<Arc<Above>, HostError> {
        let is_read = {
            let seen = self.seen();
            seen.store.is_some() && seen.ceiling == stamp
        };
        if is_read {
            return Ok(self.above());
        }
        let file = self.inner.ceiling.clone();
        blocking(move || file.read()).await.map(Arc::new)
    }
}
