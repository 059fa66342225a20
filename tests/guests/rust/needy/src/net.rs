//! The network, through `wasi:http` and `wasi:sockets`: `std::net` is not there with every libc.

use std::net::SocketAddrV4;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;
use wasip2::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket};

const CHUNK_BYTES: u64 = 64 * 1024;

pub(crate) fn get(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(&format!("/{path}"))))
        .map_err(|()| "not a URL")?;
    let future = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    future.subscribe().block();
    let answer = future
        .get()
        .ok_or("no answer")?
        .map_err(|()| "answer taken twice")?;
    let response = answer.map_err(|code| format!("{code:?}"))?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK_BYTES) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    Ok(format!(
        "{}\n{}",
        response.status(),
        String::from_utf8_lossy(&bytes)
    ))
}

pub(crate) fn resolve(name: &str) -> Result<String, String> {
    let stream =
        ip_name_lookup::resolve_addresses(&instance_network::instance_network(), name).map_err(text)?;
    let mut addresses = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(address)) => addresses.push(show(address)),
            Ok(None) => return Ok(addresses.join("\n")),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(code) => return Err(text(code)),
        }
    }
}

pub(crate) fn connect(address: &str) -> Result<String, String> {
    let address: SocketAddrV4 = address.parse().map_err(|_| "not an IPv4 address with a port")?;
    let [a, b, c, d] = address.ip().octets();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: address.port(),
        address: (a, b, c, d),
    });
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map_err(text)?;
    socket
        .start_connect(&instance_network::instance_network(), remote)
        .map_err(text)?;
    loop {
        match socket.finish_connect() {
            Ok(_) => return Ok("connected".to_owned()),
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(text(code)),
        }
    }
}

fn show(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string()
        }
    }
}

/// The name the WIT gives the code.
fn text(code: ErrorCode) -> String {
    code.name().to_owned()
}
