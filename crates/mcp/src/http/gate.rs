//! What a request to the endpoint must be before the protocol's library sees it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode, request};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rmcp::ErrorData;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorCode, JsonRpcRequest, RequestId};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Endpoint;
use super::access::{Access, Denied, Principal, Scope};
use super::accounts::{AccountLimits, Accounts, Admitted, Place, Refused};
use super::origin::{self, Names};
use super::sessions::Sessions;
use crate::builtin::Builtin;
use crate::message::{Incoming, Reader, Refusal as Unreadable};
use crate::shared::unpanicked;

/// The header that names a session.
const SESSION: &str = "mcp-session-id";

/// Bytes of bodies that are kept at a time: 64 of the largest.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Outside of what JSON-RPC and MCP reserve: asked too much.
const BUSY: ErrorCode = ErrorCode(-31_029);

/// What every request is measured by.
#[derive(Debug)]
pub(crate) struct Gate {
    names: Names,
    access: Access,
    accounts: Accounts,
    sessions: Arc<Sessions>,
    body_bytes_max: usize,
    /// Bytes of bodies that are kept at a time, of all clients.
    bodies: Arc<Semaphore>,
    /// Held while a session is made, so that their number is exact.
    making: tokio::sync::Mutex<()>,
}

/// An answer in place of the one that was asked for.
pub(super) type Refusal = Box<Response>;

/// What one request wants, as far as the gate looks.
enum Wish {
    /// To be answered.
    Request(Box<JsonRpcRequest<ClientRequest>>),
    /// A notification, or an answer.
    Told,
}

impl Gate {
    pub(super) fn new(
        names: Names,
        access: Access,
        limits: AccountLimits,
        (sessions, body_bytes_max): (Arc<Sessions>, usize),
    ) -> Self {
        Self {
            names,
            access,
            accounts: Accounts::new(limits),
            sessions,
            body_bytes_max,
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            making: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Room for a body, as large as it says, or as it can be.
    fn keep(&self, body: &Body) -> Result<OwnedSemaphorePermit, Refusal> {
        let size = body
            .size_hint()
            .upper()
            .and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = size.unwrap_or(self.body_bytes_max).min(self.body_bytes_max);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let kept = Arc::clone(&self.bodies).try_acquire_many_owned(permits);
        kept.map_err(|_| unavailable("too much is being sent at a time", None))
    }

    /// Whether the names in a request are allowed; the refusal if not.
    pub(super) fn named(&self, parts: &request::Parts) -> Result<(), Refusal> {
        self.names.check(&parts.uri, &parts.headers).map_err(|reason| {
            refused(
                StatusCode::FORBIDDEN,
                None,
                &ErrorData::invalid_request(reason, None),
            )
        })
    }

    /// Who sent a request; the refusal if nobody who may.
    pub(super) async fn principal(&self, parts: &request::Parts) -> Result<Principal, Refusal> {
        let denied = match self.access.principal(&parts.headers).await {
            Ok(principal) => return Ok(principal),
            Err(denied) => denied,
        };
        let (status, reason) = match denied {
            Denied::Missing => (StatusCode::UNAUTHORIZED, "a bearer token is needed"),
            Denied::Invalid(reason) => (StatusCode::UNAUTHORIZED, reason),
            Denied::Unknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the authorization server's keys cannot be had now",
            ),
        };
        let mut response = refused(status, None, &ErrorData::invalid_request(reason, None));
        if status == StatusCode::UNAUTHORIZED {
            let error = (denied != Denied::Missing).then_some("invalid_token");
            self.challenge(&mut response, error, &[Scope::CallTools]);
        }
        Err(response)
    }

    /// How to authenticate (RFC 6750, RFC 9728).
    fn challenge(&self, response: &mut Response, error: Option<&str>, scopes: &[Scope]) {
        let mut parts = Vec::new();
        if let Some(error) = error {
            parts.push(format!("error=\"{error}\""));
        }
        if let Some(issuer) = self.access.issuer() {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
            parts.push(format!("scope=\"{}\"", scopes.join(" ")));
            parts.push(format!("resource_metadata=\"{}\"", issuer.metadata_url()));
        }
        let challenge = format!("Bearer {}", parts.join(", "));
        if let Ok(value) = HeaderValue::from_str(challenge.trim_end()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
    }

    /// Refuses what the principal's token does not allow.
    fn permit(&self, principal: &Principal, id: &RequestId, request: &ClientRequest) -> Result<(), Refusal> {
        let Some(scope) = needed(request).filter(|scope| !principal.may(*scope)) else {
            return Ok(());
        };
        let reason = format!("the token lacks the scope `{}`", scope.name());
        let mut response = refused(
            StatusCode::FORBIDDEN,
            Some(id),
            &ErrorData::invalid_request(reason, None),
        );
        self.challenge(&mut response, Some("insufficient_scope"), &[scope]);
        Err(response)
    }
}

/// What a request's sender must be allowed to do.
fn needed(request: &ClientRequest) -> Option<Scope> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what acts on nothing needs nothing"
    )]
    match request {
        ClientRequest::CallToolRequest(call) => Some(match Builtin::find(&call.params.name) {
            Some(builtin) if builtin.is_change() => Scope::ManageComponents,
            Some(_) | None => Scope::CallTools,
        }),
        // Each of them runs a component, or goes on with a call.
        ClientRequest::GetPromptRequest(_)
        | ClientRequest::ReadResourceRequest(_)
        | ClientRequest::CompleteRequest(_)
        | ClientRequest::GetTaskRequest(_)
        | ClientRequest::UpdateTaskRequest(_)
        | ClientRequest::CancelTaskRequest(_) => Some(Scope::CallTools),
        _ => None,
    }
}

