//! Other people's MCP clients against the program: what they make of its lists and results, in each era they speak.

use crate::balancer::Balanced;
use crate::http::{Server, told};
use crate::support::{Client, Home, Ran, guest, root};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The components that are shipped, one with every type there is, and one of the rich world.
const COMPONENTS: [&str; 6] = ["conformance", "fetch", "filesystem", "kitchen", "text", "time"];

#[test]
fn inspector_finds_no_fault_in_a_list() {
    let home = Home::new();
    for name in COMPONENTS {
        home.load(&guest(name));
    }
    let expected = Client::initialized(&home, &[]).tools();
    for era in ["legacy", "auto", "modern"] {
        let ran = inspect(&home, era, &["--method", "tools/list", "--strict"]);
        // Everything it has to say about schemas stands there, also what it takes for a trifle.
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{era}");
        let printed: Json = serde_json::from_str(&ran.stdout).unwrap();
        let listed = printed["result"]["tools"].as_array().unwrap();
        assert_eq!(
            listed
                .iter()
                .map(|tool| tool["name"].as_str().unwrap())
                .collect::<Vec<_>>(),
            expected,
            "{era}"
        );
    }
}

#[test]
fn inspector_finds_no_fault_in_a_server_over_http() {
    let home = Home::new();
    for name in COMPONENTS {
        home.load(&guest(name));
    }
    let server = Server::start(&home, &[]);
    for era in ["legacy", "modern"] {
        assert!(listed_over_http(&home, &server, era).len() > 30, "{era}");
    }
}

#[test]
fn inspector_finds_no_fault_in_the_tools_of_the_server() {
    let home = Home::new();
    home.load(&guest("text"));
    let server = Server::start(&home, &["--enable-builtin-tools", "--tool-search"]);
    for era in ["legacy", "modern"] {
        let tools = listed_over_http(&home, &server, era);
        assert_eq!(tools.last().unwrap()["name"], "invoke-tool", "{era}");
        assert_eq!(tools.len(), 10, "{era}");
    }
}

