//! The clock that interrupts guests: one thread that advances the engine's epoch.
//!
//! It ticks only while calls run, and quickly only while one of them has shown to be long. A tick costs two
//! switches of context, which on a busy processor is as much as a short call. A server without work uses no
//! CPU: after about a second without a call the thread parks, and the next call wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// How often a long call is looked at. Limits on time are exact to about this much.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How often the rest is looked at, and so how long a call may hold the thread that began it.
const FIRST_TICK: Duration = Duration::from_millis(40);

/// Ticks without a call before the thread parks. Parking after each call would cost a busy server a wake-up
/// for each of them.
const IDLE_TICKS: u32 = 25;

/// Counts running calls and keeps the epoch moving while there are any.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    /// Calls that have run for longer than most, or are to be stopped exactly.
    long_calls: AtomicUsize,
    is_parked: AtomicBool,
}

impl Ticker {
    /// Starts the thread; it ends with the engine.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (weak, for_thread) = (engine.weak(), Arc::clone(&shared));
        let handle = thread::Builder::new()
            .name("epoch".into())
            .spawn(move || tick(&weak, &for_thread))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Keeps the epoch moving until the guard is dropped.
    pub(crate) fn begin(&self) -> Ticking {
        self.shared.calls.fetch_add(1, SeqCst);
        if self.shared.is_parked.load(SeqCst) {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }

    /// Ticks quickly until the guard is dropped.
    pub(crate) fn begin_long(&self) -> TickingQuickly {
        if self.shared.long_calls.fetch_add(1, SeqCst) == 0 {
            self.thread.unpark();
        }
        TickingQuickly(Arc::clone(&self.shared))
    }

    /// How many calls are running now.
    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// One running call.
#[derive(Debug)]
pub(crate) struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

/// One long call.
#[derive(Debug)]
pub(crate) struct TickingQuickly(Arc<Shared>);

impl Drop for TickingQuickly {
    fn drop(&mut self) {
        self.0.long_calls.fetch_sub(1, SeqCst);
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    loop {
        // Woken early it ticks early, which harms nothing.
        thread::park_timeout(if shared.long_calls.load(SeqCst) == 0 {
            FIRST_TICK
        } else {
            TICK
        });
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if shared.calls.load(SeqCst) == 0 {
            idle + 1
        } else {
            0
        };
        if idle >= IDLE_TICKS {
            park(shared);
            idle = 0;
        }
    }
}

/// Sleeps until a call begins. The flag is raised before the count is read again, and `begin` counts before
/// it reads the flag, so one of the two sees the other.
fn park(shared: &Shared) {
    shared.is_parked.store(true, SeqCst);
    if shared.calls.load(SeqCst) == 0 {
        thread::park();
    }
    shared.is_parked.store(false, SeqCst);
}
