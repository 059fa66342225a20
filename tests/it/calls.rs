//! Many calls at once, and calls from which something is taken while they run.

use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// Calls of one component that run at a time, unless its policy says otherwise.
const CONCURRENCY: usize = 16;

/// Calls of one component that wait.
const WAITING: usize = 128;

fn server() -> (Home, Client) {
    let home = Home::new();
    home.load(&guest("hostile"));
    home.load(&home.wat("add"));
    let client = Client::initialized(&home, &[]);
    (home, client)
}

fn send(client: &mut Client, tool: &str, arguments: Json) -> u64 {
    client.send("tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// The text of a call that failed.
#[track_caller]
fn failure(answer: &Json) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

#[track_caller]
fn adds(client: &mut Client) {
    let sum = client.call("add_add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        sum["result"]["structuredContent"],
        json!({ "result": 3 }),
        "{sum}"
    );
}

#[test]
fn more_calls_than_places_wait_for_their_turn_and_are_answered() {
    let (_home, mut client) = server();
    let sent: Vec<_> = (0..CONCURRENCY + WAITING)
        .map(|_| send(&mut client, "hostile_sleep", json!({ "ms": 50 })))
        .collect();
    // Asked backwards, so that the answers were collected on the way to the last.
    for id in sent.into_iter().rev() {
        let known = client
            .notifications
            .iter()
            .position(|message| message["id"] == id);
        let answer = match known {
            Some(at) => client.notifications.remove(at),
            None => client.answer(id),
        };
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
}

#[test]
fn a_flood_for_one_component_is_turned_away_with_figures_and_delays_no_other() {
    let (home, mut client) = server();
    let sent: Vec<_> = (0..CONCURRENCY + WAITING + 1)
        .map(|_| send(&mut client, "hostile_sleep-forever", json!({})))
        .collect();
    let answer = client.answer(*sent.last().unwrap());
    let reason = "limit of 16 calls at a time of component `hostile` reached; 128 are waiting";
    assert_eq!(failure(&answer), reason);
    let started = Instant::now();
    for _ in 0..20 {
        adds(&mut client);
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    // Those that wait are told in time that no turn comes.
    let answer = client.answer(sent[CONCURRENCY]);
    assert_eq!(
        failure(&answer),
        "limit of 16 calls at a time of component `hostile` reached; no turn came within 10s"
    );
    let turned_away = |line: &Json| line["outcome"] == "limit" && line["reason"] == reason;
    assert_eq!(home.audit().into_iter().filter(turned_away).count(), 1);
}

#[test]
fn cancelling_calls_that_wait_makes_room() {
    let (_home, mut client) = server();
    let mut sent: Vec<_> = (0..CONCURRENCY + WAITING)
        .map(|_| send(&mut client, "hostile_sleep-forever", json!({})))
        .collect();
    for id in sent.split_off(CONCURRENCY) {
        client.notify("notifications/cancelled", json!({ "requestId": id }));
    }
    client.notify("notifications/cancelled", json!({ "requestId": sent[0] }));
    let answer = client.call("hostile_sleep", json!({ "ms": 1 }));
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}

/// Starts calls that would never end, does something in another process, and wants them ended at once.
#[track_caller]
fn ended_by(change: impl FnOnce(&Home)) {
    let (home, mut client) = server();
    let sent: Vec<_> = ["hostile_spin", "hostile_busy-host-calls"]
        .into_iter()
        .chain(["hostile_sleep-forever"; CONCURRENCY])
        .map(|tool| send(&mut client, tool, json!({})))
        .collect();
    adds(&mut client);
    // Longer than a call needs to be on its way; two of them wait for their turn.
    std::thread::sleep(Duration::from_millis(300));
    change(&home);
    let started = Instant::now();
    for id in &sent {
        let known = client
            .notifications
            .iter()
            .position(|message| message["id"] == *id);
        let answer = match known {
            Some(at) => client.notifications.remove(at),
            None => client.answer(*id),
        };
        assert_eq!(
            failure(&answer),
            "the call was ended: its permission to run was revoked"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let revoked = |line: &Json| line["event"] == "call.end" && line["outcome"] == "revoked";
    assert_eq!(home.audit().into_iter().filter(revoked).count(), sent.len());
    adds(&mut client);
}

#[test]
fn calls_of_a_component_that_is_unloaded_are_ended() {
    ended_by(|home| drop(home.json(&["component", "unload", "hostile"])));
}

#[test]
fn calls_of_a_component_that_is_replaced_are_ended() {
    ended_by(|home| {
        let other = guest("kitchen");
        let load = [
            "component",
            "load",
            other.to_str().unwrap(),
            "--name",
            "hostile",
            "--replace",
        ];
        drop(home.json(&load));
    });
}

#[test]
fn calls_of_other_components_go_on() {
    let (home, mut client) = server();
    let sleep = send(&mut client, "hostile_sleep", json!({ "ms": 1500 }));
    std::thread::sleep(Duration::from_millis(200));
    home.json(&["component", "unload", "add"]);
    let answer = client.answer(sleep);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}
