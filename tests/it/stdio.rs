//! MCP over standard input and output, in both eras, with nothing between the test and the wire.

use crate::spoil::{self, Chance};
use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

fn home() -> Home {
    let home = Home::new();
    home.load(&home.wat("add"));
    home
}

/// The `_meta` every request of the stateless era carries.
fn modern(mut params: Json) -> Json {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "0" }
    });
    params
}

#[test]
fn a_client_with_a_handshake_lists_and_calls() {
    let home = home();
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = home.serve(&[]);
        let hello = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "it", "version": "0" } });
        let answer = client.request("initialize", hello);
        assert_eq!(answer["result"]["protocolVersion"], version);
        assert_eq!(answer["result"]["serverInfo"]["name"], "wassette");
        assert_eq!(
            answer["result"]["capabilities"]["tools"],
            json!({ "listChanged": true })
        );
        client.notify("notifications/initialized", json!({}));
        assert_eq!(
            client.tools(),
            [
                "load-component",
                "unload-component",
                "list-components",
                "search-components",
                "get-policy",
                "request-permission",
                "revoke-permission",
                "reset-permission",
                "add_add"
            ]
        );
        let answer = client.call("add_add", json!({ "a": 1, "b": 2 }));
        assert_eq!(
            answer["result"],
            json!({ "content": [{ "type": "text", "text": r#"{"result":3}"# }], "structuredContent": { "result": 3 }, "isError": false })
        );
        assert_eq!(client.close(), Some(0));
    }
}

#[test]
fn a_client_without_a_handshake_discovers_lists_and_calls() {
    let home = home();
    let mut client = home.serve(&[]);
    let found = client.request("server/discover", modern(json!({})));
    assert!(
        found["result"]["supportedVersions"]
            .as_array()
            .unwrap()
            .contains(&json!("2026-07-28")),
        "{found}"
    );
    let list = client.request("tools/list", modern(json!({})));
    assert_eq!(list["result"]["resultType"], "complete", "{list}");
    let called = client.request(
        "tools/call",
        modern(json!({ "name": "add_add", "arguments": { "a": 20, "b": 22 } })),
    );
    assert_eq!(
        called["result"]["structuredContent"],
        json!({ "result": 42 }),
        "{called}"
    );
    assert_eq!(called["result"]["resultType"], "complete");
    assert_eq!(client.close(), Some(0));
}

#[test]
fn a_tool_is_listed_with_schemas_and_hints_of_ours() {
    let home = home();
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    let list = client.request("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "the built-in tools are off: {tools:?}");
    let integer = json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 });
    assert_eq!(
        tools[0]["inputSchema"],
        json!({ "type": "object", "properties": { "a": integer, "b": integer }, "required": ["a", "b"], "additionalProperties": false })
    );
    assert_eq!(
        tools[0]["annotations"],
        json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false })
    );
}

#[test]
fn the_model_loads_and_unloads_and_the_client_hears_of_it() {
    let home = Home::new();
    home.wat("add");
    let mut client = Client::initialized(&home, &[]);
    let loaded = client.call("load-component", json!({ "path": "./add.wasm" }));
    assert_eq!(loaded["result"]["structuredContent"]["id"], "add", "{loaded}");
    client.notified("notifications/tools/list_changed");
    assert!(client.tools().contains(&"add_add".to_owned()));
    let list = client.call("list-components", json!({}));
    assert_eq!(list["result"]["structuredContent"]["total"], 1);
    assert!(
        !list.to_string().contains(home.path().to_str().unwrap()),
        "no path of this machine reaches the model"
    );
    let unloaded = client.call("unload-component", json!({ "id": "add" }));
    assert_eq!(unloaded["result"]["isError"], false, "{unloaded}");
    client.notified("notifications/tools/list_changed");
    assert!(!client.tools().contains(&"add_add".to_owned()));
}

#[test]
fn a_subscriber_of_the_stateless_era_hears_of_changes() {
    let home = Home::new();
    let path = home.wat("add");
    let mut client = home.serve(&[]);
    client.send(
        "subscriptions/listen",
        modern(json!({ "notifications": { "toolsListChanged": true } })),
    );
    client.notified("notifications/subscriptions/acknowledged");
    home.load(&path);
    client.notified("notifications/tools/list_changed");
}

#[test]
fn what_another_process_changes_counts_from_the_next_request_on() {
    let home = Home::new();
    let path = home.wat("add");
    let mut client = Client::initialized(&home, &[]);
    assert!(!client.tools().contains(&"add_add".to_owned()));
    home.load(&path);
    let sum = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        sum["result"]["structuredContent"],
        json!({ "result": 3 }),
        "{sum}"
    );
    client.notified("notifications/tools/list_changed");
    home.json(&["component", "unload", "add"]);
    let gone = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
}

