//! How much one client may ask: requests per second, at a time and waiting, and streams that stay open.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Clients that are remembered; beyond that, those with nothing to do are forgotten.
const ACCOUNTS_MAX: usize = 4096;

/// How much one client may ask.
#[derive(Clone, Copy, Debug)]
pub struct AccountLimits {
    /// Requests per second, in the long run; as many may come at once.
    pub requests_per_second: NonZeroU32,
    /// Requests at a time.
    pub requests_max: usize,
    /// Requests that wait for those.
    pub waiting_max: usize,
    /// How long these may wait.
    pub wait_max: Duration,
    /// Streams that stay open.
    pub streams_max: usize,
}

impl Default for AccountLimits {
    /// Enough for a busy agent, too little to fill the host's queue of calls alone for long.
    fn default() -> Self {
        Self {
            requests_per_second: NonZeroU32::new(5_000).unwrap_or(NonZeroU32::MIN),
            requests_max: 256,
            waiting_max: 256,
            wait_max: Duration::from_secs(10),
            streams_max: 256,
        }
    }
}

/// Why a request has to be sent again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) retry_after: Duration,
}

/// What each client has in use.
#[derive(Debug)]
pub(crate) struct Accounts {
    limits: AccountLimits,
    by_name: Mutex<HashMap<Arc<str>, Arc<Account>>>,
    in_flight: Arc<InFlight>,
}

/// Requests of all clients that are not answered yet.
#[derive(Debug, Default)]
struct InFlight {
    count: AtomicUsize,
    changed: Notify,
}

#[derive(Debug)]
struct Account {
    rate: DefaultDirectRateLimiter,
    requests: Arc<Semaphore>,
    waiting: AtomicUsize,
    streams: Arc<Semaphore>,
}

/// A place that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _account: Arc<Account>,
    _in_flight: Option<Counted>,
}

#[derive(Debug)]
struct Counted(Arc<InFlight>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl Accounts {
    pub(super) fn new(limits: AccountLimits) -> Self {
        Self {
            limits,
            by_name: Mutex::default(),
            in_flight: Arc::default(),
        }
    }

    /// Other places for the same clients; what is answered in either is waited for together.
    ///
    /// For requests that another process hands over: they hold a place there as well, and two processes that wait for
    /// each other's places would wait for ever.
    pub(super) fn beside(&self) -> Self {
        Self {
            limits: self.limits,
            by_name: Mutex::default(),
            in_flight: Arc::clone(&self.in_flight),
        }
    }

    /// Counts a request against the client's rate.
    pub(super) fn admit(&self, name: &Arc<str>) -> Result<Admitted, Refused> {
        let account = self.account(name);
        if let Err(not_until) = account.rate.check() {
            return Err(Refused {
                reason: "too many requests per second",
                retry_after: not_until.wait_time_from(DefaultClock::default().now()),
            });
        }
        Ok(Admitted {
            account,
            limits: self.limits,
            in_flight: Arc::clone(&self.in_flight),
        })
    }

    fn account(&self, name: &Arc<str>) -> Arc<Account> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = by_name.get(name) {
            return Arc::clone(account);
        }
        if by_name.len() >= ACCOUNTS_MAX {
            by_name.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = Arc::new(Account {
            rate: RateLimiter::direct(Quota::per_second(self.limits.requests_per_second)),
            requests: Arc::new(Semaphore::new(self.limits.requests_max)),
            waiting: AtomicUsize::new(0),
            streams: Arc::new(Semaphore::new(self.limits.streams_max)),
        });
        by_name.insert(Arc::clone(name), Arc::clone(&account));
        account
    }

    /// Requests that are not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.count.load(Ordering::Acquire)
    }

    /// Waits until everything is answered, but no longer than this; says whether it is.
    pub(super) async fn drained(&self, time_max: Duration) -> bool {
        let all = async {
            loop {
                let changed = self.in_flight.changed.notified();
                if self.in_flight.count.load(Ordering::Acquire) == 0 {
                    return;
                }
                changed.await;
            }
        };
        timeout(time_max, all).await.is_ok()
    }
}

/// A request within its client's rate.
#[derive(Debug)]
pub(super) struct Admitted {
    account: Arc<Account>,
    limits: AccountLimits,
    in_flight: Arc<InFlight>,
}

