//! `wassette serve`: sessions and stateless requests on one endpoint, who may send them, faults, and the end of a server.

use crate::support::{Home, guest};
use serde_json::{Value as Json, json};
use server::{
    PATIENCE, Server, eventually, free_address, initialize, metric, modern, modern_headers, read, told,
    wait_for,
};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

mod balanced;
mod ending;
mod faults;
mod load;
mod messages;
mod oauth;
mod ready;
mod resumed;
pub(crate) mod server;
mod starts;
mod unread;

#[test]
fn both_eras_are_served_on_one_endpoint() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let discovered = server.modern("server/discover", json!({}));
    assert_eq!(discovered.status, 200, "{discovered:?}");
    assert_eq!(discovered.header("content-type"), Some("application/json"));
    let versions = discovered.message()["result"]["supportedVersions"].clone();
    assert!(
        versions.as_array().unwrap().contains(&json!("2026-07-28")),
        "{versions}"
    );
    // The model gets no tools to change anything unless the operator says so.
    assert_eq!(server.tools(), ["add_add"]);
    let sum = server.call("add_add", json!({"a": 1, "b": 2}));
    assert_eq!(sum["structuredContent"], json!({"result": 3}));
    assert!(
        sum["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "wassette",
        "{sum}"
    );

    let session = server.session(&[]);
    let headers = [
        ("Mcp-Session-Id", session.as_str()),
        ("MCP-Protocol-Version", "2025-06-18"),
    ];
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add_add", "arguments": {"a": 3, "b": 4}}});
    let answer = server.post(&headers, &call);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        answer.message()["result"]["structuredContent"],
        json!({"result": 7})
    );
    assert_eq!(answer.message()["result"]["resultType"], Json::Null);
    assert_eq!(server.ask("DELETE /mcp", &headers, b"").status, 204);
    assert_eq!(server.post(&headers, &call).status, 404);
    assert_eq!(server.post(&[("Mcp-Session-Id", "made-up")], &call).status, 404);
}

#[test]
fn the_model_may_change_things_only_where_the_operator_says_so() {
    let home = Home::new();
    let server = Server::open(&home, &["--enable-builtin-tools"]);
    assert!(server.tools().contains(&"load-component".to_owned()));
    let loaded = server.call("load-component", json!({"path": "starter:time"}));
    assert_eq!(loaded["isError"], json!(false), "{loaded}");
    assert!(server.tools().iter().any(|tool| tool.starts_with("time_")));
    drop(server);
    let server = Server::open(&home, &[]);
    let answer = server.modern(
        "tools/call",
        json!({"name": "load-component", "arguments": {"path": "starter:text"}}),
    );
    assert_eq!(answer.message()["error"]["code"], json!(-32602));
    let entries = home.audit();
    assert!(
        entries
            .iter()
            .any(|entry| entry.to_string().contains("agent:http")),
        "{entries:?}"
    );
}

