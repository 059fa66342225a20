//! What a component offers, asks for and could do at most. Nothing is run.

use crate::Host;
use crate::catalog::Component;
use crate::ceiling::{Above, BROKEN_CEILING};
use crate::command::Actor;
use crate::error::HostError;
use crate::grantable::rule_texts;
use crate::load::{Candidate, Lists, Wanted, reach};
use crate::outcome::Silent;
use crate::state::Unavailable;
use crate::update::known;
use crate::version::Difference;
use serde::Serialize;
use std::sync::Arc;
use wassette_policy::{AccessText, Authority, Explanation, Layer};
use wassette_store::{ComponentId, Digest, Record, Reference};
use wassette_wit::rich::Offers;
use wassette_wit::{Omitted, Tool, ToolName};

/// Everything known about a component without running it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The id it has, or would get.
    pub id: ComponentId,
    /// What it is.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// Whether it is loaded.
    pub is_loaded: bool,
    /// Its size in bytes; not known of loaded ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// The tools it offers.
    pub tools: Vec<Arc<Tool>>,
    /// What it offers besides tools.
    #[serde(skip_serializing_if = "is_nothing")]
    pub offers: Offers,
    /// Whether it is of the rich world and has not been asked for its lists, because that means to run it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lists_unknown: bool,
    /// Exports that are not offered, with the reason.
    pub omitted: Vec<Omitted>,
    /// The most it could ever do, with every grant given.
    pub abilities: Vec<Ability>,
    /// Imports nothing here provides: it could not be loaded.
    pub missing: Vec<String>,
    /// Why it cannot be used, if it is loaded and cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The rules of its policy, if it is loaded and they can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
    /// Tools that its policy, the ceiling or a quarantine does not offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<ToolName>,
    /// The manifest that named its bytes, if it came from a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Who signed that manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// Rules that it asks for; none is granted by that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<String>,
    /// What is new in it and withheld until a person approves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Difference>,
    /// Versions that it can be rolled back to, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
}

fn is_nothing(offers: &Offers) -> bool {
    *offers == Offers::default()
}

/// A version that was there before.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// What it was.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// When it was installed, in milliseconds since 1970.
    pub installed_ms: u64,
}

/// One thing an import makes possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ability {
    /// In words.
    pub what: &'static str,
    /// Whether it needs a grant. What needs none reaches nothing outside the call.
    pub needs_grant: bool,
}

/// Which imports mean which ability. An interface in no row enables nothing by itself.
const ABILITIES: [(&str, Ability); 11] = [
    (
        "wasi:filesystem/preopens",
        Ability {
            what: "read and change files in granted folders",
            needs_grant: true,
        },
    ),
    (
        "wasi:http/outgoing-handler",
        Ability {
            what: "send HTTP requests to granted hosts",
            needs_grant: true,
        },
    ),
    (
        "wasi:sockets/tcp-create-socket",
        Ability {
            what: "open TCP connections to granted addresses",
            needs_grant: true,
        },
    ),
    (
        "wasi:sockets/udp-create-socket",
        Ability {
            what: "send UDP datagrams to granted addresses",
            needs_grant: true,
        },
    ),
    (
        "wasi:sockets/ip-name-lookup",
        Ability {
            what: "look up granted host names",
            needs_grant: true,
        },
    ),
    (
        "wasi:cli/environment",
        Ability {
            what: "read granted environment variables",
            needs_grant: true,
        },
    ),
    (
        "wasi:clocks/wall-clock",
        Ability {
            what: "read the time",
            needs_grant: false,
        },
    ),
    (
        "wasi:clocks/monotonic-clock",
        Ability {
            what: "measure time and wait",
            needs_grant: false,
        },
    ),
    (
        "wasi:random/random",
        Ability {
            what: "get random numbers",
            needs_grant: false,
        },
    ),
    (
        "wasi:cli/stdout",
        Ability {
            what: "print (kept apart from the protocol)",
            needs_grant: false,
        },
    ),
    (
        "wassette:mcp/client",
        Ability {
            what: "tell the client of a call how far it is, log to it, and learn what it can",
            needs_grant: false,
        },
    ),
];

impl Host {
    /// Inspects a loaded component.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`], [`HostError::Store`].
    pub async fn inspect_loaded(&self, id: &ComponentId) -> Result<Inspection, HostError> {
        let versions = self.inner.store.versions(id).await;
        let versions = versions.map_err(|source| HostError::Store { source })?;
        let catalog = self.catalog();
        Ok(Inspection {
            versions: versions.into_iter().map(Version::of).collect(),
            ..of_loaded(known(&catalog, id)?)
        })
    }

    /// Inspects a component that need not be loaded. Compiles nothing and changes nothing.
    ///
    /// # Errors
    ///
    /// [`HostError::Fetch`], [`HostError::World`], [`HostError::Tools`], [`HostError::Prepare`].
    pub async fn inspect(&self, reference: &Reference) -> Result<Inspection, HostError> {
        let wanted = Wanted {
            reference,
            id: ComponentId::from_stem(&reference.stem()),
            wit: Vec::new(),
            locked: None,
            digest: None,
            reach: reach(&Actor::Operator),
            lists: Lists::LeftOut,
        };
        let Candidate {
            id,
            artifact,
            contract,
            provenance,
        } = self.candidate(wanted, &Silent).await?;
        Ok(Inspection {
            id,
            digest: artifact.digest,
            origin: artifact.origin.to_string(),
            is_loaded: false,
            bytes: Some(artifact.bytes.len() as u64),
            abilities: abilities(&contract.imports),
            missing: wassette_sandbox::missing(&contract.imports),
            unavailable: None,
            rules: None,
            withheld: Vec::new(),
            requested: provenance.requested(),
            manifest: provenance.manifest,
            signers: provenance.signers,
            quarantine: None,
            versions: Vec::new(),
            imports: contract.imports,
            tools: contract.tools,
            offers: Offers::default(),
            lists_unknown: !contract.rich.is_empty(),
            omitted: contract.omitted,
        })
    }
}

