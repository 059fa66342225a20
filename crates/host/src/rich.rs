//! Components of the rich world: their lists, which are asked for once, and what of those belongs to whom.

use crate::Host;
use crate::catalog::{Catalog, Component, Contract};
use crate::ceiling::Above;
use crate::error::HostError;
use crate::presentation::Presentation;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use wassette_policy::{Authority, Policy};
use wassette_sandbox::{Control, Invocation, Prepared};
use wassette_store::{Artifact, ComponentId, Hold};
use wassette_wit::rich::{Export, Exports, Offers};
use wassette_wit::{Function, ToolName, Type, Value, encode};

/// How long a component may take to say what it has: each of its lists.
const LIST_TIME_MAX: Duration = Duration::from_secs(10);

/// What a component exports of the rich world, and offers by it besides tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rich {
    pub(crate) exports: Exports,
    pub(crate) offers: Offers,
}

impl Rich {
    pub(crate) fn is_empty(&self) -> bool {
        self.exports.is_empty()
    }
}

impl Host {
    /// Asks a component for its lists. Each is a call of its own, without any grant and without a client.
    ///
    /// They are asked for once, so that listing is reading data ever after, and a version offers what was approved of
    /// it, whatever it would say later.
    pub(crate) async fn ask_lists(
        &self,
        id: &ComponentId,
        artifact: &Artifact,
        contract: &mut Contract,
    ) -> Result<(), HostError> {
        if contract.rich.is_empty() {
            return Ok(());
        }
        let catalog = self.catalog();
        let known = catalog
            .component(id)
            .filter(|known| known.digest == artifact.digest);
        // One whose record is damaged has nothing, and loading it again is the remedy.
        if let Some(known) = known.filter(|known| known.rich.exports == contract.rich.exports) {
            // SECURITY: a version has said it once. What it says today is not what was approved.
            contract.rich.offers = known.rich.offers.clone();
            let rich = known.contract_tools.iter().filter(|tool| tool.rich.is_some());
            contract.tools.extend(rich.map(Arc::clone));
            return Ok(());
        }
        let code = &self.inner.code;
        let prepared = code.compile(artifact.digest, Arc::clone(&artifact.bytes)).await?;
        for export in Export::LISTS {
            let Some(function) = contract.rich.exports.get(export).map(Arc::clone) else {
                continue;
            };
            let listed = self.ask_list(&prepared, &function, export).await?;
            let offers = &mut contract.rich.offers;
            let added = match export {
                Export::ListPrompts => offers.add_prompts(&listed),
                Export::ListResources => offers.add_resources(&listed),
                Export::ListTemplates => offers.add_templates(&listed),
                Export::ListTools
                | Export::CallTool
                | Export::GetPrompt
                | Export::ReadResource
                | Export::Complete => {
                    let interface = function.path.interface.as_deref().unwrap_or_default();
                    Offers::tools(id.as_str(), interface, &listed).map(|tools| contract.add_tools(tools))
                }
            };
            added.map_err(|source| HostError::List { source })?;
        }
        Ok(())
    }

    async fn ask_list(
        &self,
        prepared: &Arc<Prepared>,
        function: &Arc<Function>,
        export: Export,
    ) -> Result<Json, HostError> {
        let authority = self.list_authority();
        let invocation = Invocation {
            function: Arc::clone(function),
            arguments: Vec::new(),
            control: Control::nothing(authority),
            client: None,
        };
        let report = Arc::clone(prepared).call(invocation).await;
        match report.result {
            Ok(value) => Ok(printed(function, value.as_ref())),
            Err(error) => Err(HostError::NoList {
                export,
                reason: error.to_string(),
            }),
        }
    }

    /// Nothing is granted, the ceiling's limits hold, and a list takes no long.
    fn list_authority(&self) -> Authority {
        let mut limits = self.inner.config.limits.clone();
        limits.time = limits.time.min(LIST_TIME_MAX);
        limits.cpu = limits.cpu.min(LIST_TIME_MAX);
        let above = match &*self.above() {
            Above::Ceiling(ceiling) => Some(Arc::clone(ceiling.policy())),
            Above::Nothing | Above::Broken(_) => None,
        };
        Authority::new(Arc::new(Policy::empty()), above, &limits)
    }

    /// Sees what everybody has, and keeps others from taking names until the result is dropped.
    pub(crate) async fn take_names(&self) -> Result<Hold, HostError> {
        let names = self.inner.store.take_names().await;
        let names = names.map_err(|source| HostError::Store { source })?;
        self.refresh().await?;
        Ok(names)
    }

    /// Refuses a component that lays claim to what is another's.
    ///
    /// SECURITY: names in the rich world have no prefix. One component must not answer for another.
    pub(crate) fn check_claims(&self, id: &ComponentId, contract: &Contract) -> Result<(), HostError> {
        let catalog = self.catalog();
        let mut names = BTreeSet::new();
        // SECURITY: of two that share a name, one would be compared with the next version and the other one called.
        if let Some(tool) = contract.tools.iter().find(|tool| !names.insert(&tool.name)) {
            return Err(taken(format!("the tool `{}`", tool.name), Some(id)));
        }
        let owned = Owned::beside(id, &catalog);
        for tool in &contract.tools {
            match tool.rich {
                Some(_) => self.check_name(&owned, &tool.name)?,
                // Its own id is before it, but another may have been there before the id was.
                None => owned.check(&tool.name)?,
            }
        }
        for other in catalog.components().filter(|other| other.id != *id) {
            if let Some(what) = contract.rich.offers.clash(&other.rich.offers) {
                return Err(taken(what, Some(&other.id)));
            }
        }
        Ok(())
    }

