//! When balancers are told to send requests here: the bytes of all that is offered have been found whole.

use super::server::{Server, eventually};
use crate::support::Home;
use serde_json::json;
use std::path::PathBuf;

const BROKEN: (u16, &str) = (503, "components are missing or damaged\n");

/// Loads a component and says where its bytes are.
fn blob(home: &Home, name: &str) -> PathBuf {
    let loaded = home.load(&home.wat(name));
    let digest = loaded["digest"].as_str().unwrap();
    let path = home.store().join("blobs").join(digest.replace(':', "/"));
    assert!(path.exists(), "{}", path.display());
    path
}

fn truncate(path: &std::path::Path) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(10).unwrap();
}

#[track_caller]
fn becomes(server: &Server, expected: (u16, &str)) {
    eventually(expected.1, || {
        let answer = server.ask("GET /ready", &[], b"");
        (answer.status, answer.body.as_str()) == expected
    });
}

#[test]
fn a_server_with_damaged_components_serves_the_rest_and_is_ready_when_they_are_mended() {
    let home = Home::new();
    let (damaged, missing) = (blob(&home, "add"), blob(&home, "greet"));
    home.load(&home.wat("divide"));
    truncate(&damaged);
    std::fs::remove_file(&missing).unwrap();
    let server = Server::open(&home, &[]);
    becomes(&server, BROKEN);
    assert_eq!(server.ask("GET /health", &[], b"").status, 200);
    let quotient = server.call("divide_divide", json!({"a": 6, "b": 2}));
    assert_eq!(quotient["isError"], false, "{quotient}");
    // Loading the same bytes puts them back and changes nothing else; what does change something makes it be seen at once.
    home.load(&home.wat("add"));
    home.json(&["component", "load", "starter:time"]);
    becomes(&server, BROKEN);
    home.json(&["component", "unload", "greet"]);
    becomes(&server, (200, "ready\n"));
    // What is damaged later must not take every process away from a balancer.
    truncate(&damaged);
    home.json(&["component", "unload", "time"]);
    eventually("it is seen", || {
        !server.tools().iter().any(|tool| tool.starts_with("time"))
    });
    becomes(&server, (200, "ready\n"));
    drop(server);
    becomes(&Server::open(&home, &[]), BROKEN);
}

#[test]
fn the_bytes_of_what_cannot_be_used_anyway_are_not_missed() {
    let home = Home::new();
    let path = home.wat("add");
    let digest = home.load(&path)["digest"].as_str().unwrap().to_owned();
    let missing = blob(&home, "add");
    home.json(&["component", "revoke", &digest, "--reason", "a test"]);
    std::fs::remove_file(missing).unwrap();
    becomes(&Server::open(&home, &[]), (200, "ready\n"));
}
