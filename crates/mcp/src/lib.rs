//! The MCP front: a host's tools for agents, over standard input and output, and over Streamable HTTP.
//!
//! Speaks the revisions with a handshake (`initialize`, up to 2025-11-25) and the stateless one
//! (2026-07-28), on the same connection or endpoint. Knows nothing of components beyond the host's catalog, and decides
//! nothing: every effect is a command or a call of the host.

mod builtin;
mod calls;
mod http;
mod listing;
mod message;
#[cfg(any(test, feature = "native-echo"))]
mod native;
mod news;
mod notes;
mod process;
mod rich;
mod search;
mod server;
mod shared;
mod stdio;
mod streams;
mod unique;
mod wire;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmcp::service::serve_directly_with_ct;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use wassette_host::Host;

pub use crate::builtin::Builtin;
pub use crate::http::{
    Access, AccountLimits, Connection, ENDPOINT, FetchKeys, HttpOptions, HttpServer, Issuer, IssuerError,
    Listener, Listeners, Membership, Names, Others, ParseNameError, ParseTokenError, Readiness, TlsError,
    Token,
};
pub use crate::process::ProcessName;
pub use crate::rich::tool_result_json;
use crate::server::Server;
pub use crate::shared::ServerOptions;
use crate::shared::Shared;
use crate::stdio::{Ends, LineTransport};

/// How long calls may go on once the server is told to end.
const DRAIN_TIME: Duration = Duration::from_secs(4);

/// The same once a client has closed its input. Clients kill a server that has not ended four seconds later, and the end
/// of each call has to be written down before.
const CLOSED_TIME: Duration = Duration::from_secs(3);

/// What is said of a request that was not answered by then.
const STOPPED: &str = "stopped, since the server ends";

/// How long stopped calls may take to let go of their guests before the server returns without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why serving could not begin or went wrong.
///
/// A client that goes away, however abruptly, is none of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Standard input or output cannot be used.
    #[error("cannot take over standard input and output")]
    Streams(#[source] io::Error),
    /// The task that reads requests has failed.
    #[error("the protocol task failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Serves one client on standard input and output until its input ends or `stop` is done.
///
/// Takes both away from the rest of the process, for good: what is printed later goes to standard error.
/// Calls that run then are answered if they take no longer than a few seconds.
///
/// # Errors
///
/// [`ServeError::Streams`] when the streams cannot be taken over, [`ServeError::Task`] on a bug.
pub async fn serve_stdio(
    host: Host,
    options: ServerOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let streams = streams::take().map_err(ServeError::Streams)?;
    serve(host, options, streams, stop).await
}

/// Serves one client on any pair of byte streams, one message per line, as [`serve_stdio`] does.
///
/// # Errors
///
/// [`ServeError::Task`] on a bug.
pub async fn serve<R, W>(
    host: Host,
    options: ServerOptions,
    streams: (R, W),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let input_ended = CancellationToken::new();
    let shared = Shared::new(host, options, None, input_ended.clone());
    let ends = Ends {
        input_ended,
        overdue: shared.overdue.clone(),
        output_broken: CancellationToken::new(),
    };
    let refreshing = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { shared.refresh().await }
    });
    let transport = LineTransport::new(streams, ends.clone(), shared.begin());
    let server = Server::new(Arc::clone(&shared));
    // Not the library's usual entrance: that one ends the process on a notification before `initialize`,
    // and then holds the whole connection to the era of its first request. `message.rs` does that part.
    let service = serve_directly_with_ct(server, transport, None, ends.output_broken.clone());
    let result = tokio::select! {
        result = service.waiting() => result,
        never = end(&ends, stop) => match never {},
    };
    ends.input_ended.cancel();
    refreshing.abort();
    // Nobody is left to hear of what still runs.
    ends.overdue.cancel();
    shared.calls_ended().await;
    result.map(|_reason| ()).map_err(ServeError::Task)
}

/// Ends the input when it is time to stop, and the calls that still run a while after it has ended.
async fn end(ends: &Ends, stop: impl Future<Output = ()>) -> Infallible {
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = &mut stop => {
            tracing::info!("stopping: no new requests are taken");
            ends.input_ended.cancel();
            tokio::time::sleep(DRAIN_TIME).await;
        }
        // Whoever has closed the input and says that it is time as well waits for no answer.
        () = ends.input_ended.cancelled() => tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(CLOSED_TIME) => {}
        },
    }
    ends.overdue.cancel();
    std::future::pending().await
}
