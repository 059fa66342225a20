//! The list of promises: what nobody granted does not happen, and the audit file says what was tried.

use crate::support::{Home, guest};
use serde_json::{Value as Json, json};

/// Calls a function of the needy guest. It must get nothing, and exactly this must be on record.
#[track_caller]
fn denied(function: &str, arguments: &Json, access: &str) {
    let home = Home::new();
    home.load(&guest("needy"));
    let ran = home.run(&[
        "tool",
        "invoke",
        &format!("needy_{function}"),
        "--args",
        &arguments.to_string(),
    ]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (5, ""),
        "{function}: {}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains(&format!("denied: {access}; it lacks ")),
        "{function}: {}",
        ran.stderr
    );

    let audit = home.audit();
    let end = audit.iter().find(|line| line["event"] == "call.end").unwrap();
    let accesses = end["accesses"].as_array().unwrap();
    assert!(
        accesses.iter().all(|a| a["allowed"] == false),
        "{function}: {accesses:?}"
    );
    assert!(
        accesses.iter().any(|a| a["access"] == access),
        "{function}: {accesses:?}"
    );
}

#[test]
fn files_are_denied_by_path_and_operation() {
    denied(
        "read-file",
        &json!({ "path": "/etc/passwd" }),
        "read `/etc/passwd`",
    );
    denied("list-dir", &json!({ "path": "/etc" }), "list `/etc`");
    denied(
        "write-file",
        &json!({ "path": "/tmp/wassette-must-not-exist", "text": "x" }),
        "create `/tmp/wassette-must-not-exist`",
    );
    assert!(!std::path::Path::new("/tmp/wassette-must-not-exist").exists());
}

#[test]
fn the_file_system_starter_says_that_nothing_was_granted() {
    let home = Home::new();
    home.json(&["component", "load", "starter:filesystem"]);
    assert_eq!(
        home.json(&["tool", "invoke", "filesystem_roots"]),
        json!({ "result": [] })
    );
    let ran = home.run(&[
        "tool",
        "invoke",
        "filesystem_read",
        "--args",
        r#"{"path": "/etc/passwd"}"#,
    ]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr.contains("/etc/passwd") && ran.stderr.contains("not granted"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_fetch_starter_says_that_nothing_was_granted() {
    let home = Home::new();
    home.json(&["component", "load", "starter:fetch"]);
    let ran = home.run(&[
        "tool",
        "invoke",
        "fetch_get",
        "--args",
        r#"{"url": "https://example.com/"}"#,
    ]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr.contains("denied: GET `https://example.com/`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn paths_that_try_to_escape_are_denied() {
    denied(
        "read-file",
        &json!({ "path": "/../../etc/passwd" }),
        "reach `/../../etc/passwd`",
    );
    denied(
        "read-file",
        &json!({ "path": "etc/../etc/passwd" }),
        "read `/etc/passwd`",
    );
    denied(
        "read-file",
        &json!({ "path": "/proc/self/environ" }),
        "read `/proc/self/environ`",
    );
}

#[test]
fn http_requests_are_denied_by_url() {
    denied(
        "get-url",
        &json!({ "url": "https://example.com/" }),
        "GET `https://example.com/`",
    );
    denied(
        "get-url",
        &json!({ "url": "http://127.0.0.1:1/x" }),
        "GET `http://127.0.0.1:1/x`",
    );
    denied(
        "get-url",
        &json!({ "url": "http://169.254.169.254/latest" }),
        "GET `http://169.254.169.254/latest`",
    );
}

#[test]
fn sockets_and_names_are_denied() {
    denied(
        "tcp-connect",
        &json!({ "address": "127.0.0.1:80" }),
        "open a tcp socket",
    );
    denied(
        "resolve-name",
        &json!({ "name": "example.com" }),
        "look up `example.com`",
    );
}

#[test]
fn no_variable_of_ours_is_seen() {
    denied(
        "read-env",
        &json!({ "name": "HOME" }),
        "read environment variables",
    );
    let home = Home::new();
    home.load(&guest("needy"));
    let ran = home
        .command(&["tool", "invoke", "needy_list-env"])
        .env("SECRET_TOKEN", "hunter2")
        .output()
        .unwrap();
    let all = [ran.stdout, ran.stderr].concat();
    assert!(!String::from_utf8_lossy(&all).contains("hunter2"));
}

#[test]
fn no_argument_and_no_input_of_ours_is_seen() {
    let home = Home::new();
    home.load(&guest("needy"));
    let arguments = home.json(&["tool", "invoke", "needy_args"]);
    assert!(!arguments.to_string().contains("invoke"), "{arguments}");
    use std::io::Write;
    let mut command = home.command(&["tool", "invoke", "needy_read-stdin"]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end without reading; that is the point.
    let _written = child.stdin.take().unwrap().write_all(b"hunter2");
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[test]
fn what_needs_no_grant_works() {
    let home = Home::new();
    home.load(&guest("needy"));
    let now = home.json(&["tool", "invoke", "needy_now"]);
    assert!(now["result"].is_string(), "{now}");
    let random = home.json(&["tool", "invoke", "needy_random", "--args", r#"{"len": 16}"#]);
    assert!(random["result"].is_string(), "{random}");
}

#[test]
fn an_agent_loads_only_from_its_folders_and_learns_nothing_about_others() {
    use crate::support::Client;
    let home = Home::new();
    home.wat("add");
    let elsewhere = Home::new();
    let outside = elsewhere.wat("divide");
    std::os::unix::fs::symlink(&outside, home.path().join("link.wasm")).unwrap();
    let mut client = Client::initialized(&home, &[]);
    let mut load = |path: &str| client.call("load-component", json!({ "path": path }))["result"].clone();

    assert_eq!(load("./add.wasm")["isError"], false);
    let refused = load(outside.to_str().unwrap());
    assert_eq!(refused["isError"], true);
    for path in [
        "/nowhere/at-all.wasm",
        "link.wasm",
        "../outside.wasm",
        "/etc/passwd",
    ] {
        assert_eq!(load(path), refused, "{path} must answer like a file outside");
    }
    let text = refused["content"][0]["text"].as_str().unwrap();
    assert!(!text.contains('/'), "no path of this machine: {text}");
}
