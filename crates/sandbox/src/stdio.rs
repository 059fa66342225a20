//! The guest's standard output and error: kept up to a bound, never connected to ours.
//!
//! Our own standard output may carry a protocol, and a terminal obeys escape sequences, so guest bytes go
//! to a buffer and nowhere else. Past the bound they are counted and dropped; the guest is not told,
//! because a program that cannot print usually crashes.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What a guest may write at once. The stream never asks it to wait.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// What a guest printed in one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestOutput {
    /// Standard output, as text; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Bytes dropped because they were more than the limit.
    pub dropped_bytes: u64,
}

/// One captured stream. Clones write to the same buffer.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    buffer: Arc<Mutex<Buffer>>,
}

#[derive(Debug)]
struct Buffer {
    kept: Vec<u8>,
    kept_max: usize,
    dropped: u64,
}

impl Capture {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let kept_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Self {
            buffer: Arc::new(Mutex::new(Buffer {
                kept: Vec::new(),
                kept_max,
                dropped: 0,
            })),
        }
    }

    /// The kept text and the number of dropped bytes.
    pub(crate) fn take(&self) -> (String, u64) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::mem::take(&mut buffer.kept);
        let text =
            String::from_utf8(kept).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        (text, buffer.dropped)
    }

    fn push(&self, bytes: &[u8]) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let room = buffer.kept_max.saturating_sub(buffer.kept.len());
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        buffer.kept.extend_from_slice(kept);
        buffer.dropped = buffer.dropped.saturating_add(dropped.len() as u64);
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    /// Only WASI 0.3 asks for this stream, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    // SECURITY: the default wraps the stream above in `AsyncWriteStream`, which queues empty writes without
    // a bound (GHSA-5m8g-xhq4-4h93, open in wasmtime 48.0.8).
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_dropped() {
        let capture = Capture::new(5);
        for text in ["abc", "", "defg", "h"] {
            capture
                .clone()
                .write(Bytes::from(text))
                .expect("a write never fails");
        }
        assert_eq!(capture.take(), ("abcde".to_owned(), 3));
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        let capture = Capture::new(100);
        capture
            .clone()
            .write(Bytes::from_static(b"a\xffb"))
            .expect("a write never fails");
        assert_eq!(capture.take(), ("a\u{fffd}b".to_owned(), 0));
    }
}
