//! From one line of text to one message that the server answers.
//!
//! `rmcp` can read messages itself, by trying some twenty shapes one after the other; that costs more
//! than the rest of a call, and what fits no shape is answered with a wrong code or not at all. Here the
//! text is parsed once and the method decides the shape. Every line has exactly one outcome: a message, a
//! refusal that names what is wrong, or nothing to do. Methods this server does not offer pass as
//! [`CustomRequest`], which the server answers with "method not found".

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam,
    ClientJsonRpcMessage, ClientNotification, ClientRequest, CustomRequest, DiscoverRequest,
    DiscoverRequestParams, Extensions, InitializeRequest, InitializedNotification, JsonObject,
    ListToolsRequest, MetaObject, PaginatedRequestParams, PingRequest, RequestId, RequestMetaObject,
    SubscriptionsListenRequest,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value as Json;

/// The key of a request's `_meta` by which a request of 2026-07-28 is known.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

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
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
        if line.is_empty() {
            return Incoming::Nothing;
        }
        let outcome = match serde_json::from_slice(line) {
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
            // This server asks the client nothing, so that no answer can be for it.
            None if is_answer => return Ok(Incoming::Nothing),
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

/// Gives the parameters the shape that the method asks for.
fn shape(method: String, params: JsonObject, extensions: Extensions) -> Result<ClientRequest, ErrorData> {
    Ok(match method.as_str() {
        "tools/call" => {
            let mut request = CallToolRequest::new(call_params(&method, params)?);
            request.extensions = extensions;
            ClientRequest::CallToolRequest(request)
        }
        "tools/list" => {
            let mut request = ListToolsRequest::with_param(typed::<PaginatedRequestParams>(&method, params)?);
            request.extensions = extensions;
            ClientRequest::ListToolsRequest(request)
        }
        "ping" => ClientRequest::PingRequest(PingRequest {
            extensions,
            ..PingRequest::default()
        }),
        "initialize" => {
            let mut request = InitializeRequest::new(typed(&method, params)?);
            request.extensions = extensions;
            ClientRequest::InitializeRequest(request)
        }
        "server/discover" => {
            let mut request = DiscoverRequest::new(typed::<DiscoverRequestParams>(&method, params)?);
            request.extensions = extensions;
            ClientRequest::DiscoverRequest(request)
        }
        "subscriptions/listen" => {
            let mut request = SubscriptionsListenRequest::new(typed(&method, params)?);
            request.extensions = extensions;
            ClientRequest::SubscriptionsListenRequest(request)
        }
        _ => {
            let mut request = CustomRequest::new(method, None);
            request.extensions = extensions;
            ClientRequest::CustomRequest(request)
        }
    })
}

/// By hand rather than by `Deserialize`: the arguments are moved, not walked a second time.
fn call_params(method: &str, mut params: JsonObject) -> Result<CallToolRequestParams, ErrorData> {
    let Some(Json::String(name)) = params.remove("name") else {
        return Err(invalid_params(method, "`name` must be a string"));
    };
    let call = CallToolRequestParams::new(name);
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
