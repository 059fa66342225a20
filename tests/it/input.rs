//! Bad input: a message that says what, where and what to do, the right exit code, and nothing changed.

use crate::support::{Home, Ran};
use serde_json::json;
use std::io::Write;
use std::process::Stdio;

/// Loads something that must be refused: exit code and message, nothing on standard output, nothing loaded.
#[track_caller]
fn refused(home: &Home, reference: &str, code: i32, message: &str) -> Ran {
    let ran = home.run(&["component", "load", reference]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (code, ""),
        "{reference}: {}",
        ran.stderr
    );
    assert!(ran.stderr.contains(message), "{reference}: {}", ran.stderr);
    assert_eq!(
        home.json(&["component", "list"]),
        json!({ "components": [], "total": 0 }),
        "{reference}"
    );
    ran
}

#[track_caller]
fn refused_bytes(name: &str, bytes: &[u8], message: &str) {
    let home = Home::new();
    let path = home.file(name, bytes);
    let ran = refused(&home, path.to_str().unwrap(), 1, message);
    assert!(ran.stderr.contains(name), "which file? {}", ran.stderr);
}

#[track_caller]
fn refused_wat(text: &str, message: &str) {
    refused_bytes("tool.wasm", &wat::parse_str(text).unwrap(), message);
}

#[test]
fn files_that_are_no_component_are_told_apart() {
    refused_bytes("a.wasm", b"", "is empty");
    refused_bytes("a.wasm", b"hello world, this is text", "not WebAssembly");
    refused_bytes("a.wasm", b"\0asm", "truncated");
    refused_bytes("a.wasm", b"\0asm\x01\0\0\0", "core WebAssembly module");
    refused_bytes("a.wasm", b"\0asm\x63\0\x01\0", "unknown version");
    refused_bytes("a.wasm", b"(component)", "WebAssembly text");
    refused_bytes(
        "a.wasm",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        "precompiled native code",
    );
    let whole = wat::parse_file(crate::support::root().join("tests/components/greet.wat")).unwrap();
    refused_bytes("a.wasm", &whole[..whole.len() / 2], "truncated");
}

#[test]
fn names_in_an_error_are_few_and_steer_no_terminal() {
    let home = Home::new();
    let rest = "(core module $m (func (export \"x\"))) (core instance $i (instantiate $m))
        (func (export \"x\") (canon lift (core func $i \"x\")))";
    let load = |imports: &str| {
        let wasm = wat::parse_str(format!("(component {imports} {rest})")).unwrap();
        let ran = home.run(&[
            "component",
            "load",
            home.file("tool.wasm", &wasm).to_str().unwrap(),
        ]);
        let end = home.audit().pop().unwrap();
        assert_eq!(
            (ran.code, &end["event"]),
            (1, &json!("command.end")),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("the component imports `"), "{}", ran.stderr);
        (ran.stderr, end["reason"].as_str().unwrap().to_owned())
    };
    let (shown, recorded) = load(r#"(import "url=<\1b]0;title\07\e2\80\aeback\0aerror: none>" (func))"#);
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(
        !shown.contains(hidden) && !recorded.contains(hidden),
        "{shown} {recorded}"
    );
    assert_eq!(shown.lines().count(), 1, "{shown}");

    // Together they are longer than a line of the audit file may be.
    let long = "c".repeat(230);
    let many: String = (0..3900)
        .map(|n| format!("(import \"aaa:bbb/i{n}-{long}\" (func))"))
        .collect();
    let (shown, recorded) = load(&many);
    assert!(shown.contains("and 3892 more") && shown.len() < 4000, "{shown}");
    assert!(recorded.len() <= 2000, "{recorded}");
}

#[test]
fn places_without_a_component_are_told_apart() {
    let home = Home::new();
    let ran = refused(&home, "./missing.wasm", 4, "does not exist");
    assert!(ran.stderr.contains("hint: check the path"), "{}", ran.stderr);
    refused(&home, home.path().to_str().unwrap(), 1, "is a folder");
    refused(&home, "/dev/zero", 1, "not a regular file");
    refused(
        &home,
        "oci://tool:1",
        2,
        "`oci://` is followed by a registry and a repository",
    );
    refused(&home, "oci://ghcr.example/Tool", 2, "a repository has parts of");
    refused(
        &home,
        "http://example.com/tool.wasm",
        2,
        "anybody on the way can change the bytes",
    );
    refused(
        &home,
        "https://me:pass@example.com/tool.wasm",
        2,
        "a URL here holds no user and no password",
    );
    refused(
        &home,
        "ftp://example.com/tool.wasm",
        2,
        "`ftp://` is not supported",
    );
    refused(
        &home,
        "starter:nothing",
        4,
        "no starter component `nothing`; there are `fetch`",
    );
    refused(&home, "", 2, "a reference is not empty");
    let fifo = home.path().join("fifo.wasm");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    refused(&home, fifo.to_str().unwrap(), 1, "not a regular file");
}

#[test]
fn a_file_past_the_limit_is_refused_without_reading_it() {
    let home = Home::new();
    let path = home.path().join("huge.wasm");
    std::fs::File::create(&path).unwrap().set_len(65 << 20).unwrap();
    refused(&home, path.to_str().unwrap(), 1, "is larger than 67108864 bytes");
}

#[test]
fn components_that_cannot_be_tools_say_why() {
    let home = Home::new();
    refused(
        &home,
        home.wat("no-exports").to_str().unwrap(),
        1,
        "exports no function that can be a tool",
    );
    refused(
        &home,
        home.wat("unknown-import").to_str().unwrap(),
        1,
        "imports `acme:db/query@1.0.0` (no WASI interface; compose",
    );
    refused_wat(
        "(component (import \"wasi:nn/graph@0.2.0\" (instance)) (core module $m (func (export \"f\")))
        (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))",
        "wasi:nn/graph@0.2.0",
    );
}

#[test]
fn too_many_exports_are_refused() {
    let mut text = String::from(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))\n",
    );
    text.push_str("(func $f (canon lift (core func $i \"f\")))\n");
    for n in 0..10_000 {
        text.push_str(&format!("(export \"f{n}\" (func $f))\n"));
    }
    text.push(')');
    refused_wat(&text, "and at most");
}

