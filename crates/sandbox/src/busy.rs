//! How much of a processor a call takes: its guest, and what is done for it by host functions on the same thread.
//!
//! The guest's own time does not tell: a guest that asks for random numbers all day, or for paths to be looked at, hardly
//! runs itself. So the thread's clock is read around each poll of the call's future. What other threads do for a call
//! (waiting for disks and for names) is not in it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// No poll is under way.
const IDLE: u64 = u64::MAX;

/// The processor time of one call. Clones are of the same call.
#[derive(Clone, Debug)]
pub(crate) struct Busy(Arc<Clock>);

#[derive(Debug)]
struct Clock {
    /// In polls that are over.
    spent_ns: AtomicU64,
    /// What the thread's clock said when the poll under way began.
    began_ns: AtomicU64,
}

impl Busy {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Clock {
            spent_ns: AtomicU64::new(0),
            began_ns: AtomicU64::new(IDLE),
        }))
    }

    /// So far. Asked within a poll by the thread that does it, or when there is none.
    pub(crate) fn used(&self) -> Duration {
        let spent_ns = self.0.spent_ns.load(Relaxed);
        Duration::from_nanos(spent_ns.saturating_add(self.under_way(self.0.began_ns.load(Relaxed))))
    }

    /// Counts what a future takes. It must not panic in a poll.
    pub(crate) async fn measure<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.0.began_ns.store(thread_ns(), Relaxed);
            let polled = future.as_mut().poll(context);
            let began_ns = self.0.began_ns.swap(IDLE, Relaxed);
            self.0.spent_ns.fetch_add(self.under_way(began_ns), Relaxed);
            polled
        })
        .await
    }

    fn under_way(&self, began_ns: u64) -> u64 {
        if began_ns == IDLE {
            return 0;
        }
        thread_ns().saturating_sub(began_ns)
    }
}

/// Processor time of this thread.
#[cfg(unix)]
fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    let seconds_ns = seconds.unwrap_or_default().saturating_mul(1_000_000_000);
    seconds_ns.saturating_add(nanos.unwrap_or_default())
}

/// Not known here; the guest's own time is all that counts.
#[cfg(not(unix))]
fn thread_ns() -> u64 {
    0
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Has the processor busy for so long.
    fn work(until: Duration) {
        let began_ns = thread_ns();
        while u128::from(thread_ns() - began_ns) < until.as_nanos() {}
    }

    #[tokio::test]
    async fn work_counts_in_and_between_polls_and_waiting_does_not() {
        let (busy, max) = (Busy::new(), Duration::from_millis(30));
        let asked = busy.clone();
        let began = Instant::now();
        let seen = busy.clone().measure(async move {
            work(max);
            let within = asked.used();
            tokio::time::sleep(5 * max).await;
            work(max);
            within
        });
        let within = seen.await;
        assert!(within >= max && within < 2 * max, "{within:?}");
        let used = busy.used();
        assert!(used >= 2 * max && used < 5 * max, "{used:?}");
        assert!(began.elapsed() >= 7 * max);
    }
}
