//! The engine, configured once: which wasm is accepted, how memory is handed out, how guests are stopped.

use crate::compiler::Code;
use crate::component::{PrepareError, Prepared, guarded, scan};
use crate::filesystem::FileHost;
use crate::limits::{INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use crate::linker::linker;
use crate::network::{Network, NetworkConfig};
use crate::state::State;
use crate::ticker::Ticker;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};
use wassette_compiled::Label;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Stack of wasm code. Interpreters in guests (Python, JavaScript) need most of this.
const WASM_STACK_BYTES: usize = 512 * KIB;

/// Stack of a call, wasm and host functions together.
const CALL_STACK_BYTES: usize = 2 * MIB;

/// Tables one core module may have; compilers emit one, hand-written modules a few.
const TABLES_PER_MODULE_MAX: u32 = 8;

/// Frames of a trap's backtrace, which only our logs see.
const BACKTRACE_FRAMES: usize = 16;

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool made at start; slots are reset to their initial image between guests. Fast.
    Pooling,
    /// Mapped for each call and unmapped after it: no guest ever sees a slot another guest had. Slower.
    OnDemand,
}

/// Bounds on what is compiled. Compilation runs on untrusted input and wasmtime promises no bound itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of the component.
    pub component_bytes: usize,
    /// Functions in all its core modules.
    pub functions: u32,
    /// Bytes of the largest function body.
    pub body_bytes: usize,
    /// Core modules and components nested in it.
    pub modules: u32,
    /// What its tables and globals hold at the start.
    pub initial_values: u32,
    /// Bytes that say so.
    pub initial_bytes: usize,
}

impl CompileLimits {
    /// Figures with their reasons in SPECIFICATION.md, "Limits".
    pub const DEFAULT: Self = Self {
        component_bytes: 64 * MIB,
        functions: 200_000,
        body_bytes: MIB,
        modules: 100,
        initial_values: 65_536,
        initial_bytes: MIB,
    };
}

/// What a sandbox is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// How instances get their memory.
    pub allocation: Allocation,
    /// Bounds on what is compiled.
    pub compile: CompileLimits,
    /// Calls that may run at the same time; one more is refused.
    pub calls_max: u32,
    /// How guests that may reach the network reach it.
    pub network: NetworkConfig,
}

impl SandboxConfig {
    /// Pooling, default limits, 64 calls, the system's resolver.
    pub const DEFAULT: Self = Self {
        allocation: Allocation::Pooling,
        compile: CompileLimits::DEFAULT,
        calls_max: 64,
        network: NetworkConfig::DEFAULT,
    };
}

/// No sandbox could be made.
#[derive(Debug, thiserror::Error)]
pub enum NewSandboxError {
    /// The engine refused its settings, or this system cannot give it what it needs.
    #[error("cannot start the wasm engine")]
    Engine {
        /// Wasmtime's reason.
        source: wasmtime::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the engine's clock")]
    Thread {
        /// The system's reason.
        source: std::io::Error,
    },
    /// TLS could not be set up; perhaps an extra root is no certificate.
    #[error("cannot set up TLS")]
    Tls {
        /// What is wrong.
        source: rustls::Error,
    },
}

/// Compiles components and runs their functions.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
}

/// What all prepared components share.
pub(crate) struct Shared {
    pub(crate) config: SandboxConfig,
    pub(crate) network: Arc<Network>,
    plain: Arc<Core>,
    /// Made when the first component needs it.
    concurrent: OnceLock<Arc<Core>>,
    guests: OnceLock<Runtime>,
    pub(crate) files: Arc<FileHost>,
}

/// One engine and what belongs to it.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) ticker: Ticker,
    fingerprint: OnceLock<[u8; 32]>,
}

/// Whether a component uses the async part of the component model.
///
/// SECURITY: that part is young and had the worst advisories of 2026, and its bookkeeping costs each call.
/// So it is off in the engine that runs nearly everything, and components that cannot do without it (those
/// of componentize-qjs, for their built-ins) get an engine of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    Unused,
    Used,
}

impl Concurrency {
    /// First byte of sealed code, and part of what a compiler is asked: which engine the code is for.
    pub(crate) fn mark(self) -> u8 {
        match self {
            Self::Unused => b'p',
            Self::Used => b'c',
        }
    }

