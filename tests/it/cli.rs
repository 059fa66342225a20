//! The command line: load, list, show, inspect, invoke, unload, and that it is all there after a restart.

use crate::support::{Home, guest};
use serde_json::json;
use std::os::unix::fs::MetadataExt;

#[test]
fn a_component_is_loaded_listed_called_and_unloaded() {
    let home = Home::new();
    let path = home.wat("add");
    let loaded = home.load(&path);
    assert_eq!(loaded["id"], "add");
    assert_eq!(loaded["change"], json!({ "kind": "new" }));
    assert_eq!(loaded["tools"], json!(["add_add"]));

    let list = home.json(&["component", "list"]);
    let digest = &loaded["digest"];
    let origin = format!("file://{}", path.display());
    assert_eq!(
        list,
        json!({
            "components": [{ "id": "add", "digest": digest, "origin": origin, "state": "ready", "tools": ["add_add"] }],
            "total": 1
        })
    );
    let called = home.json(&["tool", "invoke", "add_add", "--args", r#"{"a": 40, "b": 2}"#]);
    assert_eq!(called, json!({ "result": 42 }));

    let unloaded = home.json(&["component", "unload", "add"]);
    assert_eq!(unloaded, json!({ "id": "add", "digest": digest }));
    assert_eq!(
        home.json(&["component", "list"]),
        json!({ "components": [], "total": 0 })
    );
    let gone = home.run(&["tool", "invoke", "add_add", "--args", "{}"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (4, ""));
}

#[test]
fn the_second_start_compiles_nothing() {
    let home = Home::new();
    home.load(&home.wat("add"));
    // A file that is written again is a new one; its times change when it is only read.
    let inodes = || {
        let entries = std::fs::read_dir(home.store().join("compiled")).unwrap();
        entries
            .map(|entry| entry.unwrap().metadata().unwrap().ino())
            .collect::<Vec<_>>()
    };
    let first = inodes();
    assert_eq!(first.len(), 1, "the code was kept");
    home.json(&["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#]);
    assert_eq!(inodes(), first, "and not written again");
}

#[test]
fn tampered_code_is_compiled_again_and_never_run() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let entry = std::fs::read_dir(home.store().join("compiled"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut code = std::fs::read(&entry).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 0xff;
    std::fs::write(&entry, &code).unwrap();
    let ran = home.run(&["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("compiled code is not usable"),
        "{}",
        ran.stderr
    );
    assert_ne!(
        std::fs::read(&entry).unwrap(),
        code,
        "it was compiled and kept again"
    );
}

#[test]
fn a_file_url_and_a_path_are_the_same_component() {
    let home = Home::new();
    let path = home.wat("add");
    home.load(&path);
    let again = home.json(&["component", "load", &format!("file://{}", path.display())]);
    assert_eq!(again["change"], json!({ "kind": "unchanged" }));
    let relative = home.json(&["component", "load", "./add.wasm"]);
    assert_eq!(relative["change"], json!({ "kind": "unchanged" }));
}

#[test]
fn loading_other_bytes_from_the_same_place_reports_what_changed() {
    let home = Home::new();
    let path = home.wat("add");
    let first = home.load(&path);
    std::fs::copy(home.wat("divide"), &path).unwrap();
    let second = home.load(&path);
    assert_eq!(
        second["change"],
        json!({ "kind": "replaced", "previous": first["digest"], "added": ["add_divide"], "removed": ["add_add"], "changed": [] })
    );
}

#[test]
fn the_same_id_from_elsewhere_is_refused_unless_it_is_said() {
    let home = Home::new();
    home.load(&home.wat("add"));
    std::fs::create_dir(home.path().join("other")).unwrap();
    let other = home.path().join("other/add.wasm");
    std::fs::copy(home.wat("divide"), &other).unwrap();
    let other = other.to_str().unwrap();

    let refused = home.run(&["component", "load", other]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .stderr
            .contains("component `add` is already loaded from `file://"),
        "{}",
        refused.stderr
    );
    assert!(
        refused
            .stderr
            .contains("hint: give the new one another id with `--name`"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        home.json(&["tool", "list"])["tools"][0]["name"],
        "add_add",
        "nothing changed"
    );

    let named = home.json(&["component", "load", other, "--name", "divide"]);
    assert_eq!(named["tools"], json!(["divide_divide"]));
    let replaced = home.json(&["component", "load", other, "--replace"]);
    assert_eq!(replaced["change"]["kind"], "replaced");
}

#[test]
fn inspect_runs_nothing_and_says_what_a_component_could_do() {
    let home = Home::new();
    let needy = guest("needy");
    let seen = home.json(&["inspect", needy.to_str().unwrap()]);
    let abilities: Vec<_> = seen["abilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["what"].as_str().unwrap())
        .collect();
    assert!(
        abilities.contains(&"read and change files in granted folders"),
        "{abilities:?}"
    );
    assert!(
        abilities.contains(&"send HTTP requests to granted hosts"),
        "{abilities:?}"
    );
    assert_eq!(seen["is_loaded"], false);
    assert_eq!(
        home.json(&["component", "list"])["total"],
        0,
        "nothing was loaded"
    );

    let pure = home.json(&["inspect", home.wat("add").to_str().unwrap()]);
    assert_eq!((&pure["abilities"], &pure["imports"]), (&json!([]), &json!([])));
    let table = home.run(&["inspect", home.wat("add").to_str().unwrap(), "-o", "table"]);
    assert!(
        table.stdout.contains("it reaches nothing outside its own memory"),
        "{}",
        table.stdout
    );

    let empty = home.run(&["inspect", home.wat("no-exports").to_str().unwrap(), "-o", "table"]);
    assert!(
        empty.stdout.contains("\ntools: none, so it cannot be loaded\n"),
        "{}",
        empty.stdout
    );

    let missing = home.json(&["inspect", home.wat("unknown-import").to_str().unwrap()]);
    assert_eq!(missing["missing"], json!(["acme:db/query@1.0.0"]));
}

#[test]
fn docs_of_a_wit_file_describe_the_tools() {
    let home = Home::new();
    let path = home.wat("greet");
    let wit = "package test:greet@0.1.0;\ninterface api {\n  /// Greets a person by name.\n  greet: func(name: string) -> result<string, string>;\n}\n";
    let wit = home.file("greet.wit", wit.as_bytes());
    home.json(&[
        "component",
        "load",
        path.to_str().unwrap(),
        "--wit",
        wit.to_str().unwrap(),
    ]);
    let tool = home.json(&["tool", "read", "greet_greet"]);
    assert!(
        tool["description"]
            .as_str()
            .unwrap()
            .contains("Greets a person by name."),
        "{tool}"
    );
}

#[test]
fn arguments_come_from_standard_input_with_a_dash() {
    use std::io::Write;
    let home = Home::new();
    home.load(&home.wat("add"));
    let mut command = home.command(&["tool", "invoke", "add_add", "--args", "-"]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(br#"{"a": 1, "b": 2}"#)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, json!({ "result": 3 }));
}

#[test]
fn every_starter_loads_and_describes_itself() {
    let home = Home::new();
    for name in ["time", "text", "filesystem", "fetch"] {
        let loaded = home.json(&["component", "load", &format!("starter:{name}")]);
        assert_eq!(loaded["id"], name);
    }
    let tools = home.json(&["tool", "list"]);
    for tool in tools["tools"].as_array().unwrap() {
        let description = tool["description"].as_str().unwrap();
        assert!(description.len() > 40, "{}: {description}", tool["name"]);
    }
    let hash = home.json(&["tool", "invoke", "text_hash", "--args", r#"{"text": "abc"}"#]);
    assert_eq!(
        hash["result"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let added = home.json(&[
        "tool",
        "invoke",
        "time_difference",
        "--args",
        r#"{"start": "2024-02-28T00:00:00Z", "end": "2024-03-01T00:00:00Z", "largest-unit": "days"}"#,
    ]);
    assert!(
        added["result"].to_string().contains('2'),
        "a leap year has a 29 February: {added}"
    );
}

#[test]
fn each_form_of_output_is_what_it_says() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let yaml = home.run(&["component", "list", "-o", "yaml"]).stdout;
    assert!(
        yaml.starts_with("components:\n") && yaml.contains("id: add"),
        "{yaml}"
    );
    let table = home.run(&["component", "list", "-o", "table"]).stdout;
    assert!(table.trim_start().starts_with("ID"), "{table}");
    let settings = home.json(&["config", "show"]);
    assert_eq!(
        settings["hardened"],
        json!({ "value": false, "source": "default" })
    );
    assert!(home.run(&["completion", "bash"]).stdout.contains("_wassette"));
}

#[test]
fn hardened_memory_works_the_same() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let mut command = home.command(&["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#]);
    let ran = command.env("WASSETTE_HARDENED", "true").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
