//! How the operator names and describes tools, where what a component says is not what clients should read.
//!
//! Kept beside the policy, by the names that the component has: what is approved, compared between versions and locked
//! is what the component says, whatever it is called here.

use crate::Host;
use crate::catalog::{Catalog, Component, Contract};
use crate::error::HostError;
use crate::outcome::{Outcome, Presented};
use crate::rich::{Owned, taken};
use crate::update::known;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wassette_store::{ComponentId, Hold, Record};
use wassette_wit::{Tool, ToolName, sanitize};

/// Longest description, in bytes: clients cut at about as much.
const DESCRIPTION_BYTES_MAX: usize = 2_000;

/// A tool as the operator wants it to be seen; what is not said is as its component says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ToolName>,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// All that is shown otherwise of one component, by the names that it has itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Presentation(BTreeMap<ToolName, Shown>);

impl Presentation {
    /// Reads what the store keeps. What is not understood makes its component unavailable: another tool could have a
    /// name that somebody relies on.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("its stored presentation is damaged ({error})"))
    }

    /// The names that tools are given here.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ToolName> {
        self.0.values().filter_map(|shown| shown.name.as_ref())
    }

    /// What is wanted, as it is kept.
    fn wanted(wanted: &BTreeMap<ToolName, Shown>) -> Result<Self, HostError> {
        let mut presentation = Self::default();
        for (original, shown) in wanted {
            if let Some(name) = &shown.name {
                presentation.change(original, &Present::Name(name.clone()))?;
            }
            if let Some(text) = &shown.description {
                presentation.change(original, &Present::Description(text.clone()))?;
            }
        }
        Ok(presentation)
    }

    fn print(&self) -> Result<String, HostError> {
        serde_json::to_string(self).map_err(|_cannot_fail| HostError::Interrupted)
    }

    /// The tool as it is shown.
    pub(crate) fn of(&self, tool: &Arc<Tool>) -> Arc<Tool> {
        let Some(shown) = self.0.get(&tool.name) else {
            return Arc::clone(tool);
        };
        let mut tool = Tool::clone(tool);
        if let Some(name) = &shown.name {
            tool.name = name.clone();
        }
        if let Some(description) = &shown.description {
            tool.description.clone_from(description);
        }
        Arc::new(tool)
    }
}

/// How a tool is to be shown from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    /// By this name.
    Name(ToolName),
    /// With this description.
    Description(String),
    /// As its component says.
    Itself,
}

impl Host {
    /// Shows a tool, by the name it has now, in another way.
    pub(crate) async fn present(&self, name: &ToolName, present: Present) -> Result<Outcome, HostError> {
        let names = self.take_names().await?;
        let catalog = self.catalog();
        let (id, original) = original(&catalog, name)?;
        let component = known(&catalog, &id)?;
        let mut presentation = component.presentation()?;
        presentation.change(&original, &present)?;
        let is_changed = self.show(component, &presentation, names).await?;
        let shown = self.catalog();
        let shown = shown.component(&id).and_then(|component| {
            let mut tools = component.tools.iter();
            tools.find(|tool| tool.original == original)
        });
        Ok(Outcome::Presented(Presented {
            component: id,
            name: shown.map_or_else(|| name.clone(), |shown| shown.tool.name.clone()),
            description: shown.map_or_else(String::new, |shown| shown.tool.description.clone()),
            original,
            is_changed,
        }))
    }

    /// Shows the tools of a component as this says, and all others as the component says.
    pub(crate) async fn present_all(
        &self,
        id: &ComponentId,
        wanted: &BTreeMap<ToolName, Shown>,
    ) -> Result<Outcome, HostError> {
        let names = self.take_names().await?;
        let catalog = self.catalog();
        let component = known(&catalog, id)?;
        let presentation = Presentation::wanted(wanted)?;
        let has = |name: &ToolName| component.contract_tools.iter().any(|tool| tool.name == *name);
        if let Some(unknown) = presentation.0.keys().find(|name| !has(name)) {
            return Err(HostError::UnknownTool {
                name: unknown.to_string(),
            });
        }
        let is_changed = self.show(component, &presentation, names).await?;
        Ok(Outcome::PresentedAll {
            id: id.clone(),
            is_changed,
        })
    }

    /// Writes a presentation down, if all its names may be. Says whether it was another one.
    async fn show(
        &self,
        component: &Component,
        presentation: &Presentation,
        names: Hold,
    ) -> Result<bool, HostError> {
        let catalog = self.catalog();
        let owned = Owned::beside(&component.id, &catalog);
        for name in presentation.names() {
            self.check_name(&owned, name)?;
        }
        presentation.check_beside(&component.id, &component.contract_tools)?;
        let text = presentation.print()?;
        let change = |record: &mut Record| {
            record.presentation.clone_from(&text);
            Ok(())
        };
        let (_digest, is_changed) = self.rewrite(&component.id, change).await?;
        drop(names);
        Ok(is_changed)
    }
}

impl Component {
    fn presentation(&self) -> Result<Presentation, HostError> {
        Presentation::read(&self.presentation_text).map_err(|reason| HostError::Damaged {
            id: self.id.clone(),
            reason,
        })
    }

    /// Refuses a version with a tool that has the name which the operator gave another tool of the component.
    pub(crate) fn check_shown(&self, contract: &Contract) -> Result<(), HostError> {
        self.presentation()
            .unwrap_or_default()
            .check_beside(&self.id, &contract.tools)
    }

    /// Whether its tools are shown as this says, and all others as it says itself.
    pub fn is_shown_as(&self, wanted: &BTreeMap<ToolName, Shown>) -> bool {
        let now = self.presentation();
        Presentation::wanted(wanted).is_ok_and(|wanted| now.is_ok_and(|now| now == wanted))
    }
}

impl Presentation {
    /// Refuses a name that two tools of one component would have: given twice, or what the component calls another.
    fn check_beside(&self, id: &ComponentId, tools: &[Arc<Tool>]) -> Result<(), HostError> {
        let mut taken_names: BTreeSet<_> = tools.iter().map(|tool| &tool.name).collect();
        match self.names().find(|name| !taken_names.insert(*name)) {
            Some(name) => Err(taken(format!("the tool `{name}`"), Some(id))),
            None => Ok(()),
        }
    }
}

/// Whose a tool is, and what its component calls it.
fn original(catalog: &Catalog, name: &ToolName) -> Result<(ComponentId, ToolName), HostError> {
    let tool = catalog.tool(name.as_str());
    let tool = tool.ok_or_else(|| HostError::UnknownTool {
        name: name.to_string(),
    })?;
    Ok((tool.component.clone(), tool.original.clone()))
}

impl Presentation {
    fn change(&mut self, original: &ToolName, present: &Present) -> Result<(), HostError> {
        let shown = self.0.entry(original.clone()).or_default();
        match present {
            Present::Name(name) => shown.name = Some(name.clone()).filter(|name| name != original),
            Present::Description(text) => {
                let clean = sanitize(text, DESCRIPTION_BYTES_MAX);
                if clean.is_empty() {
                    return Err(HostError::NoDescription);
                }
                shown.description = Some(clean);
            }
            Present::Itself => *shown = Shown::default(),
        }
        if *shown == Shown::default() {
            self.0.remove(original);
        }
        Ok(())
    }
}
