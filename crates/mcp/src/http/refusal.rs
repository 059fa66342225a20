//! Answers in place of those that were asked for, in the words of JSON-RPC.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rmcp::ErrorData;
use rmcp::model::{ErrorCode, RequestId};
use serde_json::json;

use super::accounts::Refused;
use super::sessions::Unbegun;
use crate::STOPPED;

/// Outside of what JSON-RPC and MCP reserve: asked too much.
const BUSY: ErrorCode = ErrorCode(-31_029);

/// An answer in place of the one that was asked for.
pub(super) type Refusal = Box<Response>;

/// A refusal before anything was done.
pub(super) fn refused(status: StatusCode, id: Option<&RequestId>, error: &ErrorData) -> Refusal {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Box::new((status, headers, body.to_string()).into_response())
}

pub(super) fn busy(refusal: Refused, id: Option<&RequestId>) -> Refusal {
    let error = ErrorData::new(BUSY, refusal.reason, None);
    let mut response = refused(StatusCode::TOO_MANY_REQUESTS, id, &error);
    // Whole seconds, rounded up: zero would ask for the same again at once.
    let seconds = refusal.retry_after.as_secs_f64().ceil().max(1.0);
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

pub(super) fn unavailable(reason: &'static str, id: Option<&RequestId>) -> Refusal {
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

/// For what was begun and is not waited for any longer. It does not say when to try again: some of it may be done.
pub(super) fn stopped(id: &RequestId) -> Refusal {
    let error = ErrorData::internal_error(STOPPED, None);
    refused(StatusCode::SERVICE_UNAVAILABLE, Some(id), &error)
}

/// The same answer whether it is over or somebody else's.
pub(super) fn no_session() -> Refusal {
    let error = ErrorData::invalid_request("there is no such session: send `initialize` again", None);
    refused(StatusCode::NOT_FOUND, None, &error)
}

/// Why a request of a session is not answered.
pub(super) fn unbegun(why: Unbegun, id: &RequestId) -> Refusal {
    match why {
        Unbegun::NoSession => no_session(),
        // The library would answer one of them, and keep the other waiting for ever.
        Unbegun::Twice => {
            let error = ErrorData::invalid_request("another request with this id is not answered yet", None);
            refused(StatusCode::BAD_REQUEST, Some(id), &error)
        }
    }
}
