//! Other processes that serve the same store, behind the same balancer.
//!
//! Most requests can be answered by any of them. A session and a task live in the process that made them, whose name
//! is in their id: a request for one that is elsewhere is handed over, whole, and the answer is handed back as it comes.
//! What components say to all clients is told to the other processes as well.
//!
//! SECURITY: whoever reaches a process this way is believed who a request is from. So the way is a socket that only the
//! user reaches who runs all of them; the binary makes it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Request, request};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{sleep, timeout};
use wassette_host::KeptList;

use super::ENDPOINT;
use super::access::Principal;
use crate::process::ProcessName;
use crate::shared::{Shared, Signal};

/// Where a process is told what components said in another one.
pub(super) const NEWS: &str = "/news";

/// Bytes of one telling: as many signals as wait at most, each with the longest URI, each byte of it escaped.
pub(super) const NEWS_BYTES_MAX: usize = 4 << 20;

/// Who a request is from that was handed over.
const PRINCIPAL: HeaderName = HeaderName::from_static("wassette-principal");

/// What of a request's head says what is wanted. All else was for the process that it came to.
const HANDED: [&str; 3] = ["accept", "content-type", "last-event-id"];
const HANDED_PREFIX: &str = "mcp-";

/// How long a process may take to be reached: it is on this machine.
const REACH_TIME: Duration = Duration::from_secs(2);

/// How long it may take to begin to answer. In a session that is before anything is called, after the wait for a place.
const BEGIN_TIME: Duration = Duration::from_secs(15);

/// What components say within this time is told once.
const COALESCE: Duration = Duration::from_millis(50);

/// A connection to another process.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

/// How the other processes are found.
pub trait Others: Debug + Send + Sync {
    /// Connects to a process, and fails at once when it is not there any more.
    fn connect(&self, name: &ProcessName) -> BoxFuture<'static, io::Result<Box<dyn Connection>>>;

    /// Those that may be there, without this one.
    ///
    /// # Errors
    ///
    /// When it cannot be known.
    fn names(&self) -> io::Result<Vec<ProcessName>>;
}

/// A process among others that serve the same store.
#[derive(Clone, Debug)]
pub struct Membership {
    /// What it is called.
    pub name: ProcessName,
    /// How it reaches the others.
    pub others: Arc<dyn Others>,
}

/// Why another process does not answer.
#[derive(Debug)]
pub(super) enum Unreached {
    /// It is not there any more, and neither is what was in it.
    Gone,
    /// It is there, or may be: it has too much to do, is stopped, or ended in the middle.
    Now(io::Error),
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Self {
        Self::Now(error)
    }
}

impl Membership {
    /// The process in which something with this id lives, when it is another one.
    pub(super) fn home(&self, id: &str) -> Option<ProcessName> {
        let (name, _) = ProcessName::of(id)?;
        (name != self.name).then_some(name)
    }

    /// Has another process answer.
    pub(super) async fn hand_over(
        &self,
        to: &ProcessName,
        principal: &Principal,
        (parts, bytes): (&request::Parts, Bytes),
    ) -> Result<Response, Unreached> {
        let mut request = Request::new(Full::new(bytes));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = http::Uri::from_static(ENDPOINT);
        for (name, value) in &parts.headers {
            if HANDED.contains(&name.as_str()) || name.as_str().starts_with(HANDED_PREFIX) {
                request.headers_mut().append(name, value.clone());
            }
        }
        request
            .headers_mut()
            .insert(PRINCIPAL, principal.to_header().map_err(io::Error::other)?);
        let answered = timeout(BEGIN_TIME, self.send(to, request)).await;
        answered.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn send(&self, to: &ProcessName, mut request: Request<Full<Bytes>>) -> Result<Response, Unreached> {
        let connected = timeout(REACH_TIME, self.others.connect(to)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|error| {
            let is_gone = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            );
            if is_gone {
                Unreached::Gone
            } else {
                Unreached::Now(error)
            }
        })?;
        let host = http::HeaderValue::from_static("localhost");
        request.headers_mut().insert(HOST, host);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another process broke off");
            }
        });
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let (mut head, body) = response.into_parts();
        // Of this connection alone.
        for name in [CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        Ok(Response::from_parts(head, Body::new(body)).into_response())
    }

    /// Tells the others what components say here, until the end.
    pub(super) async fn tell(&self, shared: &Shared) {
        let mut said = shared.said_here();
        loop {
            let first = tokio::select! {
                () = shared.ended.cancelled() => return,
                first = said.recv() => first,
            };
            let mut news = BTreeSet::new();
            match first {
                Ok(signal) => news.insert(Told::from(signal)),
                Err(RecvError::Lagged(_)) => news.insert(Told::Everything),
                Err(RecvError::Closed) => return,
            };
            sleep(COALESCE).await;
            loop {
                match said.try_recv() {
                    Ok(signal) => news.insert(signal.into()),
                    Err(TryRecvError::Lagged(_)) => news.insert(Told::Everything),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                };
            }
            tokio::select! {
                () = shared.ended.cancelled() => return,
                () = self.tell_all(&news) => {}
            }
        }
    }

    async fn tell_all(&self, news: &BTreeSet<Told>) {
        let names = self.others.names().unwrap_or_else(|error| {
            tracing::warn!(%error, "other processes cannot be told what components say");
            Vec::new()
        });
        let Ok(body) = serde_json::to_vec(news) else {
            return;
        };
        let body = Bytes::from(body);
        for name in names {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = http::Uri::from_static(NEWS);
            // One that is stopped, or gone, must not keep the rest from hearing it.
            match timeout(REACH_TIME, self.send(&name, request)).await {
                Ok(Ok(response)) if response.status().is_success() => {}
                Ok(Ok(response)) => {
                    tracing::warn!(%name, status = %response.status(), "a process does not take news");
                }
                Ok(Err(error)) => tracing::debug!(%name, ?error, "a process was not told"),
                Err(_) => tracing::debug!(%name, "a process does not listen"),
            }
        }
    }
}

