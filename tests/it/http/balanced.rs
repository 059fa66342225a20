//! Two processes that serve one store, where each request may come to either of them.

use super::oauth::Issuer;
use super::server::{Server, eventually, free_address, metric, modern, modern_headers, told, wait_for};
use crate::support::{Home, guest};
use serde_json::{Value as Json, json};
use std::io::BufReader;
use std::time::{Duration, Instant};

/// A store with the conformance component, and two processes that serve it.
fn pair() -> (Home, Server, Server) {
    let home = Home::new();
    home.load(&guest("conformance"));
    let (one, other) = (Server::open(&home, &[]), Server::open(&home, &[]));
    (home, one, other)
}

/// A request of a client that can be asked and can wait.
fn ask(server: &Server, extra: &[(&str, &str)], method: &str, params: &Json) -> Json {
    let mut headers = modern_headers(method, params);
    headers.extend(extra);
    let mut message = modern(method, params.clone());
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}});
    server.post(&headers, &message).message()
}

fn of_session(session: &str) -> [(&str, &str); 2] {
    [
        ("Mcp-Session-Id", session),
        ("MCP-Protocol-Version", "2025-06-18"),
    ]
}

fn call(id: u64, tool: &str, arguments: &Json) -> Json {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

#[test]
fn a_session_is_one_whichever_process_a_request_comes_to() {
    let (home, one, other) = pair();
    let answer = one.post(&[], &super::initialize());
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let headers = of_session(&session);
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(other.post(&headers, &initialized).status, 202);
    for (id, server) in [&other, &one, &other].into_iter().enumerate() {
        let answer = server.post(&headers, &call(id as u64, "test_simple_text", &json!({})));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.message()["id"], id);
        assert!(
            answer.body.contains("This is a simple text response"),
            "{answer:?}"
        );
    }
    // A stream for what is new, from the process that does not have the session.
    let stream = other.send("GET /mcp", &headers, b"");
    let mut stream = BufReader::new(stream);
    wait_for(&mut stream, "text/event-stream");
    home.load(&home.wat("add"));
    wait_for(&mut stream, "notifications/tools/list_changed");
    assert_eq!(other.ask("DELETE /mcp", &headers, b"").status, 204);
    for server in [&one, &other] {
        assert_eq!(server.post(&headers, &call(9, "add_add", &json!({}))).status, 404);
    }
}

#[test]
fn a_person_answers_and_cancels_through_the_other_process() {
    let (home, one, other) = pair();
    home.load(&guest("hostile"));
    let mut hello = super::initialize();
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let answer = one.post(&[], &hello);
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let headers = of_session(&session);
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(other.post(&headers, &initialized).status, 202);
    let asks = call(5, "test_elicitation", &json!({"message": "Who?"}));
    let stream = one.send("POST /mcp", &headers, asks.to_string().as_bytes());
    let mut stream = BufReader::new(stream);
    let question = wait_for(&mut stream, "elicitation/create");
    let question: Json = serde_json::from_str(question.trim_start_matches("data:").trim()).unwrap();
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(other.post(&headers, &answer).status, 202);
    wait_for(&mut stream, "decline");

    let sleeps = call(6, "hostile_sleep-forever", &json!({}));
    let _sleeping = other.send("POST /mcp", &headers, sleeps.to_string().as_bytes());
    eventually("the call runs", || told(&home, "hostile_sleep-forever") >= 1);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 6}});
    assert_eq!(one.post(&headers, &cancel).status, 202);
    eventually("it is ended", || told(&home, "cancelled") >= 1);
}

#[test]
fn a_task_is_known_whichever_process_is_asked() {
    let (_home, one, other) = pair();
    let begin = |seconds: f64| {
        let params = json!({"name": "slow_compute", "arguments": {"seconds": seconds}});
        let begun = ask(&one, &[], "tools/call", &params);
        json!({"taskId": begun["result"]["taskId"]})
    };
    let quick = begin(0.2);
    eventually("it is done", || {
        let got = ask(&other, &[], "tasks/get", &quick);
        assert_eq!(got["result"]["taskId"], quick["taskId"], "{got}");
        got["result"]["status"] == "completed"
    });
    let long = begin(20.0);
    ask(&other, &[], "tasks/cancel", &long);
    eventually("it is cancelled", || {
        ask(&one, &[], "tasks/get", &long)["result"]["status"] == "cancelled"
    });
    drop(one);
    let gone = ask(&other, &[], "tasks/get", &quick);
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
}

