//! The bodies of requests and answers on their way through us: counted, timed, masked.

use super::mask::{Mask, MaskedBody};
use crate::gate::Gate;
use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

/// When a request last made progress.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What the guest sends. Each byte is counted before it is handed on; a length that was announced is kept.
pub(super) struct Outgoing {
    body: WasiBody,
    gate: Gate,
    /// What is missing of the announced length, if one was announced.
    missing: Option<u64>,
    progress: Progress,
}

impl Outgoing {
    pub(super) fn new(body: WasiBody, length: Option<u64>, gate: Gate, progress: Progress) -> Self {
        Self {
            body,
            gate,
            missing: length,
            progress,
        }
    }

    /// Counts a piece, and refuses it if it is more than was announced.
    ///
    /// SECURITY: a body that is longer than it says begins another request for whoever reads it (request
    /// smuggling).
    fn account(&mut self, bytes: u64) -> Result<(), HttpError> {
        if let Some(missing) = &mut self.missing {
            *missing = missing
                .checked_sub(bytes)
                .ok_or(HttpError::HttpRequestBodySize(None))?;
        }
        self.gate
            .spend(|m| &m.egress, bytes)
            .map_err(|_ended| HttpError::HttpRequestDenied)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(match self.missing {
                    Some(missing) if missing > 0 => Some(Err(HttpError::HttpRequestBodySize(None))),
                    Some(_) | None => None,
                });
            };
            let frame = frame?;
            self.progress.mark();
            if let Some(bytes) = frame.data_ref() {
                // An empty piece would be taken for the end of the body, and costs nothing that could be
                // counted (GHSA-f8mm-ggr3-89wh).
                if bytes.is_empty() {
                    continue;
                }
                let length = bytes.remaining() as u64;
                self.account(length)?;
            } else if let Some(trailers) = frame.trailers_ref() {
                let length = head_bytes(trailers);
                self.gate
                    .spend(|m| &m.egress, length)
                    .map_err(|_ended| HttpError::HttpRequestDenied)?;
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.missing.unwrap_or(0) == 0
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of header lines on the wire.
pub(super) fn head_bytes(headers: &HeaderMap) -> u64 {
    let lines = headers.iter();
    let lengths = lines.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    lengths.sum::<usize>() as u64
}

/// What the server sends. Its bytes were counted where they were read.
pub(super) struct Answer {
    body: Incoming,
    /// Longest wait for the next piece.
    idle_max: Duration,
    /// Runs while somebody waits.
    waiting: Option<Pin<Box<Sleep>>>,
    mask: Option<MaskedBody>,
    /// What must be handed on before anything else is read.
    ready: VecDeque<Frame<Bytes>>,
    /// The request's place among those of the call.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn new(
        body: Incoming,
        idle_max: Duration,
        mask: Mask,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            body,
            idle_max,
            waiting: None,
            mask: (!mask.is_empty()).then(|| MaskedBody::new(mask)),
            ready: VecDeque::new(),
            _place: place,
        }
    }

    /// Puts what came through the mask. What can be handed on is in `ready` then.
    fn accept(&mut self, frame: Frame<Bytes>) {
        let Some(mask) = &mut self.mask else {
            self.ready.push_back(frame);
            return;
        };
        match frame.into_data() {
            Ok(bytes) => self.ready.extend(data(mask.pass(&bytes))),
            Err(frame) => {
                self.ready.extend(data(mask.finish()));
                if let Ok(mut trailers) = frame.into_trailers() {
                    mask.trailers(&mut trailers);
                    self.ready.push_back(Frame::trailers(trailers));
                }
            }
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle_max = self.idle_max;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(idle_max)));
        waiting.as_mut().poll(cx)
    }
}

