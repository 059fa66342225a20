//! The parent: starts the compiler's process, asks, waits no longer than it may, and understands how it ended.
//!
//! INVARIANT: the process does not outlive the future of [`compile`], whatever becomes of it.
//!
//! Of the child's answer only its length and its kind are believed, and those only within limits. That it holds code
//! at all is checked when the code is opened; that it is the right code nobody can check.

use super::confine::Bounds;
use super::wire::{ANSWER_HEAD_BYTES, Kind, Request, TEXT_BYTES_MAX, read_answer_head};
use super::{COMPILER_ARGUMENT, CompileError, CompileFault, CompilerLimits};
use crate::component::PrepareError;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use wassette_wit::sanitize;

/// Bytes of what the child complains of that are looked at.
const COMPLAINT_BYTES_MAX: usize = 4096;

/// Between two looks whether a child that closed its output has ended, and the longest wait for that.
const LOOK: Duration = Duration::from_millis(2);
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What is at the end of a process whose memory ran out: Rust's allocator, and the system's own words.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of ", "Cannot allocate memory"];

/// What is sent: the component after its head.
pub(super) struct Question {
    pub(super) request: Request,
    pub(super) wasm: Arc<[u8]>,
}

pub(super) async fn compile(
    program: &Path,
    limits: &CompilerLimits,
    question: Question,
) -> Result<Vec<u8>, CompileError> {
    // Here and not on the thread that waits, which ends sooner than the child may: see `compile_apart`.
    let mut child = start(program, limits).map_err(|source| CompileError::Start { source })?;
    let pipes = Pipes::take(&mut child);
    let child = Killed(Arc::new(Mutex::new(child)));
    let pipes = pipes.ok_or_else(|| broken("it has no pipes"))?;
    let (shared, limits) = (Arc::clone(&child.0), *limits);
    let mut work = tokio::task::spawn_blocking(move || converse(&shared, pipes, &question, &limits));
    if let Ok(ended) = tokio::time::timeout(limits.time, &mut work).await {
        return ended.unwrap_or_else(|_panicked| Err(broken("its answer was not read")));
    }
    drop(child);
    // Who compiles next finds the memory free.
    let _killed = work.await;
    Err(too_slow(&limits))
}

/// The child, which is killed when this is dropped. Whoever reads its output sees that end, and reaps it.
struct Killed(Arc<Mutex<Child>>);

impl Drop for Killed {
    fn drop(&mut self) {
        let _has_ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

struct Pipes {
    input: ChildStdin,
    output: ChildStdout,
    complaints: ChildStderr,
}

impl Pipes {
    fn take(child: &mut Child) -> Option<Self> {
        Some(Self {
            input: child.stdin.take()?,
            output: child.stdout.take()?,
            complaints: child.stderr.take()?,
        })
    }
}

/// Starts the program as a compiler: with no variable, no descriptor but three pipes, no working folder, no terminal's
/// signals.
fn start(program: &Path, limits: &CompilerLimits) -> io::Result<Child> {
    // The standard library closes only what it opened itself.
    wassette_compiled::close_on_exec();
    let bounds = Bounds {
        memory_bytes: limits.memory_bytes,
        cpu_seconds: limits.cpu.as_secs().max(1),
    };
    let mut command = Command::new(program);
    command
        .arg(COMPILER_ARGUMENT)
        .args(bounds.arguments())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    detach(&mut command);
    command.spawn()
}

/// A signal that a terminal sends to the server's group is not for the child, and no folder is kept from being removed.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.arg0("wassette").current_dir("/").process_group(0);
}

/// Asks, reads the answer, and sees to it that the child has ended. Blocks until then; killing the child ends it.
fn converse(
    child: &Mutex<Child>,
    pipes: Pipes,
    question: &Question,
    limits: &CompilerLimits,
) -> Result<Vec<u8>, CompileError> {
    // A child that does not listen says why in its answer, or by how it ends.
    let _broken_pipe = ask(pipes.input, question);
    let answer = receive(pipes.output, limits);
    let patience = match answer {
        Ok(None) => ENDS_WITHIN,
        Ok(Some(_)) | Err(_) => Duration::ZERO,
    };
    let status = reap(child, patience);
    if let Some(result) = answer? {
        return result;
    }
    let status = status.map_err(|error| broken(&error.to_string()))?;
    let complaint = complaint(pipes.complaints);
    tracing::debug!(%status, complaint, "the compiler's process ended without an answer");
    Err(failure(status, &complaint, limits))
}

fn ask(mut input: ChildStdin, question: &Question) -> io::Result<()> {
    input.write_all(&question.request.head())?;
    input.write_all(&question.wasm)
}

/// Waits for the child to end, and kills it when it does not.
fn reap(child: &Mutex<Child>, patience: Duration) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        {
            // Held for a moment only, so that it can be killed meanwhile.
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                child.kill()?;
                return child.wait();
            }
        }
        thread::sleep(LOOK);
    }
}