impl Host {
    /// Says what is decided about an access of a loaded component, and why. Nothing is allowed to one that cannot be
    /// called; the text says what its rules would say.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`]; [`HostError::Secrets`] when nobody can say which secrets are set.
    pub async fn explain(&self, id: &ComponentId, access: &AccessText) -> Result<Explanation, HostError> {
        let catalog = self.catalog();
        let component = known(&catalog, id)?;
        let by_rules = self.explain_rules(component, access).await;
        match component.state.fault() {
            None => by_rules,
            Some(fault) => Ok(not_in_force(fault, access, by_rules.ok())),
        }
    }

    /// What its rules say, whether they are in force or not.
    async fn explain_rules(
        &self,
        component: &Component,
        access: &AccessText,
    ) -> Result<Explanation, HostError> {
        let id = &component.id;
        let policy = component.policy.as_ref().ok_or_else(|| HostError::Policy {
            id: id.clone(),
            reason: component
                .state
                .fault()
                .map_or_else(String::new, |fault| fault.reason.clone()),
        })?;
        let ceiling = match &*self.above() {
            Above::Nothing => None,
            Above::Ceiling(ceiling) => Some(Arc::clone(ceiling.policy())),
            Above::Broken(reason) => {
                return Err(HostError::NoCeiling(format!("{BROKEN_CEILING}: {reason}")));
            }
        };
        let authority = Authority::new(Arc::clone(policy), ceiling, &self.inner.config.limits);
        let explanation = authority.explain_whole(access);
        match access.request() {
            Some(target) if explanation.allowed => {
                let secrets = authority.secrets(target).map(|secret| secret.name.clone());
                self.with_secrets_set(id, access, (explanation, secrets.collect()))
                    .await
            }
            Some(_) | None => Ok(explanation),
        }
    }

    /// The rules are not all that a request needs: a secret that belongs on it must be there.
    async fn with_secrets_set(
        &self,
        id: &ComponentId,
        access: &AccessText,
        (explanation, needed): (Explanation, Vec<String>),
    ) -> Result<Explanation, HostError> {
        if needed.is_empty() {
            return Ok(explanation);
        }
        let set = self.secret_names(id).await?;
        let is_set = |name: &String| set.iter().any(|known| known.to_string() == *name);
        let Some(name) = needed.into_iter().find(|name| !is_set(name)) else {
            return Ok(explanation);
        };
        Ok(Explanation {
            allowed: false,
            // The rule allows it; it is not what denies it.
            rule: None,
            text: format!(
                "denied: {access}, because the secret `{name}` belongs on it and is not set; \
                 `wassette secret set {id} {name}` sets it"
            ),
            ..explanation
        })
    }
}

/// What is said of a component that cannot be called, whatever its rules say.
fn not_in_force(fault: &Unavailable, access: &AccessText, by_rules: Option<Explanation>) -> Explanation {
    let why = format!(
        "denied: {access}, because the component cannot be called: {}",
        fault.reason
    );
    let Some(by_rules) = by_rules else {
        return Explanation {
            allowed: false,
            layer: Layer::Granted,
            rule: None,
            text: why,
        };
    };
    Explanation {
        allowed: false,
        // A rule that would allow it does not deny it.
        rule: by_rules.rule.filter(|_| !by_rules.allowed),
        text: format!("{why}; its rules alone say: {}", by_rules.text),
        layer: by_rules.layer,
    }
}

fn of_loaded(component: &Component) -> Inspection {
    Inspection {
        id: component.id.clone(),
        digest: component.digest,
        origin: component.origin.clone(),
        is_loaded: true,
        bytes: None,
        abilities: abilities(&component.imports),
        missing: Vec::new(),
        unavailable: component.state.fault().map(|fault| fault.reason.clone()),
        rules: component.policy().map(rule_texts),
        withheld: component.withheld().cloned().collect(),
        manifest: component.provenance.manifest,
        signers: component.provenance.signers.clone(),
        requested: component.provenance.requested(),
        quarantine: component
            .provenance
            .quarantine
            .as_ref()
            .map(|q| q.difference.clone()),
        versions: Vec::new(),
        imports: component.imports.clone(),
        tools: component
            .tools
            .iter()
            .map(|tool| Arc::clone(&tool.tool))
            .collect(),
        offers: component.offers().clone(),
        lists_unknown: false,
        omitted: component.omitted.clone(),
    }
}

impl Version {
    fn of(record: Record) -> Self {
        Self {
            digest: record.digest,
            origin: record.origin,
            installed_ms: record.installed_ms,
        }
    }
}

fn abilities(imports: &[String]) -> Vec<Ability> {
    let has = |interface: &str| {
        imports
            .iter()
            .any(|import| import.split('@').next() == Some(interface))
    };
    ABILITIES
        .iter()
        .filter(|(interface, _)| has(interface))
        .map(|(_, ability)| ability.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_follow_from_imports_whatever_their_version() {
        let imports = [
            "wasi:http/outgoing-handler@0.2.3".to_owned(),
            "wasi:io/streams@0.2.3".to_owned(),
        ];
        let found: Vec<_> = abilities(&imports).into_iter().map(|a| a.what).collect();
        assert_eq!(found, ["send HTTP requests to granted hosts"]);
        assert_eq!(abilities(&[]), []);
    }
}