#[test]
fn a_token_is_made_shown_once_and_wanted() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::start(&home, &[]);
    let token = server.token.clone().unwrap();
    assert!(server.said.contains(&token) && token.len() > 40);
    let mode = std::fs::metadata(home.path().join(".config/wassette/http-token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.tools(), ["add_add"]);
    for wrong in [
        "",
        "Bearer wrong",
        "Basic dXNlcjpwYXNz",
        &format!("Bearer {token}x"),
    ] {
        let answer = server.post(&[("Authorization", wrong)], &modern("tools/list", json!({})));
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(
            answer.header("www-authenticate").unwrap().starts_with("Bearer"),
            "{answer:?}"
        );
        assert!(!answer.body.contains("add_add"));
    }
    // Not in the address, where logs keep it.
    let path = format!("/mcp?access_token={token}");
    let answer = server.ask(
        &format!("POST {path}"),
        &[("Authorization", "")],
        initialize().to_string().as_bytes(),
    );
    assert_eq!(answer.status, 401);
    drop(server);
    let server = Server::start(&home, &[]);
    assert!(!server.said.contains(&token) && server.token == Some(token));
    drop(server);
    let path = home.path().join(".config/wassette/http-token");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.run(&["serve", "--bind-address", "127.0.0.1:0"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("others can read the token"), "{}", ran.stderr);
}

#[test]
fn other_names_and_pages_are_refused_before_anything_else() {
    let home = Home::new();
    let server = Server::start(
        &home,
        &[
            "--allowed-host",
            "mcp.example",
            "--allowed-origin",
            "https://app.example",
        ],
    );
    let status = |headers: &[(&str, &str)]| server.post(headers, &modern("tools/list", json!({}))).status;
    let with = |extra: (&'static str, &'static str)| {
        let mut headers = vec![
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/list"),
        ];
        headers.push(extra);
        status(&headers)
    };
    assert_eq!(with(("Origin", "http://localhost:1234")), 200);
    assert_eq!(with(("Origin", "https://app.example")), 200);
    assert_eq!(with(("Host", "mcp.example")), 200);
    for refused in [
        ("Host", "evil.example"),
        ("Host", "localhost.evil.example:80"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://app.example.evil.example"),
    ] {
        assert_eq!(with(refused), 403, "{refused:?}");
    }
    assert_eq!(
        status(&[("Origin", "https://evil.example"), ("Authorization", "")]),
        403
    );
    let answer = server.ask("GET /info", &[("Host", "evil.example")], b"");
    assert_eq!(answer.status, 403);
}

#[test]
fn allowed_pages_are_let_through_by_browsers() {
    let home = Home::new();
    let server = Server::start(&home, &["--allowed-origin", "https://app.example"]);
    let ask = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Authorization", ""),
            ("Access-Control-Request-Method", "POST"),
            (
                "Access-Control-Request-Headers",
                "authorization, mcp-param-city, x-evil",
            ),
        ];
        server.ask("OPTIONS /mcp", &headers, b"")
    };
    let asked = ask("https://app.example");
    assert_eq!(asked.status, 204, "{asked:?}");
    assert_eq!(
        asked.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    let allowed = asked.header("access-control-allow-headers").unwrap();
    assert!(
        allowed.contains("authorization") && allowed.ends_with("mcp-param-city"),
        "{allowed}"
    );
    assert_eq!(ask("https://evil.example").status, 403);
    // What a page may not read it may not read with a wrong token either, and a right one is still wanted.
    let answer = server.post(
        &[("Origin", "https://app.example"), ("Authorization", "")],
        &initialize(),
    );
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (401, Some("https://app.example"))
    );
    let answer = server.post(&[("Origin", "https://app.example")], &initialize());
    assert!(
        answer
            .header("access-control-expose-headers")
            .unwrap()
            .contains("mcp-session-id"),
        "{answer:?}"
    );
}

#[test]
fn what_is_no_request_is_answered_with_what_is_wrong() {
    let home = Home::new();
    let server = Server::open(&home, &[]);
    let code = |body: &[u8]| {
        let answer = server.ask("POST /mcp", &[("MCP-Protocol-Version", "2026-07-28")], body);
        (answer.status, answer.message()["error"]["code"].as_i64().unwrap())
    };
    assert_eq!(code(b"{"), (400, -32700));
    assert_eq!(code(b"\xff"), (400, -32700));
    assert_eq!(code(b""), (400, -32600));
    assert_eq!(code(b"[]"), (400, -32600));
    assert_eq!(code(b"7"), (400, -32600));
    assert_eq!(
        code(br#"{"jsonrpc": "1.0", "id": 1, "method": "ping"}"#),
        (400, -32600)
    );
    assert_eq!(
        code(br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}"#),
        (400, -32602)
    );
    assert_eq!(
        code(br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}"#),
        (400, -32602)
    );
    let unknown = server.modern("no/such", json!({}));
    assert_eq!(
        (unknown.status, unknown.message()["error"]["code"].as_i64()),
        (404, Some(-32601))
    );
    let mut other_version = modern("tools/list", json!({}));
    other_version["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2030-01-01");
    let answer = server.post(
        &[
            ("MCP-Protocol-Version", "2030-01-01"),
            ("Mcp-Method", "tools/list"),
        ],
        &other_version,
    );
    assert_eq!(
        (answer.status, answer.message()["error"]["code"].as_i64()),
        (400, Some(-32022))
    );
    let mismatch = server.post(
        &modern_headers("tools/call", &json!({})),
        &modern("tools/list", json!({})),
    );
    assert_eq!(
        (mismatch.status, mismatch.message()["error"]["code"].as_i64()),
        (400, Some(-32020))
    );
    assert_eq!(server.ask("PUT /mcp", &[], b"{}").status, 405);
    assert_eq!(
        server
            .ask(
                "POST /mcp",
                &[("Content-Type", "text/plain")],
                b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"
            )
            .status,
        415
    );
    assert_eq!(server.ask("GET /nothing", &[], b"").status, 404);
    // Exactly as much as may come, and one byte more.
    let padded = |length: usize| {
        let mut body = modern("tools/list", json!({})).to_string().into_bytes();
        body.resize(length, b' ');
        server
            .ask("POST /mcp", &modern_headers("tools/list", &json!({})), &body)
            .status
    };
    assert_eq!(padded(4 << 20), 200);
    assert_eq!(padded((4 << 20) + 1), 413);
    assert_eq!(server.call("nothing", json!({}))["error"], Json::Null);
}

#[test]
fn clients_of_both_eras_hear_of_changed_tools() {
    let home = Home::new();
    let server = Server::open(&home, &[]);
    let session = server.session(&[]);
    let stream = server.send("GET /mcp", &[("Mcp-Session-Id", session.as_str())], b"");
    let mut legacy = BufReader::new(stream);
    wait_for(&mut legacy, "text/event-stream");
    let params = json!({"notifications": {"toolsListChanged": true}});
    let message = modern("subscriptions/listen", params.clone());
    let headers = modern_headers("subscriptions/listen", &params);
    let stream = server.send("POST /mcp", &headers, message.to_string().as_bytes());
    let mut listening = BufReader::new(stream);
    wait_for(&mut listening, "notifications/subscriptions/acknowledged");
    home.load(&home.wat("add"));
    wait_for(&mut legacy, "notifications/tools/list_changed");
    wait_for(&mut listening, "notifications/tools/list_changed");
    assert_eq!(server.tools(), ["add_add"]);
}

#[test]
fn a_client_that_goes_away_stops_its_call() {
    let home = Home::new();
    home.load(&guest("hostile"));
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    let params = json!({"name": "hostile_spin", "arguments": {}});
    let spinning = server.send(
        "POST /mcp",
        &modern_headers("tools/call", &params),
        modern("tools/call", params.clone()).to_string().as_bytes(),
    );
    eventually("the call runs", || {
        metric(&admin, "wassette_requests_running") >= 1.0
    });
    drop(spinning);
    eventually("the call is stopped", || {
        metric(&admin, "wassette_requests_running") < 1.0
    });

    // With a session, going away means nothing and a notification ends the call.
    let session = server.session(&[]);
    let headers = [("Mcp-Session-Id", session.as_str())];
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "hostile_sleep-forever", "arguments": {}}});
    let _waiting = server.send("POST /mcp", &headers, call.to_string().as_bytes());
    // Not by the metric: what is cancelled before it has begun is not known yet.
    eventually("the call runs", || told(&home, "call.begin") >= 2);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    assert_eq!(server.post(&headers, &cancel).status, 202);
    eventually("both calls were ended", || told(&home, "cancelled") >= 2);
}

