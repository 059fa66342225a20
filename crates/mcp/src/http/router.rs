//! Which path is answered by what.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{any, get, post};
use serde_json::json;

use super::oauth::METADATA;
use super::{ENDPOINT, Endpoint, Readiness, gate, origin, others};

/// What `/metrics` is written in (OpenMetrics 1.0).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What clients reach.
pub(super) fn protocol(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route(ENDPOINT, any(endpoint_request))
        // Without the path of the resource for clients that do not know of it.
        .route(METADATA, get(resource).options(resource))
        .route(&format!("{METADATA}/{{*path}}"), get(resource).options(resource))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/info", get(info))
        .with_state(endpoint)
}

/// What the operator's programs reach, on an address of its own.
pub(super) fn admin(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(endpoint)
}

/// What other processes that serve the same store reach, on a socket of its own.
pub(super) fn inner(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route(ENDPOINT, any(handed_over))
        .route(others::NEWS, post(news))
        .with_state(endpoint)
}

async fn handed_over(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    gate::answer_handed_over(&endpoint, request).await
}

async fn news(State(endpoint): State<Arc<Endpoint>>, request: Request) -> StatusCode {
    let read = axum::body::to_bytes(request.into_body(), others::NEWS_BYTES_MAX).await;
    let is_understood = read.is_ok_and(|body| others::heard(&endpoint.shared, &body));
    if is_understood {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::BAD_REQUEST
    }
}

async fn endpoint_request(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    gate::answer(&endpoint, request).await
}

/// Whether the process answers. Whoever asks needs no name and no token: a balancer has neither.
async fn health() -> &'static str {
    "ok\n"
}

/// Whether requests should be sent here.
async fn ready(State(endpoint): State<Arc<Endpoint>>) -> Response {
    let unready = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    if endpoint.stopping.is_cancelled() {
        return unready("stopping\n");
    }
    let readiness = *endpoint.readiness.lock().unwrap_or_else(PoisonError::into_inner);
    if readiness == Readiness::Loading {
        return unready("loading\n");
    }
    // Also of a server that is broken: it looks at its components again when they have changed.
    if let Err(error) = endpoint.shared.host().refresh().await {
        tracing::warn!(%error, "not ready");
        return unready("the store cannot be read\n");
    }
    if readiness == Readiness::Broken {
        return unready("components are missing or damaged\n");
    }
    "ready\n".into_response()
}

/// What this server is. Nothing of what is loaded: that takes a token.
async fn info(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    if let Err(refusal) = endpoint.gate.named(&parts) {
        return *refusal;
    }
    let options = endpoint.shared.options();
    let versions: Vec<_> = rmcp::model::ProtocolVersion::KNOWN_VERSIONS
        .iter()
        .map(rmcp::model::ProtocolVersion::as_str)
        .collect();
    Json(json!({
        "name": options.name,
        "version": options.version,
        "endpoint": ENDPOINT,
        "protocol_versions": versions,
    }))
    .into_response()
}

/// Who issues tokens for this server.
///
/// Read by the pages that may send requests, and by no others: what those find here is of no use to them, and one rule
/// for pages is easier to keep than two.
async fn resource(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    if let Err(refusal) = endpoint.gate.named(&parts) {
        return *refusal;
    }
    let path = parts.uri.path().trim_end_matches('/');
    let issuer = endpoint.gate.access().issuer();
    // Also before our own path, which is that of the resource as a proxy that changes it sees us.
    let issuer = issuer.filter(|issuer| {
        path == issuer.metadata_path()
            || path
                .strip_prefix(METADATA)
                .is_some_and(|rest| matches!(rest, "" | ENDPOINT))
    });
    let mut response = match issuer {
        Some(_) if parts.method == Method::OPTIONS => origin::preflight(&parts.headers),
        Some(issuer) => Json(issuer.metadata()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    };
    if let Some(page) = parts.headers.get(header::ORIGIN) {
        origin::admit(response.headers_mut(), page.clone());
    }
    response
}

/// What this server does. Without a token, but not to a page whose name was led here.
async fn metrics(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    if let Err(refusal) = gate::named(&endpoint.admin_names, &parts) {
        return *refusal;
    }
    let sessions = endpoint.gate.sessions().count().await;
    let running = endpoint.gate.accounts().in_flight();
    match endpoint.metrics.text(sessions, running) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
