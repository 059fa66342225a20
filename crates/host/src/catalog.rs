//! What is offered: an immutable snapshot made from the store's records alone.
//!
//! Names, descriptions and schemas were fixed when a component was installed and are read, not computed, so
//! listing tools touches no WebAssembly. A record that cannot be understood is listed as unavailable with
//! the reason, and never served with a default.

use crate::annotations::Annotations;
use crate::feed::Freshness;
use crate::locked::Locked;
use crate::presentation::Presentation;
use crate::revocation::{Revocations, text};
use crate::rich::Rich;
use crate::standing::{Standing, Terms};
use crate::state::{ComponentState, Unavailable};
use crate::version::{Approved, Offer, Provenance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use wassette_policy::{Authority, ParseOptions, Policy};
use wassette_sandbox::Surroundings;
use wassette_secrets::SecretName;
use wassette_store::{Artifact, ComponentId, Digest, Record, Reference, Snapshot};
use wassette_wit::rich::Offers;
use wassette_wit::{Function, Omitted, Tool, ToolName};

/// The policy document of a component that was granted nothing.
pub(crate) const EMPTY_POLICY: &str = "version: \"1.0\"\npermissions: {}\n";

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
    #[serde(default, skip_serializing_if = "Rich::is_empty")]
    pub(crate) rich: Rich,
}

impl Contract {
    /// What is compared between versions.
    pub(crate) fn offer(&self) -> Offer<'_> {
        Offer {
            tools: &self.tools,
            imports: &self.imports,
            offers: &self.rich.offers,
        }
    }

    /// Whether nothing of it could be called.
    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.rich.offers == Offers::default()
    }

    pub(crate) fn add_tools(&mut self, tools: Vec<Tool>) {
        self.tools.extend(tools.into_iter().map(Arc::new));
    }

    fn empty() -> Self {
        Self::new(Vec::new(), Vec::new(), Vec::new())
    }

    pub(crate) fn new(imports: Vec<String>, tools: Vec<Tool>, omitted: Vec<Omitted>) -> Self {
        Self {
            version: CONTRACT_VERSION,
            imports,
            tools: tools.into_iter().map(Arc::new).collect(),
            omitted,
            rich: Rich::default(),
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
    revocations: Arc<Revocations>,
    /// How fresh what feeds say was when this was made.
    freshness: Freshness,
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
    /// Its tools, by name, but for those that its policy does not offer.
    pub tools: Vec<Arc<CatalogTool>>,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// Exports that are not offered as tools.
    pub omitted: Vec<Omitted>,
    /// When it was installed, in milliseconds since 1970.
    pub installed_ms: u64,
    /// Where it came from, beyond its reference, and what of it is withheld.
    pub provenance: Provenance,
    /// The store's change that wrote it.
    pub(crate) epoch: u64,
    /// What its calls may do now; nothing when it is unavailable.
    pub(crate) authority: Arc<Authority>,
    /// What was granted, if that can be read.
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) policy_text: Arc<str>,
    /// How its tools are shown, as it is stored.
    pub(crate) presentation_text: Arc<str>,
    /// All that it exports as tools, offered or not.
    pub(crate) contract_tools: Vec<Arc<Tool>>,
    /// The variables its calls are given.
    pub(crate) surroundings: Arc<Surroundings>,
    /// The secrets its calls may use.
    pub(crate) secrets: Vec<SecretName>,
    /// What it has of the rich world, offered or not.
    pub(crate) rich: Rich,
    /// What is offered of it besides tools.
    offers: Offers,
}

/// A tool and where it belongs.
#[derive(Clone, Debug)]
pub struct CatalogTool {
    /// The component that exports it.
    pub component: ComponentId,
    /// What that component is.
    pub digest: Digest,
    /// Name, description, schemas, types; name and description as the operator wants them.
    pub tool: Arc<Tool>,
    /// What its component calls it.
    pub original: ToolName,
    /// The function that a call runs, but for a tool that its component lists itself.
    pub function: Arc<Function>,
    /// Whether a call of it may have something to say to the client while it runs, or ask it something.
    pub talks: bool,
    /// What it can do to the world.
    pub annotations: Annotations,
}

impl CatalogTool {
    /// Whether its name has no prefix that no other component can have.
    fn has_free_name(&self) -> bool {
        self.tool.rich.is_some() || self.tool.name != self.original
    }

