//! Bodies that nobody read, because their request was refused before.
//!
//! A connection that is closed while bytes of its client wait to be read is reset, and a reset takes away from the client
//! what it has not read yet: the answer itself, or that to its next request. So the rest of a body is read and thrown away
//! before the answer goes out, and the connection is kept. Of what is longer, or does not come, the answer says that the
//! connection is closed, and what still comes is thrown away until the client has closed it as well (RFC 9112, section 9.6).
//!
//! SECURITY: anybody can make us do that, so it is bounded in bytes and in time, and nothing of what is read is kept.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::response::Response;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};

/// Bytes of a body that are thrown away so that its connection can be kept: as many as the largest body has.
const REST_BYTES_MAX: u64 = 4 << 20;

/// How long they may take.
const REST_TIME: Duration = Duration::from_secs(3);

/// Bytes that are thrown away after the last answer of a connection.
const LATE_BYTES_MAX: usize = 64 << 20;

/// How long they may take, and how long a client may take to close a connection that is to be closed.
const LATE_TIME: Duration = Duration::from_secs(5);

/// Bytes that are thrown away at a time.
const PIECE_BYTES: usize = 8 * 1024;

/// Whether a client may still be sending what nobody reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<AtomicBool>);

/// Has a request answered, and what is unread of it thrown away.
pub(super) async fn answered(
    service: TowerToHyperService<Router>,
    request: Request<Incoming>,
    late: Late,
) -> Result<Response, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return service.call(Request::from_parts(parts, body)).await;
    }
    let waits_to_send = expects_to_be_asked(&parts.headers);
    let (lent, back) = lend(body);
    let mut response = service.call(Request::from_parts(parts, lent)).await?;
    // One that is still in use is read by whoever has it.
    if let Some(mut back) = back.given_back()
        && ((waits_to_send && !back.was_read) || !thrown_away(&mut back.body).await)
    {
        late.0.store(true, Ordering::Relaxed);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// Whether a client sends the body only when it is told to go on, which reading does (RFC 9110, section 10.1.1).
fn expects_to_be_asked(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads the rest of a body, and says whether that was all of it.
async fn thrown_away(body: &mut Incoming) -> bool {
    if body.size_hint().lower() > REST_BYTES_MAX {
        return false;
    }
    let all = async {
        let mut count = 0_u64;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            count = count.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            if count > REST_BYTES_MAX {
                return false;
            }
        }
        true
    };
    timeout(REST_TIME, all).await.unwrap_or(false)
}

/// A body that comes back when it is needed no more.
struct Lent {
    /// Always there until this is dropped.
    body: Option<Incoming>,
    was_read: bool,
    owner: Option<oneshot::Sender<Back>>,
}

struct Back {
    body: Incoming,
    was_read: bool,
}

struct Owner(oneshot::Receiver<Back>);

fn lend(body: Incoming) -> (Lent, Owner) {
    let (sender, receiver) = oneshot::channel();
    let lent = Lent {
        body: Some(body),
        was_read: false,
        owner: Some(sender),
    };
    (lent, Owner(receiver))
}

impl Owner {
    fn given_back(mut self) -> Option<Back> {
        let back = self.0.try_recv().ok();
        back.filter(|back| !back.body.is_end_stream())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(owner)) = (self.body.take(), self.owner.take()) {
            let was_read = self.was_read;
            // Whoever lent it may be gone, and so is then the connection.
            let _back = owner.send(Back { body, was_read });
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.was_read = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// A connection that is closed in two steps where its client may still be sending.
pub(super) struct Lingering<S> {
    stream: S,
    late: Late,
    closing: Option<Closing>,
}

struct Closing {
    /// Nothing more is sent, and the client knows.
    is_shut: bool,
    count: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, late: Late) -> Self {
        Self {
            stream,
            late,
            closing: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.late.0.load(Ordering::Relaxed) {
            return Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        let closing = this.closing.get_or_insert_with(|| Closing {
            is_shut: false,
            count: 0,
            deadline: Box::pin(sleep(LATE_TIME)),
        });
        if closing.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !closing.is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            closing.is_shut = true;
        }
        closing.poll_end(&mut this.stream, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Closing {
    /// Throws away what comes until the client ends it.
    fn poll_end<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE_BYTES];
        while self.count < LATE_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            let count = buffer.filled().len();
            if count == 0 {
                break;
            }
            self.count = self.count.saturating_add(count);
        }
        Poll::Ready(Ok(()))
    }
}
