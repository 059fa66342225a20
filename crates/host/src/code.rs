//! Compiled components: in memory while they are in the catalog, on disk between starts.
//!
//! A component is made ready at its first call, from sealed code if there is any, else by compiling the
//! stored bytes. So a start compiles nothing, and a server that is only asked for its tools reads no code.
//! What could not be compiled is remembered, too.

use crate::HostConfig;
use crate::catalog::Catalog;
use crate::error::HostError;
use crate::unfit::Note;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use wassette_sandbox::{
    Code as MachineCode, CompileError, CompileFault, Compiler, CompilerProgram, PrepareError, Prepared,
    Sandbox,
};
use wassette_store::{Digest, Store};

/// Compilations at a time. Each uses all cores by itself.
const COMPILATIONS_MAX: usize = 1;

/// The machine code of components.
#[derive(Debug)]
pub(crate) struct Code {
    store: Store,
    sandbox: Sandbox,
    compiler: Compiler,
    clock: fn() -> SystemTime,
    ready: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Prepared>>>>>,
    compiling: Arc<Semaphore>,
}

impl Code {
    pub(crate) fn new(store: Store, sandbox: Sandbox, config: &HostConfig) -> Self {
        let compiling = Arc::new(Semaphore::new(COMPILATIONS_MAX));
        Self {
            store,
            sandbox,
            compiler: config.compiler.clone(),
            clock: config.clock,
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
        if let Some(fault) = self.remembered(digest).await? {
            return Err(compile_error(fault.into()));
        }
        let code = match self.machine_code(wasm).await {
            Ok(code) => code,
            Err(CompileError::Fault(fault)) => {
                self.remember(digest, fault.clone()).await?;
                return Err(compile_error(fault.into()));
            }
            Err(error) => return Err(compile_error(error)),
        };
        let (store, sandbox) = (self.store.clone(), self.sandbox.clone());
        blocking(move || seal_and_open(&store, &sandbox, digest, code)).await?
    }

    /// Compiles, when it is its turn. Dropping the future ends the compiler's process.
    async fn machine_code(&self, wasm: Arc<[u8]>) -> Result<MachineCode, CompileError> {
        let limits = &self.compiler.limits;
        let too_slow = || CompileFault::Time {
            seconds: limits.time.as_secs(),
        };
        let place = Arc::clone(&self.compiling).acquire_owned();
        let place = tokio::time::timeout(limits.time, place)
            .await
            .map_err(|_elapsed| CompileError::Busy)?
            .map_err(|_closed| CompileError::Busy)?;
        match &self.compiler.program {
            CompilerProgram::Process(program) => self.sandbox.compile_apart(program, limits, wasm).await,
            CompilerProgram::InProcess => {
                let work = compile_here(self.sandbox.clone(), wasm, place);
                let code = tokio::time::timeout(limits.time, work).await;
                code.map_err(|_elapsed| too_slow())?
            }
        }
    }

    /// What compiling this broke on before.
    async fn remembered(&self, digest: Digest) -> Result<Option<CompileFault>, HostError> {
        let (store, name) = (self.store.clone(), cache_name(&digest, &self.sandbox));
        let note = blocking(move || store.compiled().read_note(&name)).await?;
        // A note that cannot be read costs time only.
        let note = note.ok().flatten().and_then(|bytes| Note::read(&bytes));
        Ok(note.and_then(|note| note.fault(&self.compiler.limits, (self.clock)())))
    }

    async fn remember(&self, digest: Digest, fault: CompileFault) -> Result<(), HostError> {
        tracing::warn!(%digest, %fault, "component cannot be compiled");
        let note = Note::new(&fault, &self.compiler.limits, (self.clock)());
        let (store, name) = (self.store.clone(), cache_name(&digest, &self.sandbox));
        if let Err(error) = blocking(move || store.compiled().write_note(&name, &note.to_bytes())).await? {
            tracing::warn!(%digest, %error, "that it cannot be compiled is not remembered");
        }
        Ok(())
    }
}

fn compile_error(error: CompileError) -> HostError {
    match error {
        // Not about compiling: it would not run either.
        CompileError::Refused(source) => HostError::Prepare { source },
        source @ (CompileError::Fault(_)
        | CompileError::Busy
        | CompileError::Start { .. }
        | CompileError::Killed { .. }
        | CompileError::Broken { .. }) => HostError::Compile { source },
    }
}

/// Code that was just compiled and does not open: the compiler did not do what it should.
fn open_error(error: PrepareError) -> HostError {
    if let PrepareError::Sealed { source } = &error {
        let reason = format!("its code is of no use: {source}");
        return compile_error(CompileError::Broken { reason });
    }
    HostError::Prepare { source: error }
}

/// Compiles on a thread. One that was given up keeps its place until it ends.
async fn compile_here(
    sandbox: Sandbox,
    wasm: Arc<[u8]>,
    place: OwnedSemaphorePermit,
) -> Result<MachineCode, CompileError> {
    let work = tokio::task::spawn_blocking(move || {
        let code = sandbox.compile_here(&wasm);
        drop(place);
        code
    });
    match work.await {
        Ok(Err(PrepareError::Compiler)) | Err(_) => Err(CompileFault::Crash.into()),
        Ok(result) => Ok(result?),
    }
}

/// Everything that is run was sealed and opened, so that there is one way for code to become ours. Where no key can be
/// had, nothing is kept, and a key of the moment does.
fn seal_and_open(
    store: &Store,
    sandbox: &Sandbox,
    digest: Digest,
    code: MachineCode,
) -> Result<Arc<Prepared>, HostError> {
    let kept = store.key();
    let key = match &kept {
        Ok(key) => *key.as_bytes(),
        Err(_) => momentary_key()?,
    };
    let sealed = sandbox.seal(&key, *digest.as_bytes(), code).map_err(open_error)?;
    let prepared = sandbox
        .open(&key, *digest.as_bytes(), &sealed)
        .map_err(open_error)?;
    // A cache that cannot be written costs time, not correctness.
    let written = kept.and_then(|_key| store.compiled().write(&cache_name(&digest, sandbox), &sealed));
    if let Err(error) = written {
        tracing::warn!(%digest, %error, "compiled code is not kept, the next start compiles again");
    }
    Ok(Arc::new(prepared))
}

fn momentary_key() -> Result<[u8; 32], HostError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|_no_random_numbers| HostError::Interrupted)?;
    Ok(key)
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
