//! Who runs now, who waits, who is turned away.
//!
//! Each component has a line of its own and a number of calls it may have at a time; all components share the
//! places of the sandbox. A place that comes free goes to the lines in turn, so a flood of calls of one
//! component fills its own line and nobody else's.
//!
//! INVARIANT: while a place is free, every line that has somebody waiting has as many calls running as its
//! component may have. So a call that finds a free place jumps no queue by taking it.
//!
//! Decides by numbers alone: what a call may do is the gate's business, how long it runs the sandbox's.

use crate::catalog::Catalog;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use wassette_policy::{Limits, Rate};
use wassette_sandbox::Pace;
use wassette_store::ComponentId;

/// Calls that wait for their turn, of all components.
const WAITING_MAX: usize = 256;

/// Calls that wait for their turn, of one component: half of all, so that one flood leaves room for others.
const WAITING_OF_ONE_MAX: usize = WAITING_MAX / 2;

/// Longest wait for a turn. A call's own time limit may be shorter.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Calls that wait for their component to be made ready, of all components. Each holds its arguments.
const UNREADY_MAX: usize = WAITING_MAX;

/// Memory that the arguments of all calls take, those that wait included, in KiB.
const ARGUMENTS_KIB_MAX: u32 = 512 << 10;

/// What the arguments of a call take without being counted, so that a flood of large ones keeps nobody from a small one.
const ARGUMENTS_UNCOUNTED_KIB: u32 = 64;

/// A call that does not get a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too many wait already.
    #[error("{crowd} reached; {waiting} are waiting")]
    Full { crowd: Crowd, waiting: usize },
    /// No turn came in time.
    #[error("{crowd} reached; no turn came within {waited:?}")]
    NoTurn { crowd: Crowd, waited: Duration },
    /// Too many wait for code.
    #[error("limit of {UNREADY_MAX} calls whose component is being made ready reached; try again")]
    Unready,
    /// The arguments of the others take too much.
    #[error("limit of {} MiB for the arguments of all calls reached; try again, or send less", ARGUMENTS_KIB_MAX >> 10)]
    Arguments,
    /// Too many calls were accepted lately.
    #[error(
        "limit of {} calls in {:?} of component `{id}` reached; try again in {:?}",
        .rate.calls, .rate.per, round_up(*.wait)
    )]
    Rate {
        id: ComponentId,
        rate: Rate,
        wait: Duration,
    },
}

/// Whose calls are as many as may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    Component { id: ComponentId, max: u32 },
    All { max: u32 },
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { id, max } => write!(f, "limit of {max} calls at a time of component `{id}`"),
            Self::All { max } => write!(f, "limit of {max} calls at a time of all components"),
        }
    }
}

/// To whole tenths of a second: nobody needs it closer, and sooner would be too soon.
fn round_up(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_millis() / 100 + 1).map_or(u64::MAX, |tenths| tenths * 100))
}

/// Gives places to calls.
#[derive(Debug)]
pub(crate) struct Admission {
    lines: Arc<Mutex<Lines>>,
    unready: Semaphore,
    /// In KiB.
    arguments: Semaphore,
    clock: fn() -> Instant,
}

#[derive(Debug)]
struct Lines {
    places_max: u32,
    running: u32,
    waiting: usize,
    next_ticket: u64,
    of: HashMap<ComponentId, Line>,
    /// Components that have somebody waiting; the first that may start something is the next.
    turns: VecDeque<ComponentId>,
}

/// What is known of one component's calls.
#[derive(Debug, Default)]
struct Line {
    /// As of the last call.
    concurrency: u32,
    running: u32,
    waiting: VecDeque<Waiter>,
    bucket: Bucket,
    pace: Arc<Pace>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    turn: oneshot::Sender<()>,
}

/// A waiter's own end.
#[derive(Debug)]
struct Turn {
    ticket: u64,
    comes: oneshot::Receiver<()>,
}

/// The right to run one call; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    lines: Arc<Mutex<Lines>>,
    id: ComponentId,
}

impl Admission {
    /// For a sandbox that runs so many calls at a time.
    pub(crate) fn new(places_max: u32, clock: fn() -> Instant) -> Self {
        let lines = Lines {
            places_max,
            running: 0,
            waiting: 0,
            next_ticket: 0,
            of: HashMap::new(),
            turns: VecDeque::new(),
        };
        Self {
            lines: Arc::new(Mutex::new(lines)),
            unready: Semaphore::new(UNREADY_MAX),
            arguments: Semaphore::new(usize::try_from(ARGUMENTS_KIB_MAX).unwrap_or(usize::MAX)),
            clock,
        }
    }

