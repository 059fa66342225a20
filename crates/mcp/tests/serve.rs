//! A client at one end of a pair of streams, a host with real components at the other.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what does not hold fails the test"
)]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wassette_host::{Actor, Command, Host, HostConfig, LoadRequest, Reference, Silent};
use wassette_mcp::{Builtin, ServeError, ServerOptions, serve};

const CALC: &str = r#"(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
    (func (export "spin") (loop br 0)))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "spin") (canon lift (core func $i "spin"))))"#;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

struct Client {
    input: DuplexStream,
    output: BufReader<DuplexStream>,
    server: JoinHandle<Result<(), ServeError>>,
    host: Host,
    folder: TempDir,
}

async fn connect() -> Client {
    let folder = tempfile::tempdir().unwrap();
    let current_folder = folder.path().join("work");
    std::fs::create_dir(&current_folder).unwrap();
    std::fs::write(current_folder.join("calc.wasm"), wat::parse_str(CALC).unwrap()).unwrap();
    let mut config = HostConfig::new(&folder.path().join("store"));
    config.agent_folders = vec![current_folder.clone()];
    let host = Host::open(config).await.unwrap();
    let options = ServerOptions {
        name: "wassette".to_owned(),
        version: "1.2.3".to_owned(),
        instructions: None,
        builtins: Builtin::MANAGING.to_vec(),
        approve_in_client: true,
        current_folder,
    };
    let (input, server_input) = duplex(65536);
    let (server_output, output) = duplex(65536);
    let server = tokio::spawn(serve(
        host.clone(),
        options,
        (server_input, server_output),
        std::future::pending(),
    ));
    Client {
        input,
        output: BufReader::new(output),
        server,
        host,
        folder,
    }
}

impl Client {
    async fn send(&mut self, message: Json) {
        self.input
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn receive(&mut self) -> Json {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), self.output.read_line(&mut line)).await;
        read.expect("a message in time").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Asks, and returns the answer and the notifications before it.
    async fn ask(&mut self, id: u32, method: &str, params: Json) -> (Json, Vec<Json>) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        let mut notifications = Vec::new();
        loop {
            let message = self.receive().await;
            if message["id"] == json!(id) {
                return (message, notifications);
            }
            notifications.push(message);
        }
    }

    async fn initialize(&mut self) -> Json {
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let (answer, _) = self.ask(0, "initialize", params).await;
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer["result"].clone()
    }

    async fn load(&self) {
        let path = self.folder.path().join("work/calc.wasm");
        let request = LoadRequest {
            reference: Reference::parse(path.to_str().unwrap(), Path::new("/")).unwrap(),
            name: None,
            replace: false,
            wit: Vec::new(),
            locked: None,
            digest: None,
        };
        self.host
            .execute(Command::Load(request), &Actor::Operator, &Silent)
            .await
            .unwrap();
    }

    /// Ends the input, and checks that the server ends of itself.
    async fn close(self) {
        drop(self.input);
        let ended = timeout(Duration::from_secs(3), self.server).await;
        ended.expect("an end in time").unwrap().unwrap();
    }
}

fn text(text: &str) -> Json {
    json!([{"type": "text", "text": text}])
}

fn names(list: &Json) -> Vec<&str> {
    list["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect()
}

/// Our tools, then those of the component that the agent loads.
const OFFERED: [&str; 10] = [
    "load-component",
    "unload-component",
    "list-components",
    "search-components",
    "get-policy",
    "request-permission",
    "revoke-permission",
    "reset-permission",
    "calc_add",
    "calc_spin",
];

/// What a server may have at any time: components come and go while clients are connected.
fn capabilities() -> Json {
    json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"subscribe": true, "listChanged": true},
        "completions": {},
        "logging": {},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    })
}

