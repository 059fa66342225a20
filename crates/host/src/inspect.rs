//! What a component offers, asks for and could do at most. Nothing is run.

use crate::Host;
use crate::catalog::{Component, ComponentState};
use crate::ceiling::{Above, BROKEN_CEILING};
use crate::code::blocking;
use crate::error::HostError;
use crate::grantable::rule_texts;
use serde::Serialize;
use std::sync::Arc;
use wassette_policy::{AccessText, Authority, Explanation};
use wassette_store::{ComponentId, Digest, Reference};
use wassette_wit::{Docs, Omitted, Tool, ToolName, World, tools};

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
    /// Tools that its policy or the ceiling does not offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<ToolName>,
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
const ABILITIES: [(&str, Ability); 10] = [
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
];

impl Host {
    /// Inspects a loaded component.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`].
    pub fn inspect_loaded(&self, id: &ComponentId) -> Result<Inspection, HostError> {
        let catalog = self.catalog();
        let component = catalog
            .component(id)
            .ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
        Ok(of_loaded(component))
    }

    /// Inspects a component that need not be loaded. Compiles nothing and changes nothing.
    ///
    /// # Errors
    ///
    /// [`HostError::Fetch`], [`HostError::World`], [`HostError::Tools`], [`HostError::Prepare`].
    pub async fn inspect(&self, reference: &Reference) -> Result<Inspection, HostError> {
        let fetched = self.inner.fetcher.fetch(reference).await;
        let artifact = fetched.map_err(|source| HostError::Fetch { source })?;
        let sandbox = self.inner.sandbox.clone();
        let id = ComponentId::from_stem(&reference.stem());
        blocking(move || {
            let mut world = World::read(&artifact.bytes).map_err(|source| HostError::World { source })?;
            sandbox
                .scan(&artifact.bytes)
                .map_err(|source| HostError::Prepare { source })?;
            world.describe(&Docs::from_component(&artifact.bytes));
            let tools = tools(id.as_str(), &world).map_err(|source| HostError::Tools { source })?;
            let imports: Vec<String> = world.imports.into_iter().map(|import| import.name).collect();
            Ok(Inspection {
                id,
                digest: artifact.digest,
                origin: artifact.origin.to_string(),
                is_loaded: false,
                bytes: Some(artifact.bytes.len() as u64),
                abilities: abilities(&imports),
                missing: wassette_sandbox::missing(&imports),
                unavailable: None,
                rules: None,
                withheld: Vec::new(),
                imports,
                tools: tools.into_iter().map(Arc::new).collect(),
                omitted: world.omitted,
            })
        })
        .await?
    }
}

impl Host {
    /// Says what would be decided about an access of a loaded component, and why; also of one that cannot be called
    /// because of the ceiling.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`]; [`HostError::Policy`] when its policy cannot be read, and
    /// [`HostError::NoCeiling`] when the ceiling cannot.
    pub fn explain(&self, id: &ComponentId, access: &AccessText) -> Result<Explanation, HostError> {
        let catalog = self.catalog();
        let component = catalog
            .component(id)
            .ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
        let policy = component.policy.as_ref().ok_or_else(|| HostError::Policy {
            id: id.clone(),
            reason: match &component.state {
                ComponentState::Ready => String::new(),
                ComponentState::Unavailable(fault) => fault.reason.clone(),
            },
        })?;
        let ceiling = match &*self.above() {
            Above::Nothing => None,
            Above::Ceiling(ceiling) => Some(Arc::clone(ceiling.policy())),
            Above::Broken(reason) => {
                return Err(HostError::NoCeiling(format!("{BROKEN_CEILING}: {reason}")));
            }
        };
        let authority = Authority::new(Arc::clone(policy), ceiling, &self.inner.config.limits);
        Ok(authority.explain_text(access))
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
        unavailable: match &component.state {
            ComponentState::Ready => None,
            ComponentState::Unavailable(fault) => Some(fault.reason.clone()),
        },
        rules: component.policy().map(rule_texts),
        withheld: component.withheld().cloned().collect(),
        imports: component.imports.clone(),
        tools: component
            .tools
            .iter()
            .map(|tool| Arc::clone(&tool.tool))
            .collect(),
        omitted: component.omitted.clone(),
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
