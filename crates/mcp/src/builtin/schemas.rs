//! What the server's own tools take and answer, as JSON Schema within what every client accepts.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value as Json, json};
use wassette_host::GrantKind;

use super::Builtin;
use super::wanted::TYPES;

impl Builtin {
    pub(super) fn input_schema(self) -> Arc<JsonObject> {
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
            Self::RequestPermission => (wanted(), json!(["component_id", "permission_type", "value"])),
            Self::RevokePermission => (revoked(), json!(["component_id", "permission_type", "value"])),
            Self::SearchTools => (
                json!({"query": {
                    "type": "string",
                    "description": "What the tool should do, in a few words; without them, everything is listed.",
                }}),
                json!([]),
            ),
            Self::InvokeTool => (
                json!({
                    "name": {"type": "string", "description": "The tool's name, as search-tools gives it."},
                    "arguments": {
                        "type": "object",
                        "properties": {},
                        "additionalProperties": true,
                        "description": "The tool's arguments, as its input_schema says.",
                    },
                }),
                json!(["name"]),
            ),
        };
        object_schema(properties, required)
    }

    pub(super) fn output_schema(self) -> Option<Arc<JsonObject>> {
        let names = json!({"type": "array", "items": {"type": "string"}});
        let text = json!({"type": "string"});
        let schema = match self {
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
            Self::RequestPermission => requested(),
            Self::RevokePermission | Self::ResetPermission => object_schema(
                json!({"status": text, "component_id": text, "message": text}),
                json!(["status", "component_id", "message"]),
            ),
            // What they answer holds the schemas and the results of others.
            Self::SearchTools | Self::InvokeTool => return None,
        };
        Some(schema)
    }
}

fn component_id() -> Json {
    json!({"type": "string", "description": "The component's id, as list-components gives it."})
}

fn wanted() -> Json {
    json!({
        "component_id": component_id(),
        "permission_type": {
            "type": "string",
            "enum": TYPES,
            "description": "What sort of permission it is.",
        },
        "value": {
            "type": "string",
            "description": "What is asked for. storage: fs:// and the absolute path of a folder or file, such as \
                fs:///home/me/notes. network: a host (https unless it begins with http://), or a range of addresses such as \
                10.0.0.0/8. environment-variable and secret: the name. memory: such as 64Mi. cpu: such as 2s.",
        },
        "access": {
            "type": "array",
            "items": {"type": "string", "enum": ["read", "write"]},
            "description": "Only for storage; reading unless more is said.",
        },
        "host": {
            "type": "string",
            "description": "Only for a secret, and needed then: the host to which it is sent, in a header that the component \
                does not see.",
        },
        "reason": {
            "type": "string",
            "description": "What it is for, in one sentence that the person reads.",
        },
    })
}

fn requested() -> Arc<JsonObject> {
    let names = json!({"type": "array", "items": {"type": "string"}});
    let text = json!({"type": "string"});
    object_schema(
        json!({
            "status": text, "component_id": text, "request": {"type": "integer"}, "rules": names, "message": text,
        }),
        json!(["status", "component_id", "rules", "message"]),
    )
}

fn revoked() -> Json {
    json!({
        "component_id": component_id(),
        "permission_type": {
            "type": "string",
            "enum": GrantKind::ALL.map(GrantKind::name),
            "description": "What sort of permission it is.",
        },
        "value": {
            "type": "string",
            "description": "What is taken back, as get-policy shows it: the `uri` of a storage rule (fs:///path), the \
                `host` or `cidr` of a network rule, the name of an environment variable or of a secret.",
        },
    })
}

fn object_schema(properties: Json, required: Json) -> Arc<JsonObject> {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), required);
    schema.insert("additionalProperties".to_owned(), false.into());
    Arc::new(schema)
}
