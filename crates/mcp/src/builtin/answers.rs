//! What the server's own tools answer, as JSON.

use serde_json::{Value as Json, json};
use wassette_host::{Catalog, CatalogTool, Change, Component, Loaded, Outcome, PolicyChange, PolicyChanged};

/// What came of a command.
pub(super) fn outcome_json(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Loaded(loaded) => loaded_json(loaded),
        Outcome::Unloaded { id, digest } => json!({
            "status": "component unloaded successfully", "id": id, "digest": digest,
        }),
        Outcome::Policy(changed) => changed_json(changed),
        // No built-in tool asks for these.
        Outcome::SecretSet { id, .. }
        | Outcome::SecretDeleted { id, .. }
        | Outcome::PresentedAll { id, .. }
        | Outcome::AlreadyGranted { id, .. }
        | Outcome::Approved { id, .. } => {
            json!({"component_id": id})
        }
        Outcome::Asked(asked) | Outcome::Denied(asked) => json!({"component_id": asked.component_id}),
        Outcome::Presented(presented) => json!({"name": presented.name}),
        Outcome::Published { reference, .. } => json!({"reference": reference}),
        Outcome::Revocation { subject, .. } => json!({"subject": subject}),
    }
}

fn changed_json(changed: &PolicyChanged) -> Json {
    let status = match changed.change {
        PolicyChange::Granted => "permission granted successfully",
        PolicyChange::Revoked => "permission revoked successfully",
        PolicyChange::Reset => "permissions reset successfully",
        PolicyChange::Attached => "policy attached successfully",
    };
    let message = if changed.is_changed {
        "it counts from now on, also for calls that run"
    } else {
        "there was nothing to take back"
    };
    json!({"status": status, "component_id": changed.id, "message": message})
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
    if let (Change::Replaced { previous, difference }, Some(fields)) = (&loaded.change, json.as_object_mut())
    {
        fields.insert("previous_digest".to_owned(), json!(previous));
        fields.insert("added".to_owned(), json!(difference.added));
        fields.insert("removed".to_owned(), json!(difference.removed));
        fields.insert("changed".to_owned(), json!(difference.changed));
    }
    if let (false, Some(fields)) = (loaded.requested.is_empty(), json.as_object_mut()) {
        fields.insert("requested".to_owned(), json!(loaded.requested));
    }
    json
}

/// Tools that are told at most, and the bytes of their schemas: the model pays for them.
const TOOLS_MAX: usize = 10;
const TOOL_BYTES_MAX: usize = 32 << 10;

/// The first of these tools, and how many there are.
pub(super) fn tools_json(tools: &[&CatalogTool]) -> Json {
    let mut bytes = 0;
    let mut told = Vec::new();
    for tool in tools.iter().take(TOOLS_MAX).map(|found| &found.tool) {
        bytes += tool.description.len() + tool.input_schema.to_string().len();
        if bytes > TOOL_BYTES_MAX && !told.is_empty() {
            break;
        }
        told.push(json!({
            "name": tool.name, "description": tool.description, "input_schema": tool.input_schema,
        }));
    }
    json!({"count": told.len(), "total": tools.len(), "tools": told})
}

/// All components.
pub(super) fn components_json(catalog: &Catalog) -> Json {
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
        "state": component.state.word(),
        "tools": tools,
        "tools_count": tools.len(),
    });
    if let (Some(fault), Some(fields)) = (component.state.fault(), json.as_object_mut()) {
        fields.insert("reason".to_owned(), fault.told.as_str().into());
    }
    json
}

/// Where a component came from, without the folders of this machine, and without the query of a URL, which may be a
/// secret.
pub(super) fn origin(origin: &str) -> &str {
    if origin.starts_with("https://") {
        return origin.split('?').next().unwrap_or_default();
    }
    match origin.strip_prefix("file://") {
        Some(path) => path.rsplit(['/', '\\']).next().unwrap_or_default(),
        None => origin,
    }
}