/// A frame of these bytes, if there are any.
fn data(bytes: Bytes) -> Option<Frame<Bytes>> {
    (!bytes.is_empty()).then(|| Frame::data(bytes))
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let came = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(came) => came,
                Poll::Pending => {
                    ready!(self.poll_idle(cx));
                    return Poll::Ready(Some(Err(HttpError::ConnectionReadTimeout)));
                }
            };
            self.waiting = None;
            match came {
                Some(Ok(frame)) => self.accept(frame),
                Some(Err(error)) => return Poll::Ready(Some(Err(explain(&error)))),
                None => match self.mask.as_mut().and_then(|mask| data(mask.finish())) {
                    Some(frame) => self.ready.push_back(frame),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}

/// What the guest is told of a failure in the protocol.
pub(super) fn explain(error: &hyper::Error) -> HttpError {
    if error.is_incomplete_message() {
        HttpError::HttpResponseIncomplete
    } else if error.is_parse_too_large() {
        HttpError::HttpResponseHeaderSectionSize(None)
    } else if error.is_user() {
        explain_own(error)
    } else if error.is_parse() {
        HttpError::HttpProtocolError
    } else {
        explain_reading(error)
    }
}

/// Why a body broke off: its framing, its end, or the connection.
fn explain_reading(error: &hyper::Error) -> HttpError {
    use std::io::ErrorKind;
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let kind = source.map(std::io::Error::kind);
    if kind == Some(ErrorKind::UnexpectedEof) {
        HttpError::HttpResponseIncomplete
    } else if matches!(kind, Some(ErrorKind::InvalidData | ErrorKind::InvalidInput)) {
        HttpError::HttpProtocolError
    } else {
        HttpError::ConnectionTerminated
    }
}

/// Why we, or the guest, gave up a request.
fn explain_own(error: &hyper::Error) -> HttpError {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<HttpError>());
    if let Some(HttpError::HttpRequestBodySize(bytes)) = source {
        HttpError::HttpRequestBodySize(*bytes)
    } else if let Some(HttpError::HttpRequestDenied) = source {
        HttpError::HttpRequestDenied
    } else {
        HttpError::HttpProtocolError
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;
    use futures::executor::block_on;
    use futures::stream;
    use http::HeaderValue;
    use http::header::{ACCEPT, HOST};
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use wassette_policy::{Authority, Limits};

    fn gate(egress: u64) -> Gate {
        Gate::new(Control::nothing(Authority::nothing(Limits {
            egress_bytes: egress,
            ..Limits::DEFAULT
        })))
    }

    fn pieces(pieces: &'static [&'static str]) -> WasiBody {
        let frames = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    /// What is sent of a body that announced this length, and why it broke off.
    fn sent(body: WasiBody, length: Option<u64>, gate: &Gate) -> (String, Option<HttpError>) {
        let mut outgoing = Outgoing::new(body, length, gate.clone(), Progress::new());
        let mut sent = String::new();
        loop {
            match block_on(outgoing.frame()) {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().expect("a piece");
                    sent.push_str(std::str::from_utf8(&bytes).expect("text"));
                }
                Some(Err(error)) => return (sent, Some(error)),
                None => return (sent, None),
            }
        }
    }

    #[test]
    fn a_body_is_as_long_as_it_says() {
        let gate = gate(1_000);
        let abc = || pieces(&["ab", "", "c"]);
        for length in [None, Some(3)] {
            assert!(matches!(sent(abc(), length, &gate), (sent, None) if sent == "abc"));
        }
        assert!(matches!(sent(pieces(&[]), Some(0), &gate), (sent, None) if sent.is_empty()));
        for (length, passed) in [(4, "abc"), (2, "ab"), (1, ""), (0, "")] {
            let (sent, error) = sent(abc(), Some(length), &gate);
            assert_eq!(sent, passed, "{length}");
            assert!(
                matches!(error, Some(HttpError::HttpRequestBodySize(None))),
                "{length}: {error:?}"
            );
        }
    }

    #[test]
    fn a_body_is_counted_before_it_goes() {
        let gate = gate(3);
        assert!(matches!(sent(pieces(&["ab", "c"]), None, &gate), (sent, None) if sent == "abc"));
        let (sent, error) = sent(pieces(&["d"]), None, &gate);
        assert_eq!((sent.as_str(), gate.meters().egress.used()), ("", 3));
        assert!(matches!(error, Some(HttpError::HttpRequestDenied)), "{error:?}");
    }

    #[test]
    fn what_is_known_of_a_length_is_handed_on() {
        let body = Full::new(Bytes::from_static(b"abc"))
            .map_err(|never| match never {})
            .boxed_unsync();
        let outgoing = Outgoing::new(body, None, gate(9), Progress::new());
        assert_eq!(outgoing.size_hint().exact(), Some(3));
    }

    #[test]
    fn lines_of_a_head_are_counted_as_they_are_sent() {
        let mut headers = HeaderMap::new();
        assert_eq!(head_bytes(&headers), 0);
        headers.insert(HOST, HeaderValue::from_static("example.com"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let text = "host: example.com\r\naccept: */*\r\n";
        assert_eq!(head_bytes(&headers), text.len() as u64);
    }
}
