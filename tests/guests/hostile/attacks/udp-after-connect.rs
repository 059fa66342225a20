//! A datagram to somebody else from a socket that is connected to whom it may talk to.
use attack::net::{send, udp};

attack::attack!(|input, journal| {
    let (granted, canary) = (input[0], input[1]);
    let socket = journal.works("a socket", udp("0.0.0.0:0")).unwrap();
    journal.works("send to the granted one", send(&socket, None, Some(granted)));
    journal.held("send to another", send(&socket, None, Some(canary)));
    journal.held("connect to another", send(&socket, Some(canary), None));
    journal.held(
        "connect to another, and name it",
        send(&socket, Some(canary), Some(canary)),
    );
    journal.held(
        "connected to the granted one, send to another",
        send(&socket, Some(granted), Some(canary)),
    );
    journal.held("send everywhere", send(&socket, None, Some("255.255.255.255:9")));
});