    fn of(
        (tool, presentation): (&Arc<Tool>, &Presentation),
        (component, digest): (ComponentId, Digest),
        annotations: Annotations,
        talks: bool,
    ) -> Self {
        Self {
            component,
            digest,
            function: Arc::new(tool.function()),
            original: tool.name.clone(),
            tool: presentation.of(tool),
            talks,
            annotations,
        }
    }
}

impl Catalog {
    pub(crate) fn empty() -> Self {
        Self {
            revision: Revision(0),
            epoch: None,
            components: BTreeMap::new(),
            tools: BTreeMap::new(),
            revocations: Arc::default(),
            freshness: Freshness::default(),
        }
    }

    /// The catalog of a later snapshot. What did not change is shared with this one, if the terms did not change.
    pub(crate) fn next(&self, snapshot: Snapshot, terms: &Terms<'_>, same_terms: bool) -> Self {
        let revocations = Revocations::new(snapshot.revocations);
        let same_terms =
            same_terms && revocations == *self.revocations && terms.freshness.stale == self.freshness.stale;
        let mut next = Self {
            revision: Revision(self.revision.0 + 1),
            epoch: Some(snapshot.epoch),
            revocations: Arc::new(revocations),
            freshness: terms.freshness.clone(),
            ..Self::empty()
        };
        let nothing = terms.nothing();
        for record in snapshot.records {
            let known = self
                .components
                .get(&record.id)
                .filter(|known| same_terms && known.epoch == record.epoch);
            let component = known
                .cloned()
                .unwrap_or_else(|| Arc::new(Component::of(record, terms, &nothing, &next.revocations)));
            next.components.insert(component.id.clone(), component);
        }
        next.index_tools();
        next
    }

    /// Names without a prefix come last: they never take the place of one that has its component's.
    fn index_tools(&mut self) {
        for is_free in [false, true] {
            let tools = self.components.values().flat_map(|component| &component.tools);
            for tool in tools.filter(|tool| tool.has_free_name() == is_free) {
                let place = self.tools.entry(tool.tool.name.clone());
                place.or_insert_with(|| Arc::clone(tool));
            }
        }
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// When it is to be made again although nothing was written, in milliseconds since 1970.
    pub(crate) fn until_ms(&self) -> Option<u64> {
        self.freshness.until_ms
    }

    /// Whether it was made while the feeds were as fresh as this.
    pub(crate) fn is_as_fresh(&self, freshness: &Freshness) -> bool {
        self.freshness == *freshness
    }

    /// What is revoked.
    pub(crate) fn revocations(&self) -> &Revocations {
        &self.revocations
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

    /// All tools: component by component, and within one as it lists them.
    pub fn tools(&self) -> impl Iterator<Item = &CatalogTool> {
        let all = self.components.values().flat_map(|component| &component.tools);
        let is_named = |tool: &&Arc<CatalogTool>| {
            let named = self.tools.get(&tool.tool.name);
            named.is_some_and(|named| Arc::ptr_eq(named, tool))
        };
        all.filter(is_named).map(AsRef::as_ref)
    }

    /// One tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&CatalogTool> {
        self.tools.get(name).map(AsRef::as_ref)
    }
}

impl Component {
    /// Reads one record. What cannot be understood, or may not be, makes the component unavailable, and nothing else.
    fn of(record: Record, terms: &Terms<'_>, nothing: &Standing, revocations: &Revocations) -> Self {
        let mut fault = None;
        let contract = read_or(understand(&record), &mut fault, Contract::empty);
        let provenance = Provenance::read(&record.provenance);
        let provenance = read_or(provenance, &mut fault, Provenance::default);
        let presentation = Presentation::read(&record.presentation);
        let presentation = read_or(presentation, &mut fault, Presentation::default);
        let standing = terms.standing(&record, &provenance, nothing);
        let standing = standing.unwrap_or_else(|reason| {
            fault.get_or_insert(reason);
            nothing.clone()
        });
        let state = match (revocations.of(record.digest, &provenance), fault) {
            (Some(revocation), _) => ComponentState::Revoked(Unavailable::plain(text(revocation))),
            (None, Some(fault)) => ComponentState::Unavailable(fault),
            (None, None) if provenance.quarantine.is_some() => ComponentState::Quarantined,
            (None, None) => ComponentState::Ready,
        };
        let is_usable = state.fault().is_none();
        let annotations = Annotations::of(&standing.policy);
        let is_offered = |tool: &&Arc<Tool>| {
            is_usable && !provenance.withholds(&tool.name) && standing.offers(&tool.path.function)
        };
        let talks = talks(&contract);
        let tool = |tool: &Arc<Tool>| {
            let component = (record.id.clone(), record.digest);
            Arc::new(CatalogTool::of(
                (tool, &presentation),
                component,
                annotations,
                talks,
            ))
        };
        Self {
            offers: provenance.offered(&contract.rich.offers, is_usable),
            tools: contract.tools.iter().filter(is_offered).map(tool).collect(),
            authority: if is_usable {
                standing.authority
            } else {
                Arc::clone(&nothing.authority)
            },
            state,
            policy: read_policy(&record.policy).ok().map(Arc::new),
            policy_text: record.policy.into(),
            presentation_text: record.presentation.into(),
            id: record.id,
            digest: record.digest,
            origin: record.origin,
            imports: contract.imports,
            omitted: contract.omitted,
            installed_ms: record.installed_ms,
            provenance,
            epoch: record.epoch,
            contract_tools: contract.tools,
            surroundings: standing.surroundings,
            secrets: standing.secrets,
            rich: contract.rich,
        }
    }

