//! The core: an untrusted component becomes tools, and every call of a tool is decided, bounded and written
//! down.
//!
//! Two entrances, kept apart: [`Host::execute`] changes what there is (the control plane) and
//! [`Host::call`] runs it (the data plane). The catalog between them is an immutable snapshot, swapped
//! whole; no lock is held across a fetch, a compilation or a guest. The crate knows neither protocols nor
//! terminals, and reads neither environment nor clock: they are passed in.

mod admission;
mod audit;
mod call;
mod catalog;
mod code;
mod command;
mod error;
mod inspect;
mod load;
mod running;

use admission::Admission;
use audit::Audit;
use code::Code;
use running::Running;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};
use tokio::sync::{Semaphore, watch};
use wassette_fetch::{FetchLimits, Fetcher};
use wassette_sandbox::{Sandbox, SandboxConfig};
use wassette_store::{Look, Store};

pub use call::{CallId, CallReport, CallResult, Failure, FailureKind};
pub use catalog::{Annotations, Catalog, CatalogTool, Component, ComponentState, Revision};
pub use command::{Actor, Change, Command, LoadRequest, Loaded, Outcome, Progress, Silent, Step};
pub use error::{ErrorKind, HostError, OpenHostError};
pub use inspect::{Ability, Inspection};
pub use wassette_fetch::Starter;
use wassette_policy::Authority;
pub use wassette_policy::{AccessKind, Decision, Limits, Policy};
pub use wassette_sandbox::{Allocation, GuestOutput, Usage};
pub use wassette_store::{ComponentId, Digest, ParseComponentIdError, ParseReferenceError, Reference};
pub use wassette_wit::{DecodeError, FunctionPath, Omitted, Tool, ToolName, sanitize};

/// Loads at a time; others wait. Each may hold a component of the largest size in memory.
const LOADS_MAX: usize = 2;

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The store's folder; made when it is missing.
    pub folder: PathBuf,
    /// Folders from which an agent may load components. None: an agent loads nothing.
    pub agent_folders: Vec<PathBuf>,
    /// Components that the program carries.
    pub starters: &'static [Starter],
    /// How guests get their memory, and what is compiled.
    pub sandbox: SandboxConfig,
    /// The limits of every call.
    pub limits: Limits,
    /// Tells the time for the audit file.
    pub clock: fn() -> SystemTime,
}

impl HostConfig {
    /// The defaults for a store in `folder`: agents load nothing.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            agent_folders: Vec::new(),
            starters: &[],
            sandbox: SandboxConfig::DEFAULT,
            limits: Limits::DEFAULT,
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
    /// What the store looked like before the catalog's snapshot was read.
    seen: Mutex<Option<Look>>,
    /// Held while the catalog is rebuilt, so that two rebuilds cannot swap in the wrong order.
    rebuilding: tokio::sync::Mutex<()>,
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
            code: Code::new(store.clone(), sandbox.clone()),
            admission: Admission::new(config.sandbox.calls_max, Instant::now),
            running: Arc::default(),
            loads: Semaphore::new(LOADS_MAX),
            fetcher: Fetcher::new(FetchLimits::default(), config.starters),
            catalog: RwLock::new(Arc::new(Catalog::empty())),
            changed: watch::Sender::new(Revision(0)),
            seen: Mutex::new(None),
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

    /// Notices what other processes changed. Costs about a microsecond when they did not.
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
        if self.seen().as_ref() == Some(&look) {
            return Ok(());
        }
        self.rebuild().await
    }

    /// Closes the store. Dropping the host does the same a little later; nothing is lost either way.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Look>> {
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the records and swaps the catalog when they changed.
    async fn rebuild(&self) -> Result<(), HostError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.rebuilding.lock().await;
        // Look before reading: a commit in between then shows as a change at the next look.
        let look = inner.store.look().map_err(|source| HostError::Look { source })?;
        let snapshot = inner
            .store
            .snapshot()
            .await
            .map_err(|source| HostError::Store { source })?;
        let current = self.catalog();
        if current.epoch() != Some(snapshot.epoch) {
            let next = current.next(snapshot, &inner.nothing);
            inner.code.retain(&next);
            let revision = next.revision();
            let next = Arc::new(next);
            *inner.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&next);
            inner.running.replaced(&next);
            inner.admission.retain(&next);
            inner.changed.send_replace(revision);
        }
        *self.seen() = Some(look);
        Ok(())
    }
}
