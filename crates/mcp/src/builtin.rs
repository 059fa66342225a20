//! The server's own tools, by which an agent sees and changes which components there are.
//!
//! They only translate: whether an agent may do what it asks is decided by the host. Their names contain
//! no underscore, so that no component's tool can have one of them, offered or not.

mod answers;
mod schemas;
mod wanted;

use std::path::Path;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value as Json, json};
use wassette_host::{
    Actor, CatalogueEntry, Command, Component, ComponentId, GrantKind, Host, HostError, LoadRequest,
    Progress, Reference, revocable, rule_texts,
};

use crate::search::search;
use crate::wire;
use answers::{components_json, outcome_json, tools_json};
pub(crate) use wanted::Wanted;

/// Entries of catalogues that a model is told at most; a narrower query finds the others.
const FOUND_MAX: usize = 50;

/// One of the server's own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// `load-component {path}`: makes a component's functions available as tools.
    LoadComponent,
    /// `unload-component {id}`: removes a component and its tools.
    UnloadComponent,
    /// `list-components`: says which components there are and whether they work.
    ListComponents,
    /// `search-components {query?}`: finds components that can be loaded.
    SearchComponents,
    /// `get-policy {component_id}`: says what a component was granted.
    GetPolicy,
    /// `request-permission {component_id, permission_type, value, access?, host?, reason?}`: asks a person to allow
    /// something.
    RequestPermission,
    /// `revoke-permission {component_id, permission_type, value}`: takes one grant back.
    RevokePermission,
    /// `reset-permission {component_id}`: takes all grants back.
    ResetPermission,
    /// `search-tools {query?}`: finds tools of components.
    SearchTools,
    /// `invoke-tool {name, arguments?}`: calls a tool of a component.
    InvokeTool,
}

impl Builtin {
    /// Those that see and change which components there are, in the order in which they are listed. None grants: the
    /// model never does.
    pub const MANAGING: [Self; 8] = [
        Self::LoadComponent,
        Self::UnloadComponent,
        Self::ListComponents,
        Self::SearchComponents,
        Self::GetPolicy,
        Self::RequestPermission,
        Self::RevokePermission,
        Self::ResetPermission,
    ];

    /// Those that stand for the tools of all components: offered, they are listed and the others are not.
    pub const FINDING: [Self; 2] = [Self::SearchTools, Self::InvokeTool];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::MANAGING.into_iter().chain(Self::FINDING)
    }

    /// Whether it changes what there is, or what is granted.
    pub(crate) const fn is_change(self) -> bool {
        match self {
            Self::LoadComponent | Self::UnloadComponent | Self::RevokePermission | Self::ResetPermission => {
                true
            }
            // What it asks for, a person decides.
            Self::RequestPermission
            | Self::ListComponents
            | Self::SearchComponents
            | Self::GetPolicy
            | Self::SearchTools
            | Self::InvokeTool => false,
        }
    }

    /// The name under which it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadComponent => "load-component",
            Self::UnloadComponent => "unload-component",
            Self::ListComponents => "list-components",
            Self::SearchComponents => "search-components",
            Self::GetPolicy => "get-policy",
            Self::RequestPermission => "request-permission",
            Self::RevokePermission => "revoke-permission",
            Self::ResetPermission => "reset-permission",
            Self::SearchTools => "search-tools",
            Self::InvokeTool => "invoke-tool",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::all().find(|builtin| builtin.name() == name)
    }

    /// How it is listed.
    pub(crate) fn tool(self) -> Tool {
        let tool = Tool::new(self.name(), self.description(), self.input_schema())
            .with_annotations(self.annotations());
        match self.output_schema() {
            Some(schema) => tool.with_raw_output_schema(schema),
            None => tool,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::LoadComponent => {
                "Loads a WebAssembly component and offers its functions as tools. It runs in a sandbox \
                 that starts without any access to files, network or environment."
            }
            Self::UnloadComponent => {
                "Removes a loaded component together with its tools, its permissions and its secrets."
            }
            Self::ListComponents => "Lists the loaded components with their tools.",
            Self::SearchComponents => {
                "Finds components that load-component can load, in the catalogues that the person who operates this server \
                 chose."
            }
            Self::GetPolicy => {
                "Shows what a component may do: the rules of its policy. What no rule allows is denied. Only the \
                 person who operates this server can allow more; request-permission asks them."
            }
            Self::RequestPermission => {
                "Asks the person who operates this server to allow a component something: a folder or file, a host, \
                 an environment variable, a secret, more memory or time. Ask for no more than the task needs. The \
                 answer says whether it was allowed, denied, or waits."
            }
            Self::RevokePermission => {
                "Takes one permission of a component back. It cannot be given back from here: only the person who \
                 operates this server can grant."
            }
            Self::ResetPermission => {
                "Takes all permissions of a component back. They cannot be given back from here: only the person \
                 who operates this server can grant."
            }
            Self::SearchTools => {
                "Finds tools that are not in this list, by what their names, parameters and descriptions say or mean. Says what \
                 each does and what arguments it takes; invoke-tool calls it."
            }
            Self::InvokeTool => "Calls a tool that search-tools found, with the arguments that it takes.",
        }
    }

    fn annotations(self) -> ToolAnnotations {
        let (read_only, destructive, open_world) = match self {
            Self::LoadComponent => (false, false, true),
            Self::RequestPermission => (false, false, false),
            Self::UnloadComponent | Self::RevokePermission | Self::ResetPermission => (false, true, false),
            Self::ListComponents | Self::GetPolicy | Self::SearchTools => (true, false, false),
            // Whatever the tool does that it calls.
            Self::InvokeTool => {
                return ToolAnnotations::new()
                    .read_only(false)
                    .destructive(true)
                    .idempotent(false)
                    .open_world(true);
            }
            Self::SearchComponents => (true, false, true),
        };
        ToolAnnotations::new()
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(true)
            .open_world(open_world)
    }
}