    /// What it offers besides tools.
    #[must_use]
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// What its id is bound to: where it came from, whatever the version.
    #[must_use]
    pub fn source(&self) -> String {
        let reference = self.origin.parse::<Reference>();
        // What is no reference is no other component's source either.
        reference.map_or_else(|_| self.origin.clone(), |reference| reference.source())
    }

    /// What a lock file says of it.
    #[must_use]
    pub fn locked(&self) -> Locked {
        Locked::of(self)
    }

    /// What is compared between versions.
    pub(crate) fn offer(&self) -> Offer<'_> {
        Offer {
            tools: &self.contract_tools,
            imports: &self.imports,
            offers: &self.rich.offers,
        }
    }

    /// All of it, as if it were approved.
    pub(crate) fn whole(&self) -> Approved {
        self.provenance.whole(self.offer())
    }

    /// Whether a record of this version would say the same.
    pub(crate) fn is_same(&self, artifact: &Artifact, contract: &Contract, provenance: &Provenance) -> bool {
        let same_tools = self.contract_tools.len() == contract.tools.len()
            && contract
                .tools
                .iter()
                .all(|tool| self.contract_tools.contains(tool));
        self.digest == artifact.digest
            && self.origin == artifact.origin.to_string()
            && self.provenance == *provenance
            && self.rich == contract.rich
            && same_tools
    }

    /// What was granted; `None` when the stored policy cannot be read.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// What its calls may do now, under the ceiling. Nothing when it is unavailable.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Names of functions that its policy does not offer as tools.
    pub fn withheld(&self) -> impl Iterator<Item = &ToolName> {
        let is_offered = |tool: &&Arc<Tool>| self.tools.iter().any(|offered| offered.original == tool.name);
        let withheld = self.contract_tools.iter().filter(move |tool| !is_offered(tool));
        withheld.map(|tool| &tool.name)
    }

    /// Whether its policy allows nothing. What cannot be read may allow something.
    pub(crate) fn grants_nothing(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.grants_nothing())
    }
}

/// What was read, or else nothing; the first fault counts.
fn read_or<T>(read: Result<T, String>, fault: &mut Option<Unavailable>, nothing: impl FnOnce() -> T) -> T {
    read.unwrap_or_else(|reason| {
        fault.get_or_insert(Unavailable::plain(reason));
        nothing()
    })
}

/// Whether calls of a component may have something to say to their client.
fn talks(contract: &Contract) -> bool {
    let mut imports = contract.imports.iter();
    !contract.rich.is_empty() || imports.any(|import| import.starts_with("wassette:mcp/client@"))
}