    pub(crate) fn from_mark(mark: u8) -> Option<Self> {
        [Self::Unused, Self::Used]
            .into_iter()
            .find(|concurrency| concurrency.mark() == mark)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Core {
    fn new(config: &SandboxConfig, concurrency: Concurrency) -> Result<Self, NewSandboxError> {
        let engine = new_engine(config, concurrency).map_err(|source| NewSandboxError::Engine { source })?;
        let linker = linker(&engine).map_err(|source| NewSandboxError::Engine { source })?;
        let ticker = Ticker::start(&engine).map_err(|source| NewSandboxError::Thread { source })?;
        Ok(Self {
            engine,
            linker,
            ticker,
            fingerprint: OnceLock::new(),
        })
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        *self
            .fingerprint
            .get_or_init(|| wassette_compiled::fingerprint(&self.engine))
    }
}

impl Sandbox {
    /// Starts the engine and its clock. Compiles nothing.
    ///
    /// A pool reserves address space, which containers and `ulimit -v` may refuse; then instances are
    /// allocated on demand, and [`Sandbox::allocation`] says so.
    ///
    /// # Errors
    ///
    /// [`NewSandboxError`] when neither way works, the clock's thread cannot start, or an extra root of TLS is
    /// no certificate.
    pub fn new(config: &SandboxConfig) -> Result<Self, NewSandboxError> {
        let mut config = config.clone();
        let network = Network::new(&config.network).map_err(|source| NewSandboxError::Tls { source })?;
        let plain = match (config.allocation, Core::new(&config, Concurrency::Unused)) {
            (_, Ok(core)) => core,
            (Allocation::OnDemand, Err(error)) => return Err(error),
            (Allocation::Pooling, Err(refused)) => {
                tracing::debug!(error = ?refused, "no memory pool, allocating on demand");
                config.allocation = Allocation::OnDemand;
                Core::new(&config, Concurrency::Unused)?
            }
        };
        let (concurrent, guests) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                network: Arc::new(network),
                plain: Arc::new(plain),
                concurrent,
                guests,
                files: Arc::new(FileHost::new()),
            }),
        })
    }

    /// How instances get their memory on this system.
    #[must_use]
    pub fn allocation(&self) -> Allocation {
        self.shared.config.allocation
    }

    /// File operations that are still inside the kernel although their calls have ended.
    #[must_use]
    pub fn lingering(&self) -> usize {
        self.shared.files.lingering()
    }

    /// Names the engine's version, settings and target. Compiled code is good for one fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.shared.plain.fingerprint()
    }

    /// Checks, compiles and links a component, all here and keeping nothing. Blocks for as long as compilation takes:
    /// run it on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`PrepareError`]: not a component, beyond a limit, imports something that is not here.
    pub fn prepare(&self, wasm: &[u8]) -> Result<Prepared, PrepareError> {
        let concurrency = scan(&self.shared.config.compile, wasm)?;
        let core = self.shared.core(concurrency)?;
        // `from_binary`, never `new`: that would accept text and, in some builds, other forms.
        let component = guarded(|| Component::from_binary(&core.engine, wasm))?;
        Prepared::link(Arc::clone(&self.shared), core, component)
    }

    /// Checks what [`Sandbox::prepare`] checks before it compiles: size, form and limits.
    ///
    /// # Errors
    ///
    /// [`PrepareError`], as there.
    pub fn scan(&self, wasm: &[u8]) -> Result<(), PrepareError> {
        scan(&self.shared.config.compile, wasm).map(|_concurrency| ())
    }

    /// Seals code so that [`Sandbox::open`] takes it back for the same key and the same component.
    ///
    /// SECURITY: whoever holds the key vouches that the code is what our compiler made of that component.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Link`] when the engine that it is for cannot be had.
    pub fn seal(&self, key: &[u8; 32], wasm: [u8; 32], code: Code) -> Result<Vec<u8>, PrepareError> {
        let label = Label {
            wasm,
            engine: self.shared.core(code.concurrency)?.fingerprint(),
        };
        let mut sealed = wassette_compiled::seal(key, &label, &code.bytes);
        // There may be a hundred megabytes of it.
        drop(code.bytes);
        let mut marked = Vec::with_capacity(1 + sealed.len());
        marked.push(code.concurrency.mark());
        marked.append(&mut sealed);
        Ok(marked)
    }

    /// Opens code that [`Sandbox::seal`] sealed for the same component, key and fingerprint.
    ///
    /// # Errors
    ///
    /// [`PrepareError::Sealed`] when the seal does not hold: compile again.
    pub fn open(&self, key: &[u8; 32], wasm: [u8; 32], sealed: &[u8]) -> Result<Prepared, PrepareError> {
        // Which engine it is for is not under the seal, and need not be: the seal holds for one engine only.
        let split = sealed.split_first();
        let marked = split.and_then(|(mark, sealed)| Some((Concurrency::from_mark(*mark)?, sealed)));
        let (concurrency, sealed) = marked.ok_or(PrepareError::Sealed {
            source: wassette_compiled::OpenError::Format,
        })?;
        let core = self.shared.core(concurrency)?;
        let label = Label {
            wasm,
            engine: core.fingerprint(),
        };
        let component = wassette_compiled::open(&core.engine, key, &label, sealed)
            .map_err(|source| PrepareError::Sealed { source })?;
        Prepared::link(Arc::clone(&self.shared), core, component)
    }
}

impl Shared {
    /// The engine for a component.
    pub(crate) fn core(&self, concurrency: Concurrency) -> Result<Arc<Core>, PrepareError> {
        match (concurrency, self.concurrent.get()) {
            (Concurrency::Unused, _) => Ok(Arc::clone(&self.plain)),
            (Concurrency::Used, Some(core)) => Ok(Arc::clone(core)),
            (Concurrency::Used, None) => {
                let core =
                    Core::new(&self.config, Concurrency::Used).map_err(|error| PrepareError::Link {
                        reason: error.to_string(),
                    })?;
                Ok(Arc::clone(self.concurrent.get_or_init(|| Arc::new(core))))
            }
        }
    }

