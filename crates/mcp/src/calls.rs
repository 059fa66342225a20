//! The short way of a tool call: from its line to its answer without the library's loop.
//!
//! The library gives each request two tasks and three turns of its loop, which costs as much as a fresh
//! sandbox. A call needs none of that: it is polled where it was read, and most are done with that. One
//! that is not, or that comes while others run, gets a task of its own. Everything unusual (a built-in
//! tool, a version or metadata to be refused) goes the long way and is answered there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolResult, ClientJsonRpcMessage, ClientNotification, ClientRequest, JsonRpcRequest,
    RequestId, ServerJsonRpcMessage, ServerResult,
};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{STOP_TIMEOUT, STOPPED};

/// The answer to one call.
pub(crate) type Answer = Result<CallToolResult, ErrorData>;

/// Begins a call, or gives it back for the long way.
pub(crate) type Begin =
    Box<dyn Fn(CallToolRequest) -> Result<BoxFuture<'static, Answer>, Box<CallToolRequest>> + Send + Sync>;

/// Where answers go.
pub(crate) type Post = Arc<dyn Fn(&ServerJsonRpcMessage) + Send + Sync>;

/// The calls of one connection that take the short way.
pub(crate) struct Calls {
    begin: Begin,
    post: Post,
    running: Arc<Running>,
}

/// Calls that were not done at once.
#[derive(Debug, Default)]
struct Running {
    /// A cancelled call stays listed until it has let go of its guest: its id is in use until then.
    calls: Mutex<HashMap<RequestId, Call>>,
    /// Signalled whenever a call has ended.
    ended: Notify,
}

#[derive(Debug)]
struct Call {
    task: AbortHandle,
    /// Whether it was answered, or is not to be.
    is_settled: bool,
}

impl Calls {
    pub(crate) fn new(begin: Begin, post: Post) -> Self {
        Self {
            begin,
            post,
            running: Arc::default(),
        }
    }

    /// Takes the message if it is a call for the short way or cancels one; gives back any other.
    ///
    /// `is_alone` says that no further message waits to be read.
    pub(crate) fn take(&self, message: ClientJsonRpcMessage, is_alone: bool) -> Option<ClientJsonRpcMessage> {
        match message {
            ClientJsonRpcMessage::Request(JsonRpcRequest {
                id,
                request: ClientRequest::CallToolRequest(call),
                ..
            }) => match (self.begin)(call) {
                Ok(call) => {
                    self.start(id, call, is_alone);
                    None
                }
                Err(call) => Some(ClientJsonRpcMessage::request(
                    ClientRequest::CallToolRequest(*call),
                    id,
                )),
            },
            ClientJsonRpcMessage::Notification(ref notification) => {
                let ClientNotification::CancelledNotification(cancelled) = &notification.notification else {
                    return Some(message);
                };
                let is_ours = cancelled
                    .params
                    .request_id
                    .as_ref()
                    .is_some_and(|id| self.running.cancel(id));
                (!is_ours).then_some(message)
            }
            other @ (ClientJsonRpcMessage::Request(_)
            | ClientJsonRpcMessage::Response(_)
            | ClientJsonRpcMessage::Error(_)) => Some(other),
        }
    }

    fn start(&self, id: RequestId, mut call: BoxFuture<'static, Answer>, is_alone: bool) {
        let mut running = self.running.lock();
        if running.contains_key(&id) {
            let error = ErrorData::invalid_request("a request with this id is still running", None);
            (self.post)(&ServerJsonRpcMessage::error(error, Some(id)));
            return;
        }
        if is_alone && running.is_empty() {
            drop(running);
            // Polled once more by its task if it is not done, with a waker that works.
            if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                (self.post)(&message(id, answer));
                return;
            }
            running = self.running.lock();
        }
        let ended = Ended {
            id: id.clone(),
            running: Arc::clone(&self.running),
        };
        let post = Arc::clone(&self.post);
        let task = tokio::spawn(async move {
            let ended = ended;
            let answer = call.await;
            if ended.settle() {
                post(&message(ended.id.clone(), answer));
            }
        });
        running.insert(
            id,
            Call {
                task: task.abort_handle(),
                is_settled: false,
            },
        );
    }

    /// Waits for the running calls until they are overdue.
    pub(crate) async fn finish(&self, overdue: &CancellationToken) {
        tokio::select! {
            () = self.running.idle() => {}
            () = overdue.cancelled() => {}
        }
    }

    /// Stops the calls that are still running, tells whoever asked, and returns when they have let go of what they held.
    pub(crate) async fn stop(&self) {
        for (id, call) in self.running.lock().iter_mut() {
            call.task.abort();
            if !std::mem::replace(&mut call.is_settled, true) {
                let error = ErrorData::internal_error(STOPPED, None);
                (self.post)(&ServerJsonRpcMessage::error(error, Some(id.clone())));
            }
        }
        drop(timeout(STOP_TIMEOUT, self.running.idle()).await);
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops one call; dropping it stops its guest. It will not be answered.
    fn cancel(&self, id: &RequestId) -> bool {
        let mut calls = self.lock();
        let Some(call) = calls.get_mut(id) else {
            return false;
        };
        call.is_settled = true;
        call.task.abort();
        true
    }

    async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// Takes a call off the list however it ends: done, cancelled, or by a panic.
struct Ended {
    id: RequestId,
    running: Arc<Running>,
}

impl Ended {
    /// Whether it is to be answered, which it then counts as.
    fn settle(&self) -> bool {
        // The entry is made under the lock that the task was begun under, so that it is there by now.
        let mut calls = self.running.lock();
        let call = calls.get_mut(&self.id);
        call.is_some_and(|call| !std::mem::replace(&mut call.is_settled, true))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
        self.running.ended.notify_waiters();
    }
}

fn message(id: RequestId, answer: Answer) -> ServerJsonRpcMessage {
    match answer {
        Ok(result) => ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), id),
        Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
    }
}
