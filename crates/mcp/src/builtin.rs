//! The server's own tools, by which an agent sees and changes which components there are.
//!
//! They only translate: whether an agent may do what it asks is decided by the host. Their names contain
//! no underscore, so that no component's tool can have one of them, offered or not.

mod answers;

use std::path::Path;
use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value as Json, json};
use wassette_host::{
    Actor, CatalogueEntry, Command, Component, ComponentId, GrantKind, Host, HostError, LoadRequest,
    Progress, Reference, revocable, rule_texts,
};

use crate::wire;
use answers::{components_json, outcome_json};

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
    /// `revoke-permission {component_id, permission_type, value}`: takes one grant back.
    RevokePermission,
    /// `reset-permission {component_id}`: takes all grants back.
    ResetPermission,
}

impl Builtin {
    /// All of them, in the order in which they are listed. None grants: the model never does.
    pub const ALL: [Self; 7] = [
        Self::LoadComponent,
        Self::UnloadComponent,
        Self::ListComponents,
        Self::SearchComponents,
        Self::GetPolicy,
        Self::RevokePermission,
        Self::ResetPermission,
    ];

    /// Whether it changes what there is, or what is granted.
    pub(crate) const fn is_change(self) -> bool {
        match self {
            Self::LoadComponent | Self::UnloadComponent | Self::RevokePermission | Self::ResetPermission => {
                true
            }
            Self::ListComponents | Self::SearchComponents | Self::GetPolicy => false,
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
            Self::RevokePermission => "revoke-permission",
            Self::ResetPermission => "reset-permission",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// How it is listed.
    pub(crate) fn tool(self) -> Tool {
        Tool::new(self.name(), self.description(), self.input_schema())
            .with_raw_output_schema(self.output_schema())
            .with_annotations(self.annotations())
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
                 person who operates this server can allow more."
            }
            Self::RevokePermission => {
                "Takes one permission of a component back. It cannot be given back from here: only the person who \
                 operates this server can grant."
            }
            Self::ResetPermission => {
                "Takes all permissions of a component back. They cannot be given back from here: only the person \
                 who operates this server can grant."
            }
        }
    }

    fn annotations(self) -> ToolAnnotations {
        let (read_only, destructive, open_world) = match self {
            Self::LoadComponent => (false, false, true),
            Self::UnloadComponent | Self::RevokePermission | Self::ResetPermission => (false, true, false),
            Self::ListComponents | Self::GetPolicy => (true, false, false),
            Self::SearchComponents => (true, false, true),
        };
        ToolAnnotations::new()
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(true)
            .open_world(open_world)
    }

    fn input_schema(self) -> Arc<JsonObject> {
        let (properties, required) = match self {
            Self::LoadComponent => (
                json!({"path": {
                    "type": "string",
                    "description": "Where the component is: `oci://registry/repository:tag`, an https:// URL, the path of a .wasm \
                        file, or `starter:NAME` for one that comes with this server: time, text, filesystem, fetch."
                }}),
                json!(["path"]),
            ),
            Self::UnloadComponent => (
                json!({"id": {
                    "type": "string",
                    "description": "The component's id, as list-components and load-component give it."
                }}),
                json!(["id"]),
            ),
            Self::ListComponents => (json!({}), json!([])),
            Self::SearchComponents => (
                json!({"query": {"type": "string", "description": "Words to find; without them, everything is listed."}}),
                json!([]),
            ),
            Self::GetPolicy | Self::ResetPermission => {
                (json!({"component_id": component_id()}), json!(["component_id"]))
            }
            Self::RevokePermission => (
                json!({
                    "component_id": component_id(),
                    "permission_type": {
                        "type": "string",
                        "enum": GrantKind::ALL.map(GrantKind::name),
                        "description": "What sort of permission it is.",
                    },
                    "value": {
                        "type": "string",
                        "description": "What is taken back, as get-policy shows it: the `uri` of a storage rule \
                            (fs:///path), the `host` or `cidr` of a network rule, the name of an environment \
                            variable or of a secret.",
                    },
                }),
                json!(["component_id", "permission_type", "value"]),
            ),
        };
        object_schema(properties, required)
    }

    fn output_schema(self) -> Arc<JsonObject> {
        let names = json!({"type": "array", "items": {"type": "string"}});
        let text = json!({"type": "string"});
        match self {
            Self::LoadComponent => object_schema(
                json!({
                    "status": text, "id": text, "digest": text, "tools": names, "previous_digest": text,
                    "added": names, "removed": names, "changed": names, "requested": names,
                }),
                json!(["status", "id", "digest", "tools"]),
            ),
            Self::UnloadComponent => object_schema(
                json!({"status": text, "id": text, "digest": text}),
                json!(["status", "id", "digest"]),
            ),
            Self::ListComponents => {
                let component = object_schema(
                    json!({
                        "id": text, "digest": text, "origin": text, "state": text, "reason": text,
                        "tools": names, "tools_count": {"type": "integer"},
                    }),
                    json!(["id", "digest", "origin", "state", "tools", "tools_count"]),
                );
                object_schema(
                    json!({
                        "components": {"type": "array", "items": *component},
                        "total": {"type": "integer"},
                    }),
                    json!(["components", "total"]),
                )
            }
            Self::SearchComponents => {
                let component = object_schema(
                    json!({"name": text, "description": text, "uri": text}),
                    json!(["name", "description", "uri"]),
                );
                object_schema(
                    json!({
                        "status": text, "count": {"type": "integer"},
                        "components": {"type": "array", "items": *component}, "failed": names,
                    }),
                    json!(["status", "count", "components"]),
                )
            }
            Self::GetPolicy => object_schema(
                json!({"status": text, "component_id": text, "policy": text, "rules": names}),
                json!(["status", "component_id", "policy", "rules"]),
            ),
            Self::RevokePermission | Self::ResetPermission => object_schema(
                json!({"status": text, "component_id": text, "message": text}),
                json!(["status", "component_id", "message"]),
            ),
        }
    }
}

fn component_id() -> Json {
    json!({"type": "string", "description": "The component's id, as list-components gives it."})
}

fn object_schema(properties: Json, required: Json) -> Arc<JsonObject> {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), required);
    schema.insert("additionalProperties".to_owned(), false.into());
    Arc::new(schema)
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
        let commands = match builtin {
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
            Builtin::LoadComponent => self.load(arguments).map(|command| vec![command]),
            Builtin::UnloadComponent => unload(arguments).map(|command| vec![command]),
            Builtin::ResetPermission => reset(arguments).map(|command| vec![command]),
            Builtin::RevokePermission => self.revoke(arguments),
        };
        let commands = match commands {
            Ok(commands) => commands,
            Err(text) => return Ok(wire::failure(text)),
        };
        let mut last = None;
        for command in commands {
            match self.host.execute(command, self.actor, self.progress).await {
                Ok(outcome) => last = Some(outcome),
                Err(error) => return wire::command_refused(&error),
            }
        }
        match last {
            Some(outcome) => Ok(CallToolResult::structured(outcome_json(&outcome))),
            None => Ok(wire::failure("there is no such permission")),
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
    fn revoke(&self, arguments: &JsonObject) -> Result<Vec<Command>, String> {
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
        let command = |grant| Command::Revoke(id.clone(), grant);
        Ok(grants.into_iter().map(command).collect())
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