    /// Refuses a name without a prefix that is our own or another component's, or looks like that.
    pub(crate) fn check_name(&self, owned: &Owned<'_>, name: &ToolName) -> Result<(), HostError> {
        if self.inner.config.reserved.contains(&name.as_str()) {
            return Err(taken(format!("the tool `{name}`"), None));
        }
        owned.check_bare(name)
    }
}

/// The names of tools that a component cannot have, because they are others'.
pub(crate) struct Owned<'c> {
    tools: BTreeMap<ToolName, &'c ComponentId>,
    ids: BTreeMap<&'c str, &'c ComponentId>,
}

impl<'c> Owned<'c> {
    pub(crate) fn beside(id: &ComponentId, catalog: &'c Catalog) -> Self {
        let (mut tools, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for other in catalog.components().filter(|other| other.id != *id) {
            ids.insert(other.id.as_str(), &other.id);
            // As it says, and as it is shown, or would be were it not withheld.
            let said = other.contract_tools.iter().map(|tool| tool.name.clone());
            let shown = Presentation::read(&other.presentation_text).unwrap_or_default();
            tools.extend(said.chain(shown.names().cloned()).map(|name| (name, &other.id)));
        }
        Self { tools, ids }
    }

    fn check(&self, name: &ToolName) -> Result<(), HostError> {
        match self.tools.get(name) {
            Some(by) => Err(taken(format!("the tool `{name}`"), Some(by))),
            None => Ok(()),
        }
    }

    /// The same for a name without a prefix, which must not look as if it had one.
    fn check_bare(&self, name: &ToolName) -> Result<(), HostError> {
        self.check(name)?;
        let begins = name.as_str().split_once('_').map(|(begin, _)| begin);
        match begins.and_then(|begin| self.ids.get(begin)) {
            Some(by) => Err(taken(format!("the tool `{name}`"), Some(by))),
            None => Ok(()),
        }
    }
}

pub(crate) fn taken(what: String, by: Option<&ComponentId>) -> HostError {
    HostError::Taken {
        what,
        by: by.cloned(),
    }
}

/// A value as JSON.
pub(crate) fn printed(function: &Function, value: Option<&Value>) -> Json {
    match (&function.result, value) {
        (Some(ty), Some(value)) => encode(ty, value),
        (Some(_) | None, Some(_) | None) => Json::Null,
    }
}

/// The two sides of a result as JSON.
pub(crate) fn sides(function: &Function, value: Option<Value>) -> Option<Result<Json, Json>> {
    let (Some(Type::Result(sides)), Some(Value::Result(value))) = (&function.result, value) else {
        return None;
    };
    let side = |ty: &Option<Type>, value: Option<Box<Value>>| Some(encode(ty.as_ref()?, value.as_deref()?));
    match value {
        Ok(value) => side(&sides.ok, value).map(Ok),
        Err(value) => side(&sides.err, value).map(Err),
    }
}

impl Catalog {
    /// The component whose prompt this is.
    #[must_use]
    pub fn prompt_owner(&self, name: &str) -> Option<&Component> {
        self.components().find(|component| {
            component
                .offers()
                .prompts
                .iter()
                .any(|prompt| prompt.name == name)
        })
    }

    /// The component that is asked for a resource: the one that lists it, or else the one whose it would be.
    #[must_use]
    pub fn resource_owner(&self, uri: &str) -> Option<&Component> {
        let lists = |component: &&Component| {
            let mut resources = component.offers().resources.iter();
            resources.any(|resource| resource.uri == uri)
        };
        let mut components = self.components();
        self.components()
            .find(lists)
            .or_else(|| components.find(|component| component.offers().has_family(uri)))
    }

    /// The component that has this family of resources.
    #[must_use]
    pub fn template_owner(&self, template: &str) -> Option<&Component> {
        self.components().find(|component| {
            let mut templates = component.offers().templates.iter();
            templates.any(|own| own.uri_template == template)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostConfig;
    use serde_json::json;

    fn contract(id: &ComponentId, names: &[&str]) -> Contract {
        let schema = "{\"type\": \"object\"}";
        let mut contract = Contract::new(Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let listed = json!([{"name": name, "description": "d", "input-schema": schema, "icons": []}]);
            let tools = Offers::tools(id.as_str(), "wassette:mcp/tools@0.1.0", &listed).expect("a tool");
            contract.add_tools(tools);
        }
        contract
    }

    #[tokio::test]
    async fn a_component_has_each_name_once_and_none_of_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = HostConfig::new(&folder.path().join("components"));
        config.reserved = vec!["load-component"];
        let host = Host::open(config).await.expect("a host");
        let id: ComponentId = "a".parse().expect("an id");
        let claims = |names: &[&str]| host.check_claims(&id, &contract(&id, names));
        assert!(claims(&["x", "y", "a_x"]).is_ok());
        let twice = claims(&["a_x", "y", "a_x"]).expect_err("twice");
        assert!(matches!(twice, HostError::Taken { by: Some(_), .. }), "{twice}");
        let ours = claims(&["load-component"]).expect_err("ours");
        assert!(matches!(ours, HostError::Taken { by: None, .. }), "{ours}");
    }
}
