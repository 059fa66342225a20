//! Where a request is answered: by the library here, or by the process that has what it is about.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{ALLOW, HeaderValue};
use http::{HeaderMap, Request, StatusCode, request};
use rmcp::ErrorData;
use rmcp::model::ClientRequest;

use super::Endpoint;
use super::access::Principal;
use super::body::is_json;
use super::others::{Membership, Unreached};
use super::priming;
use super::refusal::{no_session, refused, unavailable};
use crate::process::ProcessName;
use crate::shared::unpanicked;

/// The header that names a session.
pub(super) const SESSION: &str = "mcp-session-id";

/// Bytes of a refusal in the library's words.
const REFUSAL_BYTES_MAX: usize = 4096;

/// To which process a request came. What was handed over is not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameTo {
    This,
    Another,
}

/// Where a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Home {
    Here,
    /// In the process that has its session or task.
    There(Membership, ProcessName),
}

impl Home {
    pub(super) fn of(endpoint: &Endpoint, id: Option<&str>, came_to: CameTo) -> Self {
        let membership = endpoint.membership.as_ref().filter(|_| came_to == CameTo::This);
        let found = membership.zip(id).and_then(|(membership, id)| {
            let home = membership.home(id)?;
            Some(Self::There(membership.clone(), home))
        });
        found.unwrap_or(Self::Here)
    }
}

/// Who sends a request, and where it is answered.
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) came_to: CameTo,
    pub(super) home: Home,
    /// The session, as it is known where the request is answered.
    pub(super) session: Option<String>,
}

impl Caller {
    /// Hands a request to the library, or to the process that it is for.
    pub(super) async fn passed(&self, endpoint: &Endpoint, parts: request::Parts, bytes: Bytes) -> Response {
        let Home::There(membership, home) = &self.home else {
            let response = passed(endpoint, parts, bytes).await;
            let sessions = endpoint.gate.sessions();
            let is_spared = self
                .session
                .as_ref()
                .is_some_and(|id| !sessions.knows_priming(id));
            return if is_spared {
                priming::without(response)
            } else {
                response
            };
        };
        let handed = membership.hand_over(home, &self.principal, (&parts, bytes.clone()));
        match handed.await {
            Ok(response) => response,
            Err(Unreached::Gone) if self.session.is_some() => *no_session(),
            // What is not here is not known, which is the answer.
            Err(Unreached::Gone) => passed(endpoint, parts, bytes).await,
            Err(Unreached::Now(error)) => {
                tracing::warn!(%error, process = %home, "the process that a request is for does not answer");
                *unavailable("the process that has what this is about does not answer", None)
            }
        }
    }
}

/// The task that a request is about.
pub(super) fn task_of(request: &ClientRequest) -> Option<&str> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about no task")]
    match request {
        ClientRequest::GetTaskRequest(request) => Some(&request.params.task_id),
        ClientRequest::UpdateTaskRequest(request) => Some(&request.params.task_id),
        ClientRequest::CancelTaskRequest(request) => Some(&request.params.task_id),
        _ => None,
    }
}

/// Hands a request to the library. A panic there is the answer to this request alone.
async fn passed(endpoint: &Endpoint, parts: request::Parts, bytes: Bytes) -> Response {
    let request = Request::from_parts(parts, http_body_util::Full::new(bytes));
    let answered = async { Ok(Box::pin(endpoint.service.handle(request)).await) };
    match unpanicked(answered).await {
        Ok(response) => {
            let mut response = worded(response.map(Body::new)).await;
            endpoint.mark_session(response.headers_mut());
            response
        }
        Err(error) => *refused(StatusCode::INTERNAL_SERVER_ERROR, None, &error),
    }
}

/// The library's answer, in the words of JSON-RPC: some of its refusals are plain text.
async fn worded(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REFUSAL_BYTES_MAX)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (status, error) = match status {
        StatusCode::NOT_FOUND => return *no_session(),
        // The type was looked at before: this is what the library cannot read.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            StatusCode::BAD_REQUEST,
            ErrorData::invalid_request("this is no message of the protocol", None),
        ),
        status if status.is_server_error() => {
            tracing::debug!(reason = %text, "the protocol's library failed");
            (status, ErrorData::internal_error("the request failed", None))
        }
        status => (status, ErrorData::invalid_request(text.into_owned(), None)),
    };
    let mut response = *refused(status, None, &error);
    response
        .headers_mut()
        .extend(parts.headers.get(ALLOW).cloned().map(|allowed| (ALLOW, allowed)));
    response
}

impl Endpoint {
    /// The library's id of a session that clients know by this one; none for one that is not from here.
    pub(super) fn local_id<'a>(&self, id: &'a str) -> Option<&'a str> {
        match &self.membership {
            Some(membership) => membership.name.own(id),
            None => Some(id),
        }
    }

    /// Says in the id of a session in which process it is.
    fn mark_session(&self, headers: &mut HeaderMap) {
        let (Some(membership), Some(id)) = (&self.membership, headers.get(SESSION)) else {
            return;
        };
        let marked = id.to_str().ok().map(|id| membership.name.mark(id));
        if let Some(marked) = marked.and_then(|id| HeaderValue::from_str(&id).ok()) {
            headers.insert(SESSION, marked);
        }
    }
}
