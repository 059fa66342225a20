//! The example of docs/rich.md: it asks before it deletes, in every language.

use crate::support::{Client, Home, guest};
use serde_json::json;

/// The example, whatever it was written in.
#[track_caller]
pub(crate) fn check(name: &str) {
    let home = Home::new();
    home.load(&guest(name));
    let command = home.command(&["run", "--disable-builtin-tools"]);
    let mut client = Client::able(command, json!({ "elicitation": {} }));
    assert_eq!(client.tools(), ["delete_note"]);
    for (answer, text) in [
        (
            json!({ "action": "accept", "content": { "sure": true } }),
            "The note \"todo\" is deleted.",
        ),
        (
            json!({ "action": "accept", "content": { "sure": false } }),
            "The note \"todo\" stays.",
        ),
        (json!({ "action": "decline" }), "The note \"todo\" stays."),
    ] {
        let params = json!({ "name": "delete_note", "arguments": { "name": "todo" }, "_meta": { "progressToken": 1 } });
        let called = client.send("tools/call", params);
        let question = client.notified("elicitation/create");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("Component `") && message.ends_with("` asks: Delete the note \"todo\"?"),
            "{message}"
        );
        client.send_line(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
        let done = client.answer(called);
        assert_eq!(done["result"]["content"][0]["text"], text, "{done}");
        let told = client.notifications.drain(..).count();
        assert_eq!(told, usize::from(text.contains("deleted")), "progress");
    }
    let wrong = client.call("delete_note", json!({ "name": 3 }));
    assert_eq!(wrong["error"]["message"], "`name` must be a string", "{wrong}");
}

#[test]
fn the_example_in_rust_asks_before_it_deletes() {
    check("notes");
}
