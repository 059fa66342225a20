//! Many calls at once, and calls from which something is taken while they run.

use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::net::{TcpListener, TcpStream};
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

/// The answer to one call, also if it came while another was waited for.
#[track_caller]
fn answer(client: &mut Client, id: u64) -> Json {
    match client
        .notifications
        .iter()
        .position(|message| message["id"] == id)
    {
        Some(at) => client.notifications.remove(at),
        None => client.answer(id),
    }
}

/// The first answer to any of these calls.
#[track_caller]
fn any_answer(client: &mut Client, ids: &[u64]) -> Json {
    let is_one = |message: &Json| ids.iter().any(|id| message["id"] == *id);
    loop {
        if let Some(at) = client.notifications.iter().position(is_one) {
            return client.notifications.remove(at);
        }
        let message = client.message(Duration::from_secs(60)).expect("an answer");
        client.notifications.push(message);
    }
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
    for id in sent {
        let answer = answer(&mut client, id);
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
}

#[test]
fn a_flood_for_one_component_is_turned_away_with_figures_and_delays_no_other() {
    let (home, mut client) = server();
    let sent: Vec<_> = (0..CONCURRENCY + WAITING + 1)
        .map(|_| send(&mut client, "hostile_sleep-forever", json!({})))
        .collect();
    // Not always the last: those that wait for the component to be compiled go on in any order.
    let reason = "limit of 16 calls at a time of component `hostile` reached; 128 are waiting";
    assert_eq!(failure(&any_answer(&mut client, &sent)), reason);
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
    assert_eq!(
        failure(&any_answer(&mut client, &sent)),
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
        let answer = answer(&mut client, *id);
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

/// Gives `hostile` a policy with these limits.
fn limit(home: &Home, limits: &str) {
    let text = format!("version: \"1.0\"\npermissions: {{resources: {{limits: {{{limits}}}}}}}\n");
    let path = home.file("limits.yaml", text.as_bytes());
    home.json(&["policy", "attach", "hostile", path.to_str().unwrap()]);
}

/// How long three sleeps of 400 ms take that are sent together.
fn three_sleeps(client: &mut Client) -> Duration {
    let started = Instant::now();
    let sent = [(); 3].map(|()| send(client, "hostile_sleep", json!({ "ms": 400 })));
    for id in sent {
        let answer = answer(client, id);
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
    started.elapsed()
}

#[test]
fn a_policy_says_how_many_calls_run_at_a_time() {
    let (home, mut client) = server();
    let together = three_sleeps(&mut client);
    limit(&home, "concurrency: 1");
    let in_turn = three_sleeps(&mut client);
    assert!(in_turn >= Duration::from_millis(1_200), "{in_turn:?}");
    assert!(together < in_turn, "{together:?}, {in_turn:?}");
}

#[test]
fn a_policy_says_how_many_calls_are_accepted() {
    let (home, mut client) = server();
    limit(&home, "rate: \"2/min\"");
    for _ in 0..2 {
        let answer = client.call("hostile_sleep", json!({ "ms": 0 }));
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
    let answer = client.call("hostile_sleep", json!({ "ms": 0 }));
    let text = failure(&answer);
    assert!(
        text.starts_with("limit of 2 calls in 60s of component `hostile` reached; try again in "),
        "{text}"
    );
    adds(&mut client);
    // Loading again does not reset it, and another rate counts from the next call on.
    home.json(&["component", "unload", "hostile"]);
    home.load(&guest("hostile"));
    limit(&home, "rate: \"3/min\"");
    for text in ["done", "limit of 3 calls"] {
        let answer = client.call("hostile_sleep", json!({ "ms": 0 }));
        let answer = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(answer.starts_with(text), "{answer}");
    }
}

#[test]
fn a_policy_sets_the_limits_of_a_call() {
    let (home, mut client) = server();
    for (limits, tool, arguments, reached) in [
        (
            "time: 200ms",
            "sleep",
            json!({ "ms": 60_000 }),
            "time limit of 200ms reached",
        ),
        ("cpu: 50ms", "spin", json!({}), "cpu limit of 50ms reached"),
        (
            "output: 1Ki",
            "big-result",
            json!({ "n": 2_000 }),
            "result is larger than the limit of 1 KiB",
        ),
        (
            "memory: 4Mi",
            "big-result",
            json!({ "n": 64_000_000 }),
            "memory limit of 4 MiB reached",
        ),
    ] {
        limit(&home, limits);
        let answer = client.call(&format!("hostile_{tool}"), arguments);
        assert!(failure(&answer).starts_with(reached), "{limits}: {answer}");
        let answer = client.call("hostile_sleep", json!({ "ms": 0 }));
        assert_eq!(
            answer["result"]["content"][0]["text"], "done",
            "{limits}: {answer}"
        );
    }
    limit(&home, "cpu: \"300ms 200m\"");
    let started = Instant::now();
    let answer = client.call("hostile_spin", json!({}));
    assert_eq!(failure(&answer), "cpu limit of 300ms reached");
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "the share holds, too: {:?}",
        started.elapsed()
    );
}

#[test]
fn the_ceiling_lowers_what_no_policy_sets() {
    let home = Home::new();
    home.load(&guest("hostile"));
    let text = "version: \"1.0\"\npermissions: {resources: {limits: {time: 200ms, concurrency: 1}}}\n";
    let ceiling = home.file("ceiling.yaml", text.as_bytes());
    let mut client = Client::initialized(&home, &["--ceiling", ceiling.to_str().unwrap()]);
    let answer = client.call("hostile_sleep", json!({ "ms": 60_000 }));
    assert_eq!(failure(&answer), "time limit of 200ms reached");
}

/// A call that waits for a server which never answers, under a policy that allows it to ask, and one of its own
/// for another.
fn asking() -> (Home, Client, TcpStream, u64, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let home = Home::new();
    home.load(&guest("needy"));
    home.json(&["permission", "grant", "network", "needy", &host]);
    home.json(&["permission", "grant", "network", "needy", "example.org"]);
    let mut client = Client::initialized(&home, &[]);
    let id = send(
        &mut client,
        "needy_get-url",
        json!({ "url": format!("{host}/a") }),
    );
    // Once it is connected, the guest has used its grant.
    let (peer, _) = listener.accept().unwrap();
    (home, client, peer, id, host)
}

#[test]
fn revoking_what_a_call_used_ends_it() {
    let (home, mut client, _peer, id, host) = asking();
    let started = Instant::now();
    home.json(&["permission", "revoke", "network", "needy", &host]);
    let answer = client.answer(id);
    assert_eq!(
        failure(&answer),
        format!("the call was ended: its permission to GET `{host}/a` was revoked")
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let ended = home
        .audit()
        .into_iter()
        .find(|line| line["event"] == "call.end")
        .unwrap();
    assert_eq!(
        (&ended["outcome"], &ended["requests"]),
        (&json!("revoked"), &json!(1)),
        "{ended}"
    );
}

#[test]
fn revoking_what_a_call_did_not_use_leaves_it_alone() {
    let (home, mut client, _peer, id, _host) = asking();
    home.json(&["permission", "revoke", "network", "needy", "example.org"]);
    let message = client.message(Duration::from_millis(500));
    assert!(
        message.is_none_or(|message| message["id"] != id),
        "it still waits"
    );
}

#[test]
fn a_ceiling_that_comes_down_ends_calls_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let home = Home::new();
    home.load(&guest("needy"));
    home.json(&["permission", "grant", "network", "needy", &host]);
    let ceiling = |rules: &str| {
        let text = format!("version: \"1.0\"\npermissions: {{network: {{allow: [{rules}]}}}}\n");
        home.file("ceiling.yaml", text.as_bytes())
    };
    let path = ceiling(&format!("{{host: \"{host}\"}}"));
    let mut client = Client::initialized(&home, &["--ceiling", path.to_str().unwrap()]);
    let id = send(
        &mut client,
        "needy_get-url",
        json!({ "url": format!("{host}/a") }),
    );
    let _peer = listener.accept().unwrap();
    ceiling("{host: \"example.org\"}");
    let answer = client.answer(id);
    assert!(failure(&answer).starts_with("the call was ended: "), "{answer}");
}

#[test]
fn what_a_failed_call_moved_is_shown_and_written_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let home = Home::new();
    home.load(&guest("needy"));
    home.json(&["permission", "grant", "network", "needy", &host]);
    let peer = std::thread::spawn(move || drop(listener.accept()));
    let arguments = json!({ "url": format!("{host}/a") }).to_string();
    let ran = home.run(&["tool", "invoke", "needy_get-url", "--args", &arguments]);
    peer.join().unwrap();
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("moved: 1 HTTP requests, "), "{}", ran.stderr);
    let ended = home.audit().into_iter().find(|line| line["event"] == "call.end");
    assert_eq!(ended.unwrap()["requests"], 1);
}

/// A call that has read one file and made another, and from then on asks for nothing of either folder; with the
/// folders it read from, made a file in, and never touched.
fn reading() -> (Home, Client, u64, [String; 3]) {
    let home = Home::new();
    home.load(&guest("files"));
    let top = home.path().canonicalize().unwrap();
    let folders = ["read", "made", "other"].map(|name| {
        let folder = top.join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.txt"), "text").unwrap();
        let uri = format!("fs://{}", folder.display());
        home.json(&[
            "permission",
            "grant",
            "storage",
            "files",
            &uri,
            "--access",
            "read,write",
        ]);
        folder.display().to_string()
    });
    let [read, made, _] = &folders;
    let steps = [
        format!("pre r {read}").as_str(),
        "open f r a.txt r",
        "read f 4 0",
        "drop f",
        format!("pre m {made}").as_str(),
        "open g m begun wc",
        "drop g",
        "loop 1000000000 nothing",
    ]
    .join("\n");
    let mut client = Client::initialized(&home, &[]);
    let id = send(&mut client, "files_run", json!({ "steps": steps }));
    let begun = top.join("made/begun");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun.exists() {
        assert!(Instant::now() < deadline, "the call does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    (home, client, id, folders)
}

/// Revokes a folder in another process; the call must end with this reason.
#[track_caller]
fn ended_by_revoking_a_folder(which: usize, access: &[&str], reason: &str) {
    let (home, mut client, id, folders) = reading();
    let uri = format!("fs://{}", folders[which]);
    home.json(&[&["permission", "revoke", "storage", "files", &uri], access].concat());
    let started = Instant::now();
    let answer = client.answer(id);
    let reason = reason.replace("{folder}", &folders[which]);
    assert_eq!(
        failure(&answer),
        format!("the call was ended: its permission to {reason} was revoked")
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let audit = home.audit();
    let ended = audit.iter().find(|line| line["event"] == "call.end").unwrap();
    assert_eq!(ended["outcome"], "revoked", "{ended}");
}

#[test]
fn revoking_a_folder_ends_the_call_that_used_it() {
    ended_by_revoking_a_folder(0, &[], "read `{folder}/a.txt`");
    ended_by_revoking_a_folder(0, &["--access", "read"], "read `{folder}/a.txt`");
    ended_by_revoking_a_folder(1, &["--access", "write"], "create `{folder}/begun`");
}

#[test]
fn revoking_a_folder_leaves_the_call_alone_that_did_not_use_it() {
    let (home, mut client, id, [read, _, other]) = reading();
    for (folder, access) in [(&other, &[][..]), (&read, &["--access", "write"])] {
        let uri = format!("fs://{folder}");
        home.json(&[&["permission", "revoke", "storage", "files", &uri], access].concat());
        let message = client.message(Duration::from_millis(500));
        assert!(
            message.is_none_or(|message| message["id"] != id),
            "it still runs without {folder}"
        );
    }
    // It could have been ended all the time.
    home.json(&["permission", "reset", "files"]);
    assert!(failure(&answer(&mut client, id)).starts_with("the call was ended: "));
}

#[test]
fn a_call_whose_end_cannot_be_written_down_says_that_it_was_made() {
    let (home, mut client) = server();
    let id = send(&mut client, "hostile_sleep", json!({ "ms": 1500 }));
    let audit = home.store().join("audit.jsonl");
    while !home.audit().iter().any(|line| line["event"] == "call.begin") {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::remove_file(&audit).unwrap();
    std::fs::create_dir(&audit).unwrap();
    let made = client.answer(id).to_string();
    assert!(
        made.contains("it was done") && made.contains("do not do it again"),
        "{made}"
    );
    let refused = client.call("add_add", json!({ "a": 1, "b": 2 })).to_string();
    assert!(refused.contains("so it was not made"), "{refused}");
    std::fs::remove_dir(&audit).unwrap();
}

#[test]
fn what_a_component_wrote_last_is_for_who_called_it_and_not_for_the_audit_file() {
    let (home, mut client) = server();
    let told = client.call("hostile_panic", json!({})).to_string();
    assert!(told.contains("it last wrote"), "{told}");
    let ended = home.audit().pop().unwrap();
    let reason = ended["reason"].as_str().unwrap();
    assert!(
        ended["outcome"] == "trap" && !reason.contains("last wrote"),
        "{ended}"
    );
}

#[test]
fn a_limit_is_told_with_its_value_and_what_used_it() {
    let home = Home::new();
    home.load(&guest("files"));
    let folder = home.path().canonicalize().unwrap().join("d");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "0123456789").unwrap();
    let policy = format!(
        "version: \"1.0\"\npermissions:\n  storage: {{allow: [{{uri: \"fs://{}\", access: [read, write]}}]}}\n  \
         resources: {{limits: {{file-read: 25, files: 1}}}}\n",
        folder.display()
    );
    let policy = home.file("p.yaml", policy.as_bytes());
    home.json(&["policy", "attach", "files", policy.to_str().unwrap()]);
    let run = |steps: &str| {
        let steps = format!("pre d {}\n{steps}", folder.display());
        let ran = home.run(&[
            "tool",
            "invoke",
            "files_run",
            "--args",
            &json!({ "steps": steps }).to_string(),
        ]);
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        ran.stderr
    };
    let told = run("grab d a.txt\ngrab d a.txt\ngrab d a.txt");
    let expected = format!(
        "limit of 25 bytes read from files in one call reached, by: read `{}/a.txt`",
        folder.display()
    );
    assert!(told.contains(&expected), "{told}");
    let told = run("mkdir d one\nmkdir d two");
    assert!(
        told.contains("limit of 1 file made in one call reached, most often by: create `"),
        "{told}"
    );
}
