//! The guest's ways to the network: `wasi:http` requests, raw sockets, name lookups.
//!
//! All of them end at the gate, which decides each request, each address and each use of a socket, and counts
//! each byte. `wasmtime-wasi-http` is built without its own client; ours is in `http.rs`. The design and what
//! it does not do are in `docs/design/0007-network.md`.

mod body;
mod dial;
mod http;
mod lookup;
mod mask;
mod overrides;
mod resolve;
mod sockets;

pub(crate) use resolve::LOOKUPS_OF_ONE_MAX;
pub use resolve::Resolver;
pub(crate) use sockets::may_use;

use crate::gate::Gate;
use crate::state::State;
use dial::Tls;
use resolve::Names;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, HostOutgoingRequest as _, Method, OutgoingRequest,
};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks, WasiHttpView as _,
};

/// The name under which wasmtime links the types of requests.
const HTTP_TYPES: &str = "wasi:http/types@0.2.12";

/// Longest method, host or path of a request, in bytes.
const REQUEST_TEXT_BYTES_MAX: usize = 8 << 10;

/// What may be written at once to the body of a request. Two of them are kept until it is sent.
const BODY_CHUNK_BYTES: usize = 16 << 10;

/// Requests and lookups of one call at the same time.
const AT_A_TIME_MAX: usize = 8;

/// How the sandbox reaches the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Who knows the addresses of names.
    pub resolver: Resolver,
    /// Certificates in DER that are trusted beside the roots of browsers.
    pub extra_roots: Vec<Vec<u8>>,
}

impl NetworkConfig {
    /// The system's resolver, no other roots.
    pub const DEFAULT: Self = Self {
        resolver: Resolver::System,
        extra_roots: Vec::new(),
    };
}

/// What all calls share on their way to the network. It keeps no connection and no answer.
pub(crate) struct Network {
    names: Names,
    tls: Tls,
}

impl Network {
    pub(crate) fn new(config: &NetworkConfig) -> Result<Self, rustls::Error> {
        Ok(Self {
            names: Names::new(config.resolver.clone()),
            tls: Tls::new(&config.extra_roots)?,
        })
    }
}

/// One call's way to the network.
#[derive(Clone)]
pub(crate) struct Outbound {
    gate: Gate,
    network: Arc<Network>,
    /// Places for requests and lookups.
    places: Arc<Semaphore>,
}

impl Outbound {
    pub(crate) fn new(gate: Gate, network: Arc<Network>) -> Self {
        Self {
            gate,
            network,
            places: Arc::new(Semaphore::new(AT_A_TIME_MAX)),
        }
    }
}

type Answered = Result<http::Answered, HttpError>;

impl WasiHttpHooks for Outbound {
    // Both forms are overridden: WASI 0.3 trailers pass only the second (GHSA-jxcf-8qw5-5c33).
    fn is_forbidden_header(&mut self, name: &::http::HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name))
    }

    // We write it, from the target that was decided.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _finished: http::Finished,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let exchange = http::Exchange::prepare(&self.gate, request, options);
        let outbound = self.clone();
        Box::new(async move {
            let network = Arc::clone(&outbound.network);
            exchange?.run(&network, outbound).await
        })
    }

    // The texts of these errors may hold what a server said, and wasmtime would log them.
    fn p2_error_from_hyper(&mut self, _error: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::DestinationUnavailable
    }

    fn p2_error_from_tls(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}

/// Links requests, sockets and lookups.
pub(crate) fn link(l: &mut Linker<State>) -> wasmtime::Result<()> {
    sockets::link(l)?;
    lookup::link(l)?;
    link_http(l)
}

/// Links `wasi:http`, with bounds on what is kept of a request.
///
/// SECURITY: wasmtime bounds the headers of a request and not its other texts, and a guest may hold thousands
/// of requests that it never sends: with 16 MiB in each they are more than the memory of any machine.
fn link_http(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type Kept = wasmtime::Result<(Result<(), ()>,)>;
    type Caller<'a> = StoreContextMut<'a, State>;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
    l.allow_shadowing(true);
    let mut types = l.instance(HTTP_TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut caller: Caller<'_>, (request, method): (Resource<OutgoingRequest>, Method)| -> Kept {
            if matches!(&method, Method::Other(text) if text.len() > REQUEST_TEXT_BYTES_MAX) {
                return Ok((Err(()),));
            }
            Ok((caller.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut caller: Caller<'_>, (request, text): (Resource<OutgoingRequest>, Option<String>)| -> Kept {
            if is_too_long(text.as_deref()) {
                return Ok((Err(()),));
            }
            Ok((caller.data_mut().http().set_authority(request, text)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut caller: Caller<'_>, (request, text): (Resource<OutgoingRequest>, Option<String>)| -> Kept {
            if is_too_long(text.as_deref()) {
                return Ok((Err(()),));
            }
            Ok((caller.data_mut().http().set_path_with_query(request, text)?,))
        },
    )?;
    l.allow_shadowing(false);
    Ok(())
}

fn is_too_long(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.len() > REQUEST_TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_too_long_beyond_the_limit() {
        let text = "x".repeat(REQUEST_TEXT_BYTES_MAX);
        assert!(!is_too_long(None) && !is_too_long(Some("")) && !is_too_long(Some(&text)));
        assert!(is_too_long(Some(&format!("{text}x"))));
    }
}
