//! What goes wrong between a server and its clients: those that disappear, those that do not read, those that send
//! anything, and components that fail. Whatever it is, it is that client's or that request's alone.

#![allow(
    clippy::print_stdout,
    reason = "what is measured is of interest when it passes, too"
)]

use super::server::{
    Server, eventually, free_address, initialize, metric, modern, modern_headers, read, told, wait_for,
};
use crate::spoil::{self, Chance};
use crate::support::{Home, guest};
use serde_json::{Value as Json, json};
use std::io::{BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// A store with components that fail, ask and wait, a server, and where its metrics are.
fn served() -> (Home, Server, String) {
    let home = Home::new();
    for component in ["hostile", "conformance"] {
        home.load(&guest(component));
    }
    home.load(&home.wat("add"));
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    (home, server, admin)
}

fn adds(server: &Server) {
    let sum = server.call("add_add", json!({"a": 1, "b": 2}));
    assert_eq!(sum["structuredContent"], json!({"result": 3}));
}

/// A call on its way: nothing of its answer is read yet.
fn calling(server: &Server, tool: &str, arguments: &Json) -> TcpStream {
    let params = json!({"name": tool, "arguments": arguments});
    let message = modern("tools/call", params.clone());
    server.send(
        "POST /mcp",
        &modern_headers("tools/call", &params),
        message.to_string().as_bytes(),
    )
}

fn calling_in(server: &Server, session: &str, id: u64, (tool, arguments): (&str, &Json)) -> TcpStream {
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    server.send(
        "POST /mcp",
        &[("Mcp-Session-Id", session)],
        call.to_string().as_bytes(),
    )
}

/// A session of a client that answers questions.
fn session_that_answers(server: &Server) -> String {
    let mut hello = initialize();
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let answer = server.post(&[], &hello);
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let told = server.post(&[("Mcp-Session-Id", session.as_str())], &initialized);
    assert_eq!(told.status, 202);
    session
}

/// As a client disappears whose machine loses its power, or its patience: in the middle of whatever it was.
fn gone(stream: TcpStream, abruptly: bool) {
    if abruptly {
        // The rest of what is sent to it is answered with a reset.
        let _closed = stream.shutdown(Shutdown::Read);
    }
    drop(stream);
}

#[test]
fn a_client_that_disappears_in_any_state_leaves_nothing_behind() {
    let (home, server, admin) = served();
    let raw = |text: &str| {
        let mut stream = server.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let listening = || {
        let message = modern("subscriptions/listen", listen.clone()).to_string();
        let headers = modern_headers("subscriptions/listen", &listen);
        let mut stream = BufReader::new(server.send("POST /mcp", &headers, message.as_bytes()));
        wait_for(&mut stream, "acknowledged");
        stream.into_inner()
    };
    adds(&server);
    let descriptors = super::load::descriptors(&server);
    let mut sessions = Vec::new();
    for round in 0..6 {
        let abruptly = round % 2 == 0;
        for (state, stream) in [
            ("connected", server.connect()),
            ("half of a head is sent", raw("POST /mcp HTTP/1.1\r\nHost: loc")),
            (
                "half of a body is sent",
                raw(
                    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"",
                ),
            ),
            (
                "half of a chunk is sent",
                raw(
                    "POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{\"jso",
                ),
            ),
            ("its call runs", calling(&server, "hostile_spin", &json!({}))),
            (
                "its call waits",
                calling(&server, "hostile_sleep-forever", &json!({})),
            ),
            (
                "its answer is large",
                calling(&server, "hostile_big-result", &json!({"n": 900_000})),
            ),
            ("it listens", listening()),
        ] {
            if round == 0 {
                println!("gone while {state}");
            }
            gone(stream, abruptly);
        }
        // In a session, what was asked goes on, until the session ends.
        let session = session_that_answers(&server);
        let headers = [("Mcp-Session-Id", session.as_str())];
        let mut news = BufReader::new(server.send("GET /mcp", &headers, b""));
        wait_for(&mut news, "text/event-stream");
        gone(news.into_inner(), abruptly);
        let asks = calling_in(
            &server,
            &session,
            5,
            ("test_elicitation", &json!({"message": "Who?"})),
        );
        let mut asks = BufReader::new(asks);
        wait_for(&mut asks, "elicitation/create");
        gone(asks.into_inner(), abruptly);
        let sleeps = calling_in(&server, &session, 6, ("hostile_sleep-forever", &json!({})));
        gone(sleeps, false);
        sessions.push(session);
        // One that never came further than its first message.
        let first = server.send("POST /mcp", &[], initialize().to_string().as_bytes());
        gone(first, abruptly);
    }
    eventually("the calls that sleep in sessions run", || {
        told(&home, "hostile_sleep-forever") >= 6
    });
    adds(&server);
    for session in sessions {
        let headers = [("Mcp-Session-Id", session.as_str())];
        assert_eq!(server.ask("DELETE /mcp", &headers, b"").status, 204);
    }
    eventually("nothing is left", || {
        metric(&admin, "wassette_requests_running") < 1.0
            && metric(&admin, "wassette_connections") < 1.0
            // Sessions of those that never said that they had begun stay until their place is needed.
            && metric(&admin, "wassette_sessions") <= 6.0
    });
    eventually("every call has ended", || {
        let begun = told(&home, "\"call.begin\"");
        begun >= 12 && told(&home, "\"call.end\"") == begun
    });
    let left = super::load::descriptors(&server);
    assert!(
        left <= descriptors + 4,
        "{left} descriptors, {descriptors} before"
    );
    adds(&server);
}

#[test]
fn clients_that_do_not_read_hold_up_nobody_else() {
    let (_home, server, admin) = served();
    let uri = "test://watched-resource";
    let params = json!({"notifications": {"promptsListChanged": true, "resourceSubscriptions": [uri]}});
    let listen = modern("subscriptions/listen", params.clone()).to_string();
    let headers = modern_headers("subscriptions/listen", &params);
    adds(&server);
    let before = super::load::resident(&server);
    let mut deaf: Vec<TcpStream> = (0..64)
        .map(|_| server.send("POST /mcp", &headers, listen.as_bytes()))
        .collect();
    for _ in 0..64 {
        let session = session_that_answers(&server);
        let of_session = [("Mcp-Session-Id", session.as_str())];
        let watch =
            json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": uri}});
        assert_eq!(server.post(&of_session, &watch).status, 200);
        deaf.push(server.send("GET /mcp", &of_session, b""));
        // More answers than a socket takes.
        for id in 10..12 {
            deaf.push(calling_in(
                &server,
                &session,
                id,
                ("hostile_big-result", &json!({"n": 900_000})),
            ));
        }
    }
    // A storm of news, and others that want to be answered meanwhile.
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let begin = Instant::now();
        server.call("test_resource_update", json!({}));
        server.call("test_trigger_prompt_change", json!({}));
        adds(&server);
        slowest = slowest.max(begin.elapsed());
    }
    println!("the slowest three calls took {slowest:?}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let grown = super::load::resident(&server).saturating_sub(before);
    println!("{} that do not read take {grown} kB", deaf.len());
    // 128 answers of 0.9 MB, and what lies around each.
    assert!(grown < 400 << 10, "{grown} kB");
    // One that reads hears of it all the same.
    let mut hears = BufReader::new(server.send("POST /mcp", &headers, listen.as_bytes()));
    wait_for(&mut hears, "acknowledged");
    server.call("test_resource_update", json!({}));
    wait_for(&mut hears, "notifications/resources/updated");
    drop((deaf, hears));
    eventually("nothing is left", || {
        metric(&admin, "wassette_connections") < 1.0 && metric(&admin, "wassette_requests_running") < 1.0
    });
}

#[test]
fn a_component_that_fails_fails_its_own_request_alone() {
    let (home, server, _admin) = served();
    home.json(&["permission", "grant", "cpu", "hostile", "200ms"]);
    let session = server.session(&[]);
    for (tool, arguments) in [
        ("panic", json!({})),
        ("spin", json!({})),
        ("eat-memory", json!({})),
        ("recurse", json!({"depth": 0})),
        ("exit", json!({"code": 7})),
        ("big-result", json!({"n": 10_000_000})),
        ("big-error", json!({"n": 10_000_000})),
        ("print-json-rpc", json!({})),
        ("sleep", json!({"ms": -1})),
    ] {
        let name = format!("hostile_{tool}");
        let modern = server.call(&name, arguments.clone());
        let legacy = read(calling_in(&server, &session, 3, (&name, &arguments))).message();
        let legacy = &legacy["result"];
        // What is contained and what is printed without effect are no errors.
        let is_error = !matches!(tool, "eat-memory" | "print-json-rpc");
        for (era, result) in [("modern", &modern), ("legacy", legacy)] {
            assert_eq!(result["isError"], is_error, "{tool}, {era}: {result}");
            assert!(result.to_string().len() < 1_200_000, "{tool}, {era}");
        }
        adds(&server);
    }
}

#[test]
fn headers_that_say_another_thing_than_the_message_are_refused() {
    let (_home, server, _admin) = served();
    let params = json!({"name": "add_add", "arguments": {"a": 1, "b": 2}});
    let message = modern("tools/call", params);
    let ask = |headers: &[(&str, &str)]| {
        let answer = server.post(headers, &message);
        let code = answer.message()["error"]["code"].as_i64();
        (answer.status, code)
    };
    let (version, method, name) = (
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "add_add"),
    );
    assert_eq!(ask(&[version, method, name]), (200, None));
    // The name as the protocol encodes what no header can hold.
    assert_eq!(
        ask(&[version, method, ("Mcp-Name", "=?base64?YWRkX2FkZA==?=")]),
        (200, None)
    );
    for wrong in [
        &[version, method, ("Mcp-Name", "hostile_spin")][..],
        &[
            version,
            method,
            ("Mcp-Name", "=?base64?Li4vLi4vZXRjL3Bhc3N3ZA==?="),
        ],
        &[version, method, ("Mcp-Name", "=?base64?!!!?=")],
        &[version, ("Mcp-Method", "tools/list"), name],
        &[version, method],
        &[version, name],
        &[("MCP-Protocol-Version", "2025-11-25"), method, name],
    ] {
        let (status, code) = ask(wrong);
        assert_eq!((status, code), (400, Some(-32020)), "{wrong:?}");
    }
    let twice = ask(&[version, method, name, ("Mcp-Name", "hostile_spin")]);
    assert_eq!(twice.0, 400, "{twice:?}");
}

#[test]
fn whatever_a_client_sends_is_answered_and_ends_nothing() {
    let (_home, server, admin) = served();
    let session = server.session(&[]);
    let whole = spoil::requests();
    let mut chance = Chance(2026);
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..1_500 {
        let (method, params) = chance.of(&whole).clone();
        let (headers, message) = match chance.below(3) {
            0 => (
                vec![("Mcp-Session-Id", session.as_str())],
                spoil::legacy(method, &params),
            ),
            1 => (vec![], spoil::legacy(method, &params)),
            _ => (modern_headers(method, &params), modern(method, params.clone())),
        };
        let bytes = chance.spoiled(&message);
        let answer = server.ask("POST /mcp", &headers, &bytes);
        *seen.entry(answer.status).or_insert(0) += 1;
        let sent = String::from_utf8_lossy(&bytes);
        assert!(
            matches!(answer.status, 200 | 202 | 400 | 404 | 503),
            "round {round}, {headers:?}: {sent}\n{answer:?}"
        );
        assert!(
            !answer.body.contains("internal error"),
            "round {round}, {headers:?}: {sent}\n{answer:?}"
        );
    }
    println!("answers by status: {seen:?}");
    assert!(seen.len() >= 4 && seen[&200] > 200, "{seen:?}");
    adds(&server);
    eventually("nothing is left", || {
        metric(&admin, "wassette_requests_running") < 1.0 && metric(&admin, "wassette_connections") < 1.0
    });
}
