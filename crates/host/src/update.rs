//! Another version of what is there: putting it in place, going back, and approving what is new in it.

use crate::Host;
use crate::catalog::{Component, understand};
use crate::command::{Actor, GrantRequested, UpdateRequest};
use crate::error::HostError;
use crate::load::{Admission, Candidate, Lists, Wanted, reach};
use crate::outcome::{Loaded, Outcome, Progress};
use crate::version::{Difference, Provenance, request};
use serde::Serialize;
use std::sync::Arc;
use wassette_fetch::FetchOptions;
use wassette_store::{Artifact, ComponentId, Digest, Record, Reference};

/// Whether there is something newer than what is loaded.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Availability {
    /// The reference leads to what is loaded.
    Current,
    /// It leads to something else.
    Newer {
        /// The manifest it leads to, or the bytes where there is none.
        digest: Digest,
    },
}

impl Host {
    pub(crate) async fn update(
        &self,
        request: UpdateRequest,
        progress: &dyn Progress,
    ) -> Result<Loaded, HostError> {
        let turn = self.inner.loads.acquire().await;
        let _until_loaded = turn.map_err(|_closed| HostError::Interrupted)?;
        let candidate = self.newer(&request, progress).await?;
        self.refresh().await?;
        let catalog = self.catalog();
        let known = known(&catalog, &request.id)?;
        let admission = if request.approve {
            Admission::Approved
        } else {
            Admission::Compared
        };
        self.install(candidate, (Some(known), admission), progress).await
    }

    /// What an update would change. Changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Command::Update`](crate::Command::Update).
    pub async fn preview(
        &self,
        request: &UpdateRequest,
        progress: &dyn Progress,
    ) -> Result<(Digest, Difference), HostError> {
        let candidate = self.newer(request, progress).await?;
        let catalog = self.catalog();
        let known = known(&catalog, &request.id)?;
        let approved = known.provenance.approved(known.offer());
        let difference = approved.against(&candidate.provenance, candidate.contract.offer());
        Ok((candidate.artifact.digest, difference))
    }

    /// Asks where a component's reference leads now, without downloading more than a manifest.
    ///
    /// # Errors
    ///
    /// [`HostError::Fetch`] when its source cannot be asked.
    pub async fn availability(&self, id: &ComponentId) -> Result<Availability, HostError> {
        let catalog = self.catalog();
        let known = known(&catalog, id)?;
        let reference = origin(known)?;
        self.check_source(&reference)?;
        let fetcher = &self.inner.fetcher;
        let (found, have) = match &reference {
            Reference::Oci(reference) => {
                let named = fetcher.named_digest(reference, &reach(&Actor::Operator)).await;
                (named.map_err(HostError::network)?, known.provenance.named())
            }
            Reference::File(_) | Reference::Starter(_) | Reference::Https(_) => {
                let fetched = fetcher.fetch(&reference, &FetchOptions::OPERATOR).await;
                let fetched = fetched.map_err(|source| HostError::Fetch { source })?;
                (fetched.artifact.digest, Some(known.digest))
            }
        };
        Ok(if have == Some(found) {
            Availability::Current
        } else {
            Availability::Newer { digest: found }
        })
    }

    /// Fetches the version that an update is about.
    async fn newer(&self, request: &UpdateRequest, progress: &dyn Progress) -> Result<Candidate, HostError> {
        self.refresh().await?;
        let catalog = self.catalog();
        let known = known(&catalog, &request.id)?;
        let reference = match &request.to {
            Some(reference) if reference.source() != known.source() => {
                return Err(HostError::OtherSource {
                    id: known.id.clone(),
                    source_text: known.source(),
                });
            }
            Some(reference) => reference.clone(),
            None => origin(known)?,
        };
        self.check_source(&reference)?;
        let wanted = Wanted {
            reference: &reference,
            id: known.id.clone(),
            wit: Vec::new(),
            locked: None,
            digest: request.digest,
            reach: reach(&Actor::Operator),
            lists: Lists::Asked,
        };
        self.candidate(wanted, progress).await
    }

    pub(crate) async fn rollback(
        &self,
        id: &ComponentId,
        digest: Option<Digest>,
        progress: &dyn Progress,
    ) -> Result<Loaded, HostError> {
        let failed = |source| HostError::Store { source };
        self.refresh().await?;
        let versions = self.inner.store.versions(id).await.map_err(failed)?;
        let catalog = self.catalog();
        let known = known(&catalog, id)?;
        let is_meant = |record: &Record| digest.is_none_or(|digest| record.digest == digest);
        let version = versions.into_iter().find(is_meant);
        let version = version.ok_or_else(|| HostError::NoVersion {
            id: id.clone(),
            digest,
        })?;
        let damaged = |reason| HostError::Damaged {
            id: id.clone(),
            reason,
        };
        let provenance = Provenance::read(&version.provenance).map_err(damaged)?;
        self.check_revoked(version.digest, &provenance)?;
        let contract = understand(&version).map_err(damaged)?;
        let origin: Reference = version
            .origin
            .parse()
            .map_err(|_| damaged("its origin is no reference".to_owned()))?;
        self.check_source(&origin)?;
        let bytes: Arc<[u8]> = self
            .inner
            .store
            .blob(&version.digest)
            .await
            .map_err(failed)?
            .into();
        let candidate = Candidate {
            id: id.clone(),
            artifact: Artifact {
                bytes,
                digest: version.digest,
                origin,
            },
            contract,
            // What was withheld then was never approved.
            provenance,
        };
        self.install(candidate, (Some(known), Admission::Restored), progress)
            .await
    }

    pub(crate) async fn approve(
        &self,
        id: &ComponentId,
        requested: GrantRequested,
    ) -> Result<Outcome, HostError> {
        let granted = match requested {
            GrantRequested::All => self.grant_requested(id).await?,
            GrantRequested::Nothing => Vec::new(),
        };
        let mut approved = Difference::default();
        let damaged = |reason| HostError::Damaged {
            id: id.clone(),
            reason,
        };
        let change = |record: &mut Record| {
            let mut provenance = Provenance::read(&record.provenance).map_err(damaged)?;
            if let Some(quarantine) = provenance.quarantine.take() {
                approved = quarantine.difference;
                record.provenance = provenance.print();
            }
            Ok(())
        };
        let (digest, _is_changed) = self.rewrite(id, change).await?;
        Ok(Outcome::Approved {
            id: id.clone(),
            digest,
            approved,
            granted,
        })
    }

    /// Grants all that a version asks for, below the ceiling like any grant.
    async fn grant_requested(&self, id: &ComponentId) -> Result<Vec<String>, HostError> {
        self.refresh().await?;
        let catalog = self.catalog();
        let known = known(&catalog, id)?;
        let Some(text) = &known.provenance.request else {
            return Ok(Vec::new());
        };
        let asked = request(text).map_err(|reason| HostError::Request {
            id: id.clone(),
            reason,
        })?;
        self.grant_all(id, asked).await
    }
}

pub(crate) fn known<'a>(catalog: &'a crate::Catalog, id: &ComponentId) -> Result<&'a Component, HostError> {
    catalog
        .component(id)
        .ok_or_else(|| HostError::UnknownComponent { id: id.clone() })
}

/// The reference that a component was loaded from.
fn origin(known: &Component) -> Result<Reference, HostError> {
    known.origin.parse().map_err(|_| HostError::Damaged {
        id: known.id.clone(),
        reason: "its origin is no reference".to_owned(),
    })
}
