//! A component of the rich world, over standard input and output, in both eras: what it lists, asks, says and does later.
//!
//! The official suite calls the same component over HTTP (`conformance.rs`).

use crate::http::server::{Server, modern_headers};
use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

fn home() -> Home {
    let home = Home::new();
    home.load(&guest("conformance"));
    home
}

/// A client with a handshake that can do this.
fn legacy(home: &Home, capabilities: Json) -> Client {
    Client::able(home.command(&["run", "--disable-builtin-tools"]), capabilities)
}

/// Parameters of a request that names its version, of a client that can do this.
fn modern(mut params: Json, capabilities: Json) -> Json {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "0" }
    });
    params
}

fn call(client: &mut Client, params: Json, capabilities: Json) -> Json {
    client.request("tools/call", modern(params, capabilities))
}

fn text(answer: &Json) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn what_a_component_offers_is_listed_and_given() {
    let home = home();
    let mut client = legacy(&home, json!({}));
    let tools = client.tools();
    assert_eq!(
        tools.first().map(String::as_str),
        Some("test_simple_text"),
        "its own order"
    );
    let names = |list: &Json, key: &str| -> Vec<String> {
        let entries = list.as_array().unwrap_or_else(|| panic!("{list}"));
        entries
            .iter()
            .map(|it| it[key].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = client.request("prompts/list", json!({}));
    assert!(names(&listed["result"]["prompts"], "name").contains(&"test_prompt_with_arguments".to_owned()));
    let listed = client.request("resources/list", json!({}));
    assert_eq!(
        names(&listed["result"]["resources"], "uri"),
        [
            "test://static-text",
            "test://static-binary",
            "test://watched-resource",
            "ui://test/app"
        ]
    );
    let listed = client.request("resources/templates/list", json!({}));
    assert_eq!(
        names(&listed["result"]["resourceTemplates"], "uriTemplate"),
        ["test://template/{id}/data"]
    );
    let got = client.request(
        "prompts/get",
        json!({ "name": "test_prompt_with_arguments", "arguments": { "arg1": "a", "arg2": "b" } }),
    );
    assert_eq!(
        got["result"]["messages"][0]["content"]["text"],
        "Prompt with arguments: arg1='a', arg2='b'"
    );
    let missing = client.request("prompts/get", json!({ "name": "test_prompt_with_arguments" }));
    assert_eq!(
        missing["error"]["message"], "invalid arguments: `arg1` is required",
        "{missing}"
    );
    let read = client.request("resources/read", json!({ "uri": "test://template/7/data" }));
    assert!(
        read["result"]["contents"][0]["text"]
            .as_str()
            .unwrap()
            .contains("ID: 7"),
        "{read}"
    );
    let nothing = client.request("resources/read", json!({ "uri": "test://template/7/other" }));
    assert_eq!(nothing["error"]["code"], -32002, "{nothing}");
    assert_eq!(nothing["error"]["data"]["uri"], "test://template/7/other");
    let audit = home.audit();
    for about in [
        "prompt test_prompt_with_arguments",
        "resource test://template/{id}/data",
    ] {
        assert!(
            audit
                .iter()
                .any(|line| line["event"] == "call.begin" && line["tool"] == about),
            "{about}"
        );
    }
}

/// MCP Apps: a tool names a page, which is a resource; the client gets both as the component gives them.
#[test]
fn pages_of_apps_and_what_is_said_beside_results_pass_through() {
    let home = home();
    let mut client = legacy(&home, json!({}));
    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let app = tools.iter().find(|tool| tool["name"] == "test_app").unwrap();
    let uri = &app["_meta"]["ui"]["resourceUri"];
    assert_eq!(
        (uri, &app["_meta"]["test/note"]),
        (&json!("ui://test/app"), &json!("passed on"))
    );
    let listed = client.request("resources/list", json!({}))["result"]["resources"].clone();
    let page = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|page| page["uri"] == *uri)
        .unwrap();
    assert_eq!(page["mimeType"], "text/html;profile=mcp-app");
    let read = client.request("resources/read", json!({ "uri": uri }));
    let page = &read["result"]["contents"][0];
    assert!(
        page["text"].as_str().unwrap().starts_with("<!doctype html>"),
        "{read}"
    );
    assert_eq!(page["mimeType"], "text/html;profile=mcp-app");
    assert_eq!(page["_meta"]["ui"]["prefersBorder"], true);
    let called = client.call("test_app", json!({}));
    assert_eq!(
        called["result"]["structuredContent"],
        json!({ "hour": 12 }),
        "{called}"
    );
    assert_eq!(called["result"]["_meta"]["test/only-for-the-page"], 7, "{called}");
}

#[test]
fn arguments_are_completed_with_those_that_are_known() {
    let home = home();
    let mut client = legacy(&home, json!({}));
    let mut complete = |argument: &str, value: &str, others: Json| {
        let reference = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
        let answer = client.request(
            "completion/complete",
            json!({ "ref": reference, "argument": { "name": argument, "value": value }, "context": { "arguments": others } }),
        );
        answer["result"]["completion"]["values"].clone()
    };
    assert_eq!(
        complete("arg1", "par", json!({})),
        json!(["paris", "park", "party"])
    );
    assert_eq!(complete("arg1", "part", json!({})), json!(["party"]));
    assert_eq!(
        complete("arg2", "", json!({ "arg1": "paris" })),
        json!(["france"])
    );
    let unknown = client.request(
        "completion/complete",
        json!({ "ref": { "type": "ref/prompt", "name": "nope" }, "argument": { "name": "a", "value": "" } }),
    );
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}

#[test]
fn a_client_with_a_handshake_is_asked_while_its_call_is_open() {
    let home = home();
    let mut client = legacy(&home, json!({ "elicitation": {}, "roots": {} }));
    let called = client.send(
        "tools/call",
        json!({ "name": "test_elicitation", "arguments": { "message": "Who?" } }),
    );
    let question = client.notified("elicitation/create");
    // SECURITY: a component cannot look like another one, or like us.
    assert_eq!(
        question["params"]["message"], "Component `conformance` asks: Who?",
        "{question}"
    );
    let answer = json!({ "action": "accept", "content": { "username": "ann", "email": "a@b" } });
    client.send_line(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
    let answer = client.answer(called);
    assert!(text(&answer).contains(r#""username":"ann""#), "{answer}");
    // A client that refuses to answer is no fault of the component, and the model reads of it.
    let called = client.send(
        "tools/call",
        json!({ "name": "test_input_required_result_list_roots" }),
    );
    let question = client.notified("roots/list");
    let error = json!({ "code": -32603, "message": "not today" });
    client.send_line(&json!({ "jsonrpc": "2.0", "id": question["id"], "error": error }).to_string());
    let answer = client.answer(called);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(
        text(&answer).contains("the client did not answer") && text(&answer).contains("not today"),
        "{answer}"
    );
    // What it has not said it can, it is not asked.
    let answer = client.call("test_sampling", json!({ "prompt": "x" }));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(text(&answer).contains("sampling"), "{answer}");
}

#[test]
fn a_client_without_a_handshake_gets_the_questions_and_calls_again() {
    let home = home();
    let mut client = home.serve(&[]);
    let can = json!({ "elicitation": { "form": {} } });
    let params = json!({ "name": "test_input_required_result_multi_round", "arguments": { "a": 1, "b": 2 } });
    let asked = call(&mut client, params.clone(), can.clone());
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let first = asked["result"]["requestState"].as_str().unwrap().to_owned();
    let mut again = params.clone();
    again["inputResponses"] = json!({ "step1": { "action": "accept", "content": { "name": "ann" } } });
    again["requestState"] = json!(first);
    let mut other = again.clone();
    other["arguments"] = json!({ "a": 1, "b": 3 });
    let refused = call(&mut client, other, can.clone());
    assert_eq!(
        refused["error"]["code"], -32602,
        "it is of other arguments: {refused}"
    );
    // The same object in another order.
    again["arguments"] = json!({ "b": 2, "a": 1 });
    let asked = call(&mut client, again.clone(), can.clone());
    let second = asked["result"]["requestState"]
        .as_str()
        .unwrap_or_else(|| panic!("{asked}"));
    assert_ne!(first, second);
    let refused = call(&mut client, again.clone(), can.clone());
    assert_eq!(refused["error"]["code"], -32602, "it was used: {refused}");
    let mut tampered = again.clone();
    tampered["requestState"] = json!(second.chars().rev().collect::<String>());
    let refused = call(&mut client, tampered, can.clone());
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    again["requestState"] = json!(second);
    let done = call(&mut client, again, can);
    assert_eq!(text(&done), "Multi-round flow complete");
    let cannot = call(&mut client, params, json!({}));
    assert_eq!(cannot["error"]["code"], -32021, "{cannot}");
    assert_eq!(
        cannot["error"]["data"]["requiredCapabilities"],
        json!({ "elicitation": { "form": {} } })
    );
}

#[test]
fn a_state_outlives_the_process_that_gave_it() {
    let home = home();
    let can = json!({ "elicitation": {} });
    let mut params = json!({ "name": "test_input_required_result_request_state", "arguments": {} });
    let mut client = home.serve(&[]);
    let asked = call(&mut client, params.clone(), can.clone());
    assert_eq!(client.close(), Some(0));
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({ "confirm": { "action": "accept", "content": { "ok": true } } });
    let mut client = home.serve(&[]);
    let done = call(&mut client, params.clone(), can.clone());
    assert_eq!(text(&done), "Confirmed: state-ok");
    // Another store has another key.
    let other = self::home();
    let mut client = other.serve(&[]);
    let refused = call(&mut client, params, can);
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[test]
fn what_a_component_says_while_it_works_reaches_who_called() {
    let home = home();
    let mut client = legacy(&home, json!({}));
    let params = json!({ "name": "test_tool_with_progress", "_meta": { "progressToken": "p" } });
    client.request("tools/call", params);
    let told: Vec<_> = client.notifications.drain(..).collect();
    let progress: Vec<_> = told.iter().map(|it| it["params"]["progress"].clone()).collect();
    assert_eq!(progress, [json!(0.0), json!(50.0), json!(100.0)], "{told:?}");
    assert_eq!(told[1]["params"]["message"], "Halfway");
    client.call("test_logging_tool", json!({}));
    let logged = client.notified("notifications/message");
    assert_eq!(
        logged["params"],
        json!({ "level": "info", "logger": "conformance", "data": "a line" })
    );
    client.request("logging/setLevel", json!({ "level": "error" }));
    client.call("test_logging_tool", json!({}));
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
}

#[test]
fn a_client_without_a_handshake_gets_logs_that_it_asks_for_in_the_request() {
    let home = home();
    let mut client = home.serve(&[]);
    let mut params = modern(json!({ "name": "test_logging_tool" }), json!({}));
    client.request("tools/call", params.clone());
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
    params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
    client.request("tools/call", params);
    assert_eq!(
        client.notified("notifications/message")["params"]["data"],
        "a line"
    );
}

#[test]
fn those_who_watch_a_resource_hear_that_it_is_another() {
    let home = home();
    let mut client = legacy(&home, json!({}));
    client.call("test_resource_update", json!({}));
    let subscribed = client.request("resources/subscribe", json!({ "uri": "test://watched-resource" }));
    assert!(subscribed["error"].is_null(), "{subscribed}");
    let unknown = client.request("resources/subscribe", json!({ "uri": "other://not-mine" }));
    assert_eq!(unknown["error"]["code"], -32002, "{unknown}");
    client.call("test_resource_update", json!({}));
    let told = client.notified("notifications/resources/updated");
    assert_eq!(told["params"]["uri"], "test://watched-resource");
    client.request(
        "resources/unsubscribe",
        json!({ "uri": "test://watched-resource" }),
    );
    client.call("test_resource_update", json!({}));
    client.call("test_trigger_prompt_change", json!({}));
    client.notified("notifications/prompts/list_changed");
    assert!(
        !client
            .notifications
            .iter()
            .any(|it| it["method"] == "notifications/resources/updated"),
        "{:?}",
        client.notifications
    );
}

#[test]
fn lists_of_prompts_and_resources_change_with_what_is_loaded() {
    let home = Home::new();
    let mut client = legacy(&home, json!({}));
    home.load(&guest("conformance"));
    client.notified("notifications/prompts/list_changed");
    client.notified("notifications/resources/list_changed");
    home.json(&["component", "unload", "conformance"]);
    client.notified("notifications/prompts/list_changed");
    let listed = client.request("prompts/list", json!({}));
    assert_eq!(listed["result"]["prompts"], json!([]));
    let gone = client.request("prompts/get", json!({ "name": "test_simple_prompt" }));
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
}

#[test]
fn a_long_call_is_a_task_for_who_can_wait_and_a_call_for_who_cannot() {
    let home = home();
    let mut client = home.serve(&[]);
    let can = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} }, "elicitation": {} });
    let params = json!({ "name": "slow_compute", "arguments": { "seconds": 0.2, "label": "x" } });
    let done = call(&mut client, params.clone(), json!({}));
    assert_eq!(
        text(&done),
        "slow_compute(x) done after 0.2s",
        "at once, as one call"
    );
    let begun = call(&mut client, params, can.clone());
    assert_eq!(begun["result"]["resultType"], "task", "{begun}");
    let id = begun["result"]["taskId"].clone();
    let get = |client: &mut Client, id: &Json| {
        client.request("tasks/get", modern(json!({ "taskId": id }), can.clone()))
    };
    let ended = until(&mut client, |client| {
        Some(get(client, &id)).filter(|it| it["result"]["status"] != "working")
    });
    assert_eq!(ended["result"]["status"], "completed", "{ended}");
    assert_eq!(
        ended["result"]["result"]["content"][0]["text"],
        "slow_compute(x) done after 0.2s"
    );
    // One that is cancelled stops, and says so.
    let begun = call(
        &mut client,
        json!({ "name": "slow_compute", "arguments": { "seconds": 20 } }),
        can.clone(),
    );
    let id = begun["result"]["taskId"].clone();
    client.request("tasks/cancel", modern(json!({ "taskId": id }), can.clone()));
    let ended = until(&mut client, |client| {
        Some(get(client, &id)).filter(|it| it["result"]["status"] != "working")
    });
    assert_eq!(ended["result"]["status"], "cancelled", "{ended}");
    let unknown = get(&mut client, &json!("00000000-0000-0000-0000-000000000000"));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}

#[test]
fn the_end_of_a_task_that_a_server_leaves_undone_is_written_down() {
    let home = home();
    let can = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let params = json!({ "name": "slow_compute", "arguments": { "seconds": 60 } });
    let mut client = home.serve(&[]);
    let begun = call(&mut client, params.clone(), can.clone());
    assert_eq!(begun["result"]["resultType"], "task", "{begun}");
    let begin = Instant::now();
    assert_eq!(client.close(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());

    let mut server = Server::open(&home, &[]);
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": modern(params.clone(), can) });
    let begun = server.post(&modern_headers("tools/call", &params), &message);
    assert_eq!(begun.message()["result"]["resultType"], "task", "{begun:?}");
    server.signal("-TERM");
    server.ended();

    let ends = home
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "call.end");
    let outcomes: Vec<_> = ends.map(|end| end["outcome"].clone()).collect();
    // A call that goes on as a task is one of its own.
    assert_eq!(outcomes, ["background", "cancelled", "background", "cancelled"]);
}

/// Asks again until there is something.
fn until(client: &mut Client, ask: impl Fn(&mut Client) -> Option<Json>) -> Json {
    for _ in 0..100 {
        if let Some(found) = ask(client) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it does not end")
}

#[test]
fn only_so_many_tasks_run_at_a_time() {
    let home = home();
    let mut client = home.serve(&[]);
    let can = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let params = json!({ "name": "slow_compute", "arguments": { "seconds": 20 } });
    for _ in 0..8 {
        let begun = call(&mut client, params.clone(), can.clone());
        assert_eq!(begun["result"]["resultType"], "task", "{begun}");
    }
    let refused = call(&mut client, params, can);
    let message = refused["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{refused}"));
    assert!(message.contains("too many tasks"), "{message}");
}

#[test]
fn a_tool_that_was_searched_for_asks_like_any_other() {
    let home = home();
    let mut client = Client::able(
        home.command(&["run", "--tool-search"]),
        json!({ "elicitation": {} }),
    );
    let params = json!({ "name": "test_elicitation", "arguments": { "message": "Who?" } });
    let called = client.send(
        "tools/call",
        json!({ "name": "invoke-tool", "arguments": params }),
    );
    let question = client.notified("elicitation/create");
    let answer = json!({ "action": "decline" });
    client.send_line(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
    let answer = client.answer(called);
    assert!(text(&answer).contains("decline"), "{answer}");
}

/// The component with some of its text exchanged for as much other text, as the work of somebody else.
fn variant(home: &Home, name: &str, changes: &[(&str, &str)]) -> std::path::PathBuf {
    let mut bytes = std::fs::read(guest("conformance")).unwrap();
    for (from, to) in changes {
        assert_eq!(from.len(), to.len());
        let mut found = 0;
        for at in 0..bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
                found += 1;
            }
        }
        assert!(found > 0, "{from}");
    }
    home.file(&format!("{name}.wasm"), &bytes)
}

