//! The MCP front over Streamable HTTP, for many clients at a time.
//!
//! A request passes, in this order: the limit on connections and the time for a head (`listen`), the names it may be
//! addressed to and the pages it may come from (`origin`), who it is from (`access`, `oauth`), how much that one may
//! ask (`accounts`), and what it says (`gate`, which reads it as the other transport does, because the library
//! answers what fits no shape with a wrong status). Only then does the library see it, which knows both eras of the
//! protocol, sessions and streams.

mod access;
mod accounts;
mod body;
mod gate;
mod home;
mod keys;
mod listen;
mod metrics;
mod oauth;
mod origin;
mod others;
mod priming;
mod refusal;
mod router;
mod sessions;
mod unread;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use tokio_util::sync::CancellationToken;
use wassette_host::Host;

pub use self::access::{Access, ParseTokenError, Token};
pub(crate) use self::access::{Principal, Scope};
pub use self::accounts::AccountLimits;
pub use self::keys::FetchKeys;
pub use self::listen::{Listener, TlsError};
pub use self::oauth::{Issuer, IssuerError};
pub use self::origin::{Names, ParseNameError};
pub use self::others::{Connection, Membership, Others};
use crate::server::Server;
use crate::shared::{ServerOptions, Shared};
use crate::{DRAIN_TIME, ServeError};

/// The path of the protocol's endpoint.
pub const ENDPOINT: &str = "/mcp";

/// Connections of the operator's programs.
const ADMIN_CONNECTIONS_MAX: usize = 32;

/// One client may have the sessions of one share of so many.
const SHARES: usize = 4;

/// How long it may take to say of requests that they are not waited for any longer.
const TELL_TIME: Duration = Duration::from_millis(300);

/// How long connections may take to close after that.
const CLOSE_TIME: Duration = Duration::from_millis(700);

/// How an endpoint is served.
#[derive(Debug)]
pub struct HttpOptions {
    /// Names that requests may be addressed to, and pages that may send them.
    pub names: Names,
    /// The same for the operator's programs.
    pub admin_names: Names,
    /// Who may send requests.
    pub access: Access,
    /// How much one client may ask.
    pub limits: AccountLimits,
    /// Connections at a time.
    pub connections_max: usize,
    /// Sessions of clients with a handshake, at a time.
    pub sessions_max: usize,
    /// Bytes of one request's body.
    pub body_bytes_max: usize,
    /// Other processes that serve the same store, if there may be any.
    pub membership: Option<Membership>,
}

/// What is served, beside what says so.
pub(crate) struct Endpoint {
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: gate::Gate,
    /// Names that the operator's programs use.
    pub(crate) admin_names: Names,
    pub(crate) service: StreamableHttpService<Server, sessions::Sessions>,
    pub(crate) metrics: Arc<metrics::Metrics>,
    /// None where there are no other processes.
    pub(crate) membership: Option<Membership>,
    /// Whether requests should be sent here.
    pub(crate) readiness: Mutex<Readiness>,
    /// Cancelled as soon as no new requests are wanted.
    pub(crate) stopping: CancellationToken,
}

/// Whether requests should be sent to a server. They are answered in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// What should be loaded is not loaded yet, or not verified.
    Loading,
    /// Bytes of components are missing or damaged.
    Broken,
    /// They should.
    Ready,
}

/// A server that is made and does not listen yet.
pub struct HttpServer {
    endpoint: Arc<Endpoint>,
    ended: CancellationToken,
    closed: CancellationToken,
    connections_max: usize,
}

/// Where connections come from.
#[derive(Debug)]
pub struct Listeners {
    /// From clients.
    pub clients: Listener,
    /// From the operator's programs: answers `/metrics`, `/health` and `/ready` to whoever reaches it, and nothing else.
    pub admin: Option<Listener>,
    /// From other processes that serve the same store, and from nobody else.
    pub processes: Option<Listener>,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").finish_non_exhaustive()
    }
}

/// Only where clients have names of their own is one kept from taking all places: else all are one.
fn session_limits(http: &HttpOptions) -> sessions::SessionLimits {
    let most = http.sessions_max;
    let share = (most / SHARES).max(1);
    sessions::SessionLimits {
        most,
        most_of_one: if http.access.issuer().is_some() {
            share
        } else {
            most
        },
    }
}