/// What a process tells the others.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    Tools,
    Prompts,
    Resources,
    Resource(String),
    /// There was more than could be kept.
    Everything,
}

impl From<Signal> for Told {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Changed(KeptList::Tools) => Self::Tools,
            Signal::Changed(KeptList::Prompts) => Self::Prompts,
            Signal::Changed(KeptList::Resources) => Self::Resources,
            Signal::Updated(uri) => Self::Resource(uri.to_string()),
            Signal::Everything => Self::Everything,
        }
    }
}

impl From<Told> for Signal {
    fn from(told: Told) -> Self {
        match told {
            Told::Tools => Self::Changed(KeptList::Tools),
            Told::Prompts => Self::Changed(KeptList::Prompts),
            Told::Resources => Self::Changed(KeptList::Resources),
            Told::Resource(uri) => Self::Updated(uri.into()),
            Told::Everything => Self::Everything,
        }
    }
}

/// Passes on what another process tells. Says whether it was understood.
pub(super) fn heard(shared: &Shared, body: &[u8]) -> bool {
    let Ok(news) = serde_json::from_slice::<Vec<Told>>(body) else {
        return false;
    };
    for told in news {
        shared.heard(told.into());
    }
    true
}

/// Who a request is from, as the process says that handed it over.
pub(super) fn principal(headers: &HeaderMap) -> Option<Principal> {
    Principal::from_header(headers.get(PRINCIPAL)?)
}

#[cfg(test)]
mod tests {
    use super::super::access::Claim;
    use super::*;
    use futures::FutureExt as _;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// One that is reached, or not, as the test says.
    #[derive(Debug)]
    enum Other {
        Fails(io::ErrorKind),
        /// Says this to whatever it is asked.
        Says(&'static str),
    }

    impl Others for Other {
        fn connect(&self, _name: &ProcessName) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
            let words = match self {
                Self::Fails(kind) => return std::future::ready(Err((*kind).into())).boxed(),
                Self::Says(words) => *words,
            };
            let (near, mut far) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                let mut asked = [0; 1 << 12];
                let _count = far.read(&mut asked).await;
                let _sent = far.write_all(words.as_bytes()).await;
            });
            std::future::ready(Ok(Box::new(near) as Box<dyn Connection>)).boxed()
        }

        fn names(&self) -> io::Result<Vec<ProcessName>> {
            Ok(Vec::new())
        }
    }

    async fn handed_over(other: Other) -> Result<StatusCode, Unreached> {
        let name = ProcessName::make().unwrap();
        let membership = Membership {
            name: name.clone(),
            others: Arc::new(other),
        };
        let (parts, ()) = Request::post("/mcp").body(()).unwrap().into_parts();
        let principal = Principal::claimed(Claim::Subject, "ann", []).unwrap();
        let response = membership.hand_over(&name, &principal, (&parts, Bytes::new()));
        response.await.map(|response| response.status())
    }

    #[tokio::test]
    async fn what_is_lost_and_what_is_only_not_reached_now() {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied, WouldBlock};
        for kind in [NotFound, ConnectionRefused] {
            assert!(
                matches!(handed_over(Other::Fails(kind)).await, Err(Unreached::Gone)),
                "{kind}"
            );
        }
        // Too much to do, no descriptors left, or something else that may be mended.
        for kind in [WouldBlock, PermissionDenied, io::ErrorKind::Other] {
            assert!(
                matches!(handed_over(Other::Fails(kind)).await, Err(Unreached::Now(_))),
                "{kind}"
            );
        }
        // It ends in the middle, or says what is no answer.
        for words in ["", "HTTP/1.1 2", "what?\r\n\r\n"] {
            assert!(
                matches!(handed_over(Other::Says(words)).await, Err(Unreached::Now(_))),
                "{words}"
            );
        }
        let accepted = handed_over(Other::Says("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(accepted.unwrap(), StatusCode::ACCEPTED);
    }
}
