//! TCP, UDP and names through `wasi:sockets`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::io::streams::StreamError;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

pub(crate) fn tcp_exchange(address: &str, text: &str) -> Result<String, String> {
    let (family, address) = parse(address)?;
    let socket = tcp_create_socket::create_tcp_socket(family).map_err(name)?;
    socket
        .start_connect(&instance_network::instance_network(), address)
        .map_err(name)?;
    let (input, output) = loop {
        match socket.finish_connect() {
            Ok(streams) => break streams,
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(name(code)),
        }
    };
    output.blocking_write_and_flush(&[]).map_err(failed)?;
    for part in text.as_bytes().chunks(4096) {
        output.blocking_write_and_flush(part).map_err(failed)?;
    }
    read(&input)
}

pub(crate) fn tcp_accept(address: &str) -> Result<String, String> {
    let (family, address) = parse(address)?;
    let socket = tcp_create_socket::create_tcp_socket(family).map_err(name)?;
    bind_tcp(&socket, address)?;
    socket.start_listen().map_err(name)?;
    socket.finish_listen().map_err(name)?;
    let (_client, input, _output) = loop {
        match socket.accept() {
            Ok(accepted) => break accepted,
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(name(code)),
        }
    };
    read(&input)
}

fn bind_tcp(socket: &TcpSocket, address: IpSocketAddress) -> Result<(), String> {
    socket
        .start_bind(&instance_network::instance_network(), address)
        .map_err(name)?;
    socket.finish_bind().map_err(name)
}

pub(crate) fn tcp_flood() -> (u32, String) {
    let mut sockets = Vec::new();
    loop {
        match tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
            Ok(socket) => sockets.push(socket),
            Err(code) => return (sockets.len() as u32, name(code)),
        }
    }
}

fn read(input: &wasip2::io::streams::InputStream) -> Result<String, String> {
    let mut bytes = Vec::new();
    loop {
        match input.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => return Err(failed(error)),
        }
    }
}

fn udp(local: &str) -> Result<UdpSocket, String> {
    let (family, local) = parse(local)?;
    let socket = udp_create_socket::create_udp_socket(family).map_err(name)?;
    socket
        .start_bind(&instance_network::instance_network(), local)
        .map_err(name)?;
    socket.finish_bind().map_err(name)?;
    Ok(socket)
}

pub(crate) fn udp_exchange(local: &str, remote: &str, text: &str, connected: bool) -> Result<String, String> {
    let socket = udp(local)?;
    let (_, remote) = parse(remote)?;
    let (incoming, outgoing) = socket.stream(connected.then_some(remote)).map_err(name)?;
    outgoing.subscribe().block();
    outgoing.check_send().map_err(name)?;
    let datagram = OutgoingDatagram {
        data: text.as_bytes().to_vec(),
        remote_address: (!connected).then_some(remote),
    };
    outgoing.send(&[datagram]).map_err(name)?;
    loop {
        let came = incoming.receive(1).map_err(name)?;
        if let Some(datagram) = came.first() {
            return Ok(String::from_utf8_lossy(&datagram.data).into_owned());
        }
        incoming.subscribe().block();
    }
}

pub(crate) fn udp_flood(remote: &str, text: &str, times: u32) -> Result<u32, String> {
    let socket = udp("0.0.0.0:0")?;
    let (_, remote) = parse(remote)?;
    let (_incoming, outgoing) = socket.stream(None).map_err(name)?;
    for _ in 0..times {
        outgoing.subscribe().block();
        outgoing.check_send().map_err(name)?;
        let datagram = OutgoingDatagram {
            data: text.as_bytes().to_vec(),
            remote_address: Some(remote),
        };
        outgoing.send(&[datagram]).map_err(name)?;
    }
    Ok(times)
}

pub(crate) fn lookup(host: &str) -> Result<Vec<String>, String> {
    let stream =
        ip_name_lookup::resolve_addresses(&instance_network::instance_network(), host).map_err(name)?;
    let mut addresses = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(address)) => addresses.push(show(address)),
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(code) => return Err(name(code)),
        }
    }
}

fn parse(text: &str) -> Result<(IpAddressFamily, IpSocketAddress), String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address with a port")?;
    Ok(match address {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            let address = Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(address))
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            let address = Ipv6SocketAddress {
                port: address.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    })
}

fn show(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).to_string(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string(),
    }
}

/// The name the WIT gives the code.
fn name(code: ErrorCode) -> String {
    code.name().to_owned()
}

fn failed(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}