/// Answers one request to the endpoint.
pub(super) async fn answer(endpoint: &Endpoint, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match endpoint.gate.named(&parts) {
        Err(refusal) => *refusal,
        Ok(()) => {
            let page = parts.headers.get(ORIGIN).cloned();
            let mut response = if parts.method == Method::OPTIONS {
                origin::preflight(&parts.headers)
            } else {
                let outcome = checked(endpoint, parts, body).await;
                outcome.unwrap_or_else(|refusal| *refusal)
            };
            if let Some(page) = page {
                origin::admit(response.headers_mut(), page);
            }
            response
        }
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    endpoint.metrics.answered(response.status());
    response
}

async fn checked(endpoint: &Endpoint, mut parts: request::Parts, body: Body) -> Result<Response, Refusal> {
    let gate = &endpoint.gate;
    let principal = gate.principal(&parts).await?;
    let admitted = gate
        .accounts
        .admit(principal.name())
        .map_err(|refusal| busy(refusal, None))?;
    if endpoint.stopping.is_cancelled() {
        return Err(unavailable("the server is stopping", None));
    }
    let session = session_of(&parts)?;
    if let Some(session) = &session
        && !gate.sessions.is_of(session, principal.name())
    {
        // The same answer whether it is over or somebody else's.
        let error = ErrorData::invalid_request("there is no such session: send `initialize` again", None);
        return Err(refused(StatusCode::NOT_FOUND, None, &error));
    }
    parts.extensions.insert(principal.clone());
    match parts.method {
        Method::POST => {
            let caller = Caller {
                principal,
                admitted,
                has_session: session.is_some(),
            };
            posted(endpoint, (parts, body), caller).await
        }
        Method::GET => {
            let place = admitted.stream().map_err(|refusal| busy(refusal, None))?;
            Ok(hold(passed(endpoint, parts, Bytes::new()).await, place))
        }
        Method::DELETE => {
            let mut response = passed(endpoint, parts, Bytes::new()).await;
            // The library says "accepted" of what is done; the Python SDK takes that for a failure.
            if response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            Ok(response)
        }
        _ => {
            let error = ErrorData::invalid_request("this endpoint takes POST, GET and DELETE", None);
            let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, None, &error);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            Err(response)
        }
    }
}

/// Who posts a message.
struct Caller {
    principal: Principal,
    admitted: Admitted,
    has_session: bool,
}

/// Answers one message.
async fn posted(
    endpoint: &Endpoint,
    (parts, body): (request::Parts, Body),
    caller: Caller,
) -> Result<Response, Refusal> {
    let (gate, admitted) = (&endpoint.gate, caller.admitted);
    let _kept = gate.keep(&body)?;
    let bytes = collect(body, gate.body_bytes_max).await?;
    // Needs no place: what ends a call must come through when calls have taken all of them.
    let Wish::Request(request) = wish(&bytes)? else {
        return Ok(passed(endpoint, parts, bytes).await);
    };
    let JsonRpcRequest { id, request, .. } = *request;
    gate.permit(&caller.principal, &id, &request)?;
    endpoint.metrics.asked(&request);
    if matches!(request, ClientRequest::SubscriptionsListenRequest(_)) {
        let place = admitted.stream().map_err(|refusal| busy(refusal, Some(&id)))?;
        return Ok(hold(passed(endpoint, parts, bytes).await, place));
    }
    let place = admitted.request().await;
    let place = place.map_err(|refusal| busy(refusal, Some(&id)))?;
    let is_opening = !caller.has_session && matches!(request, ClientRequest::InitializeRequest(_));
    let response = if is_opening {
        open(endpoint, (parts, bytes), (&caller.principal, &id)).await?
    } else {
        passed(endpoint, parts, bytes).await
    };
    Ok(hold(response, place))
}

