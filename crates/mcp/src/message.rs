//! From one line of text to one message that the server answers.
//!
//! `rmcp` can read messages itself, by trying some twenty shapes one after the other; that costs more
//! than the rest of a call, and what fits no shape is answered with a wrong code or not at all. Here the
//! text is parsed once and the method decides the shape. Every line has exactly one outcome: a message, a
//! refusal that names what is wrong, or nothing to do. Methods this server does not offer pass as
//! [`CustomRequest`], which the server answers with "method not found".
#![expect(
    deprecated,
    reason = "clients of all revisions have what the newest means to do without"
)]

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelTaskRequest, CancelledNotification,
    CancelledNotificationParam, ClientJsonRpcMessage, ClientNotification, ClientRequest, CompleteRequest,
    CustomRequest, DiscoverRequest, Extensions, GetExtensions, GetPromptRequest, GetTaskRequest,
    InitializeRequest, InitializedNotification, InputResponses, JsonObject, ListPromptsRequest,
    ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest, MetaObject, PingRequest,
    ProtocolVersion, ReadResourceRequest, RequestId, RequestMetaObject, SetLevelRequest, SubscribeRequest,
    SubscriptionsListenRequest, UnsubscribeRequest, UpdateTaskRequest,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value as Json;

use crate::unique::Unique;

/// The key of a request's `_meta` by which a request of 2026-07-28 is known.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What may stand before a text, and says nothing.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Methods that 2026-07-28 does not have any more.
const REMOVED: [&str; 5] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
];

/// What one line of input asks of the server.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, and messages are the common case"
)]
pub(crate) enum Incoming {
    /// To be handled.
    Message(ClientJsonRpcMessage),
    /// Well-formed and of no interest: an empty line, a notification or an answer nobody waits for.
    Nothing,
    /// To be answered at once with an error.
    Refused(Refusal),
}

/// An error answer to a line that is not handed on.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The request's id, where the line had one that could be read.
    pub(crate) id: Option<RequestId>,
    /// What is wrong.
    pub(crate) error: Box<ErrorData>,
}

impl Refusal {
    /// A line that is no request: there is nobody to answer by id.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self {
            id: None,
            error: Box::new(ErrorData::invalid_request(message.into(), None)),
        }
    }
}

/// Reads lines in order, and remembers whether the connection was opened with `initialize`.
///
/// A request of 2026-07-28 says its version itself; an older one does not and is only understood after
/// `initialize`. Both may come on one connection, because clients probe with the one and go on with the
/// other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    is_initialized: bool,
}

impl Reader {
    /// For messages that come one by one, whose headers say what they belong to.
    pub(crate) fn of_http() -> Self {
        Self { is_initialized: true }
    }

    /// Reads one line, without its line feed.
    pub(crate) fn read(&mut self, line: &[u8]) -> Incoming {
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii();
        if line.is_empty() {
            return Incoming::Nothing;
        }
        let outcome = match serde_json::from_slice(line).map(|Unique(json)| json) {
            Ok(Json::Object(fields)) => self.object(fields),
            Ok(Json::Array(_)) => Err(Refusal::invalid_request(
                "batches are not supported: send one message per line",
            )),
            Ok(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
                Err(Refusal::invalid_request("a message must be a JSON object"))
            }
            Err(error) => Err(unreadable(line, &error)),
        };
        outcome.unwrap_or_else(Incoming::Refused)
    }

    fn object(&mut self, mut fields: JsonObject) -> Result<Incoming, Refusal> {
        let id = fields.remove("id");
        let is_answer = fields.contains_key("result") || fields.contains_key("error");
        let method = match fields.remove("method") {
            None if is_answer => return Ok(answer(id, fields)),
            Some(Json::String(method)) if !is_answer => Ok(method),
            Some(_) | None => Err("a message needs a `method`, or an `id` with a `result` or an `error`"),
        };
        let version = fields.remove("jsonrpc");
        let Some(id) = id else {
            let method = method.map_err(Refusal::invalid_request)?;
            return Ok(notification(&method, fields.remove("params")));
        };
        let id = request_id(id)?;
        let refused = |error| Refusal {
            id: Some(id.clone()),
            error: Box::new(error),
        };
        let method = method.map_err(|text| refused(ErrorData::invalid_request(text, None)))?;
        if version != Some(Json::String("2.0".to_owned())) {
            return Err(refused(ErrorData::invalid_request(
                "`jsonrpc` must be \"2.0\"",
                None,
            )));
        }
        let request = self.request(method, fields.remove("params")).map_err(refused)?;
        Ok(Incoming::Message(ClientJsonRpcMessage::request(request, id)))
    }

