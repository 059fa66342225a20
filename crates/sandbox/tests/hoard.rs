//! What a guest leaves with its host without ever using it: each piece is bounded, so that all that a guest may
//! hold fits the machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{Control, Invocation, PrepareError, Prepared, Sandbox, SandboxConfig};
use wassette_wit::{Tool, World, encode, tools};

/// A component from `tests/components`.
struct Guest {
    prepared: Arc<Prepared>,
    tools: Vec<Tool>,
}

impl Guest {
    fn load(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/components")
            .join(name)
            .with_extension("wat");
        let wasm = wat::parse_file(path).unwrap();
        let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
        Self {
            prepared: Arc::new(sandbox.prepare(&wasm).unwrap()),
            tools: tools("guest", &World::read(&wasm).unwrap()).unwrap(),
        }
    }

    async fn value(&self, function: &str, arguments: Json) -> Json {
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        let tool = Arc::new(tool.unwrap().clone());
        let invocation = Invocation {
            function: Arc::new(tool.function()),
            arguments: tool.decode_arguments(&arguments).unwrap(),
            control: Control::nothing(Authority::nothing(Limits::DEFAULT)),
            client: None,
        };
        let report = Arc::clone(&self.prepared).call(invocation).await;
        encode(tool.result.as_ref().unwrap(), &report.result.unwrap().unwrap())
    }
}

#[tokio::test]
async fn texts_of_a_request_are_bounded() {
    let guest = Guest::load("http-hoard");
    assert_eq!(guest.value("keep", json!({ "bytes": 8 << 10 })).await, json!(3));
    assert_eq!(
        guest.value("keep", json!({ "bytes": (8 << 10) + 1 })).await,
        json!(0)
    );
}

#[tokio::test]
async fn what_waits_in_a_body_is_bounded() {
    let guest = Guest::load("http-hoard");
    let room = guest.value("room", json!({})).await;
    assert_eq!(room.to_string().trim_matches('"'), (16 << 10).to_string());
}

#[test]
fn what_fills_tables_and_globals_is_bounded_before_it_is_compiled() {
    let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
    let check = |module: &str, is_taken: bool| {
        let text = format!("(component (core module (table 10 funcref) (func $f) {module}))");
        match sandbox.scan(&wat::parse_str(text).unwrap()) {
            Ok(()) => assert!(is_taken, "taken"),
            Err(PrepareError::TooLarge { what, .. }) => {
                assert!(!is_taken && what.ends_with("elements and globals"), "{what}");
            }
            Err(error) => panic!("{error}"),
        }
    };
    let elements = |count: usize| format!("(elem (i32.const 0) func {})", "$f ".repeat(count));
    check(&elements(65_535), true);
    check(&elements(65_536), false);
    check(&"(elem (i32.const 0) func)".repeat(65_537), false);
    check(&"(global funcref (ref.func $f))".repeat(65_537), false);
    let long = "(i32.const 1) i32.add ".repeat(400_000);
    check(&format!("(global i32 (i32.const 1) {long})"), false);
}