#[test]
fn a_state_is_good_once_among_all_processes_and_after_them() {
    let (home, one, other) = pair();
    let mut params = json!({"name": "test_input_required_result_request_state", "arguments": {}});
    let asked = ask(&one, &[], "tools/call", &params);
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let done = ask(&other, &[], "tools/call", &params);
    assert_eq!(
        done["result"]["content"][0]["text"], "Confirmed: state-ok",
        "{done}"
    );
    let refused = |server: &Server| {
        let refused = ask(server, &[], "tools/call", &params);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    };
    refused(&one);
    refused(&other);
    drop((one, other));
    refused(&Server::open(&home, &[]));
}

#[test]
fn what_a_component_says_to_all_is_heard_at_every_process() {
    let (_home, one, other) = pair();
    let params = json!({"notifications": {"promptsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]}});
    let headers = modern_headers("subscriptions/listen", &params);
    let message = modern("subscriptions/listen", params.clone()).to_string();
    let mut stream = BufReader::new(other.send("POST /mcp", &headers, message.as_bytes()));
    wait_for(&mut stream, "notifications/subscriptions/acknowledged");
    one.call("test_resource_update", json!({}));
    wait_for(&mut stream, "notifications/resources/updated");
    one.call("test_trigger_prompt_change", json!({}));
    wait_for(&mut stream, "notifications/prompts/list_changed");
}

#[test]
fn what_belongs_to_somebody_is_nobody_elses_through_the_other_process_either() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&guest("conformance"));
    let (one, other) = (issuer.serve(&home), issuer.serve(&home));
    let bearer = |subject: &str| format!("Bearer {}", issuer.token(&issuer.claims(subject)));
    let (alice, mallory) = (bearer("alice"), bearer("mallory"));
    let session = one.session(&[("Authorization", &alice)]);
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
    let status = |bearer: &str| {
        let headers = [("Authorization", bearer), ("Mcp-Session-Id", session.as_str())];
        other.post(&headers, &ping).status
    };
    assert_eq!((status(&alice), status(&mallory)), (200, 404));
    let params = json!({"name": "slow_compute", "arguments": {"seconds": 5}});
    let begun = ask(&one, &[("Authorization", &alice)], "tools/call", &params);
    let task = json!({"taskId": begun["result"]["taskId"]});
    let refused = ask(&other, &[("Authorization", &mallory)], "tasks/cancel", &task);
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let own = ask(&other, &[("Authorization", &alice)], "tasks/get", &task);
    assert_eq!(own["result"]["status"], "working", "{own}");
    // Without the scope nothing is handed over.
    let mut claims = issuer.claims("alice");
    claims["scope"] = json!("openid");
    let bare = format!("Bearer {}", issuer.token(&claims));
    let headers = modern_headers("tasks/get", &task);
    let headers: Vec<_> = headers
        .into_iter()
        .chain([("Authorization", bare.as_str())])
        .collect();
    assert_eq!(
        other.post(&headers, &modern("tasks/get", task.clone())).status,
        403
    );
}

#[test]
fn nobody_else_says_who_a_request_is_from() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let server = Server::start(&home, &[]);
    // ["http:token",["tools:call"]], as one process tells another.
    let forged = "WyJodHRwOnRva2VuIixbInRvb2xzOmNhbGwiXV0";
    let headers = [("Authorization", ""), ("Wassette-Principal", forged)];
    let message = modern("tools/list", json!({}));
    let all: Vec<_> = modern_headers("tools/list", &message["params"])
        .into_iter()
        .chain(headers)
        .collect();
    assert_eq!(server.post(&all, &message).status, 401);
    assert_eq!(server.ask("POST /news", &headers, b"[]").status, 404);
    let folder = home.store().join("processes");
    assert_eq!(
        std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let sockets: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(sockets.len(), 1);
    let path = sockets[0].as_ref().unwrap().path();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Who is no process of ours and has the socket all the same has to say who it is from; and what it tells is read.
    let raw = |text: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        let _end = stream.read_to_string(&mut answer);
        answer
    };
    let unnamed = raw("POST /mcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    assert!(unnamed.starts_with("HTTP/1.1 400"), "{unnamed}");
    for news in ["[\"tool", "{}", "[\"all\"]", "[{\"resource\":7}]"] {
        let length = news.len();
        let told = raw(&format!(
            "POST /news HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{news}"
        ));
        assert!(told.starts_with("HTTP/1.1 400"), "{news}: {told}");
    }
}

#[test]
fn what_was_in_a_process_that_is_gone_begins_anew() {
    let (home, one, other) = pair();
    let session = one.session(&[]);
    let headers = of_session(&session);
    let simple = call(1, "test_simple_text", &json!({}));
    assert_eq!(other.post(&headers, &simple).status, 200);
    // Killed: its socket stays.
    drop(one);
    assert_eq!(other.post(&headers, &simple).status, 404);
    let made_up = format!("{}-{}", "0".repeat(16), "5e0c");
    assert_eq!(other.post(&of_session(&made_up), &simple).status, 404);
    for session in ["../../../../etc/pa-1", "x", "0123456789abcdef"] {
        assert_eq!(other.post(&of_session(session), &simple).status, 404, "{session}");
    }
    let session = other.session(&[]);
    let third = Server::open(&home, &[]);
    assert_eq!(
        std::fs::read_dir(home.store().join("processes")).unwrap().count(),
        2
    );
    assert_eq!(third.post(&of_session(&session), &simple).status, 200);
}

#[test]
fn who_goes_away_ends_what_was_handed_over() {
    let home = Home::new();
    home.load(&guest("conformance"));
    let admin = free_address();
    let one = Server::open(&home, &["--admin-address", &admin]);
    let other = Server::open(&home, &[]);
    let session = one.session(&[]);
    let headers = of_session(&session);
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let stream = other.send("GET /mcp", &headers, b"");
            let mut stream = BufReader::new(stream);
            wait_for(&mut stream, "text/event-stream");
            stream
        })
        .collect();
    let open = || metric(&admin, "wassette_connections_inner");
    assert!(open() >= 3.0);
    drop(streams);
    eventually("nothing is left of them", || open() < 1.0);
}

