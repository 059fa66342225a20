//! One message: its bytes as they come, and the one reading of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rmcp::ErrorData;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcRequest};
use tokio::time::timeout;

use super::refusal::{Refusal, refused};
use crate::message::{BYTE_ORDER_MARK, Incoming, Reader, Refusal as Unreadable, is_stateless};

/// The header that names the version of the protocol.
const VERSION: &str = "mcp-protocol-version";

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// What one message wants, as far as the gate looks.
pub(super) enum Wish {
    /// To be answered.
    Request(Box<JsonRpcRequest<ClientRequest>>),
    /// A notification.
    Told,
    /// An answer, or what the library may take for one.
    Answer,
}

/// Whether a head says that a body is JSON, as the library sees it.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Refuses what does not say that it is JSON.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_json(headers) {
        return Ok(());
    }
    let error = ErrorData::invalid_request("the `Content-Type` of a message is `application/json`", None);
    Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, &error))
}

/// The bytes of a message.
pub(super) async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let collected = timeout(BODY_TIME_MAX, Limited::new(body, bytes_max).collect()).await;
    let (status, reason) = match collected {
        Ok(Ok(collected)) => return Ok(without_mark(collected.to_bytes())),
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

/// The library takes a byte order mark for a mistake, and some clients send one.
fn without_mark(bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.slice(BYTE_ORDER_MARK.len()..)
    } else {
        bytes
    }
}

/// Reads the message as the other transport does.
pub(super) fn wish(bytes: &[u8]) -> Result<Wish, Refusal> {
    match Reader::of_http().read(bytes) {
        Incoming::Message(ClientJsonRpcMessage::Request(request)) => Ok(Wish::Request(Box::new(request))),
        Incoming::Message(ClientJsonRpcMessage::Notification(_)) => Ok(Wish::Told),
        Incoming::Message(_) => Ok(Wish::Answer),
        // What nobody waits for is still acknowledged by the library, if it is a message at all.
        Incoming::Nothing if !bytes.trim_ascii().is_empty() => Ok(Wish::Answer),
        Incoming::Nothing => {
            let error = ErrorData::invalid_request("the body is empty", None);
            Err(refused(StatusCode::BAD_REQUEST, None, &error))
        }
        Incoming::Refused(Unreadable { id, error }) => {
            Err(refused(StatusCode::BAD_REQUEST, id.as_ref(), &error))
        }
    }
}

/// Whether a message belongs to the version without sessions: it says so itself, or its head does.
pub(super) fn is_modern(headers: &HeaderMap, wish: &Wish) -> bool {
    if let Wish::Request(request) = wish {
        if matches!(request.request, ClientRequest::InitializeRequest(_)) {
            return false;
        }
        if let Some(version) = request.request.get_meta().protocol_version() {
            return is_stateless(version.as_str());
        }
    }
    let version = headers.get(VERSION).and_then(|version| version.to_str().ok());
    version.is_some_and(is_stateless)
}
