//! Raw sockets, through `wasi:sockets`.

use std::net::Ipv4Addr;
pub use wasip2::io::streams::{InputStream, OutputStream};
pub use wasip2::sockets::instance_network::instance_network;
pub use wasip2::sockets::ip_name_lookup::resolve_addresses;
pub use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
pub use wasip2::sockets::tcp::TcpSocket;
pub use wasip2::sockets::tcp_create_socket::create_tcp_socket;
pub use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
pub use wasip2::sockets::udp_create_socket::create_udp_socket;

/// An address written as `1.2.3.4:5`.
pub fn address(text: &str) -> IpSocketAddress {
    let (ip, port) = text.split_once(':').unwrap_or((text, "0"));
    let [a, b, c, d] = ip.parse::<Ipv4Addr>().unwrap_or(Ipv4Addr::UNSPECIFIED).octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: port.parse().unwrap_or(0),
        address: (a, b, c, d),
    })
}

/// A connection over TCP, and its two streams.
pub struct Connection {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

pub fn connect(to: &str) -> Result<Connection, &'static str> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(name)?;
    socket
        .start_connect(&instance_network(), address(to))
        .map_err(name)?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => {
                return Ok(Connection {
                    input,
                    output,
                    socket,
                });
            }
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(name(code)),
        }
    }
}

/// Takes a local TCP address and waits for connections there.
pub fn listen(at: &str) -> Result<TcpSocket, &'static str> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(name)?;
    socket
        .start_bind(&instance_network(), address(at))
        .map_err(name)?;
    socket.finish_bind().map_err(name)?;
    socket.start_listen().map_err(name)?;
    socket.finish_listen().map_err(name)?;
    Ok(socket)
}

/// A UDP socket at a local address.
pub fn udp(at: &str) -> Result<UdpSocket, &'static str> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).map_err(name)?;
    socket
        .start_bind(&instance_network(), address(at))
        .map_err(name)?;
    socket.finish_bind().map_err(name)?;
    Ok(socket)
}

/// Sends one datagram from a socket, which may be connected to somebody else.
pub fn send(socket: &UdpSocket, connected: Option<&str>, to: Option<&str>) -> Result<(), &'static str> {
    let (_incoming, outgoing) = socket.stream(connected.map(address)).map_err(name)?;
    while outgoing.check_send().map_err(name)? == 0 {
        outgoing.subscribe().block();
    }
    let datagram = OutgoingDatagram {
        data: b"stolen".to_vec(),
        remote_address: to.map(address),
    };
    match outgoing.send(&[datagram]).map_err(name)? {
        0 => Err("nothing was sent"),
        _ => Ok(()),
    }
}

/// Looks a name up, and gives how many addresses came.
pub fn lookup(host_name: &str) -> Result<usize, &'static str> {
    let stream = resolve_addresses(&instance_network(), host_name).map_err(name)?;
    let mut count = 0;
    loop {
        match stream.resolve_next_address() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Ok(count),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(code) => return Err(name(code)),
        }
    }
}

pub fn name(code: ErrorCode) -> &'static str {
    code.name()
}