impl HttpServer {
    /// Makes a server, which is not ready until [`Self::tell`] says so.
    pub fn new(host: Host, options: ServerOptions, http: HttpOptions) -> Self {
        let (ended, closed) = (CancellationToken::new(), CancellationToken::new());
        let process = http.membership.as_ref().map(|membership| membership.name.clone());
        let shared = Shared::new(host, options, process, ended.clone());
        let metrics = Arc::new(metrics::Metrics::new());
        let sessions = Arc::new(sessions::Sessions::new(session_limits(&http)));
        let config = StreamableHttpServerConfig::default()
            .with_json_response(true)
            .with_cancellation_token(closed.clone())
            .with_max_request_body_bytes(http.body_bytes_max)
            // Both are checked in `origin`, before anybody is asked who they are.
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let of_connection = Arc::clone(&shared);
        let service = StreamableHttpService::new(
            move || Ok(Server::new(Arc::clone(&of_connection))),
            Arc::clone(&sessions),
            config,
        );
        let endpoint = Endpoint {
            shared,
            gate: gate::Gate::new(
                http.names,
                http.access,
                http.limits,
                (sessions, http.body_bytes_max),
            ),
            admin_names: http.admin_names,
            service,
            metrics,
            membership: http.membership,
            readiness: Mutex::new(Readiness::Loading),
            stopping: ended.clone(),
        };
        Self {
            endpoint: Arc::new(endpoint),
            ended,
            closed,
            connections_max: http.connections_max,
        }
    }

    /// Says whether requests should be sent here, which `/ready` tells.
    pub fn tell(&self, readiness: Readiness) {
        let told = self.endpoint.readiness.lock();
        *told.unwrap_or_else(PoisonError::into_inner) = readiness;
    }

    /// Serves until `stop` is done, then answers what was asked, for a few seconds.
    ///
    /// # Errors
    ///
    /// [`ServeError::Streams`] when a listener fails for good.
    pub async fn serve(
        &self,
        listeners: Listeners,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let shared = Arc::clone(&self.endpoint.shared);
        let refreshing = tokio::spawn(async move { shared.refresh().await });
        let metrics = Arc::clone(&self.endpoint.metrics);
        let limits = listen::Limits::new(self.connections_max, &metrics);
        let served = listen::serve(
            listeners.clients,
            router::protocol(Arc::clone(&self.endpoint)),
            limits,
            self.closed.clone(),
        );
        let admin_router = router::admin(Arc::clone(&self.endpoint));
        let admin_served = self.served(
            listeners.admin,
            admin_router,
            listen::Limits::of_others(ADMIN_CONNECTIONS_MAX, Gauge::default()),
        );
        let inner_router = router::inner(Arc::clone(&self.endpoint));
        let inner_limits =
            listen::Limits::of_others(self.connections_max, metrics.inner_connections().clone());
        let inner_served = self.served(listeners.processes, inner_router, inner_limits);
        let telling = async {
            if let Some(membership) = &self.endpoint.membership {
                membership.tell(&self.endpoint.shared).await;
            }
        };
        let drained = async {
            stop.await;
            tracing::info!("stopping: no new requests are taken");
            // Ends the streams that only wait for changes, and makes `/ready` say no.
            self.ended.cancel();
            let accounts = self.endpoint.gate.accounts();
            if !accounts.drained(DRAIN_TIME).await {
                tracing::warn!("requests that still run are stopped, since the server ends");
                self.endpoint.shared.overdue.cancel();
                accounts.drained(TELL_TIME).await;
            }
            // Ends tasks, and sessions with their streams and the calls whose client is gone: nobody can come back for
            // them now. They let go of their guests meanwhile.
            self.endpoint.shared.overdue.cancel();
            self.closed.cancel();
            self.endpoint.shared.calls_ended().await;
        };
        let (served, admin_served, inner_served, (), ()) =
            tokio::join!(served, admin_served, inner_served, telling, drained);
        refreshing.abort();
        served
            .and(admin_served)
            .and(inner_served)
            .map_err(ServeError::Streams)
    }

    /// Serves what there need not be, as long as the rest.
    async fn served(
        &self,
        listener: Option<Listener>,
        router: axum::Router,
        limits: listen::Limits,
    ) -> std::io::Result<()> {
        match listener {
            Some(listener) => listen::serve(listener, router, limits, self.closed.clone()).await,
            None => Ok(()),
        }
    }
}
