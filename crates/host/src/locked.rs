//! What a lock file says of one component, and whether a version is exactly that.

use crate::catalog::{Component, Contract};
use crate::error::HostError;
use crate::version::{Offer, Provenance};
use serde::{Deserialize, Serialize};
use wassette_store::{Digest, OciReference};
use wassette_wit::rich::Offers;

/// One component as it was approved, to the byte.
///
/// The policy is what was *granted*; it is here so that a change of grants shows, and it is not compared when a
/// component is loaded, because what is loaded comes without grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its id.
    pub id: String,
    /// The reference it was loaded from, in its canonical form.
    pub reference: String,
    /// Its bytes.
    pub digest: Digest,
    /// The manifest that named them, if it came from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The index through which the manifest was found, if the reference leads to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Those who signed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// The contract of its tools: names, descriptions, schemas.
    pub contract: Digest,
    /// The policy that it was granted.
    pub policy: Digest,
}

impl Locked {
    /// What a lock file says of a component that is there.
    pub(crate) fn of(component: &Component) -> Self {
        Self {
            id: component.id.to_string(),
            reference: component.origin.clone(),
            digest: component.digest,
            manifest: component.provenance.manifest,
            index: component.provenance.index,
            signers: component.provenance.signers.clone(),
            contract: contract_digest(component.offer()),
            policy: Digest::of(component.policy_text.as_bytes()),
        }
    }

    /// What is asked for in a registry, wherever the tag points.
    pub(crate) fn named(&self) -> Option<Digest> {
        self.index.or(self.manifest)
    }

    /// Whether a version that was fetched is the one that is locked.
    ///
    /// # Errors
    ///
    /// [`HostError::Locked`] with the first thing that is another.
    pub(crate) fn check(
        &self,
        digest: Digest,
        provenance: &Provenance,
        contract: &Contract,
    ) -> Result<(), HostError> {
        let other = |what, locked: String, found: String| Err(HostError::Locked { what, locked, found });
        if self.manifest.is_some() && self.manifest != provenance.manifest {
            let text = |manifest: Option<Digest>| manifest.map_or("none".to_owned(), |m| m.to_string());
            return other("manifest", text(self.manifest), text(provenance.manifest));
        }
        if self.digest != digest {
            return other("digest", self.digest.to_string(), digest.to_string());
        }
        // More signatures than were locked take nothing away.
        if let Some(missing) = self
            .signers
            .iter()
            .find(|signer| !provenance.signers.contains(signer))
        {
            return other("signer", missing.clone(), provenance.signers.join(", "));
        }
        let found = contract_digest(contract.offer());
        if self.contract != found {
            return other("tool contract", self.contract.to_string(), found.to_string());
        }
        Ok(())
    }
}

/// The digest of all that a component offers and imports. Sorted, so that it does not depend on how the bytes are laid
/// out.
fn contract_digest(offer: Offer<'_>) -> Digest {
    let mut imports = offer.imports.to_vec();
    imports.sort();
    let mut tools: Vec<_> = offer.tools.iter().map(AsRef::as_ref).collect();
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    let json = if *offer.offers == Offers::default() {
        serde_json::to_vec(&(imports, tools))
    } else {
        serde_json::to_vec(&(imports, tools, offer.offers))
    };
    Digest::of(&json.unwrap_or_default())
}

/// A reference to what is locked, if anything is: the manifest is then fetched by its digest, wherever the tag points.
pub(crate) fn pinned(reference: &OciReference, locked: Option<&Locked>) -> OciReference {
    match locked.and_then(Locked::named) {
        Some(named) if reference.digest().is_none() => reference.with_digest(named),
        Some(_) | None => reference.clone(),
    }
}