/// Gemini CLI ends the connection at an event without a message, and so may others of its time.
#[test]
fn events_without_a_message_are_for_clients_that_know_them() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    for (version, is_primed) in [("2025-06-18", false), ("2025-11-25", true)] {
        let mut hello = initialize();
        hello["params"]["protocolVersion"] = json!(version);
        let opened = server.post(&[], &hello);
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        let headers = [("Mcp-Session-Id", session.as_str())];
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(server.post(&headers, &initialized).status, 202);
        let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
        let pinged = server.post(&headers, &ping);
        for answer in [opened, pinged] {
            let empty = answer
                .body
                .lines()
                .filter(|line| line.trim_end() == "data:")
                .count();
            assert_eq!(empty > 0, is_primed, "{version}: {answer:?}");
            assert!(answer.message()["result"].is_object(), "{answer:?}");
        }
        let mut news = BufReader::new(server.send("GET /mcp", &headers, b""));
        home.load(&home.wat(if is_primed { "greet" } else { "divide" }));
        let mut before = String::new();
        while !before.contains("list_changed") {
            assert!(news.read_line(&mut before).unwrap() > 0, "{before}");
        }
        assert_eq!(before.contains("data: \n"), is_primed, "{version}: {before}");
    }
}

#[test]
fn two_requests_of_a_session_with_the_same_id_are_not_answered_by_each_other() {
    let home = Home::new();
    home.load(&guest("hostile"));
    home.load(&home.wat("add"));
    let server = Server::open(&home, &[]);
    let (session, other) = (server.session(&[]), server.session(&[]));
    let headers = [("Mcp-Session-Id", session.as_str())];
    let call = |tool: &str, arguments: Json| json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let sleep = call("hostile_sleep", json!({"ms": 700})).to_string();
    let sleeping = server.send("POST /mcp", &headers, sleep.as_bytes());
    eventually("the call runs", || told(&home, "call.begin") >= 1);
    let add = call("add_add", json!({"a": 1, "b": 2}));
    let refused = server.post(&headers, &add);
    assert_eq!(
        (refused.status, refused.message()["error"]["code"].clone()),
        (400, json!(-32600))
    );
    // Another session counts for itself, and so does the same one when it is answered.
    let elsewhere = server.post(&[("Mcp-Session-Id", other.as_str())], &add);
    assert_eq!(
        elsewhere.message()["result"]["structuredContent"],
        json!({"result": 3})
    );
    assert_eq!(read(sleeping).message()["id"], 9);
    let again = server.post(&headers, &add);
    assert_eq!(
        again.message()["result"]["structuredContent"],
        json!({"result": 3})
    );
}