#[test]
fn long_names_are_cut_and_stay_distinct() {
    let home = Home::new();
    let long = "a".repeat(90);
    let text = format!(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
         (func $f (canon lift (core func $i \"f\")))
         (export \"{long}b\" (func $f)) (export \"{long}c\" (func $f)) (export \"short\" (func $f)))"
    );
    let path = home.file("long.wasm", &wat::parse_str(text).unwrap());
    let loaded = home.load(&path);
    let names: Vec<_> = loaded["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    assert_ne!(names[0], names[1]);
    for name in names {
        assert_eq!(
            home.json(&["tool", "invoke", &name]),
            json!({ "result": null }),
            "{name}"
        );
    }
}

#[test]
fn a_type_that_explodes_is_refused() {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))\n");
    for n in 1..20 {
        text.push_str(&format!("(type $t{n} (tuple $t{} $t{}))\n", n - 1, n - 1));
    }
    text.push_str("(core module $m (func (export \"f\") (param i32)) (memory (export \"m\") 1)
        (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export \"f\") (param \"v\" $t19) (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"r\")))))");
    let home = Home::new();
    // Whether our own bound or the validator's comes first, it is refused and named.
    let bytes = wat::parse_str(&text).unwrap();
    let path = home.file("bomb.wasm", &bytes);
    let ran = home.run(&["component", "load", path.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ["too large", "at most", "exceeds the limit"]
            .iter()
            .any(|text| ran.stderr.contains(text)),
        "{}",
        ran.stderr
    );
}

#[test]
fn arguments_are_checked_before_anything_runs() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let table = [
        ("not json", 2, "the arguments are not JSON"),
        ("[1, 2]", 2, "the arguments are not a JSON object"),
        ("{}", 1, "`/a`"),
        (r#"{"a": 1}"#, 1, "`/b`"),
        (r#"{"a": 1, "b": 2, "c": 3}"#, 1, "`/c`"),
        (r#"{"a": "1", "b": 2}"#, 1, "`/a`"),
        (r#"{"a": -1, "b": 2}"#, 1, "`/a`"),
        (r#"{"a": 4294967296, "b": 2}"#, 1, "`/a`"),
        (r#"{"a": 1.5, "b": 2}"#, 1, "`/a`"),
        (r#"{"a": null, "b": 2}"#, 1, "`/a`"),
    ];
    for (arguments, code, message) in table {
        let ran = home.run(&["tool", "invoke", "add_add", "--args", arguments]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (code, ""),
            "{arguments}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(message) && ran.stderr.contains("\nhint: "),
            "{arguments}: {}",
            ran.stderr
        );
    }
    assert!(
        home.audit().iter().all(|line| line["event"] != "call.begin"),
        "no call was begun"
    );
    let deep = format!(
        r#"{{"a": {}1{}, "b": 1}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(home.run(&["tool", "invoke", "add_add", "--args", &deep]).code, 2);
}

#[test]
fn unknown_names_have_their_own_exit_code_and_a_hint() {
    let home = Home::new();
    for arguments in [
        ["tool", "read", "nothing_here"],
        ["tool", "invoke", "nothing_here"],
    ] {
        let ran = home.run(&arguments);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains("unknown tool `nothing_here`\nhint: `wassette tool list`"),
            "{}",
            ran.stderr
        );
    }
    for arguments in [
        ["component", "show", "nothing"],
        ["component", "unload", "nothing"],
    ] {
        let ran = home.run(&arguments);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("unknown component `nothing`"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(home.run(&["component", "show", "NOT AN ID"]).code, 2);
    assert_eq!(home.run(&["componnent", "list"]).code, 2);
}

#[test]
fn nobody_who_reads_errors_changes_nothing() {
    let home = Home::new();
    let mut child = home
        .command(&["tool", "invoke", "nothing_here"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let mut child = home
        .command(&["tool", "invoke", "add_add", "--args", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\xff}").unwrap();
    let ended = child.wait_with_output().unwrap();
    let text = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{text}");
    assert!(
        text.contains("cannot read the arguments from standard input"),
        "{text}"
    );
}

#[test]
fn what_is_neither_a_component_nor_a_file_says_both() {
    let home = Home::new();
    let ran = home.run(&["inspect", "nothing"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("nothing` does not exist\nhint: nor is a component `nothing` loaded"),
        "{}",
        ran.stderr
    );
    let tool = home.wat("add");
    let ran = home.run(&["component", "load", tool.to_str().unwrap(), "--wit", "nothing"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot read `nothing`"), "{}", ran.stderr);
}

#[test]
fn settings_that_are_wrong_are_found() {
    let home = Home::new();
    let folder = home.path().join(".config/wassette");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("config.toml"),
        "log = \"warn\"\ncomponentdir = \"/x\"\n",
    )
    .unwrap();
    let ran = home.run(&["component", "list"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("config.toml:2:1: unknown field `componentdir`"),
        "{}",
        ran.stderr
    );
    std::fs::remove_file(folder.join("config.toml")).unwrap();
    let ran = home
        .command(&["component", "list"])
        .env("WASSETTE_COMPONENTS", "/x")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
}
