//! What components of the rich world say, in the library's types.
//!
//! Text passes unchanged: it is a string in JSON and cannot be more.

use rmcp::ErrorData;
use rmcp::model::{
    Annotations, AudioContent, CallToolResult, ClientCapabilities, CompletionInfo, ContentBlock,
    ElicitationCapability, EmbeddedResource, FormElicitationCapability, GetPromptResult, Icon, IconTheme,
    ImageContent, JsonObject, MetaObject, Prompt, PromptArgument, PromptMessage, ReadResourceResult,
    Resource, ResourceContents, ResourceTemplate, Role, RootsCapabilities, SamplingCapability, TextContent,
    Tool, UrlElicitationCapability,
};
use serde_json::{Value as Json, json};
use wassette_wit::{RichTool, rich};

/// What is no object was refused where the component was read, and is left out of a result.
fn meta(json: Option<rich::JsonText>) -> Option<MetaObject> {
    let mut object = json.and_then(|json| json.0.as_object().cloned())?;
    // SECURITY: these are the protocol's. A component does not speak as the server.
    object.retain(|key, _| !key.starts_with("io.modelcontextprotocol/"));
    Some(MetaObject::from(object))
}

fn annotations(annotations: Option<rich::Annotations>) -> Option<Annotations> {
    let rich::Annotations {
        audience,
        priority,
        last_modified,
    } = annotations?;
    let mut made = Annotations::default();
    if !audience.is_empty() {
        made = made.with_audience(audience.into_iter().map(role).collect());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a hint between 0 and 1")]
    let priority = priority.map(|priority| priority.clamp(0.0, 1.0) as f32);
    made.priority = priority;
    made.last_modified = last_modified;
    Some(made)
}

fn role(role: rich::Role) -> Role {
    match role {
        rich::Role::User => Role::User,
        rich::Role::Assistant => Role::Assistant,
    }
}

pub(crate) fn icons(icons: &[rich::Icon]) -> Option<Vec<Icon>> {
    let icon = |icon: &rich::Icon| {
        let mut made = Icon::new(icon.src.clone());
        made.mime_type.clone_from(&icon.mime_type);
        made.sizes = Some(icon.sizes.clone()).filter(|sizes| !sizes.is_empty());
        made.theme = icon.theme.map(|theme| match theme {
            rich::Theme::Light => IconTheme::Light,
            rich::Theme::Dark => IconTheme::Dark,
        });
        made
    };
    Some(icons.iter().map(icon).collect()).filter(|icons: &Vec<Icon>| !icons.is_empty())
}

fn contents(contents: rich::ResourceContents) -> ResourceContents {
    let rich::ResourceContents {
        uri,
        mime_type,
        body,
        meta: own,
    } = contents;
    let meta = meta(own);
    match body {
        rich::ResourceBody::Text(text) => ResourceContents::TextResourceContents {
            uri,
            mime_type,
            text,
            meta,
        },
        rich::ResourceBody::Blob(blob) => ResourceContents::BlobResourceContents {
            uri,
            mime_type,
            blob,
            meta,
        },
    }
}

fn block(content: rich::Content) -> ContentBlock {
    let rich::Content {
        body,
        annotations: hints,
        meta: own,
    } = content;
    let (hints, own) = (annotations(hints), meta(own));
    match body {
        rich::ContentBody::Text(text) => {
            let mut made = TextContent::new(text);
            (made.annotations, made.meta) = (hints, own);
            ContentBlock::Text(made)
        }
        rich::ContentBody::Image(media) => {
            let mut made = ImageContent::new(media.data, media.mime_type);
            (made.annotations, made.meta) = (hints, own);
            ContentBlock::Image(made)
        }
        rich::ContentBody::Audio(media) => {
            let mut made = AudioContent::new(media.data, media.mime_type);
            (made.annotations, made.meta) = (hints, own);
            ContentBlock::Audio(made)
        }
        rich::ContentBody::ResourceLink(link) => ContentBlock::ResourceLink(resource(link)),
        rich::ContentBody::EmbeddedResource(embedded) => {
            let mut made = EmbeddedResource::new(contents(embedded));
            (made.annotations, made.meta) = (hints, own);
            ContentBlock::Resource(made)
        }
    }
}

pub(crate) fn resource(info: rich::ResourceInfo) -> Resource {
    let mut made = Resource::new(info.uri, info.name);
    made.title = info.title;
    made.description = info.description;
    made.mime_type = info.mime_type;
    made.size = info.size.map(u64::from);
    made.icons = icons(&info.icons);
    made.annotations = annotations(info.annotations);
    made.meta = meta(info.meta);
    made
}

pub(crate) fn template(template: rich::ResourceTemplate) -> ResourceTemplate {
    let mut made = ResourceTemplate::new(template.uri_template, template.name);
    made.title = template.title;
    made.description = template.description;
    made.mime_type = template.mime_type;
    made.icons = icons(&template.icons);
    made.annotations = annotations(template.annotations);
    made.meta = meta(template.meta);
    made
}

pub(crate) fn prompt(prompt: rich::Prompt) -> Prompt {
    let argument = |argument: rich::PromptArgument| {
        let mut made = PromptArgument::new(argument.name).with_required(argument.required);
        made.title = argument.title;
        made.description = argument.description;
        made
    };
    let arguments: Vec<_> = prompt.arguments.into_iter().map(argument).collect();
    let mut made = Prompt::new(prompt.name, prompt.description, Some(arguments));
    made.title = prompt.title;
    made.icons = icons(&prompt.icons);
    made.meta = meta(prompt.meta);
    made
}

/// A listed tool with what its component says of it beyond what every tool has.
pub(crate) fn rich_tool(mut listed: Tool, rich: &RichTool) -> Tool {
    listed.title.clone_from(&rich.title);
    listed.icons = icons(&rich.icons);
    listed.meta = meta(rich.meta.clone());
    listed
}

pub(crate) fn tool_result(result: rich::ToolResult) -> CallToolResult {
    let content = result.content.into_iter().map(block).collect();
    let mut made = if result.is_error {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    // Clients of before 2026-07-28 take an object alone.
    made.structured_content = result.structured.map(|json| json.0).filter(Json::is_object);
    made.meta = meta(result.meta);
    made
}

/// The result of a tool in the rich world as clients get it.
#[must_use]
pub fn tool_result_json(result: rich::ToolResult) -> Json {
    let mut made = tool_result(result);
    // It tells apart what can come in its place, and here nothing can.
    made.result_type = None;
    serde_json::to_value(made).unwrap_or_default()
}

pub(crate) fn prompt_result(result: rich::PromptResult) -> GetPromptResult {
    let message = |message: rich::Message| PromptMessage::new(role(message.role), block(message.content));
    let mut made = GetPromptResult::new(result.messages.into_iter().map(message).collect());
    made.description = result.description;
    made.meta = meta(result.meta);
    made
}

pub(crate) fn read_result(read: Vec<rich::ResourceContents>) -> ReadResourceResult {
    ReadResourceResult::new(read.into_iter().map(contents).collect())
}

pub(crate) fn completion(completions: rich::Completions) -> CompletionInfo {
    let rich::Completions {
        mut values,
        total,
        has_more,
    } = completions;
    let is_cut = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(values, total, has_more || is_cut).unwrap_or_default()
}

/// A component's error as one of the protocol.
pub(crate) fn failure(failure: rich::Failure) -> ErrorData {
    match failure {
        rich::Failure::Invalid(text) | rich::Failure::NotFound(text) => ErrorData::invalid_params(text, None),
        rich::Failure::MissingCapability(missing) => missing_capabilities(&missing),
        rich::Failure::Internal(text) => ErrorData::internal_error(text, None),
    }
}

/// A resource that is not there.
pub(crate) fn no_resource(uri: &str, text: String) -> ErrorData {
    ErrorData::resource_not_found(text, Some(json!({ "uri": uri })))
}

pub(crate) fn missing_capabilities(missing: &[rich::Capability]) -> ErrorData {
    let mut capabilities = ClientCapabilities::default();
    for capability in missing {
        match capability {
            rich::Capability::ElicitationForm => {
                let elicitation = capabilities.elicitation.take().unwrap_or_default();
                capabilities.elicitation = Some(elicitation.with_form(FormElicitationCapability::default()));
            }
            rich::Capability::ElicitationUrl => {
                let elicitation = capabilities.elicitation.take().unwrap_or_default();
                capabilities.elicitation = Some(elicitation.with_url(UrlElicitationCapability::default()));
            }
            rich::Capability::Sampling => capabilities.sampling = Some(SamplingCapability::default()),
            rich::Capability::Roots => capabilities.roots = Some(RootsCapabilities::default()),
            rich::Capability::Tasks => {
                let extensions = capabilities.extensions.get_or_insert_default();
                extensions.insert(rmcp::model::TASKS_EXTENSION_ID.to_owned(), JsonObject::new());
            }
        }
    }
    ErrorData::missing_required_client_capability(capabilities)
}

/// What a client says it can.
pub(crate) fn capabilities(client: &ClientCapabilities) -> Vec<rich::Capability> {
    let elicitation = client.elicitation.as_ref();
    // Before there were two kinds, an empty object meant forms.
    let forms = |it: &ElicitationCapability| it.form.is_some() || it.url.is_none();
    [
        (rich::Capability::ElicitationForm, elicitation.is_some_and(forms)),
        (
            rich::Capability::ElicitationUrl,
            elicitation.is_some_and(|it| it.url.is_some()),
        ),
        (rich::Capability::Sampling, client.sampling.is_some()),
        (rich::Capability::Roots, client.roots.is_some()),
        (rich::Capability::Tasks, client.supports_tasks()),
    ]
    .into_iter()
    .filter(|(_, is_there)| *is_there)
    .map(|(capability, _)| capability)
    .collect()
}

/// Arguments of a prompt: the protocol has texts alone.
pub(crate) fn prompt_arguments(arguments: Option<JsonObject>) -> Result<Vec<(String, String)>, ErrorData> {
    let texts = arguments.into_iter().flatten().map(|(name, value)| {
        if let Json::String(text) = value {
            Ok((name, text))
        } else {
            let text = format!("invalid arguments: `{name}` is no text");
            Err(ErrorData::invalid_params(text, None))
        }
    });
    texts.collect()
}
