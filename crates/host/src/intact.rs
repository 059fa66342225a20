//! Whether the bytes of what is offered are there, before a call finds out.
//!
//! A start reads records alone, so that a volume that is empty or torn shows nothing until then. Earlier versions are left
//! to [`Host::check_store`]: nobody waits for those.

use crate::{Catalog, ComponentId, Host, HostError};
use std::collections::HashSet;
use wassette_store::Digest;

impl Host {
    /// Reads the bytes of every component that can be used, one after the other, and gives those that are missing,
    /// damaged or cannot be read, in order.
    ///
    /// What is in `whole` is not read; what is found whole is added to it.
    pub async fn broken(&self, whole: &mut HashSet<Digest>) -> Vec<HostError> {
        let catalog = self.catalog();
        let mut broken = Vec::new();
        for component in catalog.components() {
            if component.state.fault().is_some() || whole.contains(&component.digest) {
                continue;
            }
            match self.inner.store.verify(&component.digest).await {
                Ok(()) => drop(whole.insert(component.digest)),
                Err(source) => broken.push((component.id.clone(), component.digest, source)),
            }
        }
        if broken.is_empty() {
            return Vec::new();
        }
        // What was unloaded meanwhile is no longer missed. What cannot be looked at is as it was.
        drop(self.refresh().await);
        let catalog = self.catalog();
        broken.retain(|(id, digest, _)| is_used(&catalog, id, *digest));
        let error = |(id, _, source)| HostError::NotReady {
            id,
            source: Box::new(HostError::Store { source }),
        };
        broken.into_iter().map(error).collect()
    }
}

fn is_used(catalog: &Catalog, id: &ComponentId, digest: Digest) -> bool {
    let component = catalog.component(id);
    component.is_some_and(|component| component.digest == digest && component.state.fault().is_none())
}
