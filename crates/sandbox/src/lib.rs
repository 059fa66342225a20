//! Where components run. With `compiled` the only crate that names wasmtime.
//!
//! [`Sandbox::prepare`] compiles and links a component once; [`Prepared::call`] runs one exported function
//! in a fresh wasm store that is dropped afterwards, so nothing passes from call to call. Nothing of our
//! process is inherited: no arguments, environment, standard streams or folders. Every effect passes the
//! gate (`gate.rs`), every resource has a limit (`limits.rs`). Components of others are compiled in a process that can
//! be killed (`compiler/`).
//!
//! The crate knows neither component ids nor tools' names in a catalog, neither disk nor protocol.

mod busy;
mod call;
mod client;
mod compiler;
mod component;
mod control;
mod engine;
mod environment;
mod error;
mod filesystem;
mod gate;
mod limits;
mod linker;
mod network;
mod pace;
mod state;
mod stdio;
mod ticker;
mod value;

pub use call::{CallReport, Invocation, Usage};
pub use client::{Client, KeptList, Level, Log, Progress};
pub use compiler::{
    COMPILER_ARGUMENT, Code, CompileError, CompileFault, Compiler, CompilerLimits, CompilerProgram,
    CompilerRunError, run_compiler,
};
pub use component::{MissingImport, PrepareError, Prepared, missing};
pub use control::{Control, Surroundings};
pub use engine::{Allocation, CompileLimits, NewSandboxError, Sandbox, SandboxConfig};
pub use error::{CallError, Limit, TrapClass};
pub use network::{NetworkConfig, Resolver};
pub use pace::Pace;
pub use stdio::GuestOutput;
