//! The store under trouble: kills, two processes, damage. What was committed is there; nothing half-done is.

use crate::support::{Home, guest};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn kill_9_during_a_load_loses_nothing_and_shows_nothing_half_done() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let needy = guest("needy");
    for delay_ms in [0, 1, 2, 5, 10, 20, 40, 80, 160, 320] {
        let mut child = home
            .command(&["component", "load", needy.to_str().unwrap(), "--replace"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        // It may have ended by itself: that is one more case.
        let _killed = child.kill();
        child.wait().unwrap();
        let list = home.json(&["component", "list"]);
        let components = list["components"].as_array().unwrap();
        assert_eq!(components[0]["id"], "add", "after {delay_ms} ms: {list}");
        assert!(
            components.iter().all(|c| c["state"] == "ready"),
            "after {delay_ms} ms: {list}"
        );
        let sum = home.json(&["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#]);
        assert_eq!(sum, json!({ "result": 3 }), "after {delay_ms} ms");
        if components.len() == 2 {
            home.json(&["tool", "invoke", "needy_now"]);
            home.json(&["component", "unload", "needy"]);
        }
    }
}

#[test]
fn many_processes_load_at_once() {
    let home = Home::new();
    let path = home.wat("add");
    let start = |n: usize| {
        let name = format!("add{n}");
        let mut command = home.command(&["component", "load", path.to_str().unwrap(), "--name", &name]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..8).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(home.json(&["component", "list"])["total"], 8);
}

#[test]
fn a_damaged_blob_makes_its_component_unavailable_and_no_other() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let divide = home.load(&home.wat("divide"));
    let hex = divide["digest"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:")
        .to_owned();
    std::fs::write(home.store().join("blobs/sha256").join(&hex), b"damaged").unwrap();
    for entry in std::fs::read_dir(home.store().join("compiled")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let ran = home.run(&["tool", "invoke", "divide_divide", "--args", r#"{"a": 1, "b": 1}"#]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for text in [
        "component `divide` is unavailable",
        &hex,
        "is damaged",
        "hint: load the component again",
    ] {
        assert!(ran.stderr.contains(text), "`{text}` is not in: {}", ran.stderr);
    }
    let sum = home.json(&["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#]);
    assert_eq!(sum, json!({ "result": 3 }));

    // What the hint says helps, although record and bytes are the same as before.
    assert_eq!(home.load(&home.wat("divide"))["change"]["kind"], "unchanged");
    let one = home.json(&["tool", "invoke", "divide_divide", "--args", r#"{"a": 1, "b": 1}"#]);
    assert_eq!(one, json!({ "result": 1 }));
}

#[test]
fn a_store_that_cannot_be_used_says_where_and_what_to_do() {
    let home = Home::new();
    let file = home.file("not-a-folder", b"x");
    let ran = home.run(&["component", "list", "--component-dir", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("not-a-folder") && ran.stderr.contains("hint: "),
        "{}",
        ran.stderr
    );

    std::fs::create_dir_all(home.store()).unwrap();
    std::fs::write(
        home.store().join("state.db"),
        b"this is no database, but it is long enough to be looked at",
    )
    .unwrap();
    let ran = home.run(&["component", "list"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("state.db") && ran.stderr.contains("hint: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn foreign_files_in_the_store_are_left_alone() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let foreign = home.store().join("blobs/sha256/README.txt");
    std::fs::write(&foreign, b"mine").unwrap();
    home.json(&["component", "unload", "add"]);
    assert_eq!(std::fs::read(&foreign).unwrap(), b"mine");
    let left = std::fs::read_dir(home.store().join("blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "the unloaded component's bytes are gone");
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let audit = home.store().join("audit.jsonl");
    std::fs::remove_file(&audit).unwrap();
    std::fs::create_dir(&audit).unwrap();
    for arguments in [
        &["tool", "invoke", "add_add", "--args", r#"{"a": 1, "b": 2}"#][..],
        &["component", "unload", "add"],
    ] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("audit"), "{}", ran.stderr);
    }
    std::fs::remove_dir(&audit).unwrap();
    assert_eq!(
        home.json(&["component", "list"])["total"],
        1,
        "nothing was unloaded"
    );
}

#[test]
fn a_command_that_failed_is_not_said_to_be_done() {
    let home = Home::new();
    home.load(&home.wat("add"));
    let audit = home.store().join("audit.jsonl");
    // A server that never answers, until the audit file is gone.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/a.wasm", server.local_addr().unwrap());
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| home.run(&["component", "load", &url]));
        let (peer, _) = server.accept().unwrap();
        std::fs::remove_file(&audit).unwrap();
        std::fs::create_dir(&audit).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop((peer, server));
        ran.join().unwrap()
    });
    std::fs::remove_dir(&audit).unwrap();
    assert_ne!(ran.code, 0);
    let told = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect::<String>();
    assert!(told.contains("cannot fetch the component"), "{}", ran.stderr);
}

#[test]
fn the_audit_file_has_a_begin_and_an_end_of_everything() {
    let home = Home::new();
    let loaded = home.load(&home.wat("add"));
    home.json(&["tool", "invoke", "add_add", "--args", r#"{"a": 123456, "b": 2}"#]);
    home.run(&["component", "load", "./missing.wasm"]);
    home.json(&["component", "unload", "add"]);
    let audit = home.audit();
    let events: Vec<_> = audit
        .iter()
        .map(|l| (l["event"].as_str().unwrap(), l["outcome"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        events,
        [
            ("command.begin", ""),
            ("command.end", "ok"),
            ("call.begin", ""),
            ("call.end", "ok"),
            ("command.begin", ""),
            ("command.end", "failed"),
            ("command.begin", ""),
            ("command.end", "ok"),
        ]
    );
    for pair in audit.chunks(2) {
        assert_eq!(pair[0]["id"], pair[1]["id"]);
        assert_eq!(pair[0]["actor"], "operator");
    }
    assert_eq!(
        (&audit[2]["component"], &audit[2]["digest"]),
        (&json!("add"), &loaded["digest"])
    );
    assert!(
        !serde_json::to_string(&audit).unwrap().contains("123456"),
        "arguments are the user's"
    );
}