#[test]
fn loading_reports_progress_and_does_not_block_other_calls() {
    let home = home();
    std::fs::copy(crate::support::guest("needy"), home.path().join("needy.wasm")).unwrap();
    let mut client = Client::initialized(&home, &[]);
    let params = json!({ "name": "load-component", "arguments": { "path": "needy.wasm" }, "_meta": { "progressToken": "p" } });
    let load = client.send("tools/call", params);
    let sum = client.send(
        "tools/call",
        json!({ "name": "add_add", "arguments": { "a": 1, "b": 2 } }),
    );
    let mut order = Vec::new();
    let mut progress = Vec::new();
    while order.len() < 2 {
        let message = client.message(Duration::from_secs(60)).expect("answers");
        if message["method"] == "notifications/progress" {
            assert_eq!(message["params"]["progressToken"], "p");
            progress.push(message["params"]["progress"].as_f64().unwrap());
        } else if !message["id"].is_null() {
            order.push(message["id"].as_u64().unwrap());
        }
    }
    assert_eq!(order, [sum, load], "the quick call is answered first");
    assert!(
        progress.len() >= 3 && progress.windows(2).all(|w| w[0] < w[1]),
        "{progress:?}"
    );
}

#[test]
fn errors_have_the_form_their_reader_needs() {
    let home = home();
    let mut client = Client::initialized(&home, &[]);
    let unknown = client.call("nothing_here", json!({}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let wrong = client.call("add_add", json!({ "a": "x", "b": 2 }));
    assert_eq!(wrong["result"]["isError"], true);
    let text = wrong["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`/a`") && text.contains("expected"), "{text}");
    let shape = client.request("tools/call", json!({ "name": "add_add", "arguments": [1, 2] }));
    assert_eq!(shape["error"]["code"], -32602, "{shape}");
    let method = client.request("no/such", json!({}));
    assert_eq!(method["error"]["code"], -32601, "{method}");
    let prompts = client.request("prompts/list", json!({}));
    assert_eq!(
        prompts["result"],
        json!({ "prompts": [] }),
        "no component has one"
    );
}

#[test]
fn garbage_does_not_end_the_server() {
    let home = home();
    let mut client = Client::initialized(&home, &[]);
    for line in [
        "not json",
        "",
        "[]",
        "{\"jsonrpc\":\"2.0\"",
        "{\"jsonrpc\":\"2.0\",\"id\":9}",
        "42",
        "\u{0}\u{1}",
        "{}",
    ] {
        client.send_line(line);
    }
    let sum = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        sum["result"]["structuredContent"],
        json!({ "result": 3 }),
        "{sum}"
    );
}

#[test]
fn whatever_a_client_sends_is_answered_once_and_ends_nothing() {
    let home = home();
    home.load(&guest("conformance"));
    let mut client = Client::initialized(&home, &[]);
    let whole = spoil::requests();
    let mut chance = Chance(7);
    let (mut sent, mut asked) = (Vec::new(), Vec::new());
    for round in 0..1_500_u64 {
        let (method, params) = chance.of(&whole).clone();
        let mut message = match chance.below(2) {
            0 => spoil::legacy(method, &params),
            _ => json!({"jsonrpc": "2.0", "method": method, "params": modern(params)}),
        };
        message["id"] = json!(1_000 + round);
        let mut line = String::from_utf8_lossy(&chance.spoiled(&message)).replace('\n', " ");
        if let Ok(Json::Object(fields)) = serde_json::from_str(&line) {
            // What still is a request has to be answered.
            if fields.get("id") == Some(&message["id"]) && fields.get("method").is_some_and(Json::is_string) {
                asked.push(1_000 + round);
            }
        } else if line.trim().is_empty() {
            line = "x".to_owned();
        }
        sent.push(line.clone());
        client.send_line(&line);
    }
    let last = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        last["result"]["structuredContent"],
        json!({ "result": 3 }),
        "{last}"
    );
    let mut answered = std::collections::BTreeMap::<u64, usize>::new();
    while let Some(message) = client.message(Duration::from_secs(2)) {
        client.notifications.push(message);
    }
    for message in &client.notifications {
        let text = message.to_string();
        assert!(!text.contains("internal error"), "{text}");
        if let Some(id) = message["id"].as_u64().filter(|_| message["method"].is_null()) {
            *answered.entry(id).or_default() += 1;
        }
    }
    assert!(asked.len() > 500, "{}", asked.len());
    for id in asked {
        let line = &sent[usize::try_from(id - 1_000).unwrap()];
        assert_eq!(answered.get(&id), Some(&1), "{line}");
    }
}

