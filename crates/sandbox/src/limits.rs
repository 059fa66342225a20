//! What one call uses, and the points where the engine asks whether it may use more.
//!
//! wasmtime's own `StoreLimits` bounds each memory by itself, so a component with sixteen memories gets
//! sixteen times the limit. [`Ledger`] keeps sums instead.

use crate::error::Limit;
use crate::pace::Paced;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wasmtime::ResourceLimiter;
use wassette_policy::Limits;

/// Core instances, memories and tables of one call. The guest in Python has some twenty instances. The pool has as
/// many places for each call that runs at a time.
pub(crate) const INSTANCES_MAX: u32 = 32;
pub(crate) const MEMORIES_MAX: u32 = 8;
pub(crate) const TABLES_MAX: u32 = 64;

/// Sums over all memories and tables of one wasm store.
#[derive(Debug)]
pub(crate) struct Ledger {
    memory: Sum,
    table: Sum,
    /// The first limit that made the engine refuse something.
    refused: Option<Limit>,
}

#[derive(Debug)]
struct Sum {
    used: u64,
    max: u64,
}

impl Sum {
    /// Books the growth from `current` to `desired`, or says no and books nothing.
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current) as u64;
        match self.used.checked_add(more).filter(|sum| *sum <= self.max) {
            Some(sum) => {
                self.used = sum;
                true
            }
            None => false,
        }
    }
}

impl Ledger {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: Sum {
                used: 0,
                max: limits.memory_bytes,
            },
            table: Sum {
                used: 0,
                max: limits.table_elements,
            },
            refused: None,
        }
    }

    /// Bytes of linear memory in use. Memories never shrink, so this is also the most that was in use.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.used
    }

    /// The limit that made a growth fail, if one did. The guest may have coped with it.
    pub(crate) fn refused(&self) -> Option<&Limit> {
        self.refused.as_ref()
    }
}

impl ResourceLimiter for Ledger {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_allowed = self.memory.grow(current, desired);
        if !is_allowed {
            self.refused.get_or_insert(Limit::Memory {
                bytes_max: self.memory.max,
            });
        }
        Ok(is_allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_allowed = self.table.grow(current, desired);
        if !is_allowed {
            self.refused.get_or_insert(Limit::Table {
                elements_max: self.table.max,
            });
        }
        Ok(is_allowed)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

/// Measures the time the guest itself runs: from entering wasm to leaving it, host calls left out.
///
/// Counting epoch ticks instead would charge a guest for ticks that passed inside a host call, or let it
/// escape by being inside one at each tick. The price is two clock reads for each crossing.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    origin: Instant,
    used_ns: u64,
    /// Nanoseconds after `origin` at which the guest was entered; [`STOPPED`] while it is not running.
    /// Shared, because a yielded guest is restarted by the future that resumes it.
    entered_ns: Arc<AtomicU64>,
}

const STOPPED: u64 = u64::MAX;

impl Stopwatch {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            used_ns: 0,
            entered_ns: Arc::new(AtomicU64::new(STOPPED)),
        }
    }

    /// Wall-clock time since the call began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn start(&self) {
        self.entered_ns.store(nanos(self.origin), Relaxed);
    }

    pub(crate) fn stop(&mut self) {
        let entered_ns = self.entered_ns.swap(STOPPED, Relaxed);
        if entered_ns != STOPPED {
            self.used_ns = self
                .used_ns
                .saturating_add(nanos(self.origin).saturating_sub(entered_ns));
        }
    }

    /// Guest time up to the last [`Stopwatch::stop`].
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns)
    }

    /// Gives other work a turn, waits until the component's share allows more, and starts the watch again
    /// when the guest is resumed.
    pub(crate) fn pause(&self, paced: Option<Paced>) -> impl Future<Output = ()> + Send + 'static {
        let (origin, entered_ns) = (self.origin, Arc::clone(&self.entered_ns));
        async move {
            tokio::task::yield_now().await;
            if let Some(paced) = paced {
                paced.turn().await;
            }
            entered_ns.store(nanos(origin), Relaxed);
        }
    }
}

fn nanos(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(STOPPED - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(memory_bytes: u64, table_elements: u64) -> Ledger {
        Ledger::new(&Limits {
            memory_bytes,
            table_elements,
            ..Limits::DEFAULT
        })
    }

    #[test]
    fn memories_are_summed() {
        let mut ledger = ledger(100, 0);
        assert!(ledger.memory_growing(0, 60, None).expect("an answer"));
        assert!(
            !ledger.memory_growing(0, 60, None).expect("an answer"),
            "a second memory does not get its own limit"
        );
        assert_eq!(ledger.refused(), Some(&Limit::Memory { bytes_max: 100 }));
        assert!(
            ledger.memory_growing(60, 100, None).expect("an answer"),
            "up to the limit"
        );
        assert_eq!(ledger.memory_bytes(), 100);
    }

    #[test]
    fn tables_are_summed() {
        let mut ledger = ledger(0, 10);
        assert!(ledger.table_growing(0, 10, None).expect("an answer"));
        assert!(!ledger.table_growing(0, 1, None).expect("an answer"));
        assert_eq!(ledger.refused(), Some(&Limit::Table { elements_max: 10 }));
    }

    #[test]
    fn a_sum_that_would_overflow_is_refused() {
        let mut ledger = ledger(u64::MAX, 0);
        assert!(ledger.memory_growing(0, usize::MAX, None).expect("an answer"));
        assert!(!ledger.memory_growing(0, usize::MAX, None).expect("an answer"));
    }

    #[test]
    fn the_stopwatch_counts_only_between_start_and_stop() {
        let mut watch = Stopwatch::new();
        watch.stop();
        assert_eq!(watch.used(), Duration::ZERO);
        watch.start();
        watch.stop();
        let used = watch.used();
        watch.stop();
        assert_eq!(watch.used(), used, "stopping twice counts once");
    }
}