#[test]
fn names_of_others_are_not_to_be_had() {
    let home = home();
    let load = |path: &std::path::Path| home.run(&["component", "load", path.to_str().unwrap()]);
    let refused = |ran: crate::support::Ran, text: &str| {
        assert!(ran.code != 0 && ran.stderr.contains(text), "{text}: {ran:?}");
    };
    let same = variant(&home, "same", &[("Says a text", "Says a book")]);
    refused(
        load(&same),
        "the tool `test_simple_text` is component `conformance`'s",
    );
    home.json(&["component", "unload", "conformance"]);
    let ours = variant(&home, "ours", &[("confirm_delete", "load-component")]);
    refused(
        load(&ours),
        "the tool `load-component` is a name that Wassette keeps for itself",
    );
    let wide = variant(&home, "wide", &[("test://template/{id}", "test://{the-wholeid}")]);
    refused(
        load(&wide),
        "before its first `{` there has to be a scheme and more",
    );
    let no_uri = variant(&home, "no-uri", &[("test://static-text", "TEST STATIC TEXT!!")]);
    refused(load(&no_uri), "a URI has a scheme");
    let schema = variant(&home, "schema", &[("#/$defs/address", "//a.b/c/d/e/f/g")]);
    refused(load(&schema), "its schema refers to another document");
    let hidden = variant(&home, "hidden", &[("Says a text", "Says\u{202e}text")]);
    let loaded = home.load(&hidden);
    assert_eq!(loaded["id"], "hidden");
    let mut client = legacy(&home, json!({}));
    let listed = client.request("tools/list", json!({}));
    assert_eq!(
        listed["result"]["tools"][0]["description"], "From component `hidden`: Saystext",
        "what nobody sees is not there"
    );
    // A component with the id that a name begins with would be the one that the name speaks of.
    home.wat("add");
    let add = home.path().join("add.wasm");
    let ran = home.run(&["component", "load", add.to_str().unwrap(), "--name", "test"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    home.json(&["component", "unload", "hidden"]);
    refused(load(&hidden), "is component `test`'s");
}

#[test]
fn of_two_that_claim_the_same_at_the_same_moment_one_is_refused() {
    let home = Home::new();
    let (one, other) = (
        variant(&home, "one", &[("Says a text", "Says a tale")]),
        variant(&home, "other", &[("Says a text", "Says a book")]),
    );
    // Compiled, so that both come to the end at about the same time.
    for (path, id) in [(&one, "one"), (&other, "other")] {
        home.load(path);
        home.json(&["component", "unload", id]);
    }
    for round in 0..8 {
        let load = |path: &std::path::Path| {
            let mut command = home.command(&["component", "load", path.to_str().unwrap()]);
            command.stderr(std::process::Stdio::piped());
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        let ends = [load(&one), load(&other)].map(|child| child.wait_with_output().unwrap());
        let refused: Vec<_> = ends.iter().filter(|end| !end.status.success()).collect();
        assert_eq!(refused.len(), 1, "round {round}: {ends:?}");
        let said = String::from_utf8_lossy(&refused[0].stderr);
        assert!(said.contains("is component `"), "{said}");
        let listed = home.json(&["component", "list"]);
        assert_eq!(listed["total"], 1, "{listed}");
        home.json(&[
            "component",
            "unload",
            listed["components"][0]["id"].as_str().unwrap(),
        ]);
    }
}

#[test]
fn an_update_that_offers_more_or_another_thing_is_withheld() {
    let home = Home::new();
    let path = variant(&home, "tool", &[("Says a text", "Says a text")]);
    home.load(&path);
    std::fs::copy(
        variant(
            &home,
            "next",
            &[
                ("A prompt without arguments", "A prompt that does another"),
                ("test://static-binary", "test://static-secret"),
                ("Plays a sound", "Plays a drum!"),
            ],
        ),
        &path,
    )
    .unwrap();
    let updated = home.json(&["component", "update", "tool"]);
    assert_eq!(updated["quarantined"], true, "{updated}");
    let mut client = legacy(&home, json!({}));
    let listed = |client: &mut Client| {
        let of = |client: &mut Client, method: &str| client.request(method, json!({}))["result"].to_string();
        ["tools/list", "prompts/list", "resources/list"].map(|method| of(client, method))
    };
    let [tools, prompts, resources] = listed(&mut client);
    assert!(!tools.contains("test_audio_content") && tools.contains("test_image_content"));
    assert!(!prompts.contains("test_simple_prompt") && prompts.contains("test_prompt_with_image"));
    assert!(!resources.contains("static-secret") && !resources.contains("static-binary"));
    assert!(resources.contains("static-text"));
    let withheld = client.request("prompts/get", json!({ "name": "test_simple_prompt" }));
    assert_eq!(withheld["error"]["code"], -32602, "{withheld}");
    let shown = home.run(&["component", "show", "tool", "--output", "table"]);
    assert!(
        shown.stdout.contains("added: resource `test://static-secret`")
            && shown.stdout.contains("changed: prompt `test_simple_prompt`"),
        "{shown:?}"
    );
    // Loading the same bytes again approves nothing, and asks for no list again.
    let again = home.load(&path);
    assert_eq!(
        (&again["quarantined"], &again["change"]["kind"]),
        (&json!(true), &json!("unchanged")),
        "{again}"
    );
    assert_eq!(listed(&mut client), [tools, prompts, resources]);
    home.json(&["component", "approve", "tool"]);
    client.notified("notifications/prompts/list_changed");
    let [tools, prompts, resources] = listed(&mut client);
    assert!(tools.contains("Plays a drum!") && prompts.contains("does another"));
    assert!(resources.contains("static-secret"));
}

#[test]
fn a_person_sees_what_a_component_offers_and_calls_it_from_the_command_line() {
    let home = Home::new();
    let path = guest("conformance");
    let before = home.run(&["inspect", path.to_str().unwrap(), "--output", "table"]);
    assert!(
        before.stdout.contains("it says so itself when it is loaded"),
        "nothing is run to inspect it: {before:?}"
    );
    home.load(&path);
    let shown = home.run(&["component", "show", "conformance", "--output", "table"]);
    assert!(
        shown.stdout.contains("test_prompt_with_image") && shown.stdout.contains("test://template/{id}/data"),
        "{shown:?}"
    );
    let called = home.run(&["tool", "invoke", "test_tool_with_progress", "--output", "table"]);
    assert!(
        called.stdout.contains("Progress test completed") && called.stderr.contains("50 of 100 Halfway"),
        "{called:?}"
    );
    let failed = home.run(&["tool", "invoke", "test_error_handling"]);
    assert!(
        failed.code != 0 && failed.stderr.contains("intentionally"),
        "{failed:?}"
    );
    let asks = home.run(&["tool", "invoke", "test_input_required_result_elicitation"]);
    assert!(
        asks.code != 0 && asks.stderr.contains("asks before it is done: user_name"),
        "{asks:?}"
    );
}

/// The page shows what is built and called.
#[test]
fn the_page_shows_the_sources_of_the_example() {
    let root = crate::support::root();
    let page = std::fs::read_to_string(root.join("docs/rich.md")).unwrap();
    for source in [
        "tests/guests/wit/notes.wit",
        "tests/guests/rust/notes/src/lib.rs",
        "tests/guests/notes/javascript/notes.js",
        "tests/guests/notes/python/app.py",
    ] {
        let text = std::fs::read_to_string(root.join(source)).unwrap();
        assert!(
            page.contains(&text),
            "`docs/rich.md` does not show `{source}` as it is"
        );
    }
}

#[test]
fn a_component_does_not_speak_of_the_resources_of_another() {
    let home = home();
    // The same component under other names, which says that a resource of the first one is another.
    let other = variant(
        &home,
        "other",
        &[
            ("test_", "tost_"),
            ("test://", "tost://"),
            ("ui://test/app", "ui://tost/app"),
            ("other://not-mine", "test://template/"),
            ("json_schema", "jsun_schema"),
            ("greet", "grxet"),
            ("slow_compute", "slqw_compute"),
            ("failing_job", "fqiling_job"),
            ("protocol_error_job", "prqtocol_error_job"),
            ("confirm_delete", "cqnfirm_delete"),
            ("multi_input", "mqlti_input"),
        ],
    );
    home.load(&other);
    let mut client = legacy(&home, json!({}));
    for uri in ["test://template/", "tost://watched-resource"] {
        let subscribed = client.request("resources/subscribe", json!({ "uri": uri }));
        assert!(subscribed["error"].is_null(), "{subscribed}");
    }
    let called = client.call("tost_resource_update", json!({}));
    assert_eq!(called["result"]["isError"], false, "{called}");
    let told = client.notified("notifications/resources/updated");
    assert_eq!(told["params"]["uri"], "tost://watched-resource");
    client.call("test_trigger_prompt_change", json!({}));
    client.notified("notifications/prompts/list_changed");
    assert!(client.notifications.is_empty(), "{:?}", client.notifications);
}