#[test]
fn a_huge_line_is_refused_and_the_next_is_read() {
    let home = home();
    let mut client = Client::initialized(&home, &[]);
    let huge = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"x":"{}"}}}}"#,
        "x".repeat(5 << 20)
    );
    client.send_line(&huge);
    let sum = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        sum["result"]["structuredContent"],
        json!({ "result": 3 }),
        "{sum}"
    );
    assert!(
        client.notifications.iter().any(|m| m["error"]["code"].is_i64()),
        "it was answered: {:?}",
        client.notifications
    );
}

#[test]
fn arguments_past_the_limit_are_refused() {
    let home = Home::new();
    home.load(&home.wat("greet"));
    let mut client = Client::initialized(&home, &[]);
    let answer = client.call("greet_greet", json!({ "name": "x".repeat(2 << 20) }));
    assert_eq!(answer["result"]["isError"], true);
    assert_eq!(
        answer["result"]["content"][0]["text"],
        "invalid arguments: more than 1048576 bytes"
    );
}

#[test]
fn the_server_ends_with_its_input() {
    let home = home();
    let mut client = Client::initialized(&home, &[]);
    client.send(
        "tools/call",
        json!({ "name": "add_add", "arguments": { "a": 1, "b": 2 } }),
    );
    assert_eq!(client.close(), Some(0));
}

