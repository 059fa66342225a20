//! What is offered: an immutable snapshot made from the store's records alone.
//!
//! Names, descriptions and schemas were fixed when a component was installed and are read, not computed, so
//! listing tools touches no WebAssembly. A record that cannot be understood is listed as unavailable with
//! the reason, and never served with a default.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use wassette_policy::Authority;
use wassette_store::{ComponentId, Digest, Record, Snapshot};
use wassette_wit::{Omitted, Tool, ToolName};

/// The policy document of a component that was granted nothing; the only one there is.
pub(crate) const EMPTY_POLICY: &str = "version: \"1.0\"\n";

/// Version of the contract's layout in the store.
const CONTRACT_VERSION: u32 = 1;

/// Counts catalogs. A larger one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// Everything a component promises, as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contract {
    version: u32,
    pub(crate) imports: Vec<String>,
    pub(crate) tools: Vec<Arc<Tool>>,
    pub(crate) omitted: Vec<Omitted>,
}

impl Contract {
    pub(crate) fn new(imports: Vec<String>, tools: Vec<Tool>, omitted: Vec<Omitted>) -> Self {
        Self {
            version: CONTRACT_VERSION,
            imports,
            tools: tools.into_iter().map(Arc::new).collect(),
            omitted,
        }
    }
}

/// All components and their tools.
#[derive(Clone, Debug)]
pub struct Catalog {
    revision: Revision,
    epoch: Option<u64>,
    components: BTreeMap<ComponentId, Arc<Component>>,
    tools: BTreeMap<ToolName, Arc<CatalogTool>>,
}

/// One loaded component.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its id.
    pub id: ComponentId,
    /// What it is.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// Whether it can be used.
    pub state: ComponentState,
    /// Its tools, by name.
    pub tools: Vec<Arc<CatalogTool>>,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// Exports that are not offered as tools.
    pub omitted: Vec<Omitted>,
    /// When it was installed, in milliseconds since 1970.
    pub installed_ms: u64,
    /// The store's change that wrote it.
    pub(crate) epoch: u64,
    pub(crate) authority: Arc<Authority>,
}

/// Whether a component can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentState {
    /// Its tools are offered.
    Ready,
    /// It is listed, its tools are not, for this reason.
    Unavailable(String),
}

/// A tool and where it belongs.
#[derive(Clone, Debug)]
pub struct CatalogTool {
    /// The component that exports it.
    pub component: ComponentId,
    /// What that component is.
    pub digest: Digest,
    /// Name, description, schemas, types.
    pub tool: Arc<Tool>,
    /// What it can do to the world.
    pub annotations: Annotations,
}

/// What a tool can do to the world, derived from its component's policy and never taken from the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing outside its call.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Calling it again changes nothing more.
    pub idempotent: bool,
    /// It reaches systems beyond this machine.
    pub open_world: bool,
}

impl Annotations {
    /// No policy can grant anything yet, so no tool can change or reach anything.
    const NOTHING_GRANTED: Self = Self {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
}

impl Catalog {
    pub(crate) fn empty() -> Self {
        Self {
            revision: Revision(0),
            epoch: None,
            components: BTreeMap::new(),
            tools: BTreeMap::new(),
        }
    }

    /// The catalog of a later snapshot. What did not change is shared with this one.
    pub(crate) fn next(&self, snapshot: Snapshot, nothing: &Arc<Authority>) -> Self {
        let mut next = Self {
            revision: Revision(self.revision.0 + 1),
            epoch: Some(snapshot.epoch),
            ..Self::empty()
        };
        for record in snapshot.records {
            let known = self
                .components
                .get(&record.id)
                .filter(|known| known.epoch == record.epoch);
            let component = known
                .cloned()
                .unwrap_or_else(|| Arc::new(Component::of(record, nothing)));
            for tool in &component.tools {
                next.tools.insert(tool.tool.name.clone(), Arc::clone(tool));
            }
            next.components.insert(component.id.clone(), component);
        }
        next
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// Which catalog this is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// All components, by id.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.components.values().map(AsRef::as_ref)
    }

    /// One component.
    #[must_use]
    pub fn component(&self, id: &ComponentId) -> Option<&Component> {
        self.components.get(id).map(AsRef::as_ref)
    }

