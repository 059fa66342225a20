//! Messages over a pair of byte streams, one per line.
//!
//! INVARIANT: whatever the client sends, each line has one outcome and the next line is read; only the end
//! of the input or of the server, or an output that cannot be written to, ends the connection. What is written is whole
//! lines only: a message is serialised first, and JSON text has no line feed in it.
//!
//! `rmcp`'s own transport ignores what it cannot parse, so that a client waits for ever, reads through the
//! thread pool whenever a client uses sockets, and parses by trial; see `message.rs`.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::calls::{Begin, Calls, Post};
use crate::message::{Incoming, Reader, Refusal};

/// Longest line that is read, in bytes. Arguments end at 1 MiB; the rest is room for their escapes. JSON of many
/// small values becomes sixty times its size in memory, so a wider bound would be felt.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is read at once: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// What a buffer that had to grow may keep for the next message.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// Answers that may wait for a slow client before its next request is read.
const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The same for notifications, which are left out beyond it.
const NOTES_BYTES_MAX: usize = 1024 * 1024;

/// How long the last answers may take to be written once the input has ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The server's end of one connection.
pub(crate) struct LineTransport<R, W> {
    lines: Lines<R>,
    reader: Reader,
    outbox: Arc<Outbox<W>>,
    calls: Calls,
    input_ended: CancellationToken,
    overdue: CancellationToken,
}

/// How a transport and the rest of the server tell each other that the end has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// There will be no further request, because the client makes none or the server takes none; those that were made
    /// are still answered.
    pub(crate) input_ended: CancellationToken,
    /// Calls that still run are waited for no longer.
    pub(crate) overdue: CancellationToken,
    /// Nobody reads answers any more.
    pub(crate) output_broken: CancellationToken,
}

impl<R, W> LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// A connection over two streams, whose calls are made by `begin` where it takes them.
    pub(crate) fn new((input, output): (R, W), ends: Ends, begin: Begin) -> Self {
        let outbox = Arc::new(Outbox::new(output, ends.output_broken));
        let post = Arc::clone(&outbox);
        // A broken output ends the connection by itself.
        let post: Post = Arc::new(move |message| drop(post.post(message)));
        Self {
            lines: Lines::new(input),
            reader: Reader::default(),
            outbox,
            calls: Calls::new(begin, post),
            input_ended: ends.input_ended,
            overdue: ends.overdue,
        }
    }

    async fn next_message(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let incoming = match self.next_line().await {
                Ok(Line::Text(range)) => self.reader.read(self.lines.text(range)),
                Ok(Line::TooLong) => Incoming::Refused(Refusal::invalid_request(format!(
                    "a message may have at most {LINE_BYTES_MAX} bytes"
                ))),
                Ok(Line::End) => return self.end().await,
                Err(error) => {
                    tracing::warn!(%error, "input cannot be read");
                    return self.end().await;
                }
            };
            match incoming {
                Incoming::Message(message) => {
                    let message = self.calls.take(message, self.lines.is_drained());
                    if message.is_some() {
                        return message;
                    }
                }
                Incoming::Nothing => {}
                Incoming::Refused(Refusal { id, error }) => {
                    tracing::debug!(code = error.code.0, "message refused");
                    drop(self.outbox.post(&ServerJsonRpcMessage::error(*error, id)));
                }
            }
        }
    }

    /// The next line, once the client has taken enough of the answers; none when no more are wanted.
    async fn next_line(&mut self) -> io::Result<Line> {
        tokio::select! {
            biased;
            () = self.input_ended.cancelled() => Ok(Line::End),
            line = async {
                self.outbox.room().await;
                self.lines.next().await
            } => line,
        }
    }

    /// Lets the running calls finish.
    async fn end(&mut self) -> Option<ClientJsonRpcMessage> {
        self.input_ended.cancel();
        self.calls.finish(&self.overdue).await;
        None
    }
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    /// Writes at once, not when the future is polled: that keeps the order and saves a turn of the executor.
    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        // Nobody waits for a notification, and a component could make more of them than a client reads.
        let is_left_out = matches!(message, ServerJsonRpcMessage::Notification(_)) && self.outbox.is_full();
        std::future::ready(if is_left_out {
            Ok(())
        } else {
            self.outbox.post(&message)
        })
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.next_message().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.calls.stop().await;
        tokio::time::timeout(CLOSE_TIMEOUT, poll_fn(|cx| self.outbox.lock().poll_flush(cx)))
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// One step of [`Lines`].
#[derive(Debug)]
enum Line {
    /// A line, without its line feed, at this place of the buffer.
    Text(Range<usize>),
    /// A line beyond [`LINE_BYTES_MAX`]; the rest of it will be skipped.
    TooLong,
    /// The input has ended.
    End,
}

