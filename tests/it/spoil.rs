//! Messages that are almost right: what a client in another language, of another time, or with ill will may send.

use serde_json::{Value as Json, json};

/// Requests and notifications of every sort that the server knows.
pub(crate) fn requests() -> Vec<(&'static str, Json)> {
    let answers = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let task = "0123456789abcdef-1";
    vec![
        ("ping", json!({})),
        ("tools/list", json!({})),
        (
            "tools/call",
            json!({"name": "add_add", "arguments": {"a": 1, "b": 2}}),
        ),
        (
            "tools/call",
            json!({"name": "add_add", "arguments": {"a": 1, "b": 2}, "_meta": {"progressToken": 1}}),
        ),
        (
            "tools/call",
            json!({"name": "test_input_required_result_request_state", "arguments": {}, "requestState": "AAAA", "inputResponses": answers}),
        ),
        ("prompts/list", json!({})),
        (
            "prompts/get",
            json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}}),
        ),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "test://static-text"})),
        ("resources/subscribe", json!({"uri": "test://static-text"})),
        ("resources/unsubscribe", json!({"uri": "test://static-text"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "a"}}),
        ),
        ("tasks/get", json!({"taskId": task})),
        ("tasks/update", json!({"taskId": task, "inputResponses": {}})),
        ("tasks/cancel", json!({"taskId": task})),
        ("logging/setLevel", json!({"level": "debug"})),
        ("server/discover", json!({})),
        ("notifications/cancelled", json!({"requestId": 7, "reason": "no"})),
        (
            "notifications/progress",
            json!({"progressToken": 7, "progress": 1}),
        ),
        (
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        ),
    ]
}

/// A message of a client with a handshake.
pub(crate) fn legacy(method: &str, params: &Json) -> Json {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// Numbers that look like chance and are the same each time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX; its upper bits are good enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

impl Chance {
    /// A message with something in it exchanged, left out, or put where it does not belong.
    pub(crate) fn spoiled(&mut self, message: &Json) -> Vec<u8> {
        let chance = self;
        let odd = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1e308),
            json!(u64::MAX),
            json!(""),
            json!("\u{0}\u{202e}"),
            json!([]),
            json!({}),
            json!([[[[]]]]),
            json!({"": {"": null}}),
            json!("tools/call"),
            json!("2026-07-28"),
            json!("x".repeat(5_000)),
            json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        ];
        let mut message = message.clone();
        for _ in 0..=chance.below(2) {
            let mut places = Vec::new();
            pointers(&message, "", &mut places);
            let place = chance.of(&places).clone();
            match chance.below(4) {
                0 => *message.pointer_mut(&place).unwrap() = chance.of(&odd).clone(),
                1 => {
                    let copied = message
                        .pointer(chance.of(places.as_slice()).as_str())
                        .unwrap()
                        .clone();
                    *message.pointer_mut(&place).unwrap() = copied;
                }
                2 => {
                    let (above, key) = place.rsplit_once('/').unwrap_or(("", ""));
                    if let Some(Json::Object(fields)) = message.pointer_mut(above) {
                        fields.remove(key);
                    }
                }
                _ => {
                    if let Some(Json::Object(fields)) = message.pointer_mut(&place) {
                        fields.insert(
                            (*chance.of(&["_meta", "id", "params", "x", "cursor", "requestState"]))
                                .to_owned(),
                            chance.of(&odd).clone(),
                        );
                    }
                }
            }
        }
        let mut bytes = message.to_string().into_bytes();
        if chance.below(5) == 0 {
            let at = chance.below(bytes.len());
            match chance.below(3) {
                0 => bytes.truncate(at),
                1 => bytes[at] = *chance.of(&[0, 0xff, b'"', b'{', b'}', b'\\', b'0']),
                _ => bytes.insert(at, *chance.of(b"\"{}[],:\\\n ")),
            }
        }
        bytes
    }
}

fn pointers(value: &Json, path: &str, all: &mut Vec<String>) {
    all.push(path.to_owned());
    match value {
        Json::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{path}/{key}"), all);
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{path}/{index}"), all);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
