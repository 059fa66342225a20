//! Tools that the operator names and describes otherwise than their component does.

use crate::support::{Client, Home, Ran, guest};
use serde_json::{Value as Json, json};

fn tool(client: &mut Client, name: &str) -> Json {
    let listed = client.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let found = tools.iter().find(|tool| tool["name"] == name);
    found.unwrap_or_else(|| panic!("{tools:?}")).clone()
}

fn refused(ran: &Ran, text: &str) {
    assert!(ran.code != 0 && ran.stderr.contains(text), "{text}: {ran:?}");
}

#[test]
fn a_tool_is_named_and_described_as_the_operator_says() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    let before = tool(&mut client, "add_add");
    let renamed = home.json(&["tool", "rename", "add_add", "sum"]);
    assert_eq!(
        (&renamed["name"], &renamed["original"], &renamed["component"]),
        (&json!("sum"), &json!("add_add"), &json!("add")),
        "{renamed}"
    );
    client.notified("notifications/tools/list_changed");
    home.json(&["tool", "describe", "sum", "Adds two\u{202e} numbers"]);
    let after = tool(&mut client, "sum");
    assert_eq!(
        after["description"], "Adds two numbers",
        "what nobody sees is not there"
    );
    assert_eq!(after["inputSchema"], before["inputSchema"]);
    let called = client.call("sum", json!({ "a": 1, "b": 2 }));
    assert_eq!(called["result"]["structuredContent"]["result"], 3, "{called}");
    let gone = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
    let audit = home.audit();
    assert!(
        audit
            .iter()
            .any(|line| line["event"] == "call.begin" && line["tool"] == "sum")
    );
    assert!(
        audit
            .iter()
            .any(|line| line["command"] == "present" && line["subject"] == "add_add")
    );
    // It stays with the component, like its policy, and is not what is compared or locked.
    home.load(&home.wat("add"));
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    assert_eq!(client.tools(), ["sum"]);
    let reset = home.json(&["tool", "reset", "sum"]);
    assert_eq!(reset["name"], "add_add", "{reset}");
    assert_eq!(tool(&mut client, "add_add"), before);
    assert_eq!(home.json(&["tool", "reset", "add_add"])["is_changed"], false);
}

#[test]
fn names_of_other_tools_are_not_to_be_had() {
    let home = Home::new();
    home.load(&home.wat("add"));
    home.load(&guest("kitchen"));
    home.load(&guest("conformance"));
    let rename = |from: &str, to: &str| home.run(&["tool", "rename", from, to]);
    refused(&rename("add_add", "kitchen_add"), "is component `kitchen`'s");
    refused(&rename("add_add", "kitchen_other"), "is component `kitchen`'s");
    refused(
        &rename("add_add", "test_simple_text"),
        "is component `conformance`'s",
    );
    refused(
        &rename("add_add", "load-component"),
        "is a name that Wassette keeps for itself",
    );
    refused(&rename("add_add", "a b"), "cannot be the name of a tool");
    refused(&rename("nope", "sum"), "unknown tool `nope`");
    refused(
        &home.run(&["tool", "describe", "add_add", " \u{200b}"]),
        "the description is empty",
    );
    assert_eq!(rename("add_add", "sum").code, 0);
    refused(&rename("kitchen_add", "sum"), "is component `add`'s");
    refused(&rename("kitchen_add", "add_add"), "is component `add`'s");
    // What a component lists itself is called by its own name, whatever it is called here.
    assert_eq!(rename("greet", "hello").code, 0);
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    let called = client.call("hello", json!({ "name": "ann" }));
    assert_eq!(called["result"]["content"][0]["text"], "Hello, ann!", "{called}");
}

#[test]
fn what_changes_in_a_version_is_withheld_whatever_it_is_called() {
    let home = Home::new();
    let path = home.path().join("tool.wasm");
    let bytes = std::fs::read(guest("conformance")).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    home.load(&path);
    home.json(&["tool", "rename", "test_simple_text", "say"]);
    home.json(&["tool", "rename", "greet", "hello"]);
    let at = bytes
        .windows(11)
        .position(|window| window == b"Says a text")
        .unwrap();
    let mut next = bytes;
    next[at..at + 11].copy_from_slice(b"Says a book");
    std::fs::write(&path, next).unwrap();
    let updated = home.json(&["component", "update", "tool"]);
    assert_eq!(updated["quarantined"], true, "{updated}");
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    let tools = client.tools();
    assert!(
        !tools.contains(&"say".to_owned()) && tools.contains(&"hello".to_owned()),
        "{tools:?}"
    );
    home.json(&["component", "approve", "tool"]);
    // A version with a tool of the name that was given to another one.
    let other = std::fs::read(&path).unwrap();
    let at = other.windows(5).position(|window| window == b"greet").unwrap();
    let mut other = other;
    other[at..at + 5].copy_from_slice(b"hallo");
    home.json(&["tool", "rename", "say", "hallo"]);
    std::fs::write(&path, other).unwrap();
    refused(
        &home.run(&["component", "update", "tool"]),
        "the tool `hallo` is component `tool`'s",
    );
    home.json(&["tool", "rename", "hallo", "say"]);
    assert!(
        tool(&mut client, "say")["description"]
            .as_str()
            .unwrap()
            .ends_with("Says a book")
    );
}