/// What a built-in tool works with.
pub(crate) struct Desk<'a> {
    /// What it asks.
    pub(crate) host: &'a Host,
    /// For whom.
    pub(crate) actor: &'a Actor,
    /// From where relative paths count.
    pub(crate) current_folder: &'a Path,
    /// Where the steps of a load are shown.
    pub(crate) progress: &'a dyn Progress,
}

impl Desk<'_> {
    /// Runs one built-in tool.
    pub(crate) async fn call(
        &self,
        builtin: Builtin,
        arguments: &JsonObject,
    ) -> Result<CallToolResult, ErrorData> {
        let command = match builtin {
            Builtin::ListComponents => {
                return match only(arguments, &[]) {
                    Ok(()) => self.list().await,
                    Err(text) => Ok(wire::failure(text)),
                };
            }
            Builtin::SearchComponents => {
                return Ok(
                    match only(arguments, &["query"]).and_then(|()| query(arguments)) {
                        Ok(query) => self.search(query).await,
                        Err(text) => wire::failure(text),
                    },
                );
            }
            Builtin::GetPolicy => {
                return match only(arguments, &["component_id"]).and_then(|()| id(arguments, "component_id")) {
                    Ok(id) => self.policy(&id).await,
                    Err(text) => Ok(wire::failure(text)),
                };
            }
            Builtin::SearchTools => {
                return match only(arguments, &["query"]).and_then(|()| query(arguments)) {
                    Ok(query) => self.search_tools(query).await,
                    Err(text) => Ok(wire::failure(text)),
                };
            }
            // The server does these itself: it may have to talk with the client.
            Builtin::InvokeTool | Builtin::RequestPermission => {
                return Err(ErrorData::internal_error("this tool is no command", None));
            }
            Builtin::LoadComponent => self.load(arguments),
            Builtin::UnloadComponent => unload(arguments),
            Builtin::ResetPermission => reset(arguments),
            // What another process granted is meant too.
            Builtin::RevokePermission => match self.host.refresh().await {
                Ok(()) => self.revoke(arguments),
                Err(error) => return wire::command_refused(&error),
            },
        };
        let command = match command {
            Ok(command) => command,
            Err(text) => return Ok(wire::failure(text)),
        };
        match self.host.execute(command, self.actor, self.progress).await {
            Ok(outcome) => Ok(CallToolResult::structured(outcome_json(&outcome))),
            Err(error) => wire::command_refused(&error),
        }
    }

    fn load(&self, arguments: &JsonObject) -> Result<Command, String> {
        only(arguments, &["path"])?;
        let path = text(arguments, "path")?;
        let reference = Reference::parse(path, self.current_folder).map_err(|error| error.to_string())?;
        Ok(Command::Load(LoadRequest {
            reference,
            name: None,
            replace: false,
            wit: Vec::new(),
            locked: None,
            digest: None,
        }))
    }

    async fn search(&self, query: &str) -> CallToolResult {
        let mut found = self.host.search(query, self.actor).await;
        found.components.truncate(FOUND_MAX);
        let entry = |entry: &CatalogueEntry| json!({"name": entry.name, "description": entry.description, "uri": entry.uri});
        let components: Vec<_> = found.components.iter().map(entry).collect();
        let mut json = json!({"status": "success", "count": components.len(), "components": components});
        if let (false, Some(fields)) = (found.failed.is_empty(), json.as_object_mut()) {
            fields.insert("failed".to_owned(), json!(found.failed));
        }
        CallToolResult::structured(json)
    }

    async fn search_tools(&self, query: &str) -> Result<CallToolResult, ErrorData> {
        if let Err(error) = self.host.refresh().await {
            return wire::command_refused(&error);
        }
        let catalog = self.host.catalog();
        Ok(CallToolResult::structured(tools_json(&search(
            catalog.tools(),
            query,
        ))))
    }

    async fn list(&self) -> Result<CallToolResult, ErrorData> {
        if let Err(error) = self.host.refresh().await {
            return wire::command_refused(&error);
        }
        Ok(CallToolResult::structured(components_json(&self.host.catalog())))
    }
}