#[test]
fn a_process_that_is_stopped_loses_nothing_and_holds_up_nobody() {
    let (home, one, other) = pair();
    let session = one.session(&[]);
    let headers = of_session(&session);
    let simple = call(1, "test_simple_text", &json!({}));
    one.signal("-STOP");
    let begin = Instant::now();
    assert_eq!(other.post(&headers, &simple).status, 503);
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
    // Neither news nor a new process wait for it.
    other.call("test_resource_update", json!({}));
    let third = Server::open(&home, &[]);
    assert_eq!(third.tools(), other.tools());
    one.signal("-CONT");
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    assert_eq!(third.post(&headers, &ping).status, 200);
}

#[test]
fn processes_that_are_started_together_are_all_ready() {
    let home = Home::new();
    for name in ["add", "greet"] {
        home.wat(name);
    }
    home.file(
        "site.yaml",
        b"version: 1\ncomponents:\n  - {uri: ./add.wasm, tools: {add_add: {name: sum}}}\n  - {uri: ./greet.wasm, permissions: {environment: {allow: [LANG]}}}\n",
    );
    let start = || Server::start(&home, &["--manifest", "site.yaml"]);
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starting
            .into_iter()
            .map(|started| started.join().unwrap())
            .collect()
    });
    let begin = Instant::now();
    for server in &servers {
        eventually("it is ready", || server.ask("GET /ready", &[], b"").status == 200);
        assert_eq!(server.tools(), ["sum", "greet_greet"]);
    }
    // One that was not would try again after thirty seconds.
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}", begin.elapsed());
}
