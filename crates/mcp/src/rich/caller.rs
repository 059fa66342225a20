//! The client of a call, as the component sees it.

use std::sync::Arc;

use wassette_host::{Client, ComponentId, GuestProgress, KeptList, Log};
use wassette_wit::rich::Capability;

use crate::notes::Speaker;
use crate::shared::{Shared, Signal};

/// Passes on what a component says while it works.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) shared: Arc<Shared>,
    /// Whose call it is; none if that is not known, and then it has no resources.
    pub(crate) component: Option<ComponentId>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) speaker: Speaker,
}

impl Caller {
    /// The same for what goes on when the request is answered.
    pub(super) fn silent(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            component: self.component.clone(),
            capabilities: self.capabilities.clone(),
            speaker: Speaker::silent(),
        }
    }
}

impl Client for Caller {
    fn progress(&self, progress: GuestProgress) {
        self.speaker.progress(progress);
    }

    fn log(&self, log: Log) {
        self.speaker.log(log);
    }

    fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    fn changed(&self, which: KeptList) {
        self.shared.list_changed(which);
    }

    /// SECURITY: a component speaks of its own resources alone.
    fn updated(&self, uri: String) {
        let catalog = self.shared.host.catalog();
        let owner = catalog.resource_owner(&uri).map(|owner| &owner.id);
        if owner.is_some() && owner == self.component.as_ref() {
            self.shared.signal(Signal::Updated(uri.into()));
        }
    }
}