#[tokio::test]
async fn an_agent_of_the_handshake_era_loads_lists_calls_and_unloads() {
    let mut client = connect().await;
    let initialized = client.initialize().await;
    assert_eq!(initialized["protocolVersion"], json!("2025-11-25"));
    assert_eq!(initialized["capabilities"], capabilities());

    let call = json!({"name": "load-component", "arguments": {"path": "calc.wasm"}, "_meta": {"progressToken": "p"}});
    let (loaded, notes) = client.ask(1, "tools/call", call).await;
    let result = &loaded["result"]["structuredContent"];
    assert_eq!(
        result["status"],
        json!("component loaded successfully"),
        "{loaded}"
    );
    assert_eq!(result["tools"], json!(["calc_add", "calc_spin"]));
    let steps: Vec<_> = notes
        .iter()
        .filter_map(|note| note["params"]["progress"].as_f64())
        .collect();
    assert!(steps.len() > 1 && steps.is_sorted_by(|a, b| a < b), "{notes:?}");

    assert_eq!(
        client.receive().await["method"],
        json!("notifications/tools/list_changed")
    );
    let (list, _) = client.ask(2, "tools/list", json!({})).await;
    assert_eq!(names(&list), OFFERED);
    assert_eq!(list["result"].get("resultType"), None);

    let (sum, _) = client
        .ask(
            3,
            "tools/call",
            json!({"name": "calc_add", "arguments": {"a": 2, "b": 3}}),
        )
        .await;
    let expected = json!({
        "content": text(r#"{"result":5}"#), "structuredContent": {"result": 5}, "isError": false
    });
    assert_eq!(sum["result"], expected);

    let (unloaded, _) = client
        .ask(
            4,
            "tools/call",
            json!({"name": "unload-component", "arguments": {"id": "calc"}}),
        )
        .await;
    assert_eq!(
        unloaded["result"]["structuredContent"]["status"],
        json!("component unloaded successfully")
    );
    client.close().await;
}

#[tokio::test]
async fn a_client_of_the_stateless_era_discovers_listens_and_is_told_of_a_load() {
    let mut client = connect().await;
    let meta = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
    let (found, _) = client.ask(1, "server/discover", json!({"_meta": meta})).await;
    assert_eq!(found["result"]["capabilities"], capabilities(), "{found}");
    let listen =
        json!({"_meta": meta, "notifications": {"toolsListChanged": true, "promptsListChanged": true}});
    client
        .send(json!({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": listen}))
        .await;
    let acknowledged = client.receive().await;
    assert_eq!(
        acknowledged["params"]["notifications"],
        json!({"toolsListChanged": true, "promptsListChanged": true}),
        "{acknowledged}"
    );
    client.load().await;
    let changed = client.receive().await;
    assert_eq!(changed["method"], json!("notifications/tools/list_changed"));
    assert_eq!(
        changed["params"]["_meta"],
        json!({"io.modelcontextprotocol/subscriptionId": "l"})
    );

    let identity = json!({"io.modelcontextprotocol/serverInfo": {"name": "wassette", "version": "1.2.3"}});
    let (list, _) = client.ask(2, "tools/list", json!({"_meta": meta})).await;
    assert_eq!(list["result"]["_meta"], identity);
    let call = json!({"name": "calc_add", "arguments": {"a": 1, "b": 1}, "_meta": meta});
    let (sum, _) = client.ask(3, "tools/call", call).await;
    let expected = json!({
        "resultType": "complete", "content": text(r#"{"result":2}"#), "structuredContent": {"result": 2},
        "isError": false, "_meta": identity,
    });
    assert_eq!(sum["result"], expected);
    let old = json!({VERSION: "1999-01-01", CAPABILITIES: {}});
    let (refused, _) = client
        .ask(4, "tools/call", json!({"name": "calc_add", "_meta": old}))
        .await;
    assert_eq!(refused["error"]["code"], json!(-32022));
    // With a subscription open: it must not hold up the end.
    client.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_way_that_reaches_who_can_mend_it() {
    let mut client = connect().await;
    client.initialize().await;
    client.load().await;
    let mut id = 10;
    for (method, params, code) in [
        ("tools/call", json!({"name": "calc_nope"}), -32602),
        ("tools/call", json!({"name": "calc_add", "arguments": 3}), -32602),
        ("tools/list", json!({"cursor": "page-2"}), -32602),
        ("prompts/get", json!({"name": "nope"}), -32602),
        ("prompts/get", json!({}), -32602),
        ("resources/read", json!({"uri": "nope://x"}), -32002),
        ("resources/list", json!({"cursor": "page-2"}), -32602),
        ("skills/list", json!({}), -32601),
        ("no/such", json!({}), -32601),
    ] {
        id += 1;
        let (answer, _) = client.ask(id, method, params).await;
        assert_eq!(answer["error"]["code"], json!(code), "{answer}");
    }
    for (tool, arguments, message) in [
        ("calc_add", json!({"a": 1}), "invalid arguments: "),
        (
            "load-component",
            json!({"path": "/etc/passwd"}),
            "an agent may not load a component from there",
        ),
        (
            "load-component",
            json!({}),
            "invalid arguments: `/path`: expected a string, found nothing",
        ),
        (
            "unload-component",
            json!({"id": "nope"}),
            "unknown component `nope`",
        ),
    ] {
        id += 1;
        let (answer, _) = client
            .ask(id, "tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        let result = &answer["result"];
        assert_eq!(
            (&result["isError"], result.get("structuredContent")),
            (&json!(true), None),
            "{answer}"
        );
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .starts_with(message),
            "{answer}"
        );
    }
    client.close().await;
}

#[tokio::test]
async fn a_spinning_guest_holds_up_nothing_and_is_stopped_by_cancelling() {
    let mut client = connect().await;
    client.load().await;
    client.initialize().await;
    let spin = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "calc_spin"}});
    client.send(spin).await;
    let (sum, _) = client
        .ask(
            8,
            "tools/call",
            json!({"name": "calc_add", "arguments": {"a": 1, "b": 1}}),
        )
        .await;
    assert_eq!(sum["result"]["structuredContent"], json!({"result": 2}));
    client
        .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    let audit = client.folder.path().join("store/audit.jsonl");
    let audited = async {
        loop {
            let lines = std::fs::read_to_string(&audit).unwrap();
            let outcomes = lines
                .lines()
                .map(|line| serde_json::from_str::<Json>(line).unwrap()["outcome"].clone());
            if outcomes.into_iter().any(|outcome| outcome == json!("cancelled")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(2), audited)
        .await
        .expect("the audit file says that the guest was stopped");
    client.close().await;
}