impl Admitted {
    /// A place among the requests that are answered, after those before it.
    pub(super) async fn request(self) -> Result<Place, Refused> {
        let semaphore = Arc::clone(&self.account.requests);
        let permit = match Arc::clone(&semaphore).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(semaphore).await?,
        };
        self.in_flight.count.fetch_add(1, Ordering::AcqRel);
        Ok(Place {
            _permit: permit,
            _account: self.account,
            _in_flight: Some(Counted(self.in_flight)),
        })
    }

    async fn wait(&self, semaphore: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refused> {
        const BUSY: Refused = Refused {
            reason: "too many requests at a time",
            retry_after: Duration::from_secs(1),
        };
        let _waiting = Waiting::among(&self.account.waiting, self.limits.waiting_max).ok_or(BUSY)?;
        let permit = timeout(self.limits.wait_max, semaphore.acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(BUSY)
    }

    /// A place among the streams that stay open.
    pub(super) fn stream(self) -> Result<Place, Refused> {
        let permit = Arc::clone(&self.account.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Refused {
            reason: "too many open streams",
            retry_after: Duration::from_secs(5),
        })?;
        Ok(Place {
            _permit: permit,
            _account: self.account,
            _in_flight: None,
        })
    }
}

/// Counts one who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let waiting = Self(count);
        // Added before it is compared, so that no two take the last place.
        (count.fetch_add(1, Ordering::AcqRel) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(requests_per_second: u32) -> Accounts {
        Accounts::new(AccountLimits {
            requests_per_second: NonZeroU32::new(requests_per_second).unwrap(),
            requests_max: 2,
            waiting_max: 1,
            wait_max: Duration::from_millis(50),
            streams_max: 1,
        })
    }

    #[tokio::test]
    async fn each_client_has_so_many_requests_at_a_time_and_so_many_that_wait() {
        let accounts = Arc::new(accounts(1000));
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let first = accounts.admit(&one).unwrap().request().await.unwrap();
        let _second = accounts.admit(&one).unwrap().request().await.unwrap();
        let waiting = tokio::spawn({
            let (accounts, one) = (Arc::clone(&accounts), Arc::clone(&one));
            async move { accounts.admit(&one).unwrap().request().await.map(drop) }
        });
        tokio::task::yield_now().await;
        let refused = accounts.admit(&one).unwrap().request().await.unwrap_err();
        assert_eq!(refused.reason, "too many requests at a time");
        // Others have places of their own.
        accounts.admit(&other).unwrap().request().await.unwrap();
        drop(first);
        assert!(waiting.await.unwrap().is_ok());
        // Who waits too long is told so, and its place in the queue is free again.
        for _ in 0..3 {
            let _first = accounts.admit(&one).unwrap().request().await.unwrap();
            let refused = accounts.admit(&one).unwrap().request().await.unwrap_err();
            assert_eq!(refused.retry_after, Duration::from_secs(1));
        }
    }

    #[tokio::test]
    async fn streams_and_rates_are_bounded() {
        let accounts = accounts(3);
        let one: Arc<str> = "one".into();
        let stream = accounts.admit(&one).unwrap().stream().unwrap();
        assert_eq!(
            accounts.admit(&one).unwrap().stream().unwrap_err().reason,
            "too many open streams"
        );
        drop(stream);
        drop(accounts.admit(&one).unwrap().stream().unwrap());
        let refused = accounts.admit(&one).unwrap_err();
        assert_eq!(refused.reason, "too many requests per second");
        assert!(refused.retry_after <= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn draining_waits_for_answers_and_not_for_streams() {
        let accounts = accounts(1000);
        let one: Arc<str> = "one".into();
        let _stream = accounts.admit(&one).unwrap().stream().unwrap();
        assert!(accounts.drained(Duration::from_secs(3600)).await);
        let place = accounts.admit(&one).unwrap().request().await.unwrap();
        assert_eq!(accounts.in_flight(), 1);
        let answered = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(place);
        };
        tokio::join!(accounts.drained(Duration::from_secs(3600)), answered);
        let _place = accounts.admit(&one).unwrap().request().await.unwrap();
        assert!(!accounts.drained(Duration::from_millis(20)).await);
        assert_eq!(accounts.in_flight(), 1);
    }

    #[tokio::test]
    async fn what_is_handed_over_has_places_of_its_own_and_is_waited_for() {
        let accounts = accounts(1000);
        let beside = accounts.beside();
        let one: Arc<str> = "one".into();
        let _first = accounts.admit(&one).unwrap().request().await.unwrap();
        let _second = accounts.admit(&one).unwrap().request().await.unwrap();
        let handed = beside.admit(&one).unwrap().request().await.unwrap();
        assert_eq!(accounts.in_flight(), 3);
        drop(handed);
        assert_eq!(beside.in_flight(), 2);
    }

    #[test]
    fn clients_with_nothing_to_do_are_forgotten() {
        let accounts = accounts(10);
        let busy = accounts.admit(&"busy".into()).unwrap();
        for number in 0..ACCOUNTS_MAX + 10 {
            drop(accounts.admit(&format!("{number}").into()).unwrap());
        }
        let by_name = accounts.by_name.lock().unwrap();
        assert!(
            by_name.len() <= 12 && by_name.contains_key("busy"),
            "{}",
            by_name.len()
        );
        drop(by_name);
        drop(busy);
    }
}
