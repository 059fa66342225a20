//! Raw sockets and name lookups.

use crate::guest::{Guest, decisions};
use crate::server::{Server, Step};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;
use wassette_policy::Limits;
use wassette_sandbox::{CallError, Limit};

const DENIED: &str = "access-denied";

fn rule(protocol: &str, cidr: &str, port: u16) -> String {
    format!("      - {{cidr: \"{cidr}\", ports: [{port}], protocols: [{protocol}]}}")
}

fn ok(text: &str) -> Json {
    json!({ "ok": text })
}

fn error(text: &str) -> Json {
    json!({ "err": text })
}

fn exchange(address: SocketAddr, text: &str) -> Json {
    json!({ "address": address.to_string(), "text": text })
}

#[tokio::test]
async fn tcp_reaches_a_granted_address_and_port_and_no_other() {
    let server = Server::start(vec![Step::Send(b"hello".to_vec())]).await;
    let other = Server::start(vec![Step::Send(b"no".to_vec())]).await;
    let guest = Guest::new(&rule("tcp", "127.0.0.0/8", server.port()));
    let (report, value) = guest.call("tcp-exchange", exchange(server.address, "")).await;
    assert_eq!(value, ok("hello"));
    assert_eq!(
        decisions(&report),
        [
            "+ open a tcp socket".to_owned(),
            "+ bind tcp 0.0.0.0:0".to_owned(),
            format!("+ connect to tcp {}", server.address),
        ]
    );
    let (report, value) = guest.call("tcp-exchange", exchange(other.address, "")).await;
    assert_eq!(value, error(DENIED));
    assert_eq!(
        decisions(&report)[2],
        format!("- connect to tcp {}", other.address)
    );
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_host_rule_opens_no_socket() {
    let server = Server::start(vec![Step::Send(b"hello".to_vec())]).await;
    for rules in [
        format!("      - {{host: \"{}\", schemes: [http]}}", server.address),
        "      - {cidr: \"127.0.0.0/8\"}".to_owned(),
        rule("udp", "127.0.0.0/8", server.port()),
        String::new(),
    ] {
        let (report, value) = Guest::new(&rules)
            .call("tcp-exchange", exchange(server.address, ""))
            .await;
        assert_eq!(value, error(DENIED), "{rules}");
        assert_eq!(decisions(&report), ["- open a tcp socket"]);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn bytes_over_tcp_are_counted_both_ways() {
    let server = Server::start(vec![
        Step::Wait(Duration::from_millis(300)),
        Step::Send(vec![b'x'; 50_000]),
    ])
    .await;
    let mut guest = Guest::new(&rule("tcp", "127.0.0.1/32", server.port()));
    let send = exchange(server.address, &"y".repeat(30_000));
    guest.limits = Limits {
        egress_bytes: 30_000,
        ingress_bytes: 50_000,
        ..Limits::DEFAULT
    };
    assert_eq!(
        guest.call("tcp-exchange", send.clone()).await.1,
        ok(&"x".repeat(50_000))
    );
    for (limits, limit) in [
        (
            Limits {
                egress_bytes: 29_999,
                ..Limits::DEFAULT
            },
            Limit::Egress { bytes_max: 29_999 },
        ),
        (
            Limits {
                ingress_bytes: 49_999,
                ..Limits::DEFAULT
            },
            Limit::Ingress { bytes_max: 49_999 },
        ),
    ] {
        guest.limits = limits;
        let (report, _) = guest
            .call_with("tcp-exchange", send.clone(), guest.control())
            .await;
        assert_eq!(report.result, Err(CallError::Limit { limit }));
    }
}

#[tokio::test]
async fn listening_and_each_peer_need_a_grant() {
    let free = || {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap()
    };
    let address = free();
    let rules = format!(
        "      - {{cidr: \"127.0.0.1/32\", ports: [{}], protocols: [tcp]}}\n      - {{cidr: \"127.0.0.1/32\", ports: [\"1024-65535\"], protocols: [tcp]}}",
        address.port()
    );
    let guest = Guest::new(&rules);
    let client = async {
        for from in ["127.0.0.2:0", "127.0.0.1:0"] {
            // The first is no allowed peer and is dropped before the guest sees it.
            loop {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(from.parse().unwrap()).unwrap();
                if let Ok(mut stream) = socket.connect(address).await {
                    let _dropped = stream.write_all(from.as_bytes()).await;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let listen = json!({ "address": address.to_string() });
    let ((report, value), ()) = tokio::join!(guest.call("tcp-accept", listen), client);
    assert_eq!(value, ok("127.0.0.1:0"), "{:?}", decisions(&report));
    assert!(
        decisions(&report)
            .iter()
            .any(|d| d.starts_with("- receive from tcp 127.0.0.2:")),
        "{:?}",
        decisions(&report)
    );
    let elsewhere = Guest::new(&rule("tcp", "127.0.0.1/32", 1));
    let (_, value) = elsewhere
        .call("tcp-accept", json!({ "address": free().to_string() }))
        .await;
    assert_eq!(value, error(DENIED));
}

#[tokio::test]
async fn one_call_makes_few_sockets() {
    let guest = Guest::new(&rule("tcp", "127.0.0.1/32", 1));
    assert_eq!(
        guest.call("tcp-flood", json!({})).await.1,
        json!([64, "new-socket-limit"])
    );
}

async fn udp_echo() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _lost = stranger.send_to(b"from a stranger", from).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _lost = socket.send_to(&buffer[..length], from).await;
        }
    });
    (address, task)
}

fn datagram(remote: SocketAddr, connected: bool) -> Json {
    json!({ "local": "127.0.0.1:0", "remote": remote.to_string(), "text": "ping", "connected": connected })
}

#[tokio::test]
async fn udp_talks_to_a_granted_address_and_hears_no_stranger() {
    let (address, task) = udp_echo().await;
    let guest = Guest::new(&format!(
        "{}\n{}",
        rule("udp", "127.0.0.1/32", address.port()),
        // The local end.
        "      - {cidr: \"127.0.0.1/32\", ports: [1], protocols: [udp]}"
    ));
    let unbound = |connected| json!({ "local": "0.0.0.0:0", "remote": address.to_string(), "text": "ping", "connected": connected });
    for connected in [false, true] {
        let (report, value) = guest.call("udp-exchange", unbound(connected)).await;
        assert_eq!(value, ok("ping"), "{:?}", decisions(&report));
    }
    // A local address is a use as well.
    let (_, value) = guest.call("udp-exchange", datagram(address, false)).await;
    assert_eq!(value, error(DENIED));
    let denied: SocketAddr = "127.0.0.1:9".parse().unwrap();
    for connected in [false, true] {
        let arguments = json!({ "local": "0.0.0.0:0", "remote": denied.to_string(), "text": "x", "connected": connected });
        let (report, value) = guest.call("udp-exchange", arguments).await;
        assert_eq!(value, error(DENIED));
        assert!(
            decisions(&report).contains(&"- send to udp 127.0.0.1:9".to_owned()),
            "{:?}",
            decisions(&report)
        );
    }
    task.abort();
}

#[tokio::test]
async fn datagrams_are_counted_and_empty_ones_too() {
    let (address, task) = udp_echo().await;
    let mut guest = Guest::new(&rule("udp", "127.0.0.1/32", address.port()));
    guest.limits = Limits {
        egress_bytes: 100,
        ..Limits::DEFAULT
    };
    let flood =
        |text: &str, times: u32| json!({ "remote": address.to_string(), "text": text, "times": times });
    assert_eq!(
        guest.call("udp-flood", flood("", 12)).await.1,
        json!({ "ok": 12 })
    );
    assert_eq!(
        guest.call("udp-flood", flood("ab", 10)).await.1,
        json!({ "ok": 10 })
    );
    for (text, times) in [("", 13), ("ab", 11)] {
        let (report, _) = guest
            .call_with("udp-flood", flood(text, times), guest.control())
            .await;
        let limit = Limit::Egress { bytes_max: 100 };
        assert_eq!(report.result, Err(CallError::Limit { limit }), "{text:?}");
    }
    task.abort();
}

#[tokio::test]
async fn names_are_looked_up_if_a_rule_names_them() {
    let names: crate::guest::Names<'_> = &[
        ("api.example.com", &["192.0.2.7", "2001:db8::7"]),
        ("www.example.org", &["192.0.2.8"]),
    ];
    let guest = Guest::with(
        "      - {host: \"api.example.com\"}\n      - {host: \"*.example.org\"}\n      - {host: \"gone.example.com\"}",
        names,
        Vec::new(),
    );
    let (report, value) = guest.call("lookup", json!({ "name": "API.example.com." })).await;
    assert_eq!(value, json!({ "ok": ["192.0.2.7", "2001:db8::7"] }));
    assert_eq!(decisions(&report), ["+ look up `api.example.com`"]);
    for (name, expected) in [
        ("www.example.org", DENIED),
        ("secret-data.evil.test", DENIED),
        ("api.example.com/x", DENIED),
        ("api.example.com/", DENIED),
        ("api.example.com:443", DENIED),
        ("api.example.com?x", DENIED),
        (&format!("api.example.com{}", ".".repeat(9000)), DENIED),
        ("a@api.example.com", DENIED),
        ("127.0.0.1", DENIED),
        ("", DENIED),
        ("gone.example.com", "name-unresolvable"),
    ] {
        let (_, value) = guest.call("lookup", json!({ "name": name })).await;
        assert_eq!(value, error(expected), "{name:?}");
    }
    let (_, value) = Guest::new("")
        .call("lookup", json!({ "name": "api.example.com" }))
        .await;
    assert_eq!(value, error(DENIED));
}