/// Cuts a byte stream into lines. Every step may be dropped half way and begun again.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    /// Always initialised as a whole, so that reading into it needs no clearing.
    buffer: Vec<u8>,
    /// The part of the buffer that was read and not yet given out.
    pending: Range<usize>,
    /// Bytes of `pending` known to hold no line feed.
    searched: usize,
    is_skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; READ_BYTES],
            pending: 0..0,
            searched: 0,
            is_skipping: false,
        }
    }

    fn text(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Whether everything that was read has been given out.
    fn is_drained(&self) -> bool {
        self.pending.is_empty()
    }

    async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(line);
            }
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// Takes the next outcome out of what was read so far.
    fn cut(&mut self) -> Option<Line> {
        loop {
            let unsearched = self.pending.start.saturating_add(self.searched)..self.pending.end;
            let Some(length) = memchr::memchr(b'\n', self.text(unsearched)) else {
                self.searched = self.pending.len();
                return self.give_up();
            };
            let end = self
                .pending
                .start
                .saturating_add(self.searched)
                .saturating_add(length);
            let line = self.pending.start..end;
            self.pending.start = end.saturating_add(1);
            self.searched = 0;
            if !std::mem::take(&mut self.is_skipping) {
                return Some(Line::Text(line));
            }
        }
    }

    /// Drops the beginning of a line that is already too long.
    fn give_up(&mut self) -> Option<Line> {
        if self.is_skipping || self.pending.len() > LINE_BYTES_MAX {
            self.pending = 0..0;
            self.searched = 0;
            return (!std::mem::replace(&mut self.is_skipping, true)).then_some(Line::TooLong);
        }
        None
    }

    /// What stands after the last line feed when the input ends: a message whose sender saved the line feed.
    fn rest(&mut self) -> Line {
        let rest = std::mem::take(&mut self.pending);
        self.searched = 0;
        if rest.is_empty() || self.is_skipping {
            Line::End
        } else {
            Line::Text(rest)
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let free = self.buffer.get_mut(self.pending.end..).unwrap_or_default();
        let mut free = ReadBuf::new(free);
        ready!(Pin::new(&mut self.input).poll_read(cx, &mut free))?;
        let count = free.filled().len();
        self.pending.end = self.pending.end.saturating_add(count);
        Poll::Ready(Ok(count))
    }

    fn make_room(&mut self) {
        if self.pending.is_empty() {
            self.pending = 0..0;
            // One huge message must not keep its memory for the rest of the session.
            if self.buffer.len() > BUFFER_BYTES_KEPT {
                self.buffer = vec![0; READ_BYTES];
            }
        } else if self.pending.start > 0 {
            self.buffer.copy_within(self.pending.clone(), 0);
            self.pending = 0..self.pending.len();
        }
        if self.pending.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len().saturating_mul(2), 0);
        }
    }
}

/// The way out: writes at once what the client takes at once, and keeps the rest for a task.
#[derive(Debug)]
struct Outbox<W> {
    state: Mutex<OutboxState<W>>,
    /// Signalled whenever the backlog has been worked off.
    drained: Notify,
}

#[derive(Debug)]
struct OutboxState<W> {
    output: W,
    /// Whole lines, except that the first `written` bytes are gone. Empty between messages.
    backlog: Vec<u8>,
    written: usize,
    /// A task is waiting for the client to take the backlog.
    is_draining: bool,
    broken: CancellationToken,
}

impl<W: AsyncWrite + Send + Unpin + 'static> Outbox<W> {
    fn new(output: W, broken: CancellationToken) -> Self {
        let state = OutboxState {
            output,
            backlog: Vec::new(),
            written: 0,
            is_draining: false,
            broken,
        };
        Self {
            state: Mutex::new(state),
            drained: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a message, or as much of it as the client takes now.
    fn post(self: &Arc<Self>, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let mut state = self.lock();
        let length = state.backlog.len();
        if let Err(error) = serde_json::to_writer(&mut state.backlog, message) {
            state.backlog.truncate(length);
            return Err(error.into());
        }
        state.backlog.push(b'\n');
        if state.is_draining {
            return Ok(());
        }
        match state.poll_drain(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                state.is_draining = true;
                tokio::spawn(Arc::clone(self).drain());
                Ok(())
            }
        }
    }

    async fn drain(self: Arc<Self>) {
        let result = poll_fn(|cx| {
            let mut state = self.lock();
            let result = ready!(state.poll_drain(cx));
            state.is_draining = false;
            Poll::Ready(result)
        })
        .await;
        if let Err(error) = result {
            tracing::debug!(%error, "client has gone");
        }
        self.drained.notify_waiters();
    }

    /// Waits while the client leaves too many answers unread.
    /// Whether the client is far behind.
    fn is_full(&self) -> bool {
        self.lock().backlog.len() > NOTES_BYTES_MAX
    }

    async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.lock().backlog.len() <= BACKLOG_BYTES_MAX {
                return;
            }
            drained.await;
        }
    }
}

impl<W: AsyncWrite + Unpin> OutboxState<W> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(self.poll_write(cx));
        self.written = 0;
        self.backlog.clear();
        self.backlog.shrink_to(BUFFER_BYTES_KEPT);
        if result.is_err() {
            self.broken.cancel();
        }
        Poll::Ready(result)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.backlog.get(self.written..).filter(|bytes| !bytes.is_empty()) {
            let count = ready!(Pin::new(&mut self.output).poll_write(cx, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.output).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests;