    /// The right to wait for code, which is no place yet: a component that takes long to be made ready must
    /// not hold places.
    pub(crate) fn unready(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.unready
            .try_acquire()
            .map_err(|_none_is_left| Refusal::Unready)
    }

    /// The right to hold arguments that take about so many bytes, for as long as the call waits and runs.
    ///
    /// SECURITY: a byte of JSON can become fifty, so a number of calls alone bounds little.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Option<SemaphorePermit<'_>>, Refusal> {
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        if kib <= ARGUMENTS_UNCOUNTED_KIB {
            return Ok(None);
        }
        let held = self.arguments.try_acquire_many(kib);
        held.map(Some).map_err(|_none_is_left| Refusal::Arguments)
    }

    /// Waits for a place. Dropping the future leaves the queue.
    pub(crate) async fn place(&self, id: &ComponentId, limits: &Limits) -> Result<Place, Refusal> {
        let entered = lock(&self.lines).enter(id, limits, self.clock)?;
        let (lines, id) = (Arc::clone(&self.lines), id.clone());
        let Some((turn, crowd)) = entered else {
            return Ok(Place { lines, id });
        };
        // Its component may just have been allowed more calls than those that run.
        fill(&lines);
        let waited = WAIT_MAX.min(limits.time);
        let waiting = Waiting {
            lines,
            id,
            turn,
            is_placed: false,
        };
        waiting
            .place(waited)
            .await
            .ok_or(Refusal::NoTurn { crowd, waited })
    }

    /// What all calls of a component have together: their share of the processor, lookups of names.
    pub(crate) fn pace(&self, id: &ComponentId) -> Arc<Pace> {
        let mut lines = lock(&self.lines);
        Arc::clone(&lines.of.entry(id.clone()).or_default().pace)
    }

    /// Forgets components that are gone, once they have no calls. How many calls they had lately is
    /// remembered for as long as it counts, and so is what they still hold: loading a component again must not reset
    /// its rate, nor give it as many threads and files once more.
    pub(crate) fn retain(&self, catalog: &Catalog) {
        let now = (self.clock)();
        lock(&self.lines)
            .of
            .retain(|id, line| catalog.component(id).is_some() || !line.is_idle(now));
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives free places to those whose turn it is.
fn fill(lines: &Mutex<Lines>) {
    loop {
        // Told after the lock is gone, because telling runs the code of whoever waits.
        let next = lock(lines).next();
        let Some(turn) = next else { return };
        let _a_waiter_leaves_the_queue_before_it_is_deaf = turn.send(());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.lines).leave(&self.id);
        fill(&self.lines);
    }
}

/// A call in the queue. Dropping it leaves the queue, or gives back the place that it got meanwhile.
struct Waiting {
    lines: Arc<Mutex<Lines>>,
    id: ComponentId,
    turn: Turn,
    is_placed: bool,
}

impl Waiting {
    /// The place, unless the wait takes too long.
    async fn place(mut self, wait_max: Duration) -> Option<Place> {
        let comes = &mut self.turn.comes;
        // What came in the last moment, or is not waited for any more, is given back by the drop.
        if !matches!(tokio::time::timeout(wait_max, comes).await, Ok(Ok(()))) {
            return None;
        }
        self.is_placed = true;
        Some(self.held())
    }

