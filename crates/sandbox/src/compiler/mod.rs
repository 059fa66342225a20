//! Compiling in a process that can be killed: this program itself, started again as nothing but a compiler.
//!
//! wasmtime promises no bound on the time and memory that compiling takes, and none on panics. A thread cannot be
//! stopped and shares our memory, so that one component could take the server down; a process can be stopped.
//!
//! The child bounds what compiling *costs*. It does not bound whom we trust: what comes back is machine code that we
//! will run, so that we trust the compiler in the child as we would trust it in our own process.
//!
//! `process` is the parent's side, `child` the child's, `confine` the limits that the child puts on itself before it
//! reads anything, `wire` what goes through the pipes.

mod child;
mod confine;
mod process;
mod wire;

use crate::component::{PrepareError, scan};
use crate::engine::{Concurrency, Sandbox};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use child::{CompilerRunError, run_compiler};

/// The first argument that makes the program a compiler. Nobody types it; it is in no help text.
pub const COMPILER_ARGUMENT: &str = "__compile";

/// Where components are compiled, and what that may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Where.
    pub program: CompilerProgram,
    /// What it may cost.
    pub limits: CompilerLimits,
}

impl Compiler {
    /// In this process, with the default limits. For libraries and tests, which have no program to start again.
    pub const IN_PROCESS: Self = Self {
        program: CompilerProgram::InProcess,
        limits: CompilerLimits::DEFAULT,
    };
}

/// What compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompilerProgram {
    /// A thread of this process. It cannot be stopped, and only [`CompilerLimits::time`] is kept: a compilation that
    /// takes longer is given up and goes on alone.
    InProcess,
    /// The program at this absolute path, started with [`COMPILER_ARGUMENT`]. It must be this very program: what it
    /// answers is run.
    Process(PathBuf),
}

/// What compiling one component may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompilerLimits {
    /// Longest wait for the compiler. Then it is killed.
    pub time: Duration,
    /// Processor time, of all its threads together, in whole seconds.
    pub cpu: Duration,
    /// Bytes of memory. Holds on Linux only.
    pub memory_bytes: u64,
    /// Bytes of machine code that are taken from it.
    pub code_bytes: u64,
}

impl CompilerLimits {
    /// Figures with their reasons in SPECIFICATION.md, "Limits".
    pub const DEFAULT: Self = Self {
        time: Duration::from_secs(60),
        cpu: Duration::from_secs(120),
        memory_bytes: 2 << 30,
        code_bytes: 256 << 20,
    };
}

/// Machine code of a component, as the compiler made it.
#[derive(Debug)]
pub struct Code {
    pub(crate) concurrency: Concurrency,
    pub(crate) bytes: Vec<u8>,
}

/// What compiling broke on. The same bytes would break on it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileFault {
    /// It took longer than it may.
    #[error("compiling the component took longer than {seconds} s and was stopped")]
    Time {
        /// The limit.
        seconds: u64,
    },
    /// It took more processor time than it may.
    #[error("compiling the component took more than {seconds} s of processor time and was stopped")]
    Cpu {
        /// The limit.
        seconds: u64,
    },
    /// It took more memory than it may.
    #[error("compiling the component took more than {} MiB of memory and was stopped", bytes >> 20)]
    Memory {
        /// The limit.
        bytes: u64,
    },
    /// There is more machine code than is taken.
    #[error("the component compiles to more than {} MiB of machine code", bytes >> 20)]
    Code {
        /// The limit.
        bytes: u64,
    },
    /// The compiler itself failed: a bug below us.
    #[error("the compiler failed on this component")]
    Crash,
}

/// A component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is no component that can be compiled.
    #[error(transparent)]
    Refused(#[from] PrepareError),
    /// It is beyond a limit, or breaks the compiler.
    #[error(transparent)]
    Fault(#[from] CompileFault),
    /// Others are compiled, and it did not come to its turn in time.
    #[error("other components are being compiled, and it was not this one's turn in time")]
    Busy,
    /// The compiler's process cannot be started.
    #[error("the compiler cannot be started")]
    Start {
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else ended the compiler's process: a person, or a system that is short of memory.
    #[error("the compiler was killed from outside (signal {signal})")]
    Killed {
        /// The signal.
        signal: i32,
    },
    /// The compiler's process did not work as it should.
    #[error("the compiler does not work: {reason}")]
    Broken {
        /// What is wrong.
        reason: String,
    },
}

impl Sandbox {
    /// Compiles a component here. Blocks for as long as that takes, which nothing bounds: run it on a thread that
    /// may block.
    ///
    /// # Errors
    ///
    /// [`PrepareError`]: not a component, beyond a limit, not valid; or the compiler panicked.
    pub fn compile_here(&self, wasm: &[u8]) -> Result<Code, PrepareError> {
        let concurrency = scan(&self.shared.config.compile, wasm)?;
        let core = self.shared.core(concurrency)?;
        let bytes = child::translate(&core.engine, wasm)?;
        Ok(Code { concurrency, bytes })
    }

    /// Compiles a component in a process of its own, which ends with this future: done, failed or dropped.
    ///
    /// INVARIANT: on Linux the process also ends with the thread that polls this future first, so that must not be a
    /// thread that comes and goes.
    ///
    /// # Errors
    ///
    /// [`CompileError`].
    pub async fn compile_apart(
        &self,
        program: &Path,
        limits: &CompilerLimits,
        wasm: Arc<[u8]>,
    ) -> Result<Code, CompileError> {
        let request = self.request(Arc::clone(&wasm)).await?;
        let concurrency = request.concurrency;
        let bytes = process::compile(program, limits, process::Question { request, wasm }).await?;
        Ok(Code { concurrency, bytes })
    }

    /// What to ask of the child. Reads the outline of the whole component, so not on this thread.
    async fn request(&self, wasm: Arc<[u8]>) -> Result<wire::Request, CompileError> {
        let sandbox = self.clone();
        let outline = tokio::task::spawn_blocking(move || {
            let concurrency = scan(&sandbox.shared.config.compile, &wasm)?;
            let core = sandbox.shared.core(concurrency)?;
            Ok(wire::Request {
                concurrency,
                engine: core.fingerprint(),
                bytes: wasm.len() as u64,
            })
        });
        let request: Result<_, PrepareError> = outline.await.map_err(|_panicked| PrepareError::Compiler)?;
        Ok(request?)
    }
}