/// Makes a session, if there is a place for one, and notes whose it is.
async fn open(
    endpoint: &Endpoint,
    (parts, bytes): (request::Parts, Bytes),
    (principal, id): (&Principal, &RequestId),
) -> Result<Response, Refusal> {
    let gate = &endpoint.gate;
    let _one_at_a_time = gate.making.lock().await;
    if !gate.sessions.has_room().await {
        return Err(unavailable("there are too many sessions", Some(id)));
    }
    let response = passed(endpoint, parts, bytes).await;
    if let Some(session) = response.headers().get(SESSION).and_then(|id| id.to_str().ok()) {
        gate.sessions.own(session, principal.name());
    }
    Ok(response)
}

/// The session that a request is part of.
fn session_of(parts: &request::Parts) -> Result<Option<String>, Refusal> {
    let mut values = parts.headers.get_all(SESSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(id) if values.next().is_none() && id.len() <= 256 => Ok(Some(id.to_owned())),
        Ok(_) | Err(_) => {
            let error = ErrorData::invalid_request("the session's id is not one visible word", None);
            Err(refused(StatusCode::BAD_REQUEST, None, &error))
        }
    }
}

async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let collected = timeout(BODY_TIME_MAX, Limited::new(body, bytes_max).collect()).await;
    let (status, reason) = match collected {
        Ok(Ok(collected)) => return Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a message may have {bytes_max} bytes"),
        ),
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
        Err(_) => (
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time".to_owned(),
        ),
    };
    Err(refused(status, None, &ErrorData::invalid_request(reason, None)))
}

/// Reads the message as the other transport does.
fn wish(bytes: &[u8]) -> Result<Wish, Refusal> {
    match Reader::of_http().read(bytes) {
        Incoming::Message(ClientJsonRpcMessage::Request(request)) => Ok(Wish::Request(Box::new(request))),
        Incoming::Message(_) => Ok(Wish::Told),
        // What nobody waits for is still acknowledged by the library, if it is a message at all.
        Incoming::Nothing if !bytes.trim_ascii().is_empty() => Ok(Wish::Told),
        Incoming::Nothing => {
            let error = ErrorData::invalid_request("the body is empty", None);
            Err(refused(StatusCode::BAD_REQUEST, None, &error))
        }
        Incoming::Refused(Unreadable { id, error }) => {
            Err(refused(StatusCode::BAD_REQUEST, id.as_ref(), &error))
        }
    }
}

/// Hands a request to the library. A panic there is the answer to this request alone.
async fn passed(endpoint: &Endpoint, parts: request::Parts, bytes: Bytes) -> Response {
    let request = Request::from_parts(parts, http_body_util::Full::new(bytes));
    let answered = async { Ok(Box::pin(endpoint.service.handle(request)).await) };
    match unpanicked(answered).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => *refused(StatusCode::INTERNAL_SERVER_ERROR, None, &error),
    }
}

/// A refusal before anything was done, in the words of JSON-RPC.
fn refused(status: StatusCode, id: Option<&RequestId>, error: &ErrorData) -> Refusal {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Box::new((status, headers, body.to_string()).into_response())
}

fn busy(refusal: Refused, id: Option<&RequestId>) -> Refusal {
    let error = ErrorData::new(BUSY, refusal.reason, None);
    let mut response = refused(StatusCode::TOO_MANY_REQUESTS, id, &error);
    // Whole seconds, rounded up: zero would ask for the same again at once.
    let seconds = refusal.retry_after.as_secs_f64().ceil().max(1.0);
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

fn unavailable(reason: &'static str, id: Option<&RequestId>) -> Refusal {
    let mut response = refused(
        StatusCode::SERVICE_UNAVAILABLE,
        id,
        &ErrorData::new(BUSY, reason, None),
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Keeps a place in use until the whole answer is sent.
fn hold(response: Response, place: Place) -> Response {
    response.map(|body| Body::new(Held { body, _place: place }))
}

struct Held {
    body: Body,
    _place: Place,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
