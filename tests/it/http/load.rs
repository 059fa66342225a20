//! Many clients at a time: all that a server takes, one more, and what is left of them when they are gone.

#![allow(
    clippy::print_stdout,
    reason = "what is measured is of interest when it passes, too"
)]

use super::server::{PATIENCE, Server, eventually, free_address, metric, modern, modern_headers};
use crate::support::Home;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// Connections that a server takes.
const CONNECTIONS_MAX: usize = 10_000;

/// Descriptors that a test and a server need for everything else.
const OTHERS: usize = 500;

/// Raises what this process may open as far as it may, and says how many connections that is at most.
fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let may = limit
        .maximum
        .map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    may.saturating_sub(OTHERS).min(CONNECTIONS_MAX)
}

pub(super) fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.child.id()))
        .unwrap()
        .count()
}

/// Resident memory in kB.
pub(super) fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A call on a connection that stays open.
fn call(stream: &mut TcpStream) {
    let params = json!({"name": "add_add", "arguments": {"a": 1, "b": 2}});
    let body = modern("tools/call", params.clone()).to_string();
    let headers: String = modern_headers("tools/call", &params)
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains(r#""structuredContent":{"result":3}"#) {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
}

#[test]
fn ten_thousand_connections_are_held_and_each_can_call() {
    let most = connections();
    let home = Home::new();
    home.load(&home.wat("add"));
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    call(&mut server.connect());
    let (descriptors_before, resident_before) = (descriptors(&server), resident(&server));
    let begin = Instant::now();
    let mut open: Vec<TcpStream> = (0..most).map(|_| server.connect()).collect();
    // Half a second. Where few may wait to be accepted, each that finds no room comes again a second later: 50.
    assert!(begin.elapsed() < PATIENCE / 3, "{:?}", begin.elapsed());
    eventually("all are accepted", || {
        metric(&admin, "wassette_connections") >= most as f64
    });
    let each = (resident(&server) - resident_before) as f64 / most as f64;
    println!("{most} connections, {each:.1} kB of memory for each");
    assert!(each < 64.0, "{each} kB for each connection that does nothing");
    for at in [0, most / 2, most - 1] {
        call(&mut open[at]);
    }
    if most == CONNECTIONS_MAX {
        let mut one_more = server.connect();
        one_more.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Closed, or reset.
        let _ended = one_more.read_to_end(&mut rest);
        assert!(rest.is_empty());
        assert!(metric(&admin, "wassette_connections_refused_total") >= 1.0);
    }
    drop(open);
    eventually("all are let go", || {
        descriptors(&server) <= descriptors_before + 8
    });
    call(&mut server.connect());
}

#[test]
fn two_thousand_sessions_that_go_no_further_keep_nobody_out() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let before = resident(&server);
    let answers: Vec<u16> = (0..2_000)
        .map(|_| server.post(&[], &super::server::initialize()).status)
        .collect();
    let made = answers.iter().filter(|status| **status == 200).count();
    let refused = answers.iter().filter(|status| **status == 503).count();
    assert_eq!((made, refused), (1_000, 1_000));
    let grown = resident(&server).saturating_sub(before);
    println!("1000 sessions take {grown} kB");
    assert!(grown < 200 << 10, "{grown} kB for a thousand sessions");
    call(&mut server.connect());
}
