//! Removing a component: its record first, then what was only its own.

use crate::Host;
use crate::error::HostError;
use crate::grant::ATTEMPTS_MAX;
use crate::outcome::Outcome;
use wassette_store::{ComponentId, StoreError};

impl Host {
    pub(crate) async fn unload(&self, id: &ComponentId) -> Result<Outcome, HostError> {
        let mut attempt = 1;
        let digest = loop {
            self.refresh().await?;
            let catalog = self.catalog();
            let known = catalog
                .component(id)
                .ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
            match self.inner.store.remove(id, known.epoch).await {
                Ok(_epoch) => break known.digest,
                // Somebody granted it something, or took it back. It goes all the same.
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(source) => return Err(HostError::Store { source }),
            }
        };
        self.refresh().await?;
        tracing::info!(component = %id, %digest, "component unloaded");
        self.forget_secrets(id).await?;
        // The bytes may still be another component's; what nobody refers to is garbage. Failing to collect
        // it costs space, and the next unload tries again.
        if let Err(error) = self.inner.store.collect().await {
            tracing::debug!(%error, "unused components are not removed yet");
        }
        Ok(Outcome::Unloaded {
            id: id.clone(),
            digest,
        })
    }
}
