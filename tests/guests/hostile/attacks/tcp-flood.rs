//! Sockets and connections without end.
use attack::net::{IpAddressFamily, connect, create_tcp_socket};

attack::attack!(|input, journal| {
    let mut sockets = Vec::new();
    let mut connections = Vec::new();
    while sockets.len() < 100_000 {
        match create_tcp_socket(IpAddressFamily::Ipv4) {
            Ok(socket) => sockets.push(socket),
            Err(_) => break,
        }
        if let Ok(connection) = connect(input[0]) {
            connections.push(connection);
        }
    }
    journal.saw("sockets", &sockets.len().to_string());
});
