//! One call: a fresh wasm store, one function, a report.
//!
//! A call starts on the thread that asked for it. Most end there, also those that wait for a file or a server,
//! and cost no move to another thread. A guest that computes longer moves to the guests' own threads, so it
//! never holds up the thread that reads the protocol.

use crate::client::Client;
use crate::component::Prepared;
use crate::control::{Control, Ended};
use crate::error::{CallError, Limit, TrapClass};
use crate::limits::INSTANCES_MAX;
use crate::state::{State, TICKS_PER_LOOK};
use crate::stdio::GuestOutput;
use crate::value::{ConvertError, Lift, lower};
use futures::FutureExt;
use futures::future::Either;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use wasmtime::component::{ComponentExportIndex, ResourceTableError, Val};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::I32Exit;
use wassette_policy::{Decision, Limits};
use wassette_wit::{Function, Value};

/// How long a guest may run in all on the thread that asked for it. Reading a file or a page takes some
/// hundred microseconds.
const STAY_MAX: Duration = Duration::from_millis(2);

/// What to call, with what, under which policy.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The function and its types.
    pub function: Arc<Function>,
    /// One value for each parameter.
    pub arguments: Vec<Value>,
    /// What the guest may do and use, and the hand on it while it runs.
    pub control: Arc<Control>,
    /// Whom the call is for, if it is for anybody who listens while it runs.
    pub client: Option<Arc<dyn Client>>,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Wall-clock time from instantiation to result.
    pub elapsed: Duration,
    /// Time the guest itself ran.
    pub cpu: Duration,
    /// Bytes of linear memory, summed over all memories.
    pub memory_bytes: u64,
    /// HTTP requests.
    pub requests: u64,
    /// Bytes sent, over HTTP and sockets.
    pub egress_bytes: u64,
    /// Bytes received, over HTTP and sockets.
    pub ingress_bytes: u64,
    /// Bytes read from files.
    pub file_read_bytes: u64,
    /// Bytes written to files.
    pub file_write_bytes: u64,
    /// Files, folders and links made.
    pub files: u64,
}

/// Everything a call left behind.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// The function's result (`None` for a function without one), or why there is none.
    pub result: Result<Option<Value>, CallError>,
    /// What the guest tried to reach, in the order of first attempts.
    pub accesses: Vec<Decision>,
    /// Accesses beyond those listed.
    pub accesses_unlisted: u64,
    /// What it used.
    pub usage: Usage,
    /// What it printed.
    pub output: GuestOutput,
}

impl CallReport {
    /// The report of a call that has no guest to report on.
    #[must_use]
    pub fn without_guest(error: CallError) -> Self {
        Self {
            result: Err(error),
            accesses: Vec::new(),
            accesses_unlisted: 0,
            usage: Usage::default(),
            output: GuestOutput::default(),
        }
    }
}

impl Prepared {
    /// Calls one function in a fresh store. Dropping the future stops the guest at its next tick.
    pub async fn call(self: Arc<Self>, invocation: Invocation) -> CallReport {
        self.call_holding(invocation, ()).await
    }

    /// The same, and drops `held` when the guest is gone, which may be a tick later than the future.
    pub async fn call_holding<H: Send + 'static>(
        self: Arc<Self>,
        invocation: Invocation,
        held: H,
    ) -> CallReport {
        let (shared, core) = (Arc::clone(&self.shared), Arc::clone(&self.core));
        // A share of the processor is kept in ticks, so they must be short from the first.
        let limits_share = invocation.control.authority().limits().cpu_share_millicores;
        let quickly = limits_share.map(|_| core.ticker.begin_long());
        let ticking = self.core.ticker.begin();
        if shared.calls() > shared.config.calls_max as usize {
            return CallReport::without_guest(CallError::Limit { limit: Limit::Calls });
        }
        let guests = match shared.guests() {
            Ok(guests) => guests,
            Err(error) => {
                tracing::error!(%error, "no threads for guests");
                return CallReport::without_guest(CallError::Panic);
            }
        };
        let running = Box::pin(run(self, invocation, (ticking, quickly, held)));
        match stay(guests, running).await {
            Ok(report) => report,
            Err(running) => {
                let _ticking = core.ticker.begin_long();
                Moved(guests.spawn(running)).join().await
            }
        }
    }
}

/// Runs a call on the thread that asks, and gives it back when it has held that thread for long enough.
async fn stay<F: Future>(guests: &Runtime, mut running: Pin<Box<F>>) -> Result<F::Output, Pin<Box<F>>> {
    let mut held = Duration::ZERO;
    let outcome = poll_fn(|cx| {
        // Timers and tasks that are made for the guest belong to the runtime that may carry it on.
        let _context = guests.enter();
        let begin = Instant::now();
        let outcome = running.as_mut().poll(cx).map(Some);
        held += begin.elapsed();
        if outcome.is_pending() && held >= STAY_MAX {
            return Poll::Ready(None);
        }
        outcome
    });
    outcome.await.ok_or(running)
}

