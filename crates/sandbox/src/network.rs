//! The guest's ways to the network: wasi:http requests, sockets, name lookups.
//!
//! All of them end at the gate. There is no code here that could open a connection: `wasmtime-wasi-http` is
//! built without its own client, and sockets are refused before one is made.

use crate::gate::Gate;
use crate::state::State;
use ip_name_lookup::ResolveAddressStream;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::cli::environment;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, network, tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, OutgoingRequest};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks, WasiHttpView as _,
};
use wassette_policy::{Access, AccessKind, HttpTarget, Protocol};

/// The name under which wasmtime links the types of requests.
const HTTP_TYPES: &str = "wasi:http/types@0.2.12";

/// Longest method, host or path of a request, in bytes.
const REQUEST_TEXT_BYTES_MAX: usize = 8 << 10;

/// What may be written at once to the body of a request. Two of them are kept until it is sent.
const BODY_CHUNK_BYTES: usize = 16 << 10;

type Finished = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
type Answer = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Finished), HttpError>> + Send>;

impl WasiHttpHooks for Gate {
    // Both forms are overridden: WASI 0.3 trailers pass only the second (GHSA-jxcf-8qw5-5c33).
    fn is_forbidden_header(&mut self, name: &http::HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _finished: Finished,
    ) -> Answer {
        let url = request.uri().to_string();
        // A permit cannot be had yet: no policy grants a host. Whoever adds one sends the request here.
        let _denied = match HttpTarget::parse(request.method().as_str(), &url) {
            Ok(target) => self.authorize(&Access::Http(&target)),
            Err(error) => self.authorize(&Access::Malformed {
                kind: AccessKind::Http,
                text: &url,
                why: &error.to_string(),
            }),
        };
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}

/// Links `wasi:http`, with bounds on what is kept of a request.
///
/// SECURITY: wasmtime bounds the headers of a request and not its other texts, and a guest may hold thousands
/// of requests that it never sends: with 16 MiB in each they are more than the memory of any machine.
pub(crate) fn link_http(l: &mut Linker<State>) -> wasmtime::Result<()> {
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

/// Selects [`Outside`] as the data of linked interfaces.
pub(crate) struct HasOutside;

impl HasData for HasOutside {
    type Data<'a> = Outside<'a>;
}

/// The part of the state that answers for sockets, names and variables.
pub(crate) struct Outside<'a> {
    state: &'a mut State,
}

/// Borrows that part.
pub(crate) fn outside(state: &mut State) -> Outside<'_> {
    Outside { state }
}

impl Outside<'_> {
    fn socket<T>(&mut self, protocol: Protocol) -> SocketResult<Resource<T>> {
        let _denied = self.state.gate.authorize(&Access::Socket { protocol });
        Err(ErrorCode::AccessDenied.into())
    }
}

impl network::Host for Outside<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _error: Resource<wasmtime_wasi::p2::bindings::io::error::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for Outside<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.state.table.delete(network)?;
        Ok(())
    }
}

impl tcp_create_socket::Host for Outside<'_> {
    fn create_tcp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.socket(Protocol::Tcp)
    }
}

impl udp_create_socket::Host for Outside<'_> {
    async fn create_udp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.socket(Protocol::Udp)
    }
}

impl ip_name_lookup::Host for Outside<'_> {
    fn resolve_addresses(
        &mut self,
        _network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let _denied = self.state.gate.authorize(&Access::Resolve { host_name: &name });
        Err(ErrorCode::AccessDenied.into())
    }
}

/// No stream is ever handed out, so there is none to read, wait for or drop.
impl ip_name_lookup::HostResolveAddressStream for Outside<'_> {
    fn resolve_next_address(
        &mut self,
        _stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn subscribe(
        &mut self,
        _stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(wasmtime::format_err!("no name lookup was started"))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.state.table.delete(stream)?;
        Ok(())
    }
}

impl environment::Host for Outside<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let _denied = self.state.gate.authorize(&Access::Environment);
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}