    /// Calls that run now, on both engines.
    pub(crate) fn calls(&self) -> usize {
        self.plain.ticker.calls() + self.concurrent.get().map_or(0, |core| core.ticker.calls())
    }

    /// The runtime that carries calls which did not finish where they were started. Made at the first call.
    pub(crate) fn guests(&self) -> std::io::Result<&Runtime> {
        if let Some(runtime) = self.guests.get() {
            return Ok(runtime);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("guest")
            .enable_time()
            .enable_io()
            .build()?;
        if let Err(second) = self.guests.set(runtime) {
            // Two first calls at the same time. See `drop` for why it is not simply dropped.
            second.shutdown_background();
        }
        self.guests
            .get()
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Dropping a runtime inside another one panics; this way is allowed anywhere.
        if let Some(runtime) = self.guests.take() {
            runtime.shutdown_background();
        }
    }
}

fn new_engine(config: &SandboxConfig, concurrency: Concurrency) -> wasmtime::Result<Engine> {
    let mut engine = settings(concurrency);
    match config.allocation {
        Allocation::Pooling => {
            engine.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config.calls_max)));
        }
        Allocation::OnDemand => {
            engine
                .allocation_strategy(InstanceAllocationStrategy::OnDemand)
                .async_stack_zeroing(true);
        }
    }
    Engine::new(&engine)
}

/// An engine that compiles what the engine of a [`Core`] runs, and reserves no memory to run anything itself.
///
/// INVARIANT: how memory is handed out does not change the code, so that the two have one fingerprint.
pub(crate) fn compile_engine(concurrency: Concurrency) -> wasmtime::Result<Engine> {
    let mut engine = settings(concurrency);
    engine.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&engine)
}

/// What all engines have in common, and all that the compiler must know.
fn settings(concurrency: Concurrency) -> Config {
    let is_concurrent = concurrency == Concurrency::Used;
    let mut engine = Config::new();
    accept(&mut engine);
    engine
        .concurrency_support(is_concurrent)
        .wasm_component_model_async(is_concurrent)
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(CALL_STACK_BYTES)
        .guard_before_linear_memory(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    engine
}

/// Which wasm is accepted: what today's component toolchains emit, and nothing younger.
///
/// SECURITY: each proposal that is off here had memory-safety advisories in 2026 or widens the attack
/// surface for nothing. `gc` and `threads` are compiled in and switched off: 48.0.8 aborts when they are
/// compiled out (GHSA-rc4p-x33f-vpr2, GHSA-2674-w29h-wqvj). Several memories in one module must stay on: the
/// adapters which wasmtime makes between composed components use them, and it panics when they are off. The
/// pool refuses them in modules of components.
fn accept(engine: &mut Config) {
    engine
        .wasm_component_model(true)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_stack_switching(false);
}

/// A pool for `calls_max` calls, each with all that it may have.
///
/// SECURITY: with less, a few calls that take the most and then sleep leave nothing to everybody else. A place costs
/// address space only: 2 TiB for the memories of 64 calls, 6 GiB for their tables, of the 128 TiB there are.
///
/// With the kernel's pagemap scan a slot is reset by touching only the pages its last guest dirtied, so many
/// may stay resident; without it each kept byte is wiped at every call, and little is kept.
fn pool(calls_max: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let has_scan = PoolingAllocationConfig::is_pagemap_scan_available();
    pool.pagemap_scan(if has_scan { Enabled::Yes } else { Enabled::No })
        .linear_memory_keep_resident(if has_scan { 16 * MIB } else { 64 * KIB })
        .table_keep_resident(64 * KIB)
        .max_unused_warm_slots(8)
        .total_component_instances(calls_max)
        .total_stacks(calls_max)
        .total_core_instances(calls_max.saturating_mul(INSTANCES_MAX))
        .total_memories(calls_max.saturating_mul(MEMORIES_MAX))
        .total_tables(calls_max.saturating_mul(TABLES_MAX))
        .total_gc_heaps(1)
        .max_tables_per_module(TABLES_PER_MODULE_MAX)
        .max_core_instance_size(4 * MIB)
        .max_component_instance_size(4 * MIB)
        .table_elements(200_000)
        .max_memory_size(4 << 30);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_makes_code_for_every_engine() {
        for concurrency in [Concurrency::Unused, Concurrency::Used] {
            let compiles = compile_engine(concurrency).expect("an engine");
            let expected = wassette_compiled::fingerprint(&compiles);
            for allocation in [Allocation::Pooling, Allocation::OnDemand] {
                let config = SandboxConfig {
                    allocation,
                    ..SandboxConfig::DEFAULT
                };
                let runs = new_engine(&config, concurrency).expect("an engine");
                let found = wassette_compiled::fingerprint(&runs);
                assert_eq!(found, expected, "{concurrency:?}, {allocation:?}");
            }
        }
    }
}