impl Desk<'_> {
    async fn policy(&self, id: &ComponentId) -> Result<CallToolResult, ErrorData> {
        if let Err(error) = self.host.refresh().await {
            return wire::command_refused(&error);
        }
        let catalog = self.host.catalog();
        let Some(component) = catalog.component(id) else {
            return wire::command_refused(&HostError::UnknownComponent { id: id.clone() });
        };
        match component.policy() {
            Some(policy) => Ok(CallToolResult::structured(json!({
                "status": "policy found",
                "component_id": id,
                "policy": policy.print(),
                "rules": rule_texts(policy),
            }))),
            None => Ok(wire::failure(format!(
                "the policy of component `{id}` is not understood, so nothing is allowed; ask the operator"
            ))),
        }
    }

    /// What is to be taken back: every grant that is meant by what was named.
    fn revoke(&self, arguments: &JsonObject) -> Result<Command, String> {
        only(arguments, &["component_id", "permission_type", "value"])?;
        let id = id(arguments, "component_id")?;
        let word = text(arguments, "permission_type")?;
        let kind = GrantKind::ALL.into_iter().find(|kind| kind.name() == word);
        let names = GrantKind::ALL.map(GrantKind::name).join(", ");
        let kind =
            kind.ok_or_else(|| format!("invalid arguments: `/permission_type`: expected one of {names}"))?;
        let catalog = self.host.catalog();
        let policy = catalog.component(&id).and_then(Component::policy);
        let grants = revocable(policy, kind, text(arguments, "value")?)
            .map_err(|error| format!("invalid arguments: `/value`: {error}"))?;
        if grants.is_empty() {
            return Err("there is no such permission".to_owned());
        }
        Ok(Command::Revoke(id, grants))
    }
}

fn id(arguments: &JsonObject, name: &str) -> Result<ComponentId, String> {
    let id = text(arguments, name)?.parse();
    id.map_err(|error| format!("`/{name}`: {error}"))
}

fn query(arguments: &JsonObject) -> Result<&str, String> {
    match arguments.get("query") {
        None | Some(Json::Null) => Ok(""),
        Some(_) => text(arguments, "query"),
    }
}

/// The tool that `invoke-tool` is to call, and with what.
pub(crate) fn invocation(arguments: &JsonObject) -> Result<(&str, JsonObject), String> {
    only(arguments, &["name", "arguments"])?;
    let given = match arguments.get("arguments") {
        None | Some(Json::Null) => JsonObject::new(),
        Some(Json::Object(object)) => object.clone(),
        Some(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
            return Err("invalid arguments: `/arguments`: expected an object".to_owned());
        }
    };
    Ok((text(arguments, "name")?, given))
}

fn unload(arguments: &JsonObject) -> Result<Command, String> {
    only(arguments, &["id"])?;
    Ok(Command::Unload(id(arguments, "id")?))
}

fn reset(arguments: &JsonObject) -> Result<Command, String> {
    only(arguments, &["component_id"])?;
    Ok(Command::Reset(id(arguments, "component_id")?))
}

fn only(arguments: &JsonObject, known: &[&str]) -> Result<(), String> {
    match arguments.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("invalid arguments: `/{name}`: expected no such argument")),
        None => Ok(()),
    }
}

fn text<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str, String> {
    let found = match arguments.get(name) {
        Some(Json::String(text)) => return Ok(text),
        None => "nothing",
        Some(Json::Null) => "null",
        Some(Json::Bool(_)) => "a boolean",
        Some(Json::Number(_)) => "a number",
        Some(Json::Array(_)) => "an array",
        Some(Json::Object(_)) => "an object",
    };
    Err(format!(
        "invalid arguments: `/{name}`: expected a string, found {found}"
    ))
}

#[cfg(test)]
mod tests;
