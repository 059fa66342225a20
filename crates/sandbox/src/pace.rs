//! What the calls of one component have together: above all, their share of a processor.
//!
//! Over any second they use at most their share. It is kept in small steps: what was used is entered whenever
//! a guest is looked at or ends, and a guest goes on only if one tick more still fits. So the last second is
//! exact to a tick for each processor the guests run on, and a share smaller than a tick is a tick a second.
//!
//! A bucket that fills up would be simpler, and would either let twice the share through in the second after
//! a rest or stretch every short call.

use crate::busy::Busy;
use crate::network::LOOKUPS_OF_ONE_MAX;
use crate::ticker::TICK;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Over how long the share holds.
const WINDOW: Duration = Duration::from_secs(1);

/// One for each tick of the window, one that is being filled, and one because what a guest used is entered
/// when its tick is over.
const SLOTS: usize = 102;

/// How much the calls of one component used lately, and what of the host's they hold now. Shared by all of them.
#[derive(Debug)]
pub struct Pace {
    origin: Instant,
    window: Mutex<Window>,
    /// Places for lookups of names.
    lookups: Arc<Semaphore>,
    /// How many files are open.
    #[cfg(unix)]
    open: Arc<AtomicUsize>,
}

impl Default for Pace {
    /// Nothing was used lately, and nothing is held.
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            window: Mutex::new(Window {
                slots: [Duration::ZERO; SLOTS],
                newest: 0,
            }),
            lookups: Arc::new(Semaphore::new(LOOKUPS_OF_ONE_MAX)),
            #[cfg(unix)]
            open: Arc::default(),
        }
    }
}

impl Pace {
    /// Whether nothing of the host's is held: no thread that waits for the resolver, no file, also none of calls that
    /// have ended.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        #[cfg(unix)]
        if self.open.load(Relaxed) > 0 {
            return false;
        }
        self.lookups.available_permits() == LOOKUPS_OF_ONE_MAX
    }

    pub(crate) fn lookups(&self) -> &Arc<Semaphore> {
        &self.lookups
    }

    #[cfg(unix)]
    pub(crate) fn open(&self) -> &Arc<AtomicUsize> {
        &self.open
    }

    fn with_window<T>(&self, work: impl FnOnce(&mut Window, Duration) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut window, self.origin.elapsed())
    }
}

/// What one call has to do with the pace of its component.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    pace: Arc<Pace>,
    /// What may be used in one window.
    quota: Duration,
    /// How much of this call's time is in the window, or was.
    entered: Duration,
    busy: Busy,
}

impl Paced {
    pub(crate) fn new(pace: Arc<Pace>, millicores: u32) -> Self {
        Self {
            pace,
            quota: WINDOW * millicores / 1_000,
            entered: Duration::ZERO,
            busy: Busy::new(),
        }
    }

    /// Counts what the call takes beside its guest.
    pub(crate) fn busy(&self) -> &Busy {
        &self.busy
    }

    /// Enters what the call used since it was last entered: the time of its guest, or with that of host functions,
    /// if that is more.
    pub(crate) fn enter(&mut self, guest: Duration) {
        let used = self.busy.used().max(guest);
        let more = used.saturating_sub(self.entered);
        self.entered = used;
        if !more.is_zero() {
            self.pace.with_window(|window, now| window.enter(more, now));
        }
    }

    /// Waits until the guest may run for a tick.
    pub(crate) async fn turn(&self) {
        while let Some(wait) = self.pace.with_window(|window, now| window.wait(self.quota, now)) {
            tokio::time::sleep(wait).await;
        }
    }
}

/// A ring of what was used in each tick.
#[derive(Debug)]
struct Window {
    slots: [Duration; SLOTS],
    /// Number of the slot that is being filled, counted from the beginning.
    newest: u64,
}

impl Window {
    fn enter(&mut self, used: Duration, now: Duration) {
        self.advance(now);
        if let Some(slot) = self.slot(self.newest) {
            *slot += used;
        }
    }

    /// How long until another tick fits; `None` if it does now.
    fn wait(&mut self, quota: Duration, now: Duration) -> Option<Duration> {
        self.advance(now);
        let mut used: Duration = self.slots.iter().sum();
        let fits = |used: Duration| used.is_zero() || used + TICK <= quota;
        if fits(used) {
            return None;
        }
        // Each slot that begins empties the oldest.
        for begins in self.newest + 1..=self.newest + SLOTS as u64 {
            used = used.saturating_sub(*self.slot(begins)?);
            if fits(used) {
                return Some(start(begins).saturating_sub(now));
            }
        }
        None
    }

