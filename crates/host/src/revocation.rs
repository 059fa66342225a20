//! What is out of service everywhere: digests of components and manifests, and signers.
//!
//! Revocations are in the store beside the records, and a catalog is made of both, so that every running server follows as
//! it follows any other change. A revoked component stays listed with the reason; its calls fail with it, those in
//! flight are ended.

use crate::Host;
use crate::error::HostError;
use crate::outcome::Outcome;
use crate::version::Provenance;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use wassette_signature::Signer;
use wassette_store::{Digest, NewRevocation, OPERATOR, Revocation};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 500;

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The bytes of a component, or a manifest.
    Digest(Digest),
    /// All that someone signed.
    Signer(Signer),
}

/// A text that is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is neither a digest nor a signer", wassette_wit::sanitize(.0, 100))]
pub struct ParseSubjectError(String);

impl ParseSubjectError {
    /// What can be written.
    pub const HINT: &str = "a digest is `sha256:` and 64 hexadecimal digits; signers are written as `wassette component \
                            show` and `verify` print them";
}

impl FromStr for Subject {
    type Err = ParseSubjectError;

    fn from_str(text: &str) -> Result<Self, ParseSubjectError> {
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        let signer = text.parse().map(Self::Signer);
        signer.map_err(|_neither| ParseSubjectError(text.to_owned()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
            Self::Signer(signer) => fmt::Display::fmt(signer, f),
        }
    }
}

/// All revocations in force, by their subject's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revocations(BTreeMap<String, Revocation>);

impl Revocations {
    pub(crate) fn new(all: Vec<Revocation>) -> Self {
        Self(
            all.into_iter()
                .map(|revocation| (revocation.subject.clone(), revocation))
                .collect(),
        )
    }

    /// The revocation that concerns a version.
    pub(crate) fn of(&self, digest: Digest, provenance: &Provenance) -> Option<&Revocation> {
        if self.0.is_empty() {
            return None;
        }
        let digests = [Some(digest), provenance.manifest, provenance.index];
        let digests = digests.into_iter().flatten().map(|digest| digest.to_string());
        let mut subjects = digests.chain(provenance.signers.iter().cloned());
        subjects.find_map(|subject| self.0.get(&subject))
    }
}

/// A revocation in words.
pub(crate) fn text(revocation: &Revocation) -> String {
    let Revocation {
        subject,
        reason,
        source,
        ..
    } = revocation;
    if reason.is_empty() {
        format!("`{subject}` is revoked by {source}")
    } else {
        format!("`{subject}` is revoked by {source}: {reason}")
    }
}

impl Host {
    /// Refuses a version that is revoked.
    pub(crate) fn check_revoked(&self, digest: Digest, provenance: &Provenance) -> Result<(), HostError> {
        match self.catalog().revocations().of(digest, provenance) {
            Some(revocation) => Err(HostError::Revoked {
                reason: text(revocation),
            }),
            None => Ok(()),
        }
    }

    pub(crate) async fn revoke_versions(
        &self,
        subject: &Subject,
        reason: &str,
    ) -> Result<Outcome, HostError> {
        let revocation = NewRevocation {
            subject: subject.to_string(),
            reason: wassette_wit::sanitize(reason, REASON_BYTES_MAX),
            revoked_ms: self.now_ms(),
        };
        let written = self.inner.store.revoke(&[revocation]).await;
        written.map_err(|source| HostError::Store { source })?;
        tracing::info!(%subject, "revoked");
        self.revocation_changed(subject, true).await
    }

    pub(crate) async fn reinstate_versions(&self, subject: &Subject) -> Result<Outcome, HostError> {
        let written = self.inner.store.unrevoke(&subject.to_string(), OPERATOR).await;
        written.map_err(|source| HostError::Store { source })?;
        tracing::info!(%subject, "not revoked by the operator any more");
        self.revocation_changed(subject, false).await
    }

    async fn revocation_changed(&self, subject: &Subject, revoked: bool) -> Result<Outcome, HostError> {
        self.refresh().await?;
        let catalog = self.catalog();
        let text = subject.to_string();
        let concerned = catalog.components().filter(|component| {
            let provenance = &component.provenance;
            match subject {
                Subject::Digest(digest) => component.digest == *digest || provenance.is_named(*digest),
                Subject::Signer(_) => provenance.signers.contains(&text),
            }
        });
        Ok(Outcome::Revocation {
            components: concerned.map(|component| component.id.clone()).collect(),
            subject: text,
            revoked,
        })
    }
}
