//! The child: limits itself, reads one component, answers with its machine code, and ends.
//!
//! It knows no settings, no store and no key. What it was started with are two figures and two pipes.

use super::confine::{Bounds, confine};
use super::wire::{Kind, Request, TEXT_BYTES_MAX, answer_head};
use crate::component::{PrepareError, guarded, one_line};
use crate::engine::compile_engine;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use wasmtime::Engine;
use wassette_wit::sanitize;

/// The process cannot work as a compiler.
#[derive(Debug, thiserror::Error)]
pub enum CompilerRunError {
    /// It was not started by the program: a person typed it, or the two are of different versions.
    #[error("this is how the program starts its own compiler; it is of no use to anybody else")]
    NotForPeople,
    /// Its limits cannot be set. Nothing was read.
    #[error("the compiler cannot limit itself")]
    Confine {
        /// The system's reason.
        source: io::Error,
    },
    /// The engine does not start.
    #[error("the compiler's engine does not start: {reason}")]
    Engine {
        /// Wasmtime's reason.
        reason: String,
    },
    /// The code would not run on the engine that asked for it.
    #[error("the compiler is of another version than the program that started it")]
    OtherEngine,
    /// The pipes broke: who asked is gone.
    #[error("the compiler cannot speak to the program that started it")]
    Pipe {
        /// The system's reason.
        source: io::Error,
    },
}

/// Is a compiler: puts limits on this process, compiles the one component that comes, and answers.
///
/// `arguments` are what follows [`COMPILER_ARGUMENT`](super::COMPILER_ARGUMENT). To be called before anything else,
/// while the process has one thread and no descriptors but its standard ones.
///
/// # Errors
///
/// [`CompilerRunError`]; it is in the answer, too, where there is somebody to answer.
pub fn run_compiler(
    arguments: &[OsString],
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), CompilerRunError> {
    let bounds = Bounds::parse(arguments).ok_or(CompilerRunError::NotForPeople)?;
    let compiled = confine(&bounds)
        .map_err(|source| CompilerRunError::Confine { source })
        .and_then(|()| read_and_compile(input));
    let (kind, content) = match &compiled {
        Ok(Ok(code)) => (Kind::Code, code.as_slice().into()),
        Ok(Err(PrepareError::Compiler)) => (Kind::Panic, Vec::new().into()),
        Ok(Err(error)) => (Kind::Invalid, text(&reason(error))),
        Err(error) => (Kind::Broken, text(&with_source(error))),
    };
    write_answer(output, kind, &content).map_err(|source| CompilerRunError::Pipe { source })?;
    compiled.map(drop)
}

fn read_and_compile(input: &mut impl Read) -> Result<Result<Vec<u8>, PrepareError>, CompilerRunError> {
    let broken = |source| CompilerRunError::Pipe { source };
    let request = Request::read(input)
        .map_err(broken)?
        .ok_or(CompilerRunError::NotForPeople)?;
    let mut wasm = Vec::new();
    input.take(request.bytes).read_to_end(&mut wasm).map_err(broken)?;
    if wasm.len() as u64 != request.bytes {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    let engine = compile_engine(request.concurrency).map_err(|error| CompilerRunError::Engine {
        reason: one_line(&error),
    })?;
    if wassette_compiled::fingerprint(&engine) != request.engine {
        return Err(CompilerRunError::OtherEngine);
    }
    Ok(translate(&engine, &wasm))
}

/// Translates a component that was scanned. Also what compiles when there is no child.
pub(super) fn translate(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, PrepareError> {
    guarded(|| engine.precompile_component(wasm))
}

/// The parent makes the error again from its reason.
fn reason(error: &PrepareError) -> String {
    match error {
        PrepareError::Invalid { reason } => reason.clone(),
        PrepareError::Native
        | PrepareError::NotAComponent
        | PrepareError::TooLarge { .. }
        | PrepareError::MissingImports(_)
        | PrepareError::Link { .. }
        | PrepareError::Compiler
        | PrepareError::Sealed { .. } => error.to_string(),
    }
}

fn with_source(error: &CompilerRunError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn text(text: &str) -> std::borrow::Cow<'static, [u8]> {
    sanitize(text, TEXT_BYTES_MAX).into_bytes().into()
}

fn write_answer(output: &mut impl Write, kind: Kind, content: &[u8]) -> io::Result<()> {
    output.write_all(&answer_head(kind, content.len() as u64))?;
    output.write_all(content)?;
    output.flush()
}
