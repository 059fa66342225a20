//! The core's answers in the shapes of the protocol.
//!
//! What clients do with a result differs: some show the model only the text, some only the structured
//! content, some drop all text as soon as there is structured content. So success says the same in both,
//! and failure is text alone. Text of a guest passes unchanged; it is a string in JSON and cannot be more.

use std::sync::Arc;

use crate::rich;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use serde_json::Value as Json;
use wassette_host::{AccessKind, Annotations, CallResult, CatalogTool, Decision, ErrorKind, HostError};

/// Denied accesses that are listed in a failed result.
const DENIALS_MAX: usize = 8;

/// Longest text of one denied access, in bytes; it holds paths and addresses that the guest chose.
const DENIAL_BYTES_MAX: usize = 200;

/// A tool of a component as `tools/list` shows it.
pub(crate) fn tool(tool: &CatalogTool) -> Tool {
    let contract = &tool.tool;
    let listed = Tool::new(
        contract.name.to_string(),
        contract.description.clone(),
        schema(&contract.input_schema),
    )
    .with_annotations(annotations(tool.annotations));
    let listed = match &contract.output_schema {
        Some(output) => listed.with_raw_output_schema(schema(output)),
        None => listed,
    };
    match &contract.rich {
        Some(said) => rich::rich_tool(listed, said),
        None => listed,
    }
}

/// Every schema of a tool is an object; anything else would be a bug upstream and constrains nothing here.
fn schema(schema: &Json) -> Arc<JsonObject> {
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

fn annotations(annotations: Annotations) -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(annotations.read_only)
        .destructive(annotations.destructive)
        .idempotent(annotations.idempotent)
        .open_world(annotations.open_world)
}

/// The outcome of a call that was made.
pub(crate) fn call_result(result: CallResult, accesses: &[Decision]) -> CallToolResult {
    match result {
        CallResult::Done => CallToolResult::success(vec![ContentBlock::text("done")]),
        CallResult::Value(value) => {
            let mut object = JsonObject::with_capacity(1);
            object.insert("result".to_owned(), value);
            CallToolResult::structured(Json::Object(object))
        }
        // Who calls a component of the rich world looks at what it gives before; here is what nobody asked for.
        CallResult::Answer(_) | CallResult::Refused(_) => {
            failure("the component needs a client that can be asked; call its tool by its own name")
        }
        CallResult::Failed(failure) => {
            let denials = denials(accesses);
            let texts = std::iter::once(failure.message).chain(denials);
            CallToolResult::error(texts.map(ContentBlock::text).collect())
        }
    }
}

/// What the component was refused, behind what it says itself.
pub(crate) fn denials_block(accesses: &[Decision]) -> Option<ContentBlock> {
    denials(accesses).map(ContentBlock::text)
}

/// What the component was refused, for an agent that would otherwise guess why the call failed.
///
/// The list of environment variables is left out: the runtimes of Go and Python read it at every start, that of
/// Rust at every panic, and a model would blame the sandbox for what has other causes. The operator sees it.
///
/// SECURITY: names what was refused and who decides, and nothing that an agent could call to change it.
fn denials(accesses: &[Decision]) -> Option<String> {
    let is_told = |decision: &&Decision| !decision.allowed && decision.kind != AccessKind::Environment;
    let denied: Vec<_> = accesses.iter().filter(is_told).collect();
    if denied.is_empty() {
        return None;
    }
    let mut text = "The sandbox denied what the tool tried to do:".to_owned();
    for decision in denied.iter().take(DENIALS_MAX) {
        text.push_str("\n- ");
        text.push_str(&wassette_wit::sanitize(&decision.access, DENIAL_BYTES_MAX));
    }
    if let Some(more @ 1..) = denied.len().checked_sub(DENIALS_MAX) {
        text.push_str(&format!("\n- and {more} more"));
    }
    text.push_str("\nOnly the person who operates this server can allow it; ask them.");
    Some(text)
}

/// A call that was not made. What the agent can mend is a result that it reads, the rest a protocol error.
pub(crate) fn call_refused(error: &HostError) -> Result<CallToolResult, ErrorData> {
    match error.kind() {
        ErrorKind::NotFound => Err(ErrorData::invalid_params(error.agent_text(), None)),
        ErrorKind::Internal => Err(internal(error)),
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Unavailable => Ok(failure(error.agent_text())),
    }
}

/// A command that failed; unlike with a call, what was not found was an argument.
pub(crate) fn command_refused(error: &HostError) -> Result<CallToolResult, ErrorData> {
    match error.kind() {
        ErrorKind::Internal => Err(internal(error)),
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Unavailable => {
            Ok(failure(error.agent_text()))
        }
    }
}

/// A result that tells the agent what went wrong.
pub(crate) fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn internal(error: &HostError) -> ErrorData {
    ErrorData::internal_error(error.agent_text(), None)
}

#[cfg(test)]
mod tests;
