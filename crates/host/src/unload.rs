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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::EMPTY_POLICY;
    use crate::grantable::peer;
    use crate::{Actor, Command, HostConfig, Silent};
    use std::time::Duration;
    use wassette_policy::{Effect, Grant, NetworkRule};
    use wassette_store::{Artifact, Digest, Expected, NewRecord, Reference};

    /// Another process grants something again and again, until there is nothing to grant it to.
    async fn grant(host: Host, id: ComponentId) {
        for number in 0.. {
            let host_name = peer(&format!("a{number}.example.com"));
            let rule = NetworkRule::new(Effect::Allow, &host_name).expect("a rule");
            let command = Command::Grant(id.clone(), Grant::Network(rule).into());
            if host.execute(command, &Actor::Operator, &Silent).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Now and then a grant comes between the look and the removal.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_component_goes_though_somebody_changes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Host::open(HostConfig::new(&folder.path().join("components")));
        let (host, other) = (open().await.expect("a host"), open().await.expect("another"));
        let id: ComponentId = "a".parse().expect("an id");
        for _ in 0..60 {
            let artifact = Artifact {
                bytes: b"wasm".as_slice().into(),
                digest: Digest::of(b"wasm"),
                origin: Reference::File("/a.wasm".into()),
            };
            host.inner.store.put(&artifact).await.expect("put");
            let record = NewRecord {
                id: id.clone(),
                digest: artifact.digest,
                origin: artifact.origin.to_string(),
                policy: EMPTY_POLICY.to_owned(),
                contract: r#"{"version":1,"imports":[],"tools":[],"omitted":[]}"#.to_owned(),
                provenance: "{}".to_owned(),
                presentation: "{}".to_owned(),
                installed_ms: 1,
            };
            let committed = host.inner.store.commit(&record, Expected::Absent).await;
            committed.expect("committed");
            let granting = tokio::spawn(grant(other.clone(), id.clone()));
            tokio::time::sleep(Duration::from_millis(2)).await;
            let command = Command::Unload(id.clone());
            let unloaded = host.execute(command, &Actor::Operator, &Silent).await;
            assert!(unloaded.is_ok(), "{unloaded:?}");
            granting.await.expect("ended");
        }
    }
}
