//! Names to addresses. Asked once for each request; what comes back is decided address by address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Longest wait for the system's resolver.
///
/// The thread that asks cannot be stopped and may go on alone; it keeps its place in [`LOOKUPS_MAX`].
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(10);

/// Threads that ask the system's resolver at the same time, for all calls together.
const LOOKUPS_MAX: usize = 32;

/// Of them, for the calls of one component.
///
/// SECURITY: a component may look up names whose server never answers, and would hold all threads with them. It holds
/// these, and its next lookup waits for one of them and for nobody else's.
pub(crate) const LOOKUPS_OF_ONE_MAX: usize = 4;

/// Addresses of one name that are used.
const ADDRESSES_MAX: usize = 16;

/// Who knows the addresses of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The system.
    #[default]
    System,
    /// This table and nobody else: names in lower case with their addresses. A name that is listed more than
    /// once is answered from each of its entries in turn. Made for tests, which must not ask the network.
    Table(Vec<(String, Vec<IpAddr>)>),
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name has no addresses")]
    Unknown,
    #[error("the resolver did not answer in time")]
    Timeout,
}

/// Asks one resolver.
#[derive(Debug)]
pub(super) struct Names {
    resolver: Resolver,
    /// How often each name of a table was asked for.
    asked: Mutex<BTreeMap<String, usize>>,
    lookups: Arc<Semaphore>,
    patience: Duration,
}

impl Names {
    pub(super) fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            asked: Mutex::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            patience: LOOKUP_TIME_MAX,
        }
    }

    /// The addresses of a name: at least one, each once. `own` are the places of the component that asks.
    pub(super) async fn resolve(
        &self,
        name: &str,
        own: &Arc<Semaphore>,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        // RFC 6761, 6.3: never a question to anybody.
        let found = if name == "localhost" || name.ends_with(".localhost") {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else {
            match &self.resolver {
                Resolver::System => self.ask(name, own, ask_system).await?,
                Resolver::Table(table) => self.look_up(table, name),
            }
        };
        let mut addresses = Vec::new();
        for address in found {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(ResolveError::Unknown);
        }
        Ok(addresses)
    }

    /// Asks on a thread of its own, because the answer may not come.
    async fn ask<F>(&self, name: &str, own: &Arc<Semaphore>, asker: F) -> Result<Vec<IpAddr>, ResolveError>
    where
        F: FnOnce(&str) -> io::Result<Vec<IpAddr>> + Send + 'static,
    {
        let name = name.to_owned();
        let (own, lookups) = (Arc::clone(own), Arc::clone(&self.lookups));
        let answer = timeout(self.patience, async move {
            // In this order: whoever waits for a thread counts as one who has it, so that no component is before
            // others in that line more often than it may have threads.
            let turn = own.acquire_owned().await;
            let place = lookups.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let answer = asker(&name);
                drop((place, turn));
                answer
            })
            .await
        });
        let answer = answer.await.map_err(|_elapsed| ResolveError::Timeout)?;
        let Ok(Ok(addresses)) = answer else {
            return Err(ResolveError::Unknown);
        };
        Ok(addresses)
    }

    fn look_up(&self, table: &[(String, Vec<IpAddr>)], name: &str) -> Vec<IpAddr> {
        let entries = table.iter().filter(|(known, _)| known == name);
        let count = entries.clone().count().max(1);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = asked.entry(name.to_owned()).or_default();
        let entry = entries.clone().nth(*turn % count);
        *turn = turn.wrapping_add(1);
        entry.map(|(_, addresses)| addresses.clone()).unwrap_or_default()
    }
}