    /// Empties the slots whose time is over.
    fn advance(&mut self, now: Duration) {
        let newest = number(now);
        let emptied = newest.saturating_sub(self.newest).min(SLOTS as u64);
        for number in newest.saturating_sub(emptied)..newest {
            if let Some(slot) = self.slot(number + 1) {
                *slot = Duration::ZERO;
            }
        }
        self.newest = self.newest.max(newest);
    }

    fn slot(&mut self, number: u64) -> Option<&mut Duration> {
        self.slots.get_mut(usize::try_from(number % SLOTS as u64).ok()?)
    }
}

/// The number of the slot of a moment.
fn number(now: Duration) -> u64 {
    u64::try_from(now.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX)
}

/// When a slot begins.
fn start(number: u64) -> Duration {
    let tick_ms = u64::try_from(TICK.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(number.saturating_mul(tick_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn window() -> Window {
        Window {
            slots: [Duration::ZERO; SLOTS],
            newest: 0,
        }
    }

    /// Runs greedy guests on so many processors for so long; what they used in each tick.
    fn greedy(quota: Duration, processors: u32, ticks: u64) -> Vec<Duration> {
        let mut window = window();
        let mut used = Vec::new();
        for tick in 0..ticks {
            let begin = TICK * u32::try_from(tick).expect("a short test");
            let end = begin + TICK;
            // All of them look before any has entered what it used.
            let running = if window.wait(quota, begin).is_none() {
                processors
            } else {
                0
            };
            for _ in 0..running {
                window.enter(TICK, end);
            }
            used.push(TICK * running);
        }
        used
    }

    #[test]
    fn over_any_second_a_share_is_kept_to_a_tick_for_each_other_processor() {
        for (quota, processors) in [
            (ms(1), 1),
            (ms(100), 1),
            (ms(255), 1),
            (ms(500), 2),
            (ms(1_500), 2),
            (ms(4_000), 4),
        ] {
            let used = greedy(quota, processors, 1_000);
            let most: Duration = used
                .windows(100)
                .map(|second| second.iter().sum())
                .max()
                .expect("some");
            assert!(
                most <= quota.max(TICK) + TICK * (processors - 1),
                "{quota:?} on {processors}: {most:?}"
            );
            let all: Duration = used.iter().sum();
            let fair = quota.max(TICK) * 10;
            assert!(
                all >= fair.mul_f64(0.88),
                "{quota:?} on {processors}: {all:?} in ten seconds"
            );
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_component_is_idle_when_nothing_of_the_host_s_is_held_for_it() {
        let pace = Pace::default();
        assert!(pace.is_idle());
        let lookup = pace.lookups().try_acquire().expect("a place");
        assert!(!pace.is_idle());
        drop(lookup);
        pace.open().store(1, Relaxed);
        assert!(!pace.is_idle());
        pace.open().store(0, Relaxed);
        assert!(pace.is_idle());
    }

    #[test]
    fn the_wait_is_as_long_as_needed_and_no_longer() {
        let mut window = window();
        assert_eq!(window.wait(ms(100), ms(5)), None);
        window.enter(ms(95), ms(25));
        // Used in slot 2, so it is gone when slot 2 + SLOTS begins.
        let gone = ms(10 * (2 + SLOTS as u64));
        assert_eq!(window.wait(ms(100), ms(33)), Some(gone - ms(33)));
        assert_eq!(window.wait(ms(100), gone - ms(1)), Some(ms(1)));
        assert_eq!(window.wait(ms(100), gone), None);
        assert_eq!(
            window.wait(ms(105), ms(33)),
            None,
            "a tick more fits a larger share"
        );
    }

    #[test]
    fn what_was_used_long_ago_is_forgotten() {
        let mut window = window();
        window.enter(ms(1_000), ms(1));
        assert_eq!(window.wait(ms(500), ms(1_000_000_000_000)), None);
        window.enter(ms(1_000), ms(1_000_000_000_000));
        assert!(window.wait(ms(500), ms(1_000_000_000_900)).is_some());
    }

    #[test]
    fn time_that_stands_still_or_turns_back_frees_nothing() {
        let mut window = window();
        window.enter(ms(500), ms(5_000));
        assert!(window.wait(ms(500), ms(5_000)).is_some());
        assert!(window.wait(ms(500), ms(10)).is_some());
    }
}