/// The lines of the audit file about calls, once there are so many of them.
fn calls(home: &Home, count: usize) -> Vec<(String, String)> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let lines = home.audit();
        let word = |line: &Json, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let calls: Vec<_> = lines
            .iter()
            .map(|line| (word(line, "event"), word(line, "outcome")))
            .filter(|(event, _)| event.starts_with("call."))
            .collect();
        if calls.len() >= count {
            return calls;
        }
        assert!(Instant::now() < deadline, "{calls:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_that_is_told_to_end_answers_what_was_asked() {
    let home = Home::new();
    home.load(&guest("hostile"));
    for (round, signal) in ["-TERM", "-INT"].into_iter().enumerate() {
        let mut client = Client::initialized(&home, &[]);
        let call = json!({ "name": "hostile_sleep", "arguments": { "ms": 1500 } });
        let call = client.send("tools/call", call);
        calls(&home, 2 * round + 1);
        client.signal(signal);
        // What comes now is not read, although the input is open.
        std::thread::sleep(Duration::from_millis(200));
        client.send("tools/list", json!({}));
        let answer = client.answer(call);
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        assert_eq!(client.ended(), Some(0));
        assert!(client.notifications.iter().all(|message| message["id"].is_null()));
        assert_eq!(calls(&home, 2 * round + 2).last().unwrap().0, "call.end");
    }
    // Without a call there is nothing to wait for.
    let begin = Instant::now();
    let mut client = Client::initialized(&home, &[]);
    client.signal("-TERM");
    assert_eq!(client.ended(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn a_server_that_is_told_to_end_waits_so_long_and_no_longer() {
    let home = Home::new();
    home.load(&guest("hostile"));
    home.load(&home.wat("spin"));
    for (round, tool) in ["hostile_sleep-forever", "spin_spin"].into_iter().enumerate() {
        let mut client = Client::initialized(&home, &[]);
        let call = client.send("tools/call", json!({ "name": tool, "arguments": {} }));
        calls(&home, 2 * round + 1);
        let begin = Instant::now();
        client.signal("-TERM");
        let answer = client.answer(call);
        assert!(
            answer["error"]["message"].to_string().contains("the server ends"),
            "{answer}"
        );
        assert_eq!(client.ended(), Some(0));
        assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
        let end = calls(&home, 2 * round + 2).pop().unwrap();
        assert_eq!((end.0.as_str(), end.1.as_str()), ("call.end", "cancelled"));
    }
    // A person who does not answer is not waited for either; here the library has the call.
    home.load(&guest("conformance"));
    let mut client = Client::able(home.command(&["run"]), json!({ "elicitation": {} }));
    let call = json!({ "name": "test_elicitation", "arguments": { "message": "Who?" } });
    let call = client.send("tools/call", call);
    client.notified("elicitation/create");
    let begin = Instant::now();
    client.signal("-TERM");
    let answer = client.answer(call);
    assert!(
        answer["error"]["message"].to_string().contains("the server ends"),
        "{answer}"
    );
    assert_eq!(client.ended(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

/// The official clients close the input, send SIGTERM two seconds later and SIGKILL after two more.
#[test]
fn what_a_client_leaves_behind_has_ended_before_the_client_kills_the_server() {
    let home = Home::new();
    home.load(&guest("hostile"));
    let sleep = json!({ "name": "hostile_sleep-forever", "arguments": {} });
    for (round, is_told) in [true, false].into_iter().enumerate() {
        let mut client = Client::initialized(&home, &[]);
        let call = client.send("tools/call", sleep.clone());
        calls(&home, 2 * round + 1);
        let begin = Instant::now();
        drop(client.stdin.take());
        if is_told {
            std::thread::sleep(Duration::from_secs(2));
            client.signal("-TERM");
        }
        let answer = client.answer(call);
        assert!(
            answer["error"]["message"].to_string().contains("the server ends"),
            "{answer}"
        );
        assert_eq!(client.ended(), Some(0));
        let latest = Duration::from_millis(if is_told { 2_900 } else { 3_900 });
        assert!(begin.elapsed() < latest, "{:?}", begin.elapsed());
        let end = calls(&home, 2 * round + 2).pop().unwrap();
        assert_eq!((end.0.as_str(), end.1.as_str()), ("call.end", "cancelled"));
    }
}

#[test]
fn a_client_that_stops_reading_and_goes_leaves_no_server_behind() {
    let home = home();
    let mut child = home
        .command(&["run"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    use std::io::Write;
    let mut stdin = child.stdin.take().unwrap();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": {} });
    // The pipe may break under us: that is the end that is tested.
    let _written = writeln!(stdin, "{hello}");
    drop(stdin);
    for _ in 0..500 {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _killed = child.kill();
    panic!("the server goes on without a client");
}

#[test]
fn tools_are_searched_and_called_where_they_are_not_listed() {
    let home = Home::new();
    for starter in ["starter:text", "starter:time", "starter:filesystem"] {
        home.json(&["component", "load", starter]);
    }
    let mut client = Client::initialized(&home, &["--disable-builtin-tools", "--tool-search"]);
    assert_eq!(client.tools(), ["search-tools", "invoke-tool"]);

    let found = client.call(
        "search-tools",
        json!({ "query": "converting between time zones" }),
    );
    let found = &found["result"]["structuredContent"];
    assert_eq!(found["tools"][0]["name"], "time_convert", "{found}");
    assert!(
        found["tools"][0]["input_schema"]["properties"].is_object(),
        "{found}"
    );
    assert!(found["total"].as_u64() >= found["count"].as_u64(), "{found}");
    // No tool has this word; one means it.
    let meant = client.call("search-tools", json!({ "query": "browse directories" }));
    let meant = &meant["result"]["structuredContent"];
    assert_eq!(meant["tools"][0]["name"], "filesystem_list", "{meant}");
    let nothing = client.call("search-tools", json!({ "query": "xqzzyk" }));
    assert_eq!(
        nothing["result"]["structuredContent"],
        json!({ "count": 0, "total": 0, "tools": [] })
    );
    let all = client.call("search-tools", json!({}));
    assert_eq!(all["result"]["structuredContent"]["count"], 10, "{all}");

    let zones = json!({ "name": "time_zones", "arguments": { "search": "Berlin" } });
    let direct = client.call("time_zones", zones["arguments"].clone());
    assert_eq!(direct["result"]["isError"], false, "{direct}");
    let invoked = client.call("invoke-tool", zones);
    assert_eq!(invoked["result"], direct["result"]);
    let denied = client.call(
        "invoke-tool",
        json!({ "name": "filesystem_read", "arguments": { "path": "/etc/passwd" } }),
    );
    assert_eq!(denied["result"]["isError"], true, "{denied}");
    assert!(!denied.to_string().contains("root:"), "{denied}");
}

#[test]
fn a_tool_that_is_invoked_is_one_of_a_component() {
    let home = home();
    let mut client = Client::initialized(&home, &["--tool-search"]);
    for (arguments, reason) in [
        (json!({ "name": "list-components" }), "list-components"),
        (
            json!({ "name": "invoke-tool", "arguments": { "name": "add_add" } }),
            "invoke-tool",
        ),
        (json!({ "name": "add_sub" }), "add_sub"),
        (json!({ "name": "add_add", "arguments": [1, 2] }), "/arguments"),
        (json!({ "name": "add_add", "arguments": { "a": 1 } }), "/b"),
        (json!({ "arguments": {} }), "/name"),
        (json!({ "name": "add_add", "a": 1 }), "/a"),
    ] {
        let refused = client.call("invoke-tool", arguments);
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        assert!(
            refused["result"]["content"].to_string().contains(reason),
            "{refused}"
        );
    }
    // Without the option, neither is there.
    let mut plain = Client::initialized(&home, &[]);
    assert!(
        plain
            .tools()
            .iter()
            .all(|tool| tool != "search-tools" && tool != "invoke-tool")
    );
    let refused = plain.call(
        "invoke-tool",
        json!({ "name": "add_add", "arguments": { "a": 1, "b": 2 } }),
    );
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_opens_as_many_files_as_its_system_allows() {
    let home = home();
    let program = home.command(&["run"]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -S -n 300; exec \"$0\" run"])
        .arg(program.get_program())
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let mut client = Client::shaken(limited);
    // An answer, so that it has begun.
    client.tools();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", client.child.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let fields: Vec<_> = line.split_whitespace().collect();
    assert_eq!(fields[3], fields[4], "{line}");
}
