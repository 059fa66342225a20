//! How one message is read: once, in its own era, and answered in the words of the protocol.

use super::server::{Server, modern, modern_headers, told};
use crate::support::Home;
use serde_json::{Value as Json, json};

#[test]
fn a_message_has_one_reading_or_none() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let params = json!({"name": "add_add", "arguments": {"a": 1, "b": 2}});
    let headers = modern_headers("tools/call", &params);
    let call = modern("tools/call", params.clone()).to_string();
    let ask = |text: &str| {
        let answer = server.ask("POST /mcp", &headers, text.as_bytes());
        let message = answer.message();
        (
            answer.status,
            message["id"].clone(),
            message["error"]["code"].as_i64(),
        )
    };
    assert_eq!(ask(&format!("\u{feff}{call}")), (200, json!(7), None));
    for (once, twice, id) in [
        ("\"id\":7", "\"id\":7,\"id\":8", Json::Null),
        ("\"id\":7", "\"id\":7,\"id\":7", Json::Null),
        ("\"method\":", "\"method\":\"ping\",\"method\":", Json::Null),
        ("\"params\":", "\"params\":{},\"params\":", json!(7)),
        ("\"jsonrpc\":", "\"jsonrpc\":\"2.0\",\"jsonrpc\":", json!(7)),
        ("\"name\":", "\"name\":\"other\",\"name\":", json!(7)),
        ("\"name\":", "\"n\\u0061me\":\"other\",\"name\":", json!(7)),
        ("\"a\":1", "\"a\":1,\"a\":2", json!(7)),
        ("\"_meta\":", "\"_meta\":{},\"_meta\":", json!(7)),
    ] {
        let text = call.replacen(once, twice, 1);
        assert_ne!(text, call, "{once}");
        assert_eq!(ask(&text), (400, id, Some(-32600)), "{text}");
    }
    assert_eq!(told(&home, "call.begin"), 1);
}

#[test]
fn whatever_is_refused_is_refused_in_the_words_of_the_protocol() {
    let home = Home::new();
    let server = Server::open(&home, &[]);
    let session = server.session(&[]);
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"}).to_string();
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let of_session = ("Mcp-Session-Id", session.as_str());
    for (line, headers, body, status) in [
        (
            "POST /mcp",
            &[("Accept", "text/html"), of_session][..],
            &ping,
            406,
        ),
        (
            "POST /mcp",
            &[("Accept", "application/json"), of_session],
            &told,
            406,
        ),
        (
            "POST /mcp",
            &[("Content-Type", "text/plain"), of_session],
            &ping,
            415,
        ),
        ("POST /mcp", &[("Content-Type", "application/jsonp")], &told, 415),
        ("POST /mcp", &[], &ping, 400),
        ("POST /mcp", &[], &told, 400),
        (
            "POST /mcp",
            &[("MCP-Protocol-Version", "1999-01-01"), of_session],
            &ping,
            400,
        ),
        (
            "POST /mcp",
            &[of_session],
            &"{\"jsonrpc\":\"2.0\",\"method\":{}}".to_owned(),
            400,
        ),
        (
            "POST /mcp",
            &[of_session],
            &"{\"jsonrpc\":\"1.0\",\"method\":\"x\"}".to_owned(),
            400,
        ),
        ("PUT /mcp", &[], &ping, 405),
        ("GET /mcp", &[("MCP-Protocol-Version", "2026-07-28")], &ping, 405),
        ("GET /mcp", &[("Accept", "text/html"), of_session], &ping, 406),
        ("DELETE /mcp", &[], &ping, 400),
    ] {
        let answer = server.ask(line, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{line} {headers:?} {body}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{answer:?}"
        );
        let message = answer.message();
        assert_eq!(message["id"], Json::Null, "{answer:?}");
        assert_eq!(message["error"]["code"], -32600, "{answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{answer:?}");
    }
}

/// A client that speaks both eras may send the header of a session that it had, or of another server's.
#[test]
fn a_stateless_request_is_of_no_session() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let session = server.session(&[]);
    let params = json!({"name": "add_add", "arguments": {"a": 1, "b": 2}});
    for bogus in ["bogus", &session, "two words", &"x".repeat(300)] {
        let mut headers = modern_headers("tools/call", &params);
        headers.push(("Mcp-Session-Id", bogus));
        let answer = server.post(&headers, &modern("tools/call", params.clone()));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("mcp-session-id"), None, "{answer:?}");
        let result = &answer.message()["result"];
        assert_eq!(result["structuredContent"], json!({"result": 3}), "{answer:?}");
        let headers = [
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "notifications/initialized"),
            ("Mcp-Session-Id", bogus),
        ];
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(server.post(&headers, &told).status, 202);
        // There is no such request, and it ends no session.
        assert_eq!(server.ask("DELETE /mcp", &headers, b"").status, 405);
    }
    // What has a session needs one that is there, as before.
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
    assert_eq!(server.post(&[("Mcp-Session-Id", &session)], &ping).status, 200);
    let versioned = [
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Session-Id", "bogus"),
    ];
    assert_eq!(server.post(&versioned, &ping).status, 404);
}

/// Sessions are optional for a server, and one that has them may refuse a request without ("SHOULD respond [..] with HTTP 400",
/// basic/transports of 2025-11-25, "Session Management"): what a client is told of changes, and is asked, has no other way.
#[test]
fn a_client_with_a_handshake_cannot_leave_it_out() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"});
    let params = json!({"name": "add_add", "arguments": {"a": 1, "b": 2}});
    let call = json!({"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": params});
    // Without a header a server takes the client for one of 2025-03-26.
    let versions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    let headers: Vec<Vec<_>> = versions
        .iter()
        .map(|version| vec![("MCP-Protocol-Version", *version)])
        .chain([vec![]])
        .collect();
    // The body of a refusal "has no id" there.
    let error = json!({"code": -32600, "message": "Bad Request: Session ID is required"});
    let refusal = json!({"jsonrpc": "2.0", "id": null, "error": error});
    for headers in &headers {
        for message in [&list, &call] {
            let answer = server.post(headers, message);
            assert_eq!(
                (answer.status, answer.message()),
                (400, refusal.clone()),
                "{headers:?}"
            );
            assert_eq!(answer.header("mcp-session-id"), None, "{answer:?}");
        }
        for line in ["GET /mcp", "DELETE /mcp"] {
            let answer = server.ask(line, headers, b"");
            assert_eq!(
                (answer.status, answer.message()),
                (400, refusal.clone()),
                "{line} {headers:?}"
            );
        }
    }
    assert_eq!(told(&home, "call.begin"), 0);
    let session = server.session(&[]);
    let answer = server.post(
        &[
            ("Mcp-Session-Id", &session),
            ("MCP-Protocol-Version", "2025-11-25"),
        ],
        &call,
    );
    assert_eq!(
        answer.message()["result"]["structuredContent"],
        json!({"result": 3})
    );
}
