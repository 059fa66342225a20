//! Guests that do harm: each is stopped or contained with a reason, and the server goes on.

use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

struct Zoo {
    _home: Home,
    client: Client,
}

impl Zoo {
    fn open() -> Self {
        let home = Home::new();
        home.load(&guest("hostile"));
        home.load(&home.wat("add"));
        let client = Client::initialized(&home, &[]);
        Self { _home: home, client }
    }

    fn call(&mut self, function: &str, arguments: Json) -> Json {
        self.client.call(&format!("hostile_{function}"), arguments)["result"].clone()
    }

    /// Calls what must fail, with this reason, and checks that the server still works.
    #[track_caller]
    fn contained(&mut self, function: &str, arguments: Json, reason: &str) {
        let result = self.call(function, arguments);
        assert_eq!(result["isError"], true, "{function}: {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(reason), "{function}: {text}");
        assert!(
            result.get("structuredContent").is_none(),
            "{function}: errors are text only"
        );
        let sum = self.client.call("add_add", json!({ "a": 1, "b": 2 }));
        assert_eq!(
            sum["result"]["structuredContent"],
            json!({ "result": 3 }),
            "after {function}: {sum}"
        );
    }
}

#[test]
fn harm_is_contained_with_a_reason() {
    let mut zoo = Zoo::open();
    zoo.contained("recurse", json!({ "depth": 0 }), "stack limit reached");
    zoo.contained("panic", json!({}), "the component trapped: unreachable code");
    zoo.contained("exit", json!({ "code": 0 }), "the component exited with code 0");
    zoo.contained("exit", json!({ "code": 3 }), "the component exited with code");
    zoo.contained(
        "big-result",
        json!({ "n": 2 << 20 }),
        "result is larger than the limit of 1 MiB",
    );
    zoo.contained(
        "big-result",
        json!({ "n": 64 << 20 }),
        "limit of 16 MiB in one host call reached",
    );
    zoo.contained(
        "big-error",
        json!({ "n": 2 << 20 }),
        "result is larger than the limit of 1 MiB",
    );
    zoo.contained(
        "big-random",
        json!({ "n": 1_u64 << 30 }),
        "a request for random numbers exceeded the limit of 1 MiB",
    );
    zoo.contained("many-handles", json!({ "n": 100_000 }), "limit of 4096 live");
}

#[test]
fn memory_stops_at_the_limit() {
    let mut zoo = Zoo::open();
    let result = zoo.call("eat-memory", json!({}));
    let pages = result["structuredContent"]["result"]
        .as_u64()
        .unwrap_or_else(|| panic!("{result}"));
    assert!(
        (1_000..=2_048).contains(&pages),
        "128 MiB are 2048 pages: {pages}"
    );
}

#[test]
fn a_flood_of_output_is_dropped_and_the_protocol_stays_clean() {
    let mut zoo = Zoo::open();
    // Every line the client reads is parsed as JSON and matched by id, so one stray byte would fail here.
    for (function, arguments) in [
        ("flood-stdout", json!({ "n": 20 << 20 })),
        ("print-json-rpc", json!({})),
    ] {
        let result = zoo.call(function, arguments);
        assert_eq!(
            result["content"],
            json!([{ "type": "text", "text": "done" }]),
            "{function}: {result}"
        );
    }
    assert!(
        zoo.client.message(Duration::from_millis(200)).is_none(),
        "nothing follows the answers"
    );
}

#[test]
fn calls_share_nothing() {
    let mut zoo = Zoo::open();
    for _ in 0..3 {
        assert_eq!(
            zoo.call("count-calls", json!({}))["structuredContent"],
            json!({ "result": 1 })
        );
    }
}

/// Starts a call, cancels it, and sees that the guest is gone: a server with one place for a call has room.
#[track_caller]
fn cancelled(function: &str, arguments: Json) {
    let mut zoo = Zoo::open();
    let id = zoo.client.send(
        "tools/call",
        json!({ "name": format!("hostile_{function}"), "arguments": arguments }),
    );
    std::thread::sleep(Duration::from_millis(100));
    zoo.client
        .notify("notifications/cancelled", json!({ "requestId": id }));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let ended = zoo
            ._home
            .audit()
            .iter()
            .any(|line| line["event"] == "call.end" && line["outcome"] == "cancelled");
        if ended {
            break;
        }
        assert!(Instant::now() < deadline, "{function} was not stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sum = zoo.client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(sum["result"]["structuredContent"], json!({ "result": 3 }));
    assert!(
        zoo.client.notifications.iter().all(|m| m["id"] != id),
        "no answer follows a cancelled request"
    );
}

#[test]
fn a_cancelled_call_stops_its_guest() {
    cancelled("spin", json!({}));
    cancelled("sleep-forever", json!({}));
    cancelled("busy-host-calls", json!({}));
}

#[test]
fn slow_guests_do_not_hold_up_others() {
    let mut zoo = Zoo::open();
    let slow: Vec<_> = ["spin", "sleep-forever", "busy-host-calls"]
        .map(|function| {
            zoo.client.send(
                "tools/call",
                json!({ "name": format!("hostile_{function}"), "arguments": {} }),
            )
        })
        .to_vec();
    let started = Instant::now();
    for n in 0..50 {
        let sum = zoo.client.call("add_add", json!({ "a": n, "b": 1 }));
        assert_eq!(sum["result"]["structuredContent"], json!({ "result": n + 1 }));
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "fifty calls took {:?}",
        started.elapsed()
    );
    assert!(
        slow.iter()
            .all(|id| zoo.client.notifications.iter().all(|m| m["id"] != *id)),
        "they still run"
    );
}