fn ask_system(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// The places of a component of its own.
    fn own() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(LOOKUPS_OF_ONE_MAX))
    }

    #[tokio::test]
    async fn a_table_answers_in_turn_and_knows_nothing_else() {
        let names = Names::new(Resolver::Table(vec![
            ("a.test".to_owned(), vec![ONE, ONE]),
            ("b.test".to_owned(), vec![]),
            ("a.test".to_owned(), vec![TWO]),
        ]));
        assert_eq!(names.resolve("a.test", &own()).await, Ok(vec![ONE]));
        assert_eq!(names.resolve("a.test", &own()).await, Ok(vec![TWO]));
        assert_eq!(names.resolve("a.test", &own()).await, Ok(vec![ONE]));
        assert_eq!(names.resolve("b.test", &own()).await, Err(ResolveError::Unknown));
        assert_eq!(names.resolve("c.test", &own()).await, Err(ResolveError::Unknown));
    }

    #[tokio::test]
    async fn localhost_is_this_machine_whatever_a_resolver_says() {
        let names = Names::new(Resolver::Table(vec![("localhost".to_owned(), vec![ONE])]));
        assert_eq!(
            names.resolve("localhost", &own()).await,
            Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        );
    }

    #[tokio::test]
    async fn a_flood_of_addresses_is_cut() {
        let flood = (0..=255)
            .map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)))
            .collect();
        let names = Names::new(Resolver::Table(vec![("a.test".to_owned(), flood)]));
        assert_eq!(
            names.resolve("a.test", &own()).await.map(|found| found.len()),
            Ok(ADDRESSES_MAX)
        );
    }

    #[tokio::test]
    async fn the_system_is_asked_and_knows_no_invalid_name() {
        let names = Names::new(Resolver::System);
        assert_eq!(
            names.resolve("nothing\0here", &own()).await,
            Err(ResolveError::Unknown)
        );
        assert_eq!(names.lookups.available_permits(), LOOKUPS_MAX);
    }
    /// Waits until something is so, which takes a moment.
    async fn until(what: impl Fn() -> bool) {
        for _ in 0..500 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen");
    }

    #[tokio::test]
    async fn a_resolver_that_does_not_answer_is_given_up_and_keeps_its_thread() {
        let mut names = Names::new(Resolver::System);
        assert_eq!(names.patience, Duration::from_secs(10));
        names.patience = Duration::from_millis(50);
        let (end, may_end) = mpsc::channel::<()>();
        let silent = move |_: &str| {
            let _ended = may_end.recv();
            Ok(vec![ONE])
        };
        assert_eq!(
            names.ask("a.test", &own(), silent).await,
            Err(ResolveError::Timeout)
        );
        assert_eq!(names.lookups.available_permits(), LOOKUPS_MAX - 1);
        drop(end);
        until(|| names.lookups.available_permits() == LOOKUPS_MAX).await;
    }

    #[tokio::test]
    async fn only_so_many_threads_wait_for_the_resolver() {
        let mut names = Names::new(Resolver::System);
        names.patience = Duration::from_millis(300);
        let (end, may_end) = mpsc::channel::<()>();
        let may_end = Arc::new(Mutex::new(may_end));
        let begun = Arc::new(AtomicUsize::new(0));
        let components: Vec<_> = (0..=32).map(|_| own()).collect();
        let asked = components.iter().map(|own| {
            let (may_end, begun) = (Arc::clone(&may_end), Arc::clone(&begun));
            names.ask("a.test", own, move |_| {
                begun.fetch_add(1, Relaxed);
                let _ended = may_end.lock().map(|may_end| may_end.recv());
                Ok(vec![ONE])
            })
        });
        let answers = futures::future::join_all(asked).await;
        assert!(
            answers.iter().all(|answer| *answer == Err(ResolveError::Timeout)),
            "{answers:?}"
        );
        until(|| begun.load(Relaxed) == 32).await;
        drop(end);
        until(|| names.lookups.available_permits() == 32).await;
        assert_eq!(begun.load(Relaxed), 32, "the last never had a thread");
        names.patience = LOOKUP_TIME_MAX;
        assert_eq!(
            names.ask("a.test", &own(), |_| Ok(vec![TWO])).await,
            Ok(vec![TWO])
        );
    }

    #[tokio::test]
    async fn one_component_whose_names_are_not_answered_leaves_threads_to_others() {
        let mut names = Names::new(Resolver::System);
        names.patience = Duration::from_millis(300);
        let (end, may_end) = mpsc::channel::<()>();
        let may_end = Arc::new(Mutex::new(may_end));
        let begun = Arc::new(AtomicUsize::new(0));
        let evil = own();
        let asked = (0..200).map(|_| {
            let (may_end, begun) = (Arc::clone(&may_end), Arc::clone(&begun));
            names.ask("evil.test", &evil, move |_| {
                begun.fetch_add(1, Relaxed);
                let _ended = may_end.lock().map(|may_end| may_end.recv());
                Ok(vec![ONE])
            })
        });
        let mut asked = futures::future::join_all(asked);
        let component = own();
        let honest = names.ask("honest.test", &component, |_| Ok(vec![TWO]));
        tokio::select! {
            biased;
            answers = &mut asked => panic!("nobody answers these: {answers:?}"),
            found = honest => assert_eq!(found, Ok(vec![TWO])),
        }
        let answers = asked.await;
        assert!(answers.iter().all(|answer| *answer == Err(ResolveError::Timeout)));
        assert_eq!(begun.load(Relaxed), LOOKUPS_OF_ONE_MAX);
        // Given up is not ended: the threads stay the component's.
        assert_eq!(
            names.lookups.available_permits(),
            LOOKUPS_MAX - LOOKUPS_OF_ONE_MAX
        );
        drop(end);
        until(|| evil.available_permits() == LOOKUPS_OF_ONE_MAX).await;
        assert_eq!(names.lookups.available_permits(), LOOKUPS_MAX);
    }
}
