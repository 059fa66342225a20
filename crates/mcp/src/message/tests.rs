//! Lines from a client: what is read from each, and which error answers what cannot be read.

use super::*;
use serde_json::json;

/// The outcome as JSON: the message, the error answer, or null for nothing.
fn outcome(reader: &mut Reader, line: &[u8]) -> Json {
    match reader.read(line) {
        Incoming::Message(message) => serde_json::to_value(message).unwrap(),
        Incoming::Nothing => Json::Null,
        Incoming::Refused(Refusal { id, error }) => {
            json!({"id": id, "code": error.code.0, "message": error.message})
        }
    }
}

fn initialized() -> Reader {
    Reader { is_initialized: true }
}

#[track_caller]
fn check(line: &str, expected: &Json) {
    assert_eq!(&outcome(&mut initialized(), line.as_bytes()), expected, "{line}");
}

#[track_caller]
fn check_refused(line: &str, id: &Json, code: i32, message: &str) {
    check(line, &json!({"id": id, "code": code, "message": message}));
}

#[test]
fn a_call_keeps_its_arguments_and_metadata() {
    let call = json!({
        "jsonrpc": "2.0", "id": "a", "method": "tools/call",
        "params": {"_meta": {"progressToken": 1}, "name": "c_f", "arguments": {"x": [1, {"y": null}]}}
    });
    check(&call.to_string(), &call);
}

#[test]
fn absent_and_null_arguments_are_none() {
    let expected =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"_meta": {}, "name": "f"}});
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f"}}"#,
        &expected,
    );
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f","arguments":null}}"#,
        &expected,
    );
}

#[test]
fn wrong_shapes_of_known_methods_are_invalid_params() {
    let call =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    check_refused(
        &call("[]"),
        &json!(1),
        -32602,
        "invalid params of `tools/call`: an object is needed",
    );
    check_refused(
        &call("{}"),
        &json!(1),
        -32602,
        "invalid params of `tools/call`: `name` must be a string",
    );
    check_refused(
        &call(r#"{"name":"f","arguments":[1]}"#),
        &json!(1),
        -32602,
        "invalid params of `tools/call`: `arguments` must be an object",
    );
    check_refused(
        &call(r#"{"name":"f","_meta":7}"#),
        &json!(1),
        -32602,
        "invalid params of `tools/call`: `_meta` must be an object",
    );
    check_refused(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
        &json!(1),
        -32602,
        "invalid params of `initialize`: missing field `protocolVersion`",
    );
}

#[test]
fn what_is_no_request_is_refused_without_an_id() {
    let null = Json::Null;
    check_refused(
        "[]",
        &null,
        -32600,
        "batches are not supported: send one message per line",
    );
    check_refused("7", &null, -32600, "a message must be a JSON object");
    check_refused(
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        &null,
        -32600,
        "`id` must be a string or an integer of 64 bits",
    );
    check_refused(
        r#"{"jsonrpc":"2.0","method":3}"#,
        &null,
        -32600,
        "a message needs a `method`, or an `id` with a `result` or an `error`",
    );
    check_refused(
        "{nonsense",
        &null,
        -32700,
        "unreadable message: key must be a string at line 1 column 2",
    );
}

#[test]
fn a_request_of_another_json_rpc_is_refused_by_its_id() {
    check_refused(
        r#"{"id":4,"method":"ping"}"#,
        &json!(4),
        -32600,
        "`jsonrpc` must be \"2.0\"",
    );
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let line = b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\"}}";
    let found = outcome(&mut initialized(), line);
    assert_eq!(
        (&found["id"], &found["code"]),
        (&json!(5), &json!(-32602)),
        "{found}"
    );
}

#[test]
fn arguments_that_are_too_deep_are_refused_by_their_id() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{{"name":"f","arguments":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000),
    );
    let found = outcome(&mut initialized(), deep.as_bytes());
    assert_eq!(
        (&found["id"], &found["code"]),
        (&json!(6), &json!(-32602)),
        "{found}"
    );
}

#[test]
fn lines_of_no_interest_are_passed_over() {
    for line in [
        "",
        "\r",
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":[],"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":7}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/unheard-of"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}"#,
    ] {
        check(line, &Json::Null);
    }
}

#[test]
fn methods_that_are_not_offered_reach_the_server_as_they_are() {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "skills/list", "params": {"_meta": {}}});
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"skills/list","params":{"cursor":3}}"#,
        &request,
    );
}

#[test]
fn each_method_has_its_own_shape() {
    for (method, params) in [
        ("prompts/list", json!({"cursor": 3})),
        ("prompts/get", json!({})),
        ("resources/list", json!({"cursor": []})),
        ("resources/templates/list", json!({"cursor": true})),
        ("resources/read", json!({"uri": 1})),
        ("resources/subscribe", json!({})),
        ("resources/unsubscribe", json!({})),
        ("completion/complete", json!({"ref": {"type": "ref/other"}})),
        ("logging/setLevel", json!({"level": "loud"})),
        ("tasks/get", json!({})),
        ("tasks/update", json!({"taskId": "a"})),
        ("tasks/cancel", json!({"taskId": 3})),
        ("tools/call", json!({"name": "a", "inputResponses": 3})),
        ("tools/call", json!({"name": "a", "requestState": {}})),
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let found = outcome(&mut initialized(), line.as_bytes());
        assert_eq!(found["code"], json!(-32602), "{method}: {found}");
        let message = found["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{method}`")), "{message}");
    }
}

#[test]
fn what_the_stateless_version_has_not_any_more_is_not_there_in_it() {
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": {PROTOCOL_VERSION: "2026-07-28"}}});
        let mut reader = initialized();
        let Incoming::Message(ClientJsonRpcMessage::Request(request)) =
            reader.read(line.to_string().as_bytes())
        else {
            panic!("no request: {method}")
        };
        assert!(
            matches!(&request.request, ClientRequest::CustomRequest(custom) if custom.method == method),
            "{method}"
        );
    }
}

#[test]
fn answers_to_questions_of_components_are_passed_on() {
    for line in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"a":1}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#,
    ] {
        let found = initialized().read(line.as_bytes());
        assert!(
            matches!(
                found,
                Incoming::Message(ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_))
            ),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn a_request_needs_a_version_of_its_own_or_an_initialize_before_it() {
    let list = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let mut reader = Reader::default();
    assert_eq!(outcome(&mut reader, list)["code"], json!(-32602));
    let modern = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    assert_eq!(outcome(&mut reader, modern)["method"], json!("tools/list"));
    assert_eq!(
        outcome(&mut reader, list)["code"],
        json!(-32602),
        "each modern request speaks for itself"
    );
    let early = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(
        outcome(&mut reader, early)["method"],
        json!("notifications/initialized")
    );
    let initialize = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    assert_eq!(outcome(&mut reader, initialize)["method"], json!("initialize"));
    assert_eq!(outcome(&mut reader, list)["method"], json!("tools/list"));
}

#[test]
fn a_message_with_a_key_twice_is_refused() {
    let text =
        |column: u32| format!("unreadable message: an object has a key twice at line 1 column {column}");
    check_refused(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f","name":"g"}}"#,
        &json!(1),
        -32600,
        &text(78),
    );
    // Nobody can be answered by an id that is two.
    check_refused(
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        &Json::Null,
        -32600,
        &text(30),
    );
    check_refused(
        r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":{"a":1,"a":1}}"#,
        &Json::Null,
        -32600,
        &text(76),
    );
}