    fn request(&mut self, method: String, params: Option<Json>) -> Result<ClientRequest, ErrorData> {
        let mut params = match params {
            None | Some(Json::Null) => JsonObject::new(),
            Some(Json::Object(params)) => params,
            Some(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                return Err(invalid_params(&method, "an object is needed"));
            }
        };
        let meta = match params.remove("_meta") {
            None | Some(Json::Null) => JsonObject::new(),
            Some(Json::Object(meta)) => meta,
            Some(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                return Err(invalid_params(&method, "`_meta` must be an object"));
            }
        };
        self.admit(&method, &meta)?;
        if is_modern(&meta) && REMOVED.contains(&method.as_str()) {
            return Ok(ClientRequest::CustomRequest(CustomRequest::new(method, None)));
        }
        let mut extensions = Extensions::new();
        extensions.insert(RequestMetaObject(MetaObject(meta)));
        let request = shape(method, params, extensions)?;
        self.is_initialized |= matches!(request, ClientRequest::InitializeRequest(_));
        Ok(request)
    }

    /// Refuses a request that comes before either era's way to name the protocol version.
    fn admit(&self, method: &str, meta: &JsonObject) -> Result<(), ErrorData> {
        let needs_version = !matches!(method, "initialize" | "ping" | "server/discover");
        if needs_version && !self.is_initialized && !meta.contains_key(PROTOCOL_VERSION) {
            let problem = "name the protocol version and the client's capabilities in `_meta`, \
                           or send `initialize` first";
            return Err(invalid_params(method, problem));
        }
        Ok(())
    }
}

/// Whether a request names the stateless version.
fn is_modern(meta: &JsonObject) -> bool {
    let version = meta.get(PROTOCOL_VERSION).and_then(Json::as_str);
    version.is_some_and(is_stateless)
}

/// Whether a version has neither a handshake nor sessions. Versions are dates.
pub(crate) fn is_stateless(version: &str) -> bool {
    version >= ProtocolVersion::V_2026_07_28.as_str()
}

/// Gives the parameters the shape that the method asks for.
fn shape(method: String, params: JsonObject, extensions: Extensions) -> Result<ClientRequest, ErrorData> {
    let request = match method.as_str() {
        "tools/call" => {
            let mut request = CallToolRequest::new(call_params(&method, params)?);
            request.extensions = extensions;
            return Ok(ClientRequest::CallToolRequest(request));
        }
        "ping" => ClientRequest::PingRequest(PingRequest::default()),
        "initialize" => ClientRequest::InitializeRequest(InitializeRequest::new(typed(&method, params)?)),
        "server/discover" => ClientRequest::DiscoverRequest(DiscoverRequest::new(typed(&method, params)?)),
        "tools/list" => {
            ClientRequest::ListToolsRequest(ListToolsRequest::with_param(typed(&method, params)?))
        }
        "logging/setLevel" => ClientRequest::SetLevelRequest(SetLevelRequest::new(typed(&method, params)?)),
        _ => return shape_of_rich(method, params, extensions),
    };
    Ok(with_extensions(request, extensions))
}

/// The same for what only components of the rich world have, and for what nobody has.
fn shape_of_rich(
    method: String,
    params: JsonObject,
    extensions: Extensions,
) -> Result<ClientRequest, ErrorData> {
    let request = match method.as_str() {
        "subscriptions/listen" => ClientRequest::SubscriptionsListenRequest(SubscriptionsListenRequest::new(
            typed(&method, params)?,
        )),
        "prompts/list" => {
            ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(typed(&method, params)?))
        }
        "prompts/get" => ClientRequest::GetPromptRequest(GetPromptRequest::new(typed(&method, params)?)),
        "resources/list" => {
            ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(typed(&method, params)?))
        }
        "resources/templates/list" => ClientRequest::ListResourceTemplatesRequest(
            ListResourceTemplatesRequest::with_param(typed(&method, params)?),
        ),
        "resources/read" => {
            ClientRequest::ReadResourceRequest(ReadResourceRequest::new(typed(&method, params)?))
        }
        "resources/subscribe" => {
            ClientRequest::SubscribeRequest(SubscribeRequest::new(typed(&method, params)?))
        }
        "resources/unsubscribe" => {
            ClientRequest::UnsubscribeRequest(UnsubscribeRequest::new(typed(&method, params)?))
        }
        "completion/complete" => {
            ClientRequest::CompleteRequest(CompleteRequest::new(typed(&method, params)?))
        }
        "tasks/get" => ClientRequest::GetTaskRequest(GetTaskRequest::new(typed(&method, params)?)),
        "tasks/update" => ClientRequest::UpdateTaskRequest(UpdateTaskRequest::new(typed(&method, params)?)),
        "tasks/cancel" => ClientRequest::CancelTaskRequest(CancelTaskRequest::new(typed(&method, params)?)),
        _ => ClientRequest::CustomRequest(CustomRequest::new(method, None)),
    };
    Ok(with_extensions(request, extensions))
}