#[test]
fn a_call_can_be_cancelled_when_calls_have_taken_every_place() {
    let home = Home::new();
    let hostile = guest("hostile");
    home.load(&hostile);
    home.json(&["component", "load", hostile.to_str().unwrap(), "--name", "other"]);
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    let session = server.session(&[]);
    let headers = [("Mcp-Session-Id", session.as_str())];
    // More of one component than may run and wait would be turned away at once.
    let _waiting: Vec<_> = (0..256)
        .map(|id| {
            let tool = ["hostile_sleep-forever", "other_sleep-forever"][id % 2];
            let call = json!({"jsonrpc": "2.0", "id": 100 + id, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
            server.send("POST /mcp", &headers, call.to_string().as_bytes())
        })
        .collect();
    eventually("every place is taken", || {
        metric(&admin, "wassette_requests_running") >= 256.0
    });
    let begin = Instant::now();
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 100}});
    assert_eq!(server.post(&headers, &cancel).status, 202);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    eventually("a place is free", || {
        metric(&admin, "wassette_requests_running") < 256.0
    });
}

#[test]
fn sessions_are_bounded_and_others_are_served_beyond() {
    let home = Home::new();
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    let mut refused = 0;
    for _ in 0..1_010 {
        let answer = server.post(&[], &initialize());
        match answer.status {
            200 => {}
            503 => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                refused += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!((refused, metric(&admin, "wassette_sessions")), (10, 1000.0));
    assert_eq!(server.modern("tools/list", json!({})).status, 200);
}

#[test]
fn one_client_has_only_so_many_streams() {
    let home = Home::new();
    let server = Server::open(&home, &[]);
    let params = json!({"notifications": {"toolsListChanged": true}});
    let headers = modern_headers("subscriptions/listen", &params);
    let message = modern("subscriptions/listen", params.clone()).to_string();
    let listen = || server.send("POST /mcp", &headers, message.as_bytes());
    let mut open: Vec<_> = (0..256)
        .map(|_| {
            let mut stream = BufReader::new(listen());
            wait_for(&mut stream, "acknowledged");
            stream
        })
        .collect();
    let refused = listen();
    // One that was opened would never end.
    let mut status = [0; 12];
    assert_eq!(refused.peek(&mut status).unwrap(), status.len());
    assert_eq!(&status, b"HTTP/1.1 429");
    let answer = read(refused);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("5")),
        "{answer:?}"
    );
    assert_eq!(server.modern("tools/list", json!({})).status, 200);
    // Places of those who go are free again.
    open.clear();
    eventually("there is a place", || {
        let mut stream = BufReader::new(listen());
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line.contains("200")
    });
}