/// The tools that the Inspector lists, and has nothing to say against.
#[track_caller]
fn listed_over_http(home: &Home, server: &Server, era: &str) -> Vec<Json> {
    let url = format!("http://{}/mcp", server.address);
    let token = format!("Authorization: Bearer {}", server.token.as_deref().unwrap());
    let mut command = inspector();
    command
        .args(["--server-url", &url, "--transport", "http", "--header", &token])
        .args(["--protocol-era", era, "--format", "json"])
        .args(["--method", "tools/list", "--strict"]);
    let ran = run(home, &mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{era}: {}", ran.stdout);
    let printed: Json = serde_json::from_str(&ran.stdout).unwrap();
    printed["result"]["tools"].as_array().unwrap().clone()
}

#[test]
fn inspector_calls() {
    let home = Home::new();
    home.load(&guest("kitchen"));
    for era in ["legacy", "modern"] {
        let call = |tool: &str, arguments: &str| {
            let call = [
                "--method",
                "tools/call",
                "--tool-name",
                tool,
                "--tool-args-json",
                arguments,
            ];
            let ran = inspect(&home, era, &call);
            // What it prints goes to two streams, which one depends on the outcome.
            let printed: Vec<Json> = [ran.stdout, ran.stderr]
                .iter()
                .flat_map(|text| text.lines())
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{era}: {line}: {e}")))
                .collect();
            (ran.code, printed)
        };
        let (code, printed) = call("kitchen_divide", r#"{"a": 7, "b": -2}"#);
        assert_eq!(
            (code, &printed[0]["result"]["structuredContent"]),
            (0, &json!({ "result": -3 })),
            "{era}"
        );
        let (code, printed) = call("kitchen_divide", r#"{"a": 7, "b": 0}"#);
        let text = json!([{ "type": "text", "text": "divide-by-zero" }]);
        assert_eq!((code, &printed[0]["result"]["content"]), (5, &text), "{era}");
        assert_eq!(printed[1]["error"]["code"], "tool_is_error", "{era}");
    }
}

#[test]
fn inspector_finds_that_no_call_fails_under_load() {
    let home = Home::new();
    home.load(&guest("kitchen"));
    let server = Server::open(&home, &[]);
    let url = format!("http://{}/mcp", server.address);
    let served = [env!("CARGO_BIN_EXE_wassette"), "run"];
    for target in [&served[..], &["--server-url", &url, "--transport", "http"]] {
        for era in ["legacy", "modern"] {
            let mut command = inspector();
            command
                .args(target)
                .args(["--protocol-era", era, "--format", "json"])
                .args(["--method", "tools/call", "--tool-name", "kitchen_divide"])
                .args(["--tool-args-json", r#"{"a": 7, "b": -2}"#])
                .args(["--load", "--load-requests", "300", "--load-concurrency", "16"]);
            let before = told(&home, "call.end");
            let ran = run(&home, &mut command);
            assert_eq!(
                (ran.code, ran.stderr.as_str()),
                (0, ""),
                "{era} {target:?}: {}",
                ran.stdout
            );
            let printed: Json = serde_json::from_str(&ran.stdout).unwrap();
            // What a call that fails does to its exit code is not said.
            let counts = ["requests", "ok", "toolErrors", "errors"].map(|name| &printed["result"][name]);
            assert_eq!(counts, [300, 300, 0, 0], "{era} {target:?}: {printed}");
            assert_eq!(told(&home, "call.end") - before, 300, "{era} {target:?}");
        }
    }
}

/// Each client, in each era it speaks, over each transport.
macro_rules! rounds {
    ($($name:ident: $client:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn makes_the_round_over_pipes() {
                check($client, |_home| (env!("CARGO_BIN_EXE_wassette").to_owned(), ()));
            }

            #[test]
            fn makes_the_round_over_http() {
                check($client, |home| {
                    let server = Server::open(home, &["--enable-builtin-tools"]);
                    (format!("http://{}/mcp", server.address), server)
                });
            }

            #[test]
            fn makes_the_round_through_a_balancer() {
                check($client, |home| {
                    let balanced = Balanced::start(home, &["--enable-builtin-tools"]);
                    (format!("http://{}/mcp", balanced.address), balanced)
                });
            }
        })*
    };
}

rounds! {
    typescript_sdk_1: typescript("1", "legacy");
    typescript_sdk_2_with_a_handshake: typescript("2", "legacy");
    typescript_sdk_2_without_a_handshake: typescript("2", "modern");
    python_sdk_with_a_handshake: python("legacy");
    python_sdk_without_a_handshake: python("modern");
    fast_mcp_with_a_handshake: fast_mcp("legacy");
    fast_mcp_without_a_handshake: fast_mcp("modern");
    rust_sdk_of_2024_11_05: rust("2024-11-05");
    rust_sdk_of_2025_03_26: rust("2025-03-26");
    rust_sdk_of_2025_06_18: rust("2025-06-18");
    rust_sdk_of_2025_11_25: rust("2025-11-25");
    rust_sdk_of_2026_07_28: rust("2026-07-28");
}

/// A person at a terminal: what they type is not shown, and the terminal is as before, also after Ctrl-C.
#[test]
fn a_secret_is_asked_for_at_a_terminal_without_being_shown() {
    let home = Home::new();
    home.load(&guest("needy"));
    let ask = |typed: &str| {
        let mut person = clean(&installed("WASSETTE_PYTHON"));
        person
            .arg(script("terminal.py"))
            .args([typed, "value of `token`: ", env!("CARGO_BIN_EXE_wassette")])
            .args(["secret", "set", "needy", "token"])
            .env("WASSETTE_SECRETS_BACKEND", "file");
        let ran = run(&home, &mut person);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let interrupted = ask("\\x03");
    assert_eq!(interrupted["echoes"], true, "{interrupted}");
    assert_eq!(interrupted["code"], 1, "{interrupted}");
    let kept = |home: &Home| home.run(&["secret", "list", "needy"]).stdout;
    assert!(!kept(&home).contains("token"), "{}", kept(&home));
    let told = ask("hunter2\\n");
    assert_eq!(told["echoes"], true, "{told}");
    assert_eq!(told["code"], 0, "{told}");
    assert!(!told.to_string().contains("hunter2"), "{told}");
    assert!(kept(&home).contains("token"), "{}", kept(&home));
}

/// A person who allows in their client what the model asks for, in each era.
#[test]
fn a_person_allows_in_a_form_what_the_model_asks_for() {
    for (generation, era) in [("1", "legacy"), ("2", "legacy"), ("2", "modern")] {
        let home = Home::new();
        home.load(&guest("needy"));
        let arguments = json!({
            "component_id": "needy", "permission_type": "network", "value": "api.example.com", "reason": "to greet",
        });
        let mut client = node();
        client
            .arg(script("form.mjs"))
            .args([generation, era, env!("CARGO_BIN_EXE_wassette")])
            .env("WASSETTE_NODE_TOOLS", node_tools())
            .env("ARGUMENTS", arguments.to_string());
        let ran = run(&home, &mut client);
        assert_eq!(ran.code, 0, "{ran:?}");
        let seen: Json = serde_json::from_str(&ran.stdout).unwrap();
        let shown = seen["shown"].as_array().unwrap();
        assert_eq!(shown.len(), 1, "{seen}");
        let form = shown[0].as_str().unwrap();
        assert!(
            form.contains("api.example.com") && form.contains("\"to greet\""),
            "{form}"
        );
        assert_eq!(seen["answer"]["status"], "permission granted", "{seen}");
        let rules = &home.json(&["policy", "get", "needy"])["rules"];
        assert_eq!(*rules, json!(["network allow host \"api.example.com\""]));
    }
}

/// Calls of the round, each with the result a client must hand on unchanged.
fn calls() -> Vec<(Json, Json)> {
    let value = |tool: &str, arguments: Json, value: Json| {
        let structured = json!({ "result": value });
        let content = json!([{ "type": "text", "text": structured.to_string() }]);
        let result = json!({ "content": content, "structuredContent": structured, "isError": false });
        (json!([format!("kitchen_{tool}"), arguments]), result)
    };
    let text = |tool: &str, arguments: Json, text: &str, is_error: bool| {
        let result = json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
        (json!([format!("kitchen_{tool}"), arguments]), result)
    };
    let shape = json!({ "name": "Zoë", "corners": [{ "x": 1, "y": -1 }], "fill": "sky-blue" });
    let payloads = json!(["empty", { "number": "NaN" }, { "blob": "AP+A" }, { "maybe": null }]);
    vec![
        value("divide", json!({ "a": 7, "b": -2 }), json!(-3)),
        value(
            "echo-u64",
            json!({ "v": "18446744073709551615" }),
            json!("18446744073709551615"),
        ),
        value("echo-f64", json!({ "v": "-Infinity" }), json!("-Infinity")),
        value("echo-option", json!({}), Json::Null),
        value(
            "echo-nested-option",
            json!({ "v": { "some": null } }),
            json!({ "some": null }),
        ),
        value(
            "echo-tuple",
            json!({ "v": [255, "", false] }),
            json!([255, "", false]),
        ),
        value("echo-shape", json!({ "v": shape }), shape),
        value("echo-payloads", json!({ "v": payloads }), payloads),
        value("echo-weekdays", json!({ "v": [] }), json!([])),
        text("note", json!({ "text": "x" }), "done", false),
        text("divide", json!({ "a": 7, "b": 0 }), "divide-by-zero", true),
        text(
            "echo-u8",
            json!({ "v": 256 }),
            "invalid arguments: expected an integer from 0 to 255 (u8), found `256` at `/v`",
            true,
        ),
    ]
}

/// Has a client list, call, load and unload, and compares everything it saw. It is told where the server is, which
/// lives as long as what comes with that.
#[track_caller]
fn check<S>(mut client: Command, serve: impl FnOnce(&Home) -> (String, S)) {
    let home = Home::new();
    home.load(&guest("kitchen"));
    home.wat("add");
    let offered = Client::initialized(&home, &[]).tools();
    // Ours come first; the others by name.
    let (ours, others): (Vec<_>, Vec<_>) = offered.iter().partition(|tool| !tool.contains('_'));
    let with_add: Vec<String> = ours
        .into_iter()
        .cloned()
        .chain(["add_add".to_owned()])
        .chain(others.into_iter().cloned())
        .collect();
    let (calls, results): (Vec<_>, Vec<_>) = calls().into_iter().unzip();
    let round = json!({
        "calls": calls,
        "load": ["load-component", { "path": "./add.wasm" }],
        "unload": ["unload-component", { "id": "add" }],
    });
    let (place, _server) = serve(&home);
    client.arg(place).env("ROUND", round.to_string());
    let ran = run(&home, &mut client);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let seen: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout));
    let expected = json!({
        "server": "wassette",
        "offered": offered,
        "results": results,
        "unknown": -32602,
        "load": false,
        "loaded": with_add,
        "unload": false,
        "unloaded": offered,
    });
    assert_eq!(seen, expected);
}

fn typescript(generation: &str, era: &str) -> Command {
    let mut command = node();
    command.arg(script("typescript.mjs")).args([generation, era]);
    command
}

fn python(era: &str) -> Command {
    let mut command = clean(&installed("WASSETTE_PYTHON"));
    command.arg(script("python.py")).arg(era);
    command
}

fn fast_mcp(era: &str) -> Command {
    let mut command = clean(&installed("WASSETTE_PYTHON"));
    command.arg(script("fast_mcp.py")).arg(era);
    command
}

fn rust(revision: &str) -> Command {
    let mut command = clean(&installed("WASSETTE_RUST_CLIENT"));
    command.arg(revision);
    command
}

pub(crate) fn script(name: &str) -> PathBuf {
    root().join("tests/it/clients").join(name)
}

/// Runs the MCP Inspector's command line against the program.
fn inspect(home: &Home, era: &str, arguments: &[&str]) -> Ran {
    let mut command = inspector();
    command
        .args([env!("CARGO_BIN_EXE_wassette"), "run"])
        .args(["--protocol-era", era, "--format", "json"])
        .args(arguments);
    run(home, &mut command)
}

fn inspector() -> Command {
    let inspector = node_tools().join("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let mut command = node();
    command.arg(inspector).arg("--cli");
    command
}

/// Runs a client in a home. It ends by itself: each has its own bound on time.
fn run(home: &Home, client: &mut Command) -> Ran {
    let client = client.env("HOME", home.path()).current_dir(home.path());
    Ran::of(client.stdin(Stdio::null()).output().unwrap())
}

pub(crate) fn node() -> Command {
    let program = node_tools().join("node/bin/node");
    let mut command = clean(&program.with_extension(std::env::consts::EXE_EXTENSION));
    command.env("WASSETTE_NODE_TOOLS", node_tools());
    command
}

pub(crate) fn node_tools() -> PathBuf {
    installed("WASSETTE_NODE_TOOLS")
}

/// A program with nothing of our environment.
pub(crate) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// What `cargo xtask setup` installed and `cargo xtask test` names.
fn installed(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("`{variable}` is not set: run `cargo xtask test`"));
    assert!(path.exists(), "`{variable}` names nothing: {}", path.display());
    path
}
