//! A file as a stream of bytes. At most one operation of a stream is under way, so what a guest can make us hold is
//! one chunk for each.

use super::Session;
use super::action::{CHUNK_BYTES, WriteAt, code, read_at, write_all};
use super::host::StreamFailure;
use super::jobs::{NoJob, Running};
use super::kernel::{Pace, Stop};
use super::session::{File, Leave, Node};
use super::types::ErrorCode;
use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wassette_policy::{AbsolutePath, FileOperation};

/// Bytes read ahead for a guest that only asks whether there are some.
const AHEAD_BYTES: usize = 4096;

fn failed(code: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(StreamFailure(code)))
}

/// What both directions have.
struct Common {
    session: Session,
    file: Arc<File>,
    path: AbsolutePath,
    leave: Leave,
}

impl Common {
    fn authorize(&mut self, operation: FileOperation) -> StreamResult<()> {
        let permit = self.leave.authorize(&self.session, &self.path, operation);
        permit.map(drop).map_err(failed)
    }
}

pub(super) struct ReadStream {
    common: Common,
    at: u64,
    state: Reading,
}

enum Reading {
    Idle,
    Waiting(Running<Result<Vec<u8>, Stop>>),
    Ready(Bytes),
    Failed(ErrorCode),
    Closed,
}

impl ReadStream {
    pub(super) fn new(session: Session, node: &Node, file: Arc<File>, at: u64) -> Self {
        Self {
            common: Common {
                session,
                file,
                path: node.path.clone(),
                leave: node.leave.clone(),
            },
            at,
            state: Reading::Idle,
        }
    }

    /// Begins to read; what is in memory is there at once.
    fn begin(&mut self, length: usize) {
        let (file, at) = (Arc::clone(&self.common.file), self.at);
        if file.is_local {
            match read_at(&file.fd, length, at, Pace::Cached) {
                Err(Stop::WouldWait) => {}
                read => return self.arrive(read),
            }
        }
        let job = move || read_at(&file.fd, length, at, Pace::Patient);
        self.state = match self.common.session.jobs().start(job) {
            Ok(running) => Reading::Waiting(running),
            Err(_no_job) => Reading::Failed(ErrorCode::Busy),
        };
    }

    /// Takes what was read, if the call may still read that much.
    fn arrive(&mut self, read: Result<Vec<u8>, Stop>) {
        self.state = match read {
            Ok(bytes) if bytes.is_empty() => Reading::Closed,
            Ok(bytes) => {
                let gate = &self.common.session.gate;
                match gate.spend(|m| &m.file_read, bytes.len() as u64) {
                    Ok(()) => Reading::Ready(bytes.into()),
                    Err(_over) => Reading::Failed(ErrorCode::Quota),
                }
            }
            Err(stop) => Reading::Failed(code(&stop)),
        };
    }

    async fn wait(&mut self) {
        if let Reading::Waiting(running) = &mut self.state {
            let read = running.await;
            match read {
                Ok(read) => self.arrive(read),
                Err(NoJob::Busy | NoJob::Failed) => self.state = Reading::Failed(ErrorCode::Io),
            }
        }
    }
}

#[async_trait]
impl InputStream for ReadStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.common.authorize(FileOperation::Read)?;
        if size > 0 && matches!(self.state, Reading::Idle) {
            self.begin(size);
        }
        match &mut self.state {
            Reading::Idle | Reading::Waiting(_) => Ok(Bytes::new()),
            Reading::Ready(bytes) => {
                let chunk = bytes.split_to(bytes.len().min(size));
                self.at = self.at.saturating_add(chunk.len() as u64);
                if bytes.is_empty() {
                    self.state = Reading::Idle;
                }
                Ok(chunk)
            }
            Reading::Failed(code) => {
                let code = *code;
                self.state = Reading::Closed;
                Err(failed(code))
            }
            Reading::Closed => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.wait().await;
        let bytes = self.read(size)?;
        if !bytes.is_empty() || size == 0 {
            return Ok(bytes);
        }
        self.wait().await;
        self.read(size)
    }

    async fn cancel(&mut self) {
        self.state = Reading::Closed;
    }
}

#[async_trait]
impl Pollable for ReadStream {
    async fn ready(&mut self) {
        if matches!(self.state, Reading::Idle) && self.common.authorize(FileOperation::Read).is_ok() {
            self.begin(AHEAD_BYTES);
        }
        self.wait().await;
    }
}

pub(super) struct WriteStream {
    common: Common,
    at: WriteAt,
    state: Writing,
}

enum Writing {
    Ready,
    Waiting(Running<Result<(), Stop>>),
    Failed(ErrorCode),
    Closed,
}

impl WriteStream {
    pub(super) fn new(session: Session, node: &Node, file: Arc<File>, at: WriteAt) -> Self {
        Self {
            common: Common {
                session,
                file,
                path: node.path.clone(),
                leave: node.leave.clone(),
            },
            at,
            state: Writing::Ready,
        }
    }

    fn begin(&mut self, bytes: Bytes) {
        let (file, gate, at) = (
            Arc::clone(&self.common.file),
            self.common.session.gate.clone(),
            self.at,
        );
        if let WriteAt::Offset(offset) = &mut self.at {
            *offset = offset.saturating_add(bytes.len() as u64);
        }
        let job = move || write_all(&gate, &file.fd, &bytes, at);
        self.state = match self.common.session.jobs().start(job) {
            Ok(running) => Writing::Waiting(running),
            Err(_no_job) => Writing::Failed(ErrorCode::Busy),
        };
    }

    /// The failure of the last write, once.
    fn check(&mut self) -> StreamResult<()> {
        match &self.state {
            Writing::Ready | Writing::Waiting(_) => Ok(()),
            Writing::Closed => Err(StreamError::Closed),
            Writing::Failed(code) => {
                let code = *code;
                self.state = Writing::Closed;
                Err(failed(code))
            }
        }
    }
}

#[async_trait]
impl OutputStream for WriteStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.check()?;
        if matches!(self.state, Writing::Waiting(_)) {
            return Err(StreamError::trap(
                "write not permitted: check_write not called first",
            ));
        }
        self.common.authorize(FileOperation::Write)?;
        if !bytes.is_empty() {
            self.begin(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(match self.state {
            Writing::Ready | Writing::Failed(_) | Writing::Closed => CHUNK_BYTES,
            Writing::Waiting(_) => 0,
        })
    }

    async fn cancel(&mut self) {
        // A write that was begun is finished: whoever drops a stream has been told that it was accepted.
        self.ready().await;
        self.state = Writing::Closed;
    }
}

#[async_trait]
impl Pollable for WriteStream {
    async fn ready(&mut self) {
        if let Writing::Waiting(running) = &mut self.state {
            self.state = match running.await {
                Ok(Ok(())) => Writing::Ready,
                Ok(Err(stop)) => Writing::Failed(code(&stop)),
                Err(NoJob::Busy | NoJob::Failed) => Writing::Failed(ErrorCode::Io),
            };
        }
    }
}
