//! How much guests may have open: each file, folder and listing is a descriptor of the server, which has few.
//!
//! SECURITY: without descriptors the server takes no connection, loads no component and gives no folder to anybody.
//! So a call has a limit of its own, and all calls together have a part of what there is, of which no component gets
//! more than it leaves to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Files, folders and listings that one call may have open.
pub(super) const OPEN_MAX: usize = 256;

/// Of them, listings: each keeps names in the server's memory.
pub(super) const LISTINGS_MAX: usize = 16;

/// Why nothing more can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The call has as much open as it may.
    Call,
    /// It has as many listings open as it may.
    Listings,
    /// All calls together have too much open, or those of the component have more than they leave to others.
    All,
}

/// What is open for one call, for its component, and for all.
#[derive(Clone, Debug)]
pub(super) struct Descriptors {
    call: Arc<AtomicUsize>,
    listings: Arc<AtomicUsize>,
    component: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Descriptors {
    pub(super) fn new(component: &Arc<AtomicUsize>, all: &Arc<AtomicUsize>) -> Self {
        Self {
            call: Arc::default(),
            listings: Arc::default(),
            component: Arc::clone(component),
            all: Arc::clone(all),
        }
    }

    /// For the folder of a grant. Their number is bounded by the policy.
    pub(super) fn of_root(&self) -> Result<Place, Full> {
        let mut place = Place::default();
        self.take_share(&mut place, share())?;
        Ok(place)
    }

    pub(super) fn of_file(&self) -> Result<Place, Full> {
        let mut place = Place::default();
        place.take(&self.call, OPEN_MAX).ok_or(Full::Call)?;
        self.take_share(&mut place, share())?;
        Ok(place)
    }

    pub(super) fn of_listing(&self) -> Result<Place, Full> {
        let mut place = self.of_file()?;
        place.take(&self.listings, LISTINGS_MAX).ok_or(Full::Listings)?;
        Ok(place)
    }

    /// Never more for one component than would still be free: one has at most half of the share, two have a third
    /// each, and so on. However many there are, the next one finds something.
    fn take_share(&self, place: &mut Place, share: usize) -> Result<(), Full> {
        place.take(&self.all, share).ok_or(Full::All)?;
        let free = share.saturating_sub(self.all.load(Relaxed));
        place.take(&self.component, free.max(1)).ok_or(Full::All)
    }
}

/// A place for something that is open. Free again when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Place(Vec<Arc<AtomicUsize>>);

impl Place {
    fn take(&mut self, count: &Arc<AtomicUsize>, max: usize) -> Option<()> {
        let add = |open: usize| (open < max).then(|| open + 1);
        count.fetch_update(Relaxed, Relaxed, add).ok()?;
        self.0.push(Arc::clone(count));
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// What all calls may have open: half of what this process may. The rest is for connections, the store, and what is
/// open for the length of one operation.
fn share() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(usize::MAX) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(descriptors: &Descriptors, share: usize) -> Vec<Place> {
        let one = || {
            let mut place = Place::default();
            descriptors.take_share(&mut place, share).ok().map(|()| place)
        };
        std::iter::from_fn(one).collect()
    }

    #[test]
    fn a_component_that_opens_all_it_gets_leaves_as_much_to_others() {
        let all = Arc::default();
        let [one, two, three] = [(); 3].map(|()| Descriptors::new(&Arc::default(), &all));
        let first = take(&one, 600);
        assert_eq!(first.len(), 300);
        // Another call of the same component gets nothing.
        assert!(take(&Descriptors::new(&one.component, &all), 600).is_empty());
        let second = take(&two, 600);
        assert_eq!(second.len(), 150);
        assert_eq!(take(&three, 600).len(), 75);
        drop((first, second));
        assert_eq!(all.load(Relaxed), 0, "what is closed is free");
    }

    #[test]
    fn one_call_may_have_so_many_files_open_and_of_them_so_many_listings() {
        let descriptors = Descriptors::new(&Arc::default(), &Arc::default());
        let listings: Vec<_> = (0..LISTINGS_MAX).map(|_| descriptors.of_listing()).collect();
        assert!(listings.iter().all(Result::is_ok));
        assert_eq!(descriptors.of_listing().err(), Some(Full::Listings));
        let files: Vec<_> = (LISTINGS_MAX..OPEN_MAX).map(|_| descriptors.of_file()).collect();
        assert!(files.iter().all(Result::is_ok));
        assert_eq!(descriptors.of_file().err(), Some(Full::Call));
        assert!(descriptors.of_root().is_ok(), "the policy bounds these");
        drop((files, listings));
        assert!(descriptors.of_listing().is_ok());
    }
}