#[test]
fn a_manifest_says_how_tools_are_shown() {
    let home = Home::new();
    home.wat("add");
    let manifest = |tools: &str| {
        let text = format!("version: 1\ncomponents:\n  - uri: ./add.wasm\n    id: add\n{tools}");
        home.file("site.yaml", text.as_bytes());
    };
    let act = |what: &str| {
        let ran = home.run(&["manifest", what, "site.yaml"]);
        let word = |text: &str| {
            let plan: Json = serde_json::from_str(text).ok()?;
            Some(plan["components"][0][if what == "apply" { "outcome" } else { "action" }].clone())
        };
        (ran.code, word(&ran.stdout).unwrap_or_default(), ran.stderr)
    };
    manifest("    tools:\n      add_add: {name: sum, description: Adds two numbers}\n");
    assert_eq!(act("apply").1, "loaded");
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    assert_eq!(tool(&mut client, "sum")["description"], "Adds two numbers");
    assert_eq!((act("check").0, act("plan").1), (0, json!("keep")));
    // The command line changed it; the file says how it is to be.
    home.json(&["tool", "rename", "sum", "plus"]);
    assert_eq!((act("check").0, act("plan").1), (1, json!("present")));
    assert_eq!(act("apply").1, "presented");
    assert_eq!(client.tools(), ["sum"]);
    // A file that says nothing leaves it; one that says that there is nothing takes it back.
    manifest("");
    assert_eq!(act("plan").1, "keep");
    manifest("    tools: {}\n");
    assert_eq!(
        (act("plan").1, act("apply").1),
        (json!("present"), json!("presented"))
    );
    assert_eq!(client.tools(), ["add_add"]);
    for (tools, text) in [
        ("    tools: {nope: {name: sum}}\n", "unknown tool `nope`"),
        (
            "    tools: {add_add: {name: load-component}}\n",
            "keeps for itself",
        ),
        (
            "    tools: {add_add: {description: \"\"}}\n",
            "the description is empty",
        ),
        ("    tools: {add_add: {title: sum}}\n", "site.yaml:5:"),
        ("    tools: {add_add: {name: a b}}\n", "site.yaml:5:"),
    ] {
        manifest(tools);
        let (code, _, stderr) = act("apply");
        assert!(code == 1 && stderr.contains(text), "{tools}: {code} {stderr}");
        assert_eq!(client.tools(), ["add_add"]);
    }
}

#[test]
fn a_name_that_is_withheld_is_still_taken() {
    let home = Home::new();
    home.load(&home.wat("add"));
    home.load(&guest("kitchen"));
    // By another tool of the same component as well.
    home.json(&["tool", "rename", "kitchen_note", "memo"]);
    let hidden = home.file(
        "hidden.yaml",
        b"version: \"1.0\"\npermissions: {tools: {deny: [note]}}\n",
    );
    home.json(&["policy", "attach", "kitchen", hidden.to_str().unwrap()]);
    refused(
        &home.run(&["tool", "rename", "kitchen_divide", "memo"]),
        "the tool `memo` is component `kitchen`'s",
    );
    let all = home.file("open.yaml", b"version: \"1.0\"\n");
    home.json(&["policy", "attach", "kitchen", all.to_str().unwrap()]);
    home.json(&["tool", "reset", "memo"]);
    home.json(&["tool", "rename", "add_add", "sum"]);
    let policy = home.file(
        "none.yaml",
        b"version: \"1.0\"\npermissions: {tools: {deny: [add]}}\n",
    );
    home.json(&["policy", "attach", "add", policy.to_str().unwrap()]);
    refused(
        &home.run(&["tool", "rename", "kitchen_note", "sum"]),
        "the tool `sum` is component `add`'s",
    );
    // An id that would give a tool a name that another already has.
    home.json(&[
        "policy",
        "attach",
        "add",
        home.file("all.yaml", b"version: \"1.0\"\n").to_str().unwrap(),
    ]);
    home.json(&["tool", "rename", "sum", "other_note"]);
    let kitchen = guest("kitchen");
    refused(
        &home.run(&["component", "load", kitchen.to_str().unwrap(), "--name", "other"]),
        "the tool `other_note` is component `add`'s",
    );
}
