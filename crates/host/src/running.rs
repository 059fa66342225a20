//! The calls in flight, so that what is taken from a component is taken from the calls that run.
//!
//! A call is listed before it waits for its place and until its guest is gone. Whoever swaps the catalog tells
//! this list; while calls are in flight, one of them looks for changes that other processes made.

use crate::Host;
use crate::catalog::Catalog;
use crate::target::About;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wassette_policy::Authority;
use wassette_sandbox::Control;
use wassette_store::{ComponentId, Digest};

/// How soon a running call notices what another process revoked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The calls in flight.
#[derive(Debug, Default)]
pub(crate) struct Running {
    calls: Mutex<HashMap<u64, Call>>,
    count: AtomicU64,
    /// Held by the call that looks for changes; the next in line goes on when it ends.
    looking: tokio::sync::Mutex<()>,
}

/// A call in flight.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) component: ComponentId,
    pub(crate) digest: Digest,
    pub(crate) about: About,
    pub(crate) control: Arc<Control>,
}

/// Takes a call off the list when dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    running: Arc<Running>,
    key: u64,
}

impl Running {
    /// Lists a call. Whoever does this looks afterwards whether the catalog changed in between.
    pub(crate) fn begin(self: &Arc<Self>, call: Call) -> InFlight {
        let key = self.count.fetch_add(1, Relaxed);
        self.lock().insert(key, call);
        InFlight {
            running: Arc::clone(self),
            key,
        }
    }

    /// Tells all calls of a new catalog: those whose component may do less now are narrowed, and ended if they
    /// had used what is gone; those whose tool is not offered any more, or by another component, are ended.
    pub(crate) fn replaced(&self, catalog: &Catalog) {
        // Deciding old accesses again may take a while, which new calls need not wait for.
        let calls: Vec<_> = self.lock().values().cloned().collect();
        for call in calls {
            match authority(catalog, &call) {
                Some(authority) => {
                    if !Arc::ptr_eq(&authority, &call.control.authority()) {
                        call.control.replace(authority);
                    }
                }
                None => call.control.revoke(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the call's component may do now; `None` if its tool could not be called any more.
fn authority(catalog: &Catalog, call: &Call) -> Option<Arc<Authority>> {
    let owner = catalog.component(&call.component)?;
    let is_offered = owner.digest == call.digest && call.about.is_offered_by(owner);
    is_offered.then(|| Arc::clone(&owner.authority))
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

impl Host {
    /// Looks for what other processes change, for as long as it is polled. Of all calls that do this, one
    /// really looks.
    pub(crate) async fn look_for_changes(&self) -> Infallible {
        let _turn = self.inner.running.looking.lock().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Boxed, because every call carries the size of this future and few come here.
            if let Err(error) = Box::pin(self.refresh()).await {
                tracing::debug!(%error, "cannot look for changes while calls run");
            }
        }
    }
}
