//! The end of a server, and what becomes of what is asked meanwhile.

use super::server::{Server, eventually, free_address, metric, modern, modern_headers, read, told};
use crate::support::{Home, guest};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_server_that_is_told_to_end_answers_what_was_asked() {
    let home = Home::new();
    home.load(&guest("hostile"));
    let admin = free_address();
    let mut server = Server::open(&home, &["--admin-address", &admin]);
    let params = json!({"name": "hostile_sleep", "arguments": {"ms": 1500}});
    let waiting = server.send(
        "POST /mcp",
        &modern_headers("tools/call", &params),
        modern("tools/call", params.clone()).to_string().as_bytes(),
    );
    let params = json!({"notifications": {"toolsListChanged": true}});
    let headers = modern_headers("subscriptions/listen", &params);
    let message = modern("subscriptions/listen", params.clone());
    let listening = server.send("POST /mcp", &headers, message.to_string().as_bytes());
    let idle = server.connect();
    eventually("the call runs", || {
        metric(&admin, "wassette_requests_running") >= 1.0
    });
    let begin = Instant::now();
    server.signal("-TERM");
    eventually("balancers are told", || {
        server.ask("GET /ready", &[], b"").status == 503
    });
    assert_eq!(server.modern("tools/list", json!({})).status, 503);
    let answer = read(waiting);
    assert_eq!(
        (answer.status, &answer.message()["result"]["isError"]),
        (200, &json!(false))
    );
    assert_eq!(read(listening).status, 200);
    server.ended();
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    drop(idle);

    // What takes too long is not waited for, and whoever asked is told so.
    let mut server = Server::open(&home, &["--admin-address", &admin]);
    let params = json!({"name": "hostile_sleep-forever", "arguments": {}});
    let waiting = server.send(
        "POST /mcp",
        &modern_headers("tools/call", &params),
        modern("tools/call", params.clone()).to_string().as_bytes(),
    );
    let session = server.session(&[]);
    let call = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params});
    let headers = [("Mcp-Session-Id", session.as_str())];
    let of_session = server.send("POST /mcp", &headers, call.to_string().as_bytes());
    eventually("the calls run", || told(&home, "call.begin") == 3);
    server.signal("-INT");
    for (stream, status, id) in [(waiting, 503, 7), (of_session, 200, 8)] {
        let answer = read(stream);
        let message = answer.message();
        assert_eq!(
            (answer.status, &message["id"]),
            (status, &json!(id)),
            "{answer:?}"
        );
        let reason = message["error"]["message"].as_str().unwrap();
        assert!(reason.contains("the server ends"), "{answer:?}");
    }
    assert!(server.ended() < Duration::from_secs(7));
    assert_eq!((told(&home, "call.end"), told(&home, "cancelled")), (3, 2));
}

#[test]
fn the_end_of_a_call_is_written_down_also_when_its_client_is_gone() {
    let home = Home::new();
    home.load(&guest("hostile"));
    for number in 1..=5 {
        let mut server = Server::open(&home, &[]);
        let session = server.session(&[]);
        let params = json!({"name": "hostile_sleep-forever", "arguments": {}});
        let call = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params});
        let headers = [("Mcp-Session-Id", session.as_str())];
        let gone = server.send("POST /mcp", &headers, call.to_string().as_bytes());
        eventually("the call runs", || told(&home, "call.begin") == number);
        drop(gone);
        server.signal("-TERM");
        assert!(server.ended() < Duration::from_secs(2), "nobody waits for it");
        assert_eq!(told(&home, "call.end"), number);
    }
}
