//! Events without a message, which say how to come back to a stream that breaks off, and who is spared them.
//!
//! They came with 2025-11-25. The library sends them to everybody; clients of before, Gemini CLI among them, take the
//! empty text for a message that cannot be read, and end the connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use rmcp::model::ProtocolVersion;

/// Whether a client that asks for this version knows such events.
pub(super) fn is_known(version: &ProtocolVersion) -> bool {
    // Versions are dates.
    version.as_str() >= ProtocolVersion::V_2025_11_25.as_str()
}

/// The answer without them.
pub(super) fn without(response: Response) -> Response {
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_stream = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        response.map(|body| Body::new(Unprimed(body)))
    } else {
        response
    }
}

/// A stream of events, each in a frame of its own, as the library makes them.
struct Unprimed(Body);

impl http_body::Body for Unprimed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            if !data.is_some_and(|event| is_empty(event)) {
                return Poll::Ready(frame);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// Whether an event has data, and nothing in it.
fn is_empty(event: &[u8]) -> bool {
    let mut data = event
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .peekable();
    data.peek().is_some() && data.all(|text| text.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, StreamBody};

    #[tokio::test]
    async fn what_is_no_message_is_left_out_and_nothing_else() {
        let events = [
            "data: \nid: 0\nretry: 3000\n\n",
            ": still here\n\n",
            "data: {}\nid: 1\n\n",
            "data:\ndata: {}\n\n",
            "data:\n\n",
        ];
        let response = |kind: &str| {
            let frame =
                |event: &'static str| Ok::<_, axum::Error>(Frame::data(Bytes::from_static(event.as_bytes())));
            let body = Body::new(StreamBody::new(futures::stream::iter(events.map(frame))));
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
            response
        };
        let left = without(response("text/event-stream")).into_body().collect().await;
        let left = left.unwrap().to_bytes();
        assert_eq!(left, ": still here\n\ndata: {}\nid: 1\n\ndata:\ndata: {}\n\n");
        let whole = without(response("application/json")).into_body().collect().await;
        assert_eq!(whole.unwrap().to_bytes(), events.concat());
    }

    #[test]
    fn versions_that_know_them() {
        assert!(is_known(&ProtocolVersion::V_2025_11_25) && is_known(&ProtocolVersion::V_2026_07_28));
        assert!(!is_known(&ProtocolVersion::V_2025_06_18) && !is_known(&ProtocolVersion::V_2024_11_05));
    }
}
