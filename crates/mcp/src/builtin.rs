//! The server's own tools, by which an agent sees and changes which components there are.
//!
//! They only translate: whether an agent may do what it asks is decided by the host. Their names contain
//! no underscore, so that no component's tool can have one of them, offered or not.

use std::path::Path;
use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value as Json, json};
use wassette_host::{
    Actor, Catalog, Change, Command, Component, ComponentId, ComponentState, Host, LoadRequest, Loaded,
    Outcome, Progress, Reference,
};

use crate::wire;

/// One of the server's own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// `load-component {path}`: makes a component's functions available as tools.
    LoadComponent,
    /// `unload-component {id}`: removes a component and its tools.
    UnloadComponent,
    /// `list-components`: says which components there are and whether they work.
    ListComponents,
}

impl Builtin {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::LoadComponent, Self::UnloadComponent, Self::ListComponents];

    /// The name under which it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadComponent => "load-component",
            Self::UnloadComponent => "unload-component",
            Self::ListComponents => "list-components",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// How it is listed.
    pub(crate) fn tool(self) -> Tool {
        let (description, annotations) = match self {
            Self::LoadComponent => (
                "Loads a WebAssembly component and offers its functions as tools. It runs in a sandbox \
                 that starts without any access to files, network or environment.",
                ToolAnnotations::new()
                    .read_only(false)
                    .destructive(false)
                    .idempotent(true)
                    .open_world(true),
            ),
            Self::UnloadComponent => (
                "Removes a loaded component together with its tools.",
                ToolAnnotations::new()
                    .read_only(false)
                    .destructive(true)
                    .idempotent(true)
                    .open_world(false),
            ),
            Self::ListComponents => (
                "Lists the loaded components with their tools.",
                ToolAnnotations::new()
                    .read_only(true)
                    .destructive(false)
                    .idempotent(true)
                    .open_world(false),
            ),
        };
        Tool::new(self.name(), description, self.input_schema())
            .with_raw_output_schema(self.output_schema())
            .with_annotations(annotations)
    }

    fn input_schema(self) -> Arc<JsonObject> {
        let (properties, required) = match self {
            Self::LoadComponent => (
                json!({"path": {
                    "type": "string",
                    "description": "Where the component is: the path of a .wasm file, a file:// URL, or \
                        `starter:NAME` for one that comes with this server: time, text, filesystem, fetch."
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
                    "added": names, "removed": names, "changed": names,
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
        }
    }
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
        let command = match builtin {
            Builtin::ListComponents => {
                return match only(arguments, &[]) {
                    Ok(()) => self.list().await,
                    Err(text) => Ok(wire::failure(text)),
                };
            }
            Builtin::LoadComponent => self.load(arguments),
            Builtin::UnloadComponent => unload(arguments),
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
        }))
    }

    async fn list(&self) -> Result<CallToolResult, ErrorData> {
        if let Err(error) = self.host.refresh().await {
            return wire::command_refused(&error);
        }
        Ok(CallToolResult::structured(components_json(&self.host.catalog())))
    }
}

fn unload(arguments: &JsonObject) -> Result<Command, String> {
    only(arguments, &["id"])?;
    let id: ComponentId = text(arguments, "id")?
        .parse()
        .map_err(|error| format!("`/id`: {error}"))?;
    Ok(Command::Unload(id))
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

fn outcome_json(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Loaded(loaded) => loaded_json(loaded),
        Outcome::Unloaded { id, digest } => json!({
            "status": "component unloaded successfully", "id": id, "digest": digest,
        }),
    }
}

fn loaded_json(loaded: &Loaded) -> Json {
    let status = match loaded.change {
        Change::New => "component loaded successfully",
        Change::Unchanged => "component already loaded",
        Change::Replaced { .. } => "component reloaded successfully",
    };
    let mut json = json!({
        "status": status, "id": loaded.id, "digest": loaded.digest, "tools": loaded.tools,
    });
    if let (
        Change::Replaced {
            previous,
            added,
            removed,
            changed,
        },
        Some(fields),
    ) = (&loaded.change, json.as_object_mut())
    {
        fields.insert("previous_digest".to_owned(), json!(previous));
        fields.insert("added".to_owned(), json!(added));
        fields.insert("removed".to_owned(), json!(removed));
        fields.insert("changed".to_owned(), json!(changed));
    }
    json
}

fn components_json(catalog: &Catalog) -> Json {
    let components: Vec<Json> = catalog.components().map(component_json).collect();
    let total = components.len();
    json!({"components": components, "total": total})
}

fn component_json(component: &Component) -> Json {
    let tools: Vec<_> = component.tools.iter().map(|tool| &tool.tool.name).collect();
    let mut json = json!({
        "id": component.id,
        "digest": component.digest,
        "origin": origin(&component.origin),
        "state": "ready",
        "tools": tools,
        "tools_count": tools.len(),
    });
    if let (ComponentState::Unavailable(reason), Some(fields)) = (&component.state, json.as_object_mut()) {
        fields.insert("state".to_owned(), "unavailable".into());
        fields.insert("reason".to_owned(), reason.as_str().into());
    }
    json
}

/// Where a component came from, without the folders of this machine.
fn origin(origin: &str) -> &str {
    match origin.strip_prefix("file://") {
        Some(path) => path.rsplit(['/', '\\']).next().unwrap_or_default(),
        None => origin,
    }
}

#[cfg(test)]
mod tests;
