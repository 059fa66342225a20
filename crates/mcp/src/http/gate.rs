//! What a request to the endpoint must be before the protocol's library sees it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode, request};
use http_body::Body as _;
use rmcp::ErrorData;
use rmcp::model::{ClientRequest, JsonRpcRequest, ProtocolVersion, RequestId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Endpoint;
use super::access::{Access, Denied, Principal, Scope};
use super::accounts::{AccountLimits, Accounts, Admitted};
use super::body::{Wish, collect, expect_json, is_modern, wish};
use super::home::{Caller, CameTo, Home, SESSION, task_of};
use super::origin::{self, Names};
use super::others;
use super::priming;
use super::refusal::{Refusal, busy, no_session, refused, stopped, unavailable, unbegun};
use super::sessions::Sessions;
use crate::builtin::Builtin;

/// Bytes of bodies that are kept at a time: 64 of the largest.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// What every request is measured by.
#[derive(Debug)]
pub(crate) struct Gate {
    names: Names,
    access: Access,
    accounts: Accounts,
    /// The same for what other processes hand over.
    handed_over: Accounts,
    sessions: Arc<Sessions>,
    body_bytes_max: usize,
    /// Bytes of bodies that are kept at a time, of all clients.
    bodies: Arc<Semaphore>,
    /// Held while a session is made, so that their number is exact.
    making: tokio::sync::Mutex<()>,
}

impl Gate {
    pub(super) fn new(
        names: Names,
        access: Access,
        limits: AccountLimits,
        (sessions, body_bytes_max): (Arc<Sessions>, usize),
    ) -> Self {
        let accounts = Accounts::new(limits);
        Self {
            names,
            access,
            handed_over: accounts.beside(),
            accounts,
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
        named(&self.names, parts)
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

    /// Refuses an answer with a token that may not approve, where it could approve something.
    fn permit_answer(&self, caller: &Caller) -> Result<(), Refusal> {
        let session = caller
            .session
            .as_ref()
            .filter(|_| matches!(caller.home, Home::Here));
        if session.is_none_or(|session| self.sessions.may_answer(session, &caller.principal)) {
            return Ok(());
        }
        Err(self.lacks(&caller.principal, Scope::ApprovePermissions, None))
    }

    /// Refuses what the principal's token does not allow.
    fn permit(&self, principal: &Principal, id: &RequestId, request: &ClientRequest) -> Result<(), Refusal> {
        let Some(scope) = needed(request).filter(|scope| !principal.may(*scope)) else {
            return Ok(());
        };
        Err(self.lacks(principal, scope, Some(id)))
    }

    fn lacks(&self, principal: &Principal, scope: Scope, id: Option<&RequestId>) -> Refusal {
        let reason = format!("the token lacks the scope `{}`", scope.name());
        let error = ErrorData::invalid_request(reason, None);
        let mut response = refused(StatusCode::FORBIDDEN, id, &error);
        // With those that it has: a client asks for what is named, and would lose the rest.
        let scopes: Vec<_> = Scope::ALL
            .into_iter()
            .filter(|known| *known == scope || principal.may(*known))
            .collect();
        self.challenge(&mut response, Some("insufficient_scope"), &scopes);
        response
    }
}

/// The same for other names than those that clients use.
pub(super) fn named(names: &Names, parts: &request::Parts) -> Result<(), Refusal> {
    let checked = names.check(&parts.uri, &parts.headers);
    checked.map_err(|reason| {
        let error = ErrorData::invalid_request(reason, None);
        refused(StatusCode::FORBIDDEN, None, &error)
    })
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

/// Answers a request that came to another process, which says who it is from.
pub(super) async fn answer_handed_over(endpoint: &Endpoint, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Some(principal) = others::principal(&parts.headers) else {
        let error = ErrorData::invalid_request("it is not said who the request is from", None);
        return *refused(StatusCode::BAD_REQUEST, None, &error);
    };
    let answered = admitted(endpoint, (parts, body), principal, CameTo::Another).await;
    answered.unwrap_or_else(|refusal| *refusal)
}

async fn checked(endpoint: &Endpoint, parts: request::Parts, body: Body) -> Result<Response, Refusal> {
    let principal = endpoint.gate.principal(&parts).await?;
    admitted(endpoint, (parts, body), principal, CameTo::This).await
}

async fn admitted(
    endpoint: &Endpoint,
    (mut parts, body): (request::Parts, Body),
    principal: Principal,
    came_to: CameTo,
) -> Result<Response, Refusal> {
    let gate = &endpoint.gate;
    let accounts = match came_to {
        CameTo::This => &gate.accounts,
        CameTo::Another => &gate.handed_over,
    };
    let admitted = accounts
        .admit(principal.name())
        .map_err(|refusal| busy(refusal, None))?;
    if endpoint.stopping.is_cancelled() {
        return Err(unavailable("the server is stopping", None));
    }
    match parts.method {
        Method::POST => posted(endpoint, (parts, body), (principal, came_to, admitted)).await,
        Method::GET => {
            let caller = caller(endpoint, &mut parts, &Wish::Told, (principal, came_to))?;
            let place = admitted.stream().map_err(|refusal| busy(refusal, None))?;
            Ok(hold(caller.passed(endpoint, parts, Bytes::new()).await, place))
        }
        Method::DELETE => {
            let caller = caller(endpoint, &mut parts, &Wish::Told, (principal, came_to))?;
            let mut response = caller.passed(endpoint, parts, Bytes::new()).await;
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

/// Who sends a request, in which session, and where it is answered.
fn caller(
    endpoint: &Endpoint,
    parts: &mut request::Parts,
    wish: &Wish,
    (principal, came_to): (Principal, CameTo),
) -> Result<Caller, Refusal> {
    // 2026-07-28 has no sessions: a server ignores the header (basic/transports, "Streamable HTTP").
    if is_modern(&parts.headers, wish) {
        parts.headers.remove(SESSION);
    }
    let mut session = session_of(parts)?;
    let home = Home::of(endpoint, session.as_deref(), came_to);
    if let (Some(id), Home::Here) = (&session, &home) {
        let local = endpoint.local_id(id).ok_or_else(no_session)?.to_owned();
        if !endpoint.gate.sessions.is_of(&local, &principal) {
            return Err(no_session());
        }
        let header = HeaderValue::from_str(&local).map_err(|_| no_session())?;
        parts.headers.insert(SESSION, header);
        session = Some(local);
    }
    parts.extensions.insert(principal.clone());
    Ok(Caller {
        principal,
        came_to,
        home,
        session,
    })
}

/// Answers one message.
async fn posted(
    endpoint: &Endpoint,
    (mut parts, body): (request::Parts, Body),
    (principal, came_to, admitted): (Principal, CameTo, Admitted),
) -> Result<Response, Refusal> {
    let gate = &endpoint.gate;
    expect_json(&parts.headers)?;
    let _kept = gate.keep(&body)?;
    let bytes = collect(body, gate.body_bytes_max).await?;
    let wish = wish(&bytes)?;
    let mut caller = caller(endpoint, &mut parts, &wish, (principal, came_to))?;
    // Needs no place: what ends a call must come through when calls have taken all of them.
    let request = match wish {
        Wish::Request(request) => request,
        Wish::Answer => {
            gate.permit_answer(&caller)?;
            return Ok(caller.passed(endpoint, parts, bytes).await);
        }
        Wish::Told => return Ok(caller.passed(endpoint, parts, bytes).await),
    };
    let JsonRpcRequest { id, request, .. } = *request;
    gate.permit(&caller.principal, &id, &request)?;
    gate.sessions.asks(&caller, &request);
    if caller.session.is_none() {
        caller.home = Home::of(endpoint, task_of(&request), caller.came_to);
    }
    if matches!(caller.home, Home::Here) {
        endpoint.metrics.asked(&request);
    }
    if matches!(request, ClientRequest::SubscriptionsListenRequest(_)) {
        let place = admitted.stream().map_err(|refusal| busy(refusal, Some(&id)))?;
        return Ok(hold(caller.passed(endpoint, parts, bytes).await, place));
    }
    let place = admitted.request().await;
    let place = place.map_err(|refusal| busy(refusal, Some(&id)))?;
    let answering = match &caller.session {
        Some(session) if matches!(caller.home, Home::Here) => Some(
            gate.sessions
                .begin(session, &id)
                .map_err(|why| unbegun(why, &id))?,
        ),
        Some(_) | None => None,
    };
    let overdue = endpoint.shared.overdue.clone();
    let answered = async {
        if let ClientRequest::InitializeRequest(hello) = &request
            && caller.session.is_none()
        {
            let version = &hello.params.protocol_version;
            return open(endpoint, (parts, bytes), &caller, (&id, version)).await;
        }
        Ok(caller.passed(endpoint, parts, bytes).await)
    };
    let response = tokio::select! {
        biased;
        // What has begun to be answered, as everything in a session has, is told so by whoever answers.
        () = overdue.cancelled() => return Err(stopped(&id)),
        response = answered => response?,
    };
    Ok(hold(response, (place, answering)))
}

/// Makes a session, if there is a place for one, and notes whose it is.
async fn open(
    endpoint: &Endpoint,
    (parts, bytes): (request::Parts, Bytes),
    caller: &Caller,
    (id, version): (&RequestId, &ProtocolVersion),
) -> Result<Response, Refusal> {
    let gate = &endpoint.gate;
    let _one_at_a_time = gate.making.lock().await;
    let room = gate.sessions.make_room(&caller.principal).await;
    room.map_err(|reason| unavailable(reason, Some(id)))?;
    let response = caller.passed(endpoint, parts, bytes).await;
    let session = response.headers().get(SESSION).and_then(|id| id.to_str().ok());
    if let Some(session) = session.and_then(|id| endpoint.local_id(id)) {
        gate.sessions
            .own(session, &caller.principal, priming::is_known(version));
    }
    Ok(if priming::is_known(version) {
        response
    } else {
        priming::without(response)
    })
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

/// Keeps something, such as a place, until the whole answer is sent.
fn hold<K: Unpin + Send + 'static>(response: Response, kept: K) -> Response {
    response.map(|body| Body::new(Held { body, _kept: kept }))
}

struct Held<K> {
    body: Body,
    _kept: K,
}

impl<K: Unpin> http_body::Body for Held<K> {
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