/// Reads the policy of a record, which is always without relative paths.
pub(crate) fn read_policy(text: &str) -> Result<Policy, String> {
    if text == EMPTY_POLICY {
        return Ok(Policy::empty());
    }
    Policy::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

pub(crate) fn understand(record: &Record) -> Result<Contract, String> {
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
    use crate::ceiling::Above;
    use crate::protect::Protection;
    use crate::secrets::Variables;
    use wassette_policy::Limits;

    /// Terms without ceiling.
    #[track_caller]
    fn with_terms<T>(above: &Above, check: impl FnOnce(&Terms<'_>) -> T) -> T {
        check(&Terms {
            above,
            defaults: &Limits::DEFAULT,
            variables: &Variables::new([
                ("LANG".to_owned(), "C".to_owned()),
                ("KEY".to_owned(), "x".to_owned()),
            ]),
            protection: &Protection::new(&["/own/store".into()], None),
            freshness: &Freshness::default(),
        })
    }

    fn ceiling(text: &str) -> Above {
        let options = ParseOptions::default();
        Above::Ceiling(Arc::new(
            wassette_policy::Ceiling::parse(text, &options).expect("a ceiling"),
        ))
    }

    fn record(id: &str, epoch: u64, policy: &str, contract: &str) -> Record {
        Record {
            id: id.parse().expect("an id"),
            digest: Digest::of(b"wasm"),
            origin: "file:///x.wasm".to_owned(),
            policy: policy.to_owned(),
            contract: contract.to_owned(),
            provenance: "{}".to_owned(),
            presentation: "{}".to_owned(),
            epoch,
            installed_ms: 0,
        }
    }

    fn empty_contract() -> String {
        serde_json::to_string(&Contract::new(Vec::new(), Vec::new(), Vec::new())).expect("a contract is JSON")
    }

    /// The one component of a record with this policy.
    fn component(policy: &str, contract: &str, above: &Above) -> Component {
        let snapshot = Snapshot {
            epoch: 1,
            records: vec![record("a", 1, policy, contract)],
            ..Snapshot::default()
        };
        let catalog = with_terms(above, |terms| Catalog::empty().next(snapshot, terms, false));
        let mut components = catalog.components();
        components.next().expect("a component").clone()
    }

    #[track_caller]
    fn check_unavailable(policy: &str, contract: &str, above: &Above, reason: &str) {
        let component = component(policy, contract, above);
        let ComponentState::Unavailable(found) = &component.state else {
            panic!("served: {component:?}")
        };
        assert!(found.reason.starts_with(reason), "{found:?}");
        assert!(found.reason.starts_with(&found.told), "{found:?}");
        assert!(
            !found.told.contains(['`', '/']),
            "nothing that only the operator may see: {found:?}"
        );
        assert!(component.tools.is_empty() && component.authority.granted().grants_nothing());
    }

    fn policy(permissions: &str) -> String {
        format!("version: \"1.0\"\npermissions: {permissions}\n")
    }

    const HOST: &str = "{network: {allow: [{host: api.example.com}]}}";

    #[test]
    fn a_record_that_is_not_understood_is_never_served() {
        let contract = empty_contract();
        let nothing = Above::Nothing;
        check_unavailable(
            "version: \"2.0\"\n",
            &contract,
            &nothing,
            "its policy is not understood: 1:10",
        );
        check_unavailable("", &contract, &nothing, "its policy is not understood");
        check_unavailable(
            &policy("{network: {alow: []}}"),
            &contract,
            &nothing,
            "its policy is not understood: 2:",
        );
        check_unavailable(EMPTY_POLICY, "{", &nothing, "its stored contract is damaged");
        let newer = contract.replace("\"version\":1", "\"version\":2");
        check_unavailable(
            EMPTY_POLICY,
            &newer,
            &nothing,
            "its stored contract has version 2",
        );
    }

    #[test]
    fn what_the_ceiling_does_not_allow_is_never_served() {
        let contract = empty_contract();
        check_unavailable(
            &policy(HOST),
            &contract,
            &ceiling(&policy("{network: {allow: [{host: other.example.com}]}}")),
            "its policy is not within the operator's ceiling: ",
        );
        check_unavailable(
            EMPTY_POLICY,
            &contract,
            &ceiling("version: \"1.0\"\nsources: [\"starter:*\"]\n"),
            "the operator's ceiling does not allow components from where it came from",
        );
        check_unavailable(
            EMPTY_POLICY,
            &contract,
            &Above::Broken("no".into()),
            "the operator's ceiling cannot be used: no",
        );
        let within = component(&policy(HOST), &contract, &ceiling(&policy(HOST)));
        assert_eq!(within.state, ComponentState::Ready);
    }

    #[test]
    fn a_folder_that_became_ours_is_not_served() {
        let rule = "{storage: {allow: [{uri: \"fs:///own\", access: [read]}]}}";
        check_unavailable(
            &policy(rule),
            &empty_contract(),
            &Above::Nothing,
            "its policy grants what cannot be granted: `/own` holds `/own/store`, where Wassette",
        );
    }

    #[test]
    fn a_call_is_given_the_variables_and_secrets_its_policy_names() {
        let text = policy(
            "{environment: {allow: [LANG, MISSING, {key: MODE, value: strict}]}, \
             secrets: {allow: [{name: token, host: a.example.com, header: authorization}]}}",
        );
        let found = component(&text, &empty_contract(), &Above::Nothing);
        let given: Vec<_> = found.surroundings.variables.iter().collect();
        assert_eq!(given, [(&"LANG".to_owned(), &"C".to_owned())]);
        assert_eq!(found.secrets, ["token".parse().expect("a name")]);
        let nothing = component(EMPTY_POLICY, &empty_contract(), &Above::Nothing);
        assert!(nothing.surroundings.variables.is_empty() && nothing.secrets.is_empty());
    }

    const READ_ONLY: Annotations = Annotations {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
    const WRITING: Annotations = Annotations {
        read_only: false,
        destructive: true,
        idempotent: false,
        open_world: false,
    };

    #[track_caller]
    fn check_annotations(permissions: &str, expected: Annotations) {
        let found = component(&policy(permissions), &empty_contract(), &Above::Nothing);
        let found = Annotations::of(found.policy().expect("a policy"));
        assert_eq!(found, expected, "{permissions}");
    }

    #[test]
    fn annotations_follow_from_what_was_granted() {
        let open_world = |annotations| Annotations {
            open_world: true,
            ..annotations
        };
        for (permissions, expected) in [
            ("{}", READ_ONLY),
            (
                "{storage: {allow: [{uri: \"fs:///a\", access: [read]}]}}",
                READ_ONLY,
            ),
            (
                "{storage: {allow: [{uri: \"fs:///a\", access: [write]}]}}",
                WRITING,
            ),
            (HOST, open_world(WRITING)),
            (
                "{network: {allow: [{host: a.example.com, methods: [GET, HEAD]}]}}",
                open_world(READ_ONLY),
            ),
            (
                "{network: {allow: [{host: a.example.com, methods: [GET, POST]}]}}",
                open_world(WRITING),
            ),
            (
                "{network: {allow: [{cidr: 10.0.0.0/8, ports: [53], protocols: [udp]}]}}",
                open_world(WRITING),
            ),
            (
                "{network: {deny: [{host: \"*\"}]}, environment: {allow: [LANG]}}",
                READ_ONLY,
            ),
        ] {
            check_annotations(permissions, expected);
        }
    }

    #[test]
    fn what_did_not_change_is_shared_between_catalogs() {
        let contract = empty_contract();
        let snapshot = |epoch, b| Snapshot {
            epoch,
            records: vec![
                record("a", 1, EMPTY_POLICY, &contract),
                record("b", b, EMPTY_POLICY, &contract),
            ],
            ..Snapshot::default()
        };
        let next = |catalog: &Catalog, snapshot, same_terms| {
            with_terms(&Above::Nothing, |terms| catalog.next(snapshot, terms, same_terms))
        };
        let first = next(&Catalog::empty(), snapshot(2, 2), true);
        let second = next(&first, snapshot(3, 3), true);
        let other_terms = next(&first, snapshot(2, 2), false);
        let shared = |later: &Catalog, id: &str| {
            let id: ComponentId = id.parse().expect("an id");
            Arc::ptr_eq(&first.components[&id], &later.components[&id])
        };
        assert_eq!((shared(&second, "a"), shared(&second, "b")), (true, false));
        assert!(!shared(&other_terms, "a"));
        assert!(second.revision() > first.revision());
    }

    #[test]
    fn the_empty_policy_is_printed_as_it_is_stored() {
        assert_eq!(Policy::empty().print(), EMPTY_POLICY);
    }
}
