//! Streams that break off, and clients that come back to them with the last event they have.

use super::server::{Server, eventually, initialize, wait_for};
use crate::support::{Home, guest};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::time::Duration;

/// The ids of events with a message, and of those without one.
fn ids(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for event in text.replace("\r\n", "\n").split("\n\n") {
        let field = |name: &str| {
            event
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let Some(id) = field("id:") else { continue };
        let has_message = field("data:").is_some_and(|data| !data.is_empty());
        if has_message { &mut with } else { &mut without }.push(id.to_owned());
    }
    (with, without)
}

/// What comes on a stream for a while.
fn listened(stream: TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    let mut text = String::new();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        // The sizes of chunks stand between.
        if line.contains(':') || line.is_empty() {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

#[test]
fn a_stream_goes_on_after_the_event_that_its_client_has() {
    let home = Home::new();
    home.load(&guest("conformance"));
    let server = Server::open(&home, &[]);
    let mut hello = initialize();
    hello["params"]["protocolVersion"] = json!("2025-11-25");
    let begun = server.post(&[], &hello);
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let of_session = [
        ("Mcp-Session-Id", session.as_str()),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    server.post(
        &of_session,
        &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    );
    let call = |id: u64, tool: &str| {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": id}});
        let message: Json = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        server.post(&of_session, &message)
    };
    let from = |last: &str| {
        let mut headers = of_session.to_vec();
        headers.extend([("Last-Event-ID", last)].iter().filter(|(_, id)| !id.is_empty()));
        server.send("GET /mcp", &headers, b"")
    };
    let listening = from("");
    let mut stream = BufReader::new(listening.try_clone().unwrap());
    wait_for(&mut stream, "id:");
    call(2, "test_trigger_tool_change");
    wait_for(&mut stream, "list_changed");
    drop((stream, listening));
    // All that there was, from the event before the first message on.
    let whole = std::cell::RefCell::new(String::new());
    eventually("the stream begins again", || {
        *whole.borrow_mut() = listened(from("0"));
        whole.borrow().contains("list_changed")
    });
    let (messages, _) = ids(&whole.borrow());
    assert!(!messages.contains(&"0".to_owned()), "{whole:?}");
    let last = messages.last().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let rest = listened(from(last));
    assert!(
        !rest.contains("list_changed"),
        "what it has does not come again: {rest}"
    );
    // The stream of a call: each id is of one event.
    let answered = call(3, "test_tool_with_progress").body;
    let (messages, before) = ids(&answered);
    let all: BTreeSet<_> = messages.iter().chain(&before).collect();
    assert_eq!(all.len(), messages.len() + before.len(), "{answered}");
    assert!(messages.len() > 1, "{answered}");
}