type Answer = Result<Vec<u8>, CompileError>;

/// Reads an answer; `None` when the child ended before it was complete.
fn receive(mut output: impl Read, limits: &CompilerLimits) -> Result<Option<Answer>, CompileError> {
    let mut head = [0; ANSWER_HEAD_BYTES];
    if output.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let (kind, bytes) = read_answer_head(head).ok_or_else(|| broken("its answer is not understood"))?;
    let bytes_max = match kind {
        Kind::Code => limits.code_bytes,
        Kind::Invalid | Kind::Panic | Kind::Broken => TEXT_BYTES_MAX as u64,
    };
    let too_long = || match kind {
        Kind::Code => CompileFault::Code { bytes: bytes_max }.into(),
        Kind::Invalid | Kind::Panic | Kind::Broken => broken("its answer is too long"),
    };
    if bytes > bytes_max {
        return Err(too_long());
    }
    let capacity = usize::try_from(bytes).map_err(|_beyond_memory| too_long())?;
    let mut content = Vec::with_capacity(capacity);
    let read = output.take(bytes).read_to_end(&mut content);
    if read.is_err() || content.len() != capacity {
        return Ok(None);
    }
    Ok(Some(understood(kind, content)))
}

fn understood(kind: Kind, content: Vec<u8>) -> Answer {
    let text = |content: &[u8]| sanitize(&String::from_utf8_lossy(content), TEXT_BYTES_MAX);
    match kind {
        Kind::Code => Ok(content),
        Kind::Panic => Err(CompileFault::Crash.into()),
        Kind::Invalid => Err(PrepareError::Invalid {
            reason: text(&content),
        }
        .into()),
        Kind::Broken => Err(broken(&text(&content))),
    }
}

/// The first of what the child wrote to its standard error. It has ended, so this does not wait.
fn complaint(output: impl Read) -> String {
    let mut bytes = Vec::new();
    let _as_far_as_it_goes = output.take(COMPLAINT_BYTES_MAX as u64).read_to_end(&mut bytes);
    sanitize(&String::from_utf8_lossy(&bytes), COMPLAINT_BYTES_MAX)
}

/// What it means that the child ended like this, without an answer.
fn failure(status: ExitStatus, complaint: &str, limits: &CompilerLimits) -> CompileError {
    if OUT_OF_MEMORY.iter().any(|words| complaint.contains(words)) {
        let bytes = limits.memory_bytes;
        return CompileFault::Memory { bytes }.into();
    }
    match signal(status) {
        Some(signal) => killed(signal, limits),
        None => broken(&format!("it ended with {status}")),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
fn killed(signal: i32, limits: &CompilerLimits) -> CompileError {
    use rustix::process::Signal;
    let is = |one: Signal| one.as_raw() == signal;
    // What a process does to itself, by a bug. Everything else was sent.
    let crashes = [
        Signal::ABORT,
        Signal::SEGV,
        Signal::BUS,
        Signal::ILL,
        Signal::FPE,
        Signal::TRAP,
        Signal::SYS,
    ];
    if is(Signal::XCPU) {
        too_slow_by_cpu(limits)
    } else if crashes.into_iter().any(is) {
        CompileFault::Crash.into()
    } else {
        CompileError::Killed { signal }
    }
}

#[cfg(not(unix))]
fn killed(signal: i32, _limits: &CompilerLimits) -> CompileError {
    CompileError::Killed { signal }
}

fn too_slow(limits: &CompilerLimits) -> CompileError {
    CompileFault::Time {
        seconds: limits.time.as_secs(),
    }
    .into()
}

#[cfg(unix)]
fn too_slow_by_cpu(limits: &CompilerLimits) -> CompileError {
    CompileFault::Cpu {
        seconds: limits.cpu.as_secs().max(1),
    }
    .into()
}

fn broken(reason: &str) -> CompileError {
    CompileError::Broken {
        reason: reason.to_owned(),
    }
}