    /// All tools, by name.
    pub fn tools(&self) -> impl Iterator<Item = &CatalogTool> {
        self.tools.values().map(AsRef::as_ref)
    }

    /// One tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&CatalogTool> {
        self.tools.get(name).map(AsRef::as_ref)
    }
}

impl Component {
    /// Reads one record. What cannot be understood makes the component unavailable, and nothing else.
    fn of(record: Record, nothing: &Arc<Authority>) -> Self {
        let (contract, state) = match understand(&record) {
            Ok(contract) => (contract, ComponentState::Ready),
            Err(reason) => (
                Contract::new(Vec::new(), Vec::new(), Vec::new()),
                ComponentState::Unavailable(reason),
            ),
        };
        let tool = |tool: Arc<Tool>| CatalogTool {
            component: record.id.clone(),
            digest: record.digest,
            tool,
            annotations: Annotations::NOTHING_GRANTED,
        };
        Self {
            tools: contract.tools.into_iter().map(tool).map(Arc::new).collect(),
            id: record.id.clone(),
            digest: record.digest,
            origin: record.origin,
            state,
            imports: contract.imports,
            omitted: contract.omitted,
            installed_ms: record.installed_ms,
            epoch: record.epoch,
            authority: Arc::clone(nothing),
        }
    }
}

fn understand(record: &Record) -> Result<Contract, String> {
    if record.policy != EMPTY_POLICY {
        return Err("its policy is not understood by this version".to_owned());
    }
    let contract: Contract = serde_json::from_str(&record.contract)
        .map_err(|e| format!("its stored contract is damaged ({e})"))?;
    if contract.version != CONTRACT_VERSION {
        return Err(format!(
            "its stored contract has version {}, not {CONTRACT_VERSION}",
            contract.version
        ));
    }
    Ok(contract)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::Limits;

    fn record(id: &str, epoch: u64, policy: &str, contract: &str) -> Record {
        Record {
            id: id.parse().expect("an id"),
            digest: Digest::of(b"wasm"),
            origin: "file:///x.wasm".to_owned(),
            policy: policy.to_owned(),
            contract: contract.to_owned(),
            epoch,
            installed_ms: 0,
        }
    }

    fn empty_contract() -> String {
        serde_json::to_string(&Contract::new(Vec::new(), Vec::new(), Vec::new())).expect("a contract is JSON")
    }

    #[track_caller]
    fn check_unavailable(policy: &str, contract: &str, reason: &str) {
        let snapshot = Snapshot {
            epoch: 1,
            records: vec![record("a", 1, policy, contract)],
        };
        let catalog = Catalog::empty().next(snapshot, &Arc::new(Authority::nothing(Limits::DEFAULT)));
        let states: Vec<_> = catalog.components().map(|c| c.state.clone()).collect();
        let [ComponentState::Unavailable(found)] = states.as_slice() else {
            panic!("served: {states:?}")
        };
        assert!(found.starts_with(reason), "{found}");
    }

    #[test]
    fn a_record_that_is_not_understood_is_never_served() {
        check_unavailable(
            "version: \"2.0\"\n",
            &empty_contract(),
            "its policy is not understood",
        );
        check_unavailable("", &empty_contract(), "its policy is not understood");
        check_unavailable(EMPTY_POLICY, "{", "its stored contract is damaged");
        let newer = empty_contract().replace("\"version\":1", "\"version\":2");
        check_unavailable(EMPTY_POLICY, &newer, "its stored contract has version 2");
    }

    #[test]
    fn what_did_not_change_is_shared_between_catalogs() {
        let nothing = Arc::new(Authority::nothing(Limits::DEFAULT));
        let contract = empty_contract();
        let records = |b| {
            vec![
                record("a", 1, EMPTY_POLICY, &contract),
                record("b", b, EMPTY_POLICY, &contract),
            ]
        };
        let first = Catalog::empty().next(
            Snapshot {
                epoch: 2,
                records: records(2),
            },
            &nothing,
        );
        let second = first.next(
            Snapshot {
                epoch: 3,
                records: records(3),
            },
            &nothing,
        );
        let shared = |id: &str| {
            let id: ComponentId = id.parse().expect("an id");
            Arc::ptr_eq(&first.components[&id], &second.components[&id])
        };
        assert_eq!((shared("a"), shared("b")), (true, false));
        assert!(second.revision() > first.revision());
    }
}
