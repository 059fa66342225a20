//! Requests that are refused before their body is read: the client gets its answer, and the connection outlives it.

use super::server::{PATIENCE, Server, modern, read};
use crate::support::Home;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const WRONG: &str = "Authorization: Bearer wrong\r\n";

fn head(server: &Server, more: &str, length: usize) -> Vec<u8> {
    let address = &server.address;
    let head = format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{more}\r\n");
    head.into_bytes()
}

/// The status of one answer on a connection that stays open, and whether it says that it does not.
fn answer(stream: &mut BufReader<TcpStream>) -> (u16, bool) {
    let (mut status, mut length, mut closes) = (0, 0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().unwrap().parse().unwrap();
        }
        if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse().unwrap();
        }
        closes |= line == "connection: close";
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    (status, closes)
}

#[test]
fn a_connection_outlives_what_is_refused_before_its_body_has_come() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let right = format!("Authorization: Bearer {}\r\n", server.token.as_deref().unwrap());
    let body = modern("tools/list", json!({})).to_string().into_bytes();
    for (more, expected) in [
        ("", 401),
        (WRONG, 401),
        (&*format!("{right}Content-Type: text/plain\r\n"), 415),
        ("Origin: https://evil.example\r\n", 403),
    ] {
        for pause in [0, 50] {
            let mut stream = server.connect();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&head(&server, more, body.len())).unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            stream.write_all(&body).unwrap();
            let mut stream = BufReader::new(stream);
            assert_eq!(answer(&mut stream), (expected, false), "{more}");
            let next = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
            stream.get_mut().write_all(next.as_bytes()).unwrap();
            assert_eq!(answer(&mut stream), (200, false), "{more}");
        }
    }
}

#[test]
fn whoever_sends_much_too_much_still_reads_why_it_is_refused() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let right = format!(
        "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        server.token.as_deref().unwrap()
    );
    for (more, length, expected) in [
        (WRONG, 3 << 20, (401, false)),
        (WRONG, 12 << 20, (401, true)),
        (&*right, 5 << 20, (413, false)),
        (&*right, 12 << 20, (413, true)),
    ] {
        let mut stream = server.connect();
        stream.write_all(&head(&server, more, length)).unwrap();
        // All of it before anything is read, as most clients do.
        stream.write_all(&vec![b' '; length]).unwrap();
        // An answer that came with a reset could be gone by now.
        std::thread::sleep(Duration::from_millis(50));
        let mut stream = BufReader::new(stream);
        assert_eq!(answer(&mut stream), expected, "{length} {more}");
        if expected.1 {
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "it is closed");
        }
    }
}

#[test]
fn what_does_not_come_is_not_waited_for_without_end() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    // A client that asks before it sends need not send.
    let mut stream = server.connect();
    let asks = format!("{WRONG}Expect: 100-continue\r\n");
    stream.write_all(&head(&server, &asks, 1 << 20)).unwrap();
    let begin = Instant::now();
    let answer_at_once = answer(&mut BufReader::new(stream));
    assert_eq!(answer_at_once, (401, true));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // One byte, and then none; the client never closes.
    let mut stream = server.connect();
    stream.write_all(&head(&server, WRONG, 1 << 20)).unwrap();
    stream.write_all(b" ").unwrap();
    let begin = Instant::now();
    assert_eq!(read(stream.try_clone().unwrap()).status, 401);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // The place of its connection is free again soon after.
    while begin.elapsed() < PATIENCE && stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