fn with_extensions(mut request: ClientRequest, extensions: Extensions) -> ClientRequest {
    *request.extensions_mut() = extensions;
    request
}

/// By hand rather than by `Deserialize`: the arguments are moved, not walked a second time.
fn call_params(method: &str, mut params: JsonObject) -> Result<CallToolRequestParams, ErrorData> {
    let Some(Json::String(name)) = params.remove("name") else {
        return Err(invalid_params(method, "`name` must be a string"));
    };
    let mut call = CallToolRequestParams::new(name);
    if let Some(responses) = params.remove("inputResponses").filter(|json| !json.is_null()) {
        let responses = InputResponses::deserialize(responses);
        let problem = "`inputResponses` must be an object";
        call.input_responses = Some(responses.map_err(|_| invalid_params(method, problem))?);
    }
    match params.remove("requestState") {
        None | Some(Json::Null) => {}
        Some(Json::String(state)) => call.request_state = Some(state),
        Some(Json::Bool(_) | Json::Number(_) | Json::Object(_) | Json::Array(_)) => {
            return Err(invalid_params(method, "`requestState` must be a string"));
        }
    }
    match params.remove("arguments") {
        // Clients in languages where an empty map is null send null.
        None | Some(Json::Null) => Ok(call),
        Some(Json::Object(arguments)) => Ok(call.with_arguments(arguments)),
        Some(Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
            Err(invalid_params(method, "`arguments` must be an object"))
        }
    }
}

fn typed<T: DeserializeOwned>(method: &str, params: JsonObject) -> Result<T, ErrorData> {
    T::deserialize(Json::Object(params)).map_err(|error| invalid_params(method, &error.to_string()))
}

/// An answer to a question of a component. What does not fit any is nobody's.
fn answer(id: Option<Json>, mut fields: JsonObject) -> Incoming {
    fields.extend(id.map(|id| ("id".to_owned(), id)));
    match ClientJsonRpcMessage::deserialize(Json::Object(fields)) {
        Ok(message @ (ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_))) => {
            Incoming::Message(message)
        }
        Ok(ClientJsonRpcMessage::Request(_) | ClientJsonRpcMessage::Notification(_)) | Err(_) => {
            Incoming::Nothing
        }
    }
}

fn notification(method: &str, params: Option<Json>) -> Incoming {
    let notification = match method {
        "notifications/initialized" => {
            ClientNotification::InitializedNotification(InitializedNotification::default())
        }
        "notifications/cancelled" => {
            let id = params
                .as_ref()
                .and_then(|params| params.get("requestId"))
                .cloned();
            let Some(Ok(id)) = id.map(request_id) else {
                return Incoming::Nothing;
            };
            // The reason is text for people; nothing here shows it to one.
            let params = CancelledNotificationParam::new(Some(id), None);
            ClientNotification::CancelledNotification(CancelledNotification::new(params))
        }
        _ => return Incoming::Nothing,
    };
    Incoming::Message(ClientJsonRpcMessage::notification(notification))
}

fn request_id(id: Json) -> Result<RequestId, Refusal> {
    match id {
        Json::String(text) => Ok(RequestId::String(text.into())),
        Json::Number(number) => number.as_i64().map(RequestId::Number).ok_or(()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => Err(()),
    }
    .map_err(|()| Refusal::invalid_request("`id` must be a string or an integer of 64 bits"))
}

fn invalid_params(method: &str, problem: &str) -> ErrorData {
    ErrorData::invalid_params(format!("invalid params of `{method}`: {problem}"), None)
}

/// Finds whom to answer when a line cannot be parsed.
///
/// Skipping over values has neither the depth limit nor the text checks of parsing them, so that a
/// request whose arguments are too deep still gets its answer under its own id.
fn unreadable(line: &[u8], error: &serde_json::Error) -> Refusal {
    #[derive(Deserialize)]
    struct Skimmed {
        id: Option<Json>,
        method: Option<IgnoredAny>,
    }
    let skimmed = serde_json::from_slice::<Skimmed>(line).ok();
    let is_request = skimmed.as_ref().is_some_and(|skimmed| skimmed.method.is_some());
    let id = skimmed
        .and_then(|skimmed| skimmed.id)
        .and_then(|id| request_id(id).ok());
    let text = format!("unreadable message: {error}");
    // It is JSON, and none that may be sent.
    if error.is_data() {
        return Refusal {
            id: id.filter(|_| is_request),
            error: Box::new(ErrorData::invalid_request(text, None)),
        };
    }
    if is_request && id.is_some() {
        return Refusal {
            id,
            error: Box::new(ErrorData::invalid_params(text, None)),
        };
    }
    Refusal {
        id: None,
        error: Box::new(ErrorData::parse_error(text, None)),
    }
}

#[cfg(test)]
mod tests;