    fn held(&self) -> Place {
        Place {
            lines: Arc::clone(&self.lines),
            id: self.id.clone(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_placed && !lock(&self.lines).give_up(&self.id, self.turn.ticket) {
            drop(self.held());
        }
    }
}

impl Lines {
    /// Takes a place, or a position in the queue.
    fn enter(
        &mut self,
        id: &ComponentId,
        limits: &Limits,
        clock: fn() -> Instant,
    ) -> Result<Option<(Turn, Crowd)>, Refusal> {
        let line = self.of.entry(id.clone()).or_default();
        line.concurrency = limits.concurrency;
        let is_placed = self.running < self.places_max && line.has_room() && line.waiting.is_empty();
        let is_full = self.waiting >= WAITING_MAX || line.waiting.len() >= WAITING_OF_ONE_MAX;
        if !is_placed && is_full {
            let waiting = line.waiting.len();
            return Err(Refusal::Full {
                crowd: self.crowd(id),
                waiting: if waiting >= WAITING_OF_ONE_MAX {
                    waiting
                } else {
                    self.waiting
                },
            });
        }
        // Last, so that a call that is refused for another reason does not count.
        if let Some(rate) = limits.rate {
            let accepted = line.bucket.take(rate, clock());
            accepted.map_err(|wait| Refusal::Rate {
                id: id.clone(),
                rate,
                wait,
            })?;
        }
        if is_placed {
            line.running += 1;
            self.running += 1;
            return Ok(None);
        }
        let turn = self.queue(id);
        Ok(Some((turn, self.crowd(id))))
    }

    fn queue(&mut self, id: &ComponentId) -> Turn {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (turn, comes) = oneshot::channel();
        let line = self.of.entry(id.clone()).or_default();
        if line.waiting.is_empty() {
            self.turns.push_back(id.clone());
        }
        line.waiting.push_back(Waiter { ticket, turn });
        self.waiting += 1;
        Turn { ticket, comes }
    }

    /// Whose calls are in the way of one more.
    fn crowd(&self, id: &ComponentId) -> Crowd {
        match self.of.get(id) {
            Some(line) if !line.has_room() => Crowd::Component {
                id: id.clone(),
                max: line.concurrency,
            },
            Some(_) | None => Crowd::All { max: self.places_max },
        }
    }

    /// Gives a free place to the next in turn.
    fn next(&mut self) -> Option<oneshot::Sender<()>> {
        if self.running >= self.places_max {
            return None;
        }
        let has_room = |id: &ComponentId| self.of.get(id).is_some_and(Line::has_room);
        let id = self.turns.remove(self.turns.iter().position(has_room)?)?;
        let line = self.of.get_mut(&id)?;
        let waiter = line.waiting.pop_front()?;
        line.running += 1;
        self.running += 1;
        self.waiting -= 1;
        if !line.waiting.is_empty() {
            self.turns.push_back(id);
        }
        Some(waiter.turn)
    }

    fn leave(&mut self, id: &ComponentId) {
        if let Some(line) = self.of.get_mut(id) {
            line.running -= 1;
            self.running -= 1;
        }
    }

    /// Takes a waiter out of the queue; `false` if it has its turn already.
    fn give_up(&mut self, id: &ComponentId, ticket: u64) -> bool {
        let Some(line) = self.of.get_mut(id) else {
            return false;
        };
        // Tickets rise along the line.
        let Ok(at) = line.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket) else {
            return false;
        };
        drop(line.waiting.remove(at));
        self.waiting -= 1;
        if line.waiting.is_empty() {
            self.turns.retain(|other| other != id);
        }
        true
    }
}

impl Line {
    fn has_room(&self) -> bool {
        self.running < self.concurrency
    }

    /// Whether nothing would be lost with it.
    fn is_idle(&self, now: Instant) -> bool {
        let has_calls = self.running > 0 || !self.waiting.is_empty();
        !has_calls && self.bucket.is_full(now) && self.pace.is_idle()
    }
}

/// A token bucket, kept as the one moment at which it will be full again (the generic cell rate algorithm): no
/// rounding that adds up.
#[derive(Debug, Default)]
struct Bucket {
    full_at: Option<Instant>,
    /// In how long one of the missing tokens comes back.
    one: Duration,
}

impl Bucket {
    /// Takes a token, or says how long until there is one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        // Rounded down, so that as many tokens fit into the time as the rate says.
        let one = rate.per / rate.calls.max(1);
        let missing = self.full_in(now);
        // Under another rate as many tokens are missing, and come back faster or slower.
        let full_in = if one == self.one {
            missing
        } else {
            exchanged(missing, self.one, one).min(rate.per)
        };
        let after = full_in.saturating_add(one);
        if let Some(wait) = after.checked_sub(rate.per).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        self.full_at = Some(now.checked_add(after).ok_or(rate.per)?);
        self.one = one;
        Ok(())
    }

    fn full_in(&self, now: Instant) -> Duration {
        self.full_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_in(now).is_zero()
    }
}

/// The time that as many tokens take at another pace.
fn exchanged(time: Duration, before: Duration, after: Duration) -> Duration {
    let nanos = time.as_nanos().saturating_mul(after.as_nanos()) / before.as_nanos().max(1);
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests;
