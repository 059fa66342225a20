//! What is counted, in the form that Prometheus reads.

use std::fmt;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rmcp::model::ClientRequest;

/// Counters and gauges of one server.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<ByStatus, Counter>,
    requests: Family<ByMethod, Counter>,
    connections: Gauge,
    inner_connections: Gauge,
    refused_connections: Counter,
    sessions: Gauge,
    running: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByStatus {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByMethod {
    method: &'static str,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("wassette");
        let (answers, requests) = (Family::default(), Family::default());
        let (connections, inner_connections) = (Gauge::default(), Gauge::default());
        let (sessions, running) = (Gauge::default(), Gauge::default());
        let refused_connections = Counter::default();
        registry.register("http_answers", "Answers by status", answers.clone());
        registry.register("requests", "Requests by method", requests.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "connections_inner",
            "Open connections from other processes that serve the same store",
            inner_connections.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections closed at once because there were too many",
            refused_connections.clone(),
        );
        registry.register(
            "sessions",
            "Sessions of clients with a handshake",
            sessions.clone(),
        );
        registry.register(
            "requests_running",
            "Requests that are not answered yet",
            running.clone(),
        );
        Self {
            registry,
            answers,
            requests,
            connections,
            inner_connections,
            refused_connections,
            sessions,
            running,
        }
    }

    pub(super) fn answered(&self, status: StatusCode) {
        let status = status.as_u16();
        self.answers.get_or_create(&ByStatus { status }).inc();
    }

    pub(super) fn asked(&self, request: &ClientRequest) {
        let method = method(request);
        self.requests.get_or_create(&ByMethod { method }).inc();
    }

    pub(super) fn connections(&self) -> &Gauge {
        &self.connections
    }

    pub(super) fn inner_connections(&self) -> &Gauge {
        &self.inner_connections
    }

    pub(super) fn refused_connections(&self) -> &Counter {
        &self.refused_connections
    }

    /// All as text; these two are asked for when they are told.
    pub(super) fn text(&self, sessions: usize, running: usize) -> Result<String, fmt::Error> {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// One of a few words: what a client makes up must not make series without end.
fn method(request: &ClientRequest) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "methods that are not offered are counted as one"
    )]
    match request {
        ClientRequest::CallToolRequest(_) => "tools/call",
        ClientRequest::ListToolsRequest(_) => "tools/list",
        ClientRequest::DiscoverRequest(_) => "server/discover",
        ClientRequest::PingRequest(_) => "ping",
        ClientRequest::InitializeRequest(_) => "initialize",
        ClientRequest::GetPromptRequest(_) => "prompts/get",
        ClientRequest::ReadResourceRequest(_) => "resources/read",
        ClientRequest::CompleteRequest(_) => "completion/complete",
        ClientRequest::GetTaskRequest(_) => "tasks/get",
        _ => "other",
    }
}