#[test]
fn health_readiness_and_metrics_are_told() {
    let home = Home::new();
    let path = home.wat("add");
    home.file(
        "components.yaml",
        format!("version: 1\ncomponents:\n  - uri: file://{}\n", path.display()).as_bytes(),
    );
    let admin = free_address();
    let server = Server::start(
        &home,
        &["--manifest", "components.yaml", "--admin-address", &admin],
    );
    let get = |path: &str| server.ask(&format!("GET {path}"), &[("Authorization", "")], b"");
    assert_eq!(
        (get("/health").status, get("/health").body.as_str()),
        (200, "ok\n")
    );
    eventually("what the manifest says is loaded", || get("/ready").status == 200);
    assert_eq!(server.tools(), ["add_add"]);
    let info: Json = serde_json::from_str(&get("/info").body).unwrap();
    assert_eq!(
        (&info["name"], &info["endpoint"]),
        (&json!("wassette"), &json!("/mcp"))
    );
    assert!(!get("/info").body.contains("add"));
    assert_eq!(get("/metrics").status, 404);
    assert!(metric(&admin, "wassette_connections") >= 0.0);
    assert!(metric(&admin, r#"wassette_requests_total{method="tools/list"}"#) >= 1.0);
}

#[test]
fn metrics_are_for_our_names_and_beyond_this_machine_that_is_a_warning() {
    let home = Home::new();
    let status = |admin: &str, path: &str, host: &str, more: &str| {
        let mut stream = std::net::TcpStream::connect(admin.replace("0.0.0.0", "127.0.0.1")).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        read(stream).status
    };
    let admin = free_address();
    let server = Server::open(&home, &["--admin-address", &admin]);
    assert!(!server.said.contains("metrics"), "{}", server.said);
    assert_eq!(status(&admin, "/metrics", &admin, ""), 200);
    assert_eq!(status(&admin, "/metrics", "localhost:1", ""), 200);
    assert_eq!(status(&admin, "/metrics", "rebound.example", ""), 403);
    let of_page = "Origin: https://evil.example\r\n";
    assert_eq!(status(&admin, "/metrics", "localhost", of_page), 403);
    // Balancers have no name for it, as elsewhere.
    assert_eq!(status(&admin, "/health", "rebound.example", ""), 200);
    drop(server);
    let admin = free_address().replace("127.0.0.1", "0.0.0.0");
    let allowed = ["--admin-address", &admin, "--allowed-host", "metrics.example"];
    let server = Server::open(&home, &allowed);
    let warning = format!("warning: everybody who reaches {admin} can read the metrics");
    assert!(server.said.contains(&warning), "{}", server.said);
    assert_eq!(status(&admin, "/metrics", "metrics.example", ""), 200);
    assert_eq!(status(&admin, "/metrics", "rebound.example", ""), 403);
    drop(server);
    // A socket for clients has no names; the address for the operator has.
    let socket = format!("unix:{}", home.path().join("w.sock").display());
    let admin = free_address();
    let mut child = home
        .command(&["serve", "--bind-address", &socket, "--admin-address", &admin])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it listens", || std::net::TcpStream::connect(&admin).is_ok());
    let seen = (
        status(&admin, "/metrics", &admin, ""),
        status(&admin, "/metrics", "rebound.example", ""),
    );
    let _killed = (child.kill(), child.wait());
    assert_eq!(seen, (200, 403));
}

#[test]
fn a_server_whose_manifest_cannot_be_loaded_is_not_ready() {
    let home = Home::new();
    home.file(
        "components.yaml",
        b"version: 1\ncomponents:\n  - uri: file:///no/such/component.wasm\n",
    );
    let server = Server::open(&home, &["--manifest", "components.yaml"]);
    assert_eq!(server.ask("GET /health", &[], b"").status, 200);
    std::thread::sleep(Duration::from_millis(500));
    let answer = server.ask("GET /ready", &[], b"");
    assert_eq!((answer.status, answer.body.as_str()), (503, "loading\n"));
}

#[test]
fn a_socket_lets_this_user_in_and_a_second_server_does_not_take_it() {
    use std::os::unix::net::UnixStream;
    let home = Home::new();
    let path = home.path().join("w.sock");
    let address = format!("unix:{}", path.display());
    let arguments = ["serve", "--bind-address", &address];
    let start = || {
        home.command(&arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut child = start();
    eventually("it listens", || UnixStream::connect(&path).is_ok());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let ran = home.run(&arguments);
    assert!(
        ran.code == 1 && ran.stderr.contains("a server listens there"),
        "{ran:?}"
    );
    // One that was killed leaves its file, which the next replaces.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists());
    let mut child = start();
    eventually("it listens again", || UnixStream::connect(&path).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    // A file of somebody is not replaced.
    home.file("mine", b"mine");
    let address = format!("unix:{}", home.path().join("mine").display());
    let ran = home.run(&["serve", "--bind-address", &address]);
    assert_eq!(
        (ran.code, std::fs::read(home.path().join("mine")).unwrap()),
        (1, b"mine".to_vec())
    );
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let home = Home::new();
    let refused = |arguments: &[&str], text: &str| {
        let all: Vec<_> = ["serve"].iter().chain(arguments).copied().collect();
        let ran = home.run(&all);
        assert!(
            ran.code != 0 && ran.stderr.contains(text),
            "{arguments:?}: {ran:?}"
        );
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&["--bind-address", &address], "cannot listen on");
    refused(&["--bind-address", "localhost"], "is no address");
    refused(
        &["--bind-address", "127.0.0.1:0", "--allowed-host", "https://a"],
        "--allowed-host",
    );
    refused(
        &["--bind-address", "127.0.0.1:0", "--allowed-origin", "a"],
        "--allowed-origin",
    );
    refused(
        &[
            "--no-auth",
            "--oauth-issuer",
            "https://a",
            "--oauth-resource",
            "https://b",
        ],
        "cannot be used with",
    );
    for (option, url) in [
        ("--oauth-issuer", "http://192.0.2.1"),
        ("--oauth-issuer", "http://login.example.com"),
        ("--oauth-issuer", "login.example.com"),
        ("--oauth-keys", "http://192.0.2.1/keys"),
        ("--oauth-keys", "ftp://login.example.com/keys"),
    ] {
        let issuer = if option == "--oauth-issuer" {
            url
        } else {
            "https://a"
        };
        let mut arguments = vec![
            "serve",
            "--bind-address",
            "127.0.0.1:0",
            "--oauth-resource",
            "https://b",
        ];
        arguments.extend(["--oauth-issuer", issuer]);
        if option == "--oauth-keys" {
            arguments.extend([option, url]);
        }
        let ran = home.run(&arguments);
        let said = format!("`{option} {url}` cannot be asked for keys");
        assert!(ran.code == 2 && ran.stderr.contains(&said), "{ran:?}");
        assert!(ran.stderr.contains("hint: it begins with `https://`"), "{ran:?}");
    }
    refused(&["--tls-key", "k"], "--tls-certificate");
    let socket = format!("unix:{}", home.path().join("w.sock").display());
    let with_tls = [
        "serve",
        "--bind-address",
        &socket,
        "--tls-certificate",
        "c.pem",
        "--tls-key",
        "c.pem",
    ];
    let ran = home.run(&with_tls);
    assert!(
        ran.code == 2 && ran.stderr.contains("a socket has no TLS"),
        "{ran:?}"
    );
    assert!(!home.path().join("w.sock").exists());
    home.file("c.pem", b"no");
    refused(
        &[
            "--bind-address",
            "127.0.0.1:0",
            "--tls-certificate",
            "c.pem",
            "--tls-key",
            "c.pem",
        ],
        "PEM",
    );
}
