//! Compiled components: in memory while they are in the catalog, on disk between starts.
//!
//! A component is made ready at its first call, from sealed code if there is any, else by compiling the
//! stored bytes. So a start compiles nothing, and a server that is only asked for its tools reads no code.

use crate::catalog::Catalog;
use crate::error::HostError;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};
use wassette_sandbox::{PrepareError, Prepared, Sandbox};
use wassette_store::{Digest, Store};

/// Longest wait for one compilation. The thread that compiles cannot be stopped and may go on alone; it
/// becomes a process that can be killed together with the supply chain's other defences.
const COMPILE_TIME_MAX: Duration = Duration::from_secs(60);

/// Compilations at a time. Each uses all cores by itself.
const COMPILATIONS_MAX: usize = 1;

/// The machine code of components.
#[derive(Debug)]
pub(crate) struct Code {
    store: Store,
    sandbox: Sandbox,
    ready: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Prepared>>>>>,
    compiling: Arc<Semaphore>,
}

impl Code {
    pub(crate) fn new(store: Store, sandbox: Sandbox) -> Self {
        let compiling = Arc::new(Semaphore::new(COMPILATIONS_MAX));
        Self {
            store,
            sandbox,
            ready: Mutex::default(),
            compiling,
        }
    }

    /// The component with this digest, if it was made ready before.
    pub(crate) fn ready(&self, digest: Digest) -> Option<Arc<Prepared>> {
        self.cell(digest).get().cloned()
    }

    /// The component with this digest, ready to be called. Slow the first time.
    pub(crate) async fn prepared(&self, digest: Digest) -> Result<Arc<Prepared>, HostError> {
        let cell = self.cell(digest);
        cell.get_or_try_init(|| self.restore(digest)).await.cloned()
    }

    /// Compiles new bytes and keeps the code, in memory and, if that works, on disk.
    pub(crate) async fn compile(&self, digest: Digest, wasm: Arc<[u8]>) -> Result<Arc<Prepared>, HostError> {
        let cell = self.cell(digest);
        cell.get_or_try_init(|| self.open_or_compile(digest, wasm))
            .await
            .cloned()
    }

    /// Forgets what is in no catalog. Calls that still run keep theirs.
    pub(crate) fn retain(&self, catalog: &Catalog) {
        let kept: HashSet<Digest> = catalog.components().map(|component| component.digest).collect();
        self.lock().retain(|digest, _| kept.contains(digest));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<OnceCell<Arc<Prepared>>>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, digest: Digest) -> Arc<OnceCell<Arc<Prepared>>> {
        Arc::clone(self.lock().entry(digest).or_default())
    }

    async fn restore(&self, digest: Digest) -> Result<Arc<Prepared>, HostError> {
        if let Some(prepared) = self.open(digest).await? {
            return Ok(prepared);
        }
        let wasm = self
            .store
            .blob(&digest)
            .await
            .map_err(|source| HostError::Store { source })?;
        self.compile_and_keep(digest, wasm.into()).await
    }

    async fn open_or_compile(&self, digest: Digest, wasm: Arc<[u8]>) -> Result<Arc<Prepared>, HostError> {
        match self.open(digest).await? {
            Some(prepared) => Ok(prepared),
            None => self.compile_and_keep(digest, wasm).await,
        }
    }

    /// Opens sealed code. Code that is missing or does not open is no error: it is compiled again.
    async fn open(&self, digest: Digest) -> Result<Option<Arc<Prepared>>, HostError> {
        let (store, sandbox) = (self.store.clone(), self.sandbox.clone());
        blocking(move || {
            let name = cache_name(&digest, &sandbox);
            let Ok(Some(sealed)) = store.compiled().read(&name) else {
                return None;
            };
            let key = store.key().ok()?;
            match sandbox.open(key.as_bytes(), *digest.as_bytes(), &sealed) {
                Ok(prepared) => Some(Arc::new(prepared)),
                Err(error) => {
                    tracing::warn!(%digest, %error, "compiled code is not usable, compiling again");
                    None
                }
            }
        })
        .await
    }

    async fn compile_and_keep(&self, digest: Digest, wasm: Arc<[u8]>) -> Result<Arc<Prepared>, HostError> {
        // A compilation that was given up keeps its place until it ends; nobody waits for that without a bound.
        let place = Arc::clone(&self.compiling).acquire_owned();
        let permit = tokio::time::timeout(COMPILE_TIME_MAX, place)
            .await
            .map_err(too_slow)?
            .map_err(|_closed| HostError::Interrupted)?;
        let (store, sandbox) = (self.store.clone(), self.sandbox.clone());
        let work = blocking(move || {
            let prepared = sandbox.prepare(&wasm);
            drop(permit);
            let prepared = prepared?;
            keep(&store, &sandbox, digest, &prepared);
            Ok(Arc::new(prepared))
        });
        let prepared: Result<_, PrepareError> = tokio::time::timeout(COMPILE_TIME_MAX, work)
            .await
            .map_err(too_slow)??;
        prepared.map_err(|source| HostError::Prepare { source })
    }
}

fn too_slow(_elapsed: tokio::time::error::Elapsed) -> HostError {
    HostError::CompileTime {
        seconds: COMPILE_TIME_MAX.as_secs(),
    }
}

/// Keeps the code for later starts. A cache that cannot be written costs time, not correctness.
fn keep(store: &Store, sandbox: &Sandbox, digest: Digest, prepared: &Prepared) {
    let kept = store.key().map_err(|error| error.to_string()).and_then(|key| {
        let sealed = prepared
            .seal(key.as_bytes(), *digest.as_bytes())
            .map_err(|error| error.to_string())?;
        store
            .compiled()
            .write(&cache_name(&digest, sandbox), &sealed)
            .map_err(|error| error.to_string())
    });
    if let Err(error) = kept {
        tracing::warn!(%digest, error, "compiled code is not kept, the next start compiles again");
    }
}

/// A name for each component and engine, so that two versions of this program share one cache.
fn cache_name(digest: &Digest, sandbox: &Sandbox) -> String {
    let engine: String = sandbox
        .fingerprint()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{engine}", digest.hex())
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panicked_or_stopped| HostError::Interrupted)
}