/// A call that moved to the guests' threads. Dropping it stops the guest.
struct Moved(JoinHandle<CallReport>);

impl Moved {
    async fn join(mut self) -> CallReport {
        let joined = (&mut self.0).await;
        joined.unwrap_or_else(|_panicked_or_shut_down| CallReport::without_guest(CallError::Panic))
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call and lets go of `held` when its store is dropped.
async fn run<H>(prepared: Arc<Prepared>, invocation: Invocation, held: H) -> CallReport {
    let Invocation {
        function,
        arguments,
        control,
        client,
    } = invocation;
    let mut store = new_store(&prepared, Arc::clone(&control), client);
    let limits = store.data().gate.limits().clone();
    let busy = store.data().paced.as_ref().map(|paced| paced.busy().clone());
    let guarded = AssertUnwindSafe(invoke(&prepared, &mut store, &function, arguments)).catch_unwind();
    let guarded = match busy {
        Some(busy) => Either::Left(busy.measure(guarded)),
        None => Either::Right(guarded),
    };
    let outcome = tokio::select! {
        biased;
        ended = control.until_ended() => Err(Failure::Ended(ended)),
        outcome = tokio::time::timeout(limits.time, guarded) => match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(Failure::Panic),
            Err(_elapsed) => Err(Failure::OutOfTime),
        },
    };
    // An end that came while the guest was on its way out counts too: what it returned was revoked or over a limit.
    let outcome = match control.ended() {
        Some(ended) => Err(Failure::Ended(ended.clone())),
        None => outcome,
    };
    let result = outcome.map_err(|failure| explain(failure, store.data(), &limits));
    let report = report(result, store.data_mut());
    drop(store);
    drop(held);
    report
}

/// Why [`invoke`] has no value, before it is explained.
enum Failure {
    NoSuchFunction(String),
    Value(ConvertError),
    Engine(wasmtime::Error),
    OutOfTime,
    Ended(Ended),
    Panic,
}

fn new_store(prepared: &Prepared, control: Arc<Control>, client: Option<Arc<dyn Client>>) -> Store<State> {
    let state = State::new(control, client, &prepared.shared);
    let limits = state.gate.limits();
    let (host_call_bytes, handles) = (limits.host_call_bytes, limits.handles);
    let mut store = Store::new(&prepared.core.engine, state);
    store.limiter(|state| &mut state.ledger);
    store.set_hostcall_fuel(usize::try_from(host_call_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(usize::try_from(handles).unwrap_or(usize::MAX));
    store.set_epoch_deadline(TICKS_PER_LOOK);
    store.epoch_deadline_callback(|mut ctx| Ok(ctx.data_mut().look()));
    store.call_hook(|mut ctx, crossing| {
        ctx.data_mut().cross(crossing);
        Ok(())
    });
    store
}

async fn invoke(
    prepared: &Prepared,
    store: &mut Store<State>,
    function: &Function,
    arguments: Vec<Value>,
) -> Result<Option<Value>, Failure> {
    let export = *prepared
        .exports
        .get(&function.path)
        .ok_or_else(|| Failure::NoSuchFunction(function.path.to_string()))?;
    let arguments = lower_all(function, arguments).map_err(Failure::Value)?;
    if let Some(paced) = store.data().paced.clone() {
        paced.turn().await;
    }
    let results = enter(
        prepared,
        store,
        export,
        Entry {
            arguments,
            has_result: function.result.is_some(),
        },
    );
    let returned = results.await.map_err(Failure::Engine)?;
    let bytes_max = store.data().gate.limits().output_bytes;
    match (&function.result, returned) {
        (Some(ty), Some(val)) => Lift::new(bytes_max)
            .lift(ty, val)
            .map(Some)
            .map_err(Failure::Value),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Failure::Value(ConvertError::Mismatch)),
    }
}

struct Entry {
    arguments: Vec<Val>,
    has_result: bool,
}

async fn enter(
    prepared: &Prepared,
    store: &mut Store<State>,
    export: ComponentExportIndex,
    entry: Entry,
) -> wasmtime::Result<Option<Val>> {
    let instance = prepared.instance.instantiate_async(&mut *store).await?;
    let function = instance
        .get_func(&mut *store, export)
        .ok_or_else(|| wasmtime::format_err!("an indexed export is not a function"))?;
    let mut results = if entry.has_result {
        vec![Val::Bool(false)]
    } else {
        Vec::new()
    };
    function
        .call_async(&mut *store, &entry.arguments, &mut results)
        .await?;
    Ok(results.pop())
}

fn lower_all(function: &Function, arguments: Vec<Value>) -> Result<Vec<Val>, ConvertError> {
    if function.params.len() != arguments.len() {
        return Err(ConvertError::Mismatch);
    }
    function
        .params
        .iter()
        .zip(arguments)
        .map(|(param, value)| lower(&param.ty, value))
        .collect()
}

fn report(result: Result<Option<Value>, CallError>, state: &mut State) -> CallReport {
    state.stopwatch.stop();
    let meters = state.gate.meters();
    let usage = Usage {
        elapsed: state.stopwatch.elapsed(),
        cpu: state.stopwatch.used(),
        memory_bytes: state.ledger.memory_bytes(),
        requests: meters.requests.used(),
        egress_bytes: meters.egress.used(),
        ingress_bytes: meters.ingress.used(),
        file_read_bytes: meters.file_read.used(),
        file_write_bytes: meters.file_write.used(),
        files: meters.files.used(),
    };
    let (accesses, accesses_unlisted) = state.gate.take();
    CallReport {
        result,
        accesses,
        accesses_unlisted,
        usage,
        output: state.output(),
    }
}

/// Finds the reason that helps the reader most: a limit first, then how the guest ended.
fn explain(failure: Failure, state: &State, limits: &Limits) -> CallError {
    let limit = |limit| CallError::Limit { limit };
    match failure {
        Failure::NoSuchFunction(function) => CallError::NoSuchFunction { function },
        Failure::Panic => CallError::Panic,
        Failure::Ended(ended) => ended.into(),
        Failure::OutOfTime => limit(Limit::Time { max: limits.time }),
        Failure::Value(ConvertError::TooLarge) => limit(Limit::Output {
            bytes_max: limits.output_bytes,
        }),
        Failure::Value(ConvertError::Mismatch) => CallError::Trap {
            class: TrapClass::ComponentModel,
        },
        Failure::Engine(error) => match &state.interrupted {
            Some(interrupted) => limit(interrupted.clone()),
            None => explain_engine(&error, state, limits),
        },
    }
}

fn explain_engine(error: &wasmtime::Error, state: &State, limits: &Limits) -> CallError {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return CallError::Exit { code: exit.0 };
    }
    if let Some(limit) = exhausted(error, limits) {
        return CallError::Limit { limit };
    }
    // A guest that was refused memory usually ends itself by a trap. The refusal is the better reason.
    if let Some(refused) = state.ledger.refused() {
        return CallError::Limit {
            limit: refused.clone(),
        };
    }
    tracing::debug!(error = ?error, "a guest trapped");
    let trap = error.downcast_ref::<Trap>().copied();
    CallError::Trap {
        class: trap.and_then(TrapClass::of).unwrap_or(TrapClass::ComponentModel),
    }
}

/// Limits that the engine enforces and reports as errors of its own.
///
/// Four of them have no type in wasmtime 48, so their text is matched; the tests with real guests fail when
/// it changes.
fn exhausted(error: &wasmtime::Error, limits: &Limits) -> Option<Limit> {
    if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
        return Some(Limit::Stack);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Some(Limit::Calls);
    }
    if matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    ) {
        return Some(Limit::Resources {
            max: limits.resources,
        });
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Some(Limit::HostCall {
            bytes_max: limits.host_call_bytes,
        });
    }
    if text.contains("instance count too high") {
        return Some(Limit::Instances {
            max: INSTANCES_MAX as usize,
        });
    }
    // Also when a guest that has as many as it may lends one to the host.
    if text.contains("store handle limit exceeded") {
        return Some(Limit::Handles { max: limits.handles });
    }
    if text.contains("requested len") {
        return Some(Limit::Random {
            bytes_max: limits.random_bytes,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    fn runtime() -> Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a runtime")
    }

    /// Pauses so many times, each time after it has held the thread for so long.
    async fn pausing(times: u32, hold: Duration) -> u32 {
        for _ in 0..times {
            sleep(hold);
            tokio::task::yield_now().await;
        }
        times
    }

    #[test]
    fn a_guest_that_waits_stays_and_one_that_computes_moves() {
        let (caller, guests) = (runtime(), runtime());
        // A few only: a thread that is held up by other processes counts as held.
        let waits = stay(&guests, Box::pin(pausing(3, Duration::ZERO)));
        assert_eq!(caller.block_on(waits).ok(), Some(3));
        let at_once = stay(&guests, Box::pin(pausing(1, STAY_MAX)));
        assert!(caller.block_on(at_once).is_err());
        let in_all = stay(&guests, Box::pin(pausing(1_000, STAY_MAX / 10)));
        let moved = caller.block_on(in_all).err();
        // What it has done is not done again.
        assert_eq!(moved.map(|running| guests.block_on(running)), Some(1_000));
        let done = stay(&guests, Box::pin(async { sleep(2 * STAY_MAX) }));
        assert!(caller.block_on(done).is_ok(), "what is done has nothing to move");
    }

    #[test]
    fn what_is_made_for_a_guest_belongs_to_the_threads_of_guests() {
        let (caller, guests) = (runtime(), runtime());
        let of_guests = guests.handle().id();
        let running = Box::pin(async {
            tokio::task::yield_now().await;
            tokio::runtime::Handle::current().id()
        });
        assert_eq!(caller.block_on(stay(&guests, running)).ok(), Some(of_guests));
    }
}
