//! What a guest can do to its host, tried with guests in WebAssembly text: it is answered, bounded or
//! refused, and the next call works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{
    Allocation, CallError, CallReport, Control, Invocation, Limit, PrepareError, Prepared, Sandbox,
    SandboxConfig, TrapClass,
};
use wassette_wit::{Tool, World, encode, tools};

fn wasm(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/components")
        .join(name)
        .with_extension("wat");
    wat::parse_file(path).unwrap()
}

struct Guest {
    prepared: Arc<Prepared>,
    tools: Vec<Arc<Tool>>,
}

impl Guest {
    fn load(sandbox: &Sandbox, name: &str) -> Self {
        Self::of(sandbox, &wasm(name))
    }

    fn of(sandbox: &Sandbox, wasm: &[u8]) -> Self {
        let world = World::read(wasm).unwrap();
        let tools = tools("guest", &world)
            .unwrap()
            .into_iter()
            .map(Arc::new)
            .collect();
        Self {
            prepared: Arc::new(sandbox.prepare(wasm).unwrap()),
            tools,
        }
    }

    fn tool(&self, function: &str) -> Arc<Tool> {
        let found = self.tools.iter().find(|tool| tool.path.function == function);
        Arc::clone(found.unwrap_or_else(|| panic!("no function `{function}`")))
    }

    async fn call_within(&self, function: &str, arguments: Json, limits: Limits) -> CallReport {
        let tool = self.tool(function);
        let arguments = tool.decode_arguments(&arguments).unwrap();
        let control = Control::nothing(Authority::nothing(limits));
        Arc::clone(&self.prepared)
            .call(Invocation {
                function: Arc::new(tool.function()),
                arguments,
                control,
                client: None,
            })
            .await
    }

    async fn call(&self, function: &str, arguments: Json) -> CallReport {
        self.call_within(function, arguments, Limits::DEFAULT).await
    }

    async fn value(&self, function: &str, arguments: Json) -> Json {
        let report = self.call(function, arguments).await;
        let value = report.result.unwrap().expect("the function has a result");
        encode(self.tool(function).result.as_ref().unwrap(), &value)
    }

    async fn error(&self, function: &str, arguments: Json, limits: Limits) -> CallError {
        self.call_within(function, arguments, limits)
            .await
            .result
            .expect_err("the call must fail")
    }
}

fn sandbox() -> Sandbox {
    Sandbox::new(&SandboxConfig::DEFAULT).unwrap()
}

fn guest(name: &str) -> Guest {
    Guest::load(&sandbox(), name)
}

#[tokio::test]
async fn a_function_is_called_and_answers() {
    assert_eq!(
        guest("add").value("add", json!({ "a": 1, "b": 2 })).await,
        json!(3)
    );
    let greet = guest("greet");
    assert_eq!(
        greet.value("greet", json!({ "name": "you" })).await,
        json!({ "ok": "hello, you" })
    );
}

#[tokio::test]
async fn composed_components_pass_values_to_each_other() {
    assert_eq!(
        guest("composed").value("twice", json!({ "s": "abc" })).await,
        json!(6)
    );
}

#[tokio::test]
async fn a_component_with_async_functions_runs_those_that_are_not() {
    // Its async function is not offered; the plain one runs on the engine that knows async.
    let guest = guest("async");
    assert_eq!(guest.tools.len(), 1, "{:?}", guest.tools);
    let plain = guest.call("plain", json!({ "x": 1 })).await;
    assert!(plain.result.is_ok(), "{:?}", plain.result);
}

#[tokio::test]
async fn each_trap_is_named_by_its_class() {
    let (trap, divide) = (guest("trap"), guest("divide"));
    let table = [
        ("unreachable", TrapClass::Unreachable),
        ("out-of-bounds", TrapClass::OutOfBounds),
        ("null-call", TrapClass::IndirectCall),
        ("wrong-call", TrapClass::IndirectCall),
        ("not-a-number", TrapClass::Arithmetic),
    ];
    for (function, class) in table {
        let error = trap.error(function, json!({}), Limits::DEFAULT).await;
        assert_eq!(error, CallError::Trap { class }, "{function}");
        assert_eq!(trap.value("fine", json!({})).await, json!(7), "after {function}");
    }
    let error = divide
        .error("divide", json!({ "a": 1, "b": 0 }), Limits::DEFAULT)
        .await;
    assert_eq!(
        error,
        CallError::Trap {
            class: TrapClass::Arithmetic
        }
    );
}

#[tokio::test]
async fn a_component_that_breaks_the_component_model_is_contained() {
    let guests: [(&str, &[(&str, Json)]); 3] = [
        (
            "bad-utf8",
            &[
                ("lone", json!({})),
                ("surrogate", json!({})),
                ("overlong", json!({})),
                ("cut", json!({})),
                ("letter", json!({})),
            ],
        ),
        (
            "out-of-bounds-result",
            &[
                ("past-end", json!({})),
                ("wrapping", json!({})),
                ("nowhere", json!({})),
                ("unaligned", json!({})),
                ("many", json!({})),
                ("case", json!({})),
            ],
        ),
        ("realloc-evil", &[("odd", json!({ "v": [1, 2, 3] }))]),
    ];
    for (name, calls) in guests {
        let guest = guest(name);
        for (function, arguments) in calls {
            let tool = guest.tool(function);
            let arguments = match tool.params.first() {
                Some(param) => json!({ param.name.clone(): arguments["v"] }),
                None => json!({}),
            };
            let error = guest.error(function, arguments, Limits::DEFAULT).await;
            let contained = matches!(
                error,
                CallError::Trap { .. }
                    | CallError::Limit {
                        limit: Limit::HostCall { .. }
                    }
            );
            assert!(contained, "{name} {function}: {error:?}");
        }
    }
}

fn quick() -> Limits {
    Limits {
        cpu: Duration::from_millis(100),
        ..Limits::DEFAULT
    }
}

#[tokio::test]
async fn a_loop_ends_at_the_cpu_limit() {
    let error = guest("spin").error("spin", json!({}), quick()).await;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::Cpu {
                max: Duration::from_millis(100)
            }
        }
    );
}

#[tokio::test]
async fn a_loop_while_instantiating_ends_at_the_cpu_limit() {
    let error = guest("start-spin").error("never", json!({}), quick()).await;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::Cpu {
                max: Duration::from_millis(100)
            }
        }
    );
}

#[tokio::test]
async fn wall_time_is_a_limit_of_its_own() {
    let limits = Limits {
        time: Duration::from_millis(100),
        ..Limits::DEFAULT
    };
    let error = guest("spin").error("spin", json!({}), limits).await;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::Time {
                max: Duration::from_millis(100)
            }
        }
    );
}

#[tokio::test]
async fn recursion_ends_at_the_stack_limit() {
    let recurse = guest("recurse");
    let error = recurse
        .error("recurse", json!({ "depth": 1_000_000_000 }), Limits::DEFAULT)
        .await;
    assert_eq!(error, CallError::Limit { limit: Limit::Stack });
    assert!(
        recurse
            .call("recurse", json!({ "depth": 10 }))
            .await
            .result
            .is_ok(),
        "a little recursion is fine"
    );
}

#[tokio::test]
async fn memory_is_refused_at_the_limit_and_summed_over_all_memories() {
    const PAGE: u64 = 64 << 10;
    let limits = Limits {
        memory_bytes: 100 * PAGE,
        ..Limits::DEFAULT
    };
    for (name, arguments) in [("grow", json!({})), ("memories", json!({ "pages": 30 }))] {
        let report = guest(name).call_within("grow", arguments, limits.clone()).await;
        let memory_bytes = report.usage.memory_bytes;
        assert!(
            report.result.is_ok(),
            "{name} copes with a refusal: {:?}",
            report.result
        );
        assert!(
            memory_bytes <= 100 * PAGE && memory_bytes > 50 * PAGE,
            "{name} got {memory_bytes} bytes"
        );
    }
}

#[tokio::test]
async fn tables_are_refused_at_the_limit() {
    let limits = Limits {
        table_elements: 1_000,
        ..Limits::DEFAULT
    };
    let tables = guest("tables");
    let report = tables.call_within("grow", json!({}), limits).await;
    let value = encode(
        tables.tool("grow").result.as_ref().unwrap(),
        &report.result.unwrap().unwrap(),
    );
    assert!(value.as_u64().unwrap() <= 1_000, "{value}");
}

#[tokio::test]
async fn results_are_bounded() {
    let big = guest("big-result");
    let mib: u64 = 1 << 20;
    assert!(big.call("text", json!({ "n": mib / 2 })).await.result.is_ok());
    let error = big.error("text", json!({ "n": 2 * mib }), Limits::DEFAULT).await;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::Output { bytes_max: mib }
        }
    );
    // wasmtime hands over each byte of a list as a value of 32 bytes, so the limit of a host call comes first.
    let error = big.error("bytes", json!({ "n": 2 * mib }), Limits::DEFAULT).await;
    let bytes_max = 16 * mib;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::HostCall { bytes_max }
        }
    );
    let limits = Limits {
        host_call_bytes: mib,
        ..Limits::DEFAULT
    };
    let error = big.error("text", json!({ "n": 2 * mib }), limits).await;
    assert_eq!(
        error,
        CallError::Limit {
            limit: Limit::HostCall { bytes_max: mib }
        }
    );
}

#[tokio::test]
async fn the_environment_is_empty_and_the_attempt_is_reported() {
    let env = guest("env");
    let report = env.call("count", json!({})).await;
    let value = encode(
        env.tool("count").result.as_ref().unwrap(),
        &report.result.unwrap().unwrap(),
    );
    assert_eq!(value, json!(0));
    let seen: Vec<_> = report
        .accesses
        .iter()
        .map(|a| (a.access.as_str(), a.allowed, a.attempts))
        .collect();
    assert_eq!(seen, [("read environment variables", false, 1)]);
}

#[tokio::test]
async fn any_patch_version_of_wasi_0_2_links() {
    let now = guest("old-clock").value("now", json!({})).await;
    assert!(now.as_u64().unwrap() > 1_700_000_000, "{now}");
}

#[test]
fn an_unknown_import_is_named_with_what_would_provide_it() {
    let error = sandbox().prepare(&wasm("unknown-import")).unwrap_err();
    let PrepareError::MissingImports(missing) = error else {
        panic!("{error}")
    };
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].name, "acme:db/query@1.0.0");
    assert!(missing[0].remedy.contains("compose"), "{}", missing[0].remedy);
}

#[test]
fn what_is_not_a_component_is_refused_before_it_is_compiled() {
    let sandbox = sandbox();
    let engine_code = b"\x7fELF\x02\x01\x01\0anything".to_vec();
    let core = wat::parse_str("(module)").unwrap();
    assert!(matches!(
        sandbox.prepare(&core).unwrap_err(),
        PrepareError::NotAComponent
    ));
    assert!(matches!(
        sandbox.prepare(b"").unwrap_err(),
        PrepareError::NotAComponent
    ));
    assert!(matches!(
        sandbox.prepare(&engine_code).unwrap_err(),
        PrepareError::NotAComponent | PrepareError::Native
    ));
    let mut cut = wasm("greet");
    cut.truncate(cut.len() - 3);
    assert!(matches!(
        sandbox.prepare(&cut).unwrap_err(),
        PrepareError::Invalid { .. }
    ));
}

#[test]
fn what_is_too_large_to_compile_is_refused_with_the_figure() {
    let mut config = SandboxConfig::DEFAULT;
    config.compile.body_bytes = 16;
    let error = Sandbox::new(&config)
        .unwrap()
        .prepare(&wasm("greet"))
        .unwrap_err();
    assert!(
        matches!(
            error,
            PrepareError::TooLarge {
                what: "bytes in one function",
                max: 16,
                ..
            }
        ),
        "{error}"
    );
    let mut config = SandboxConfig::DEFAULT;
    config.compile.functions = 2;
    let error = Sandbox::new(&config)
        .unwrap()
        .prepare(&wasm("greet"))
        .unwrap_err();
    assert!(
        matches!(
            error,
            PrepareError::TooLarge {
                what: "functions",
                found: 3..,
                max: 2
            }
        ),
        "{error}"
    );
}

/// A component with so many core instances, and a memory in each if wanted.
fn instances(count: usize, memory: &str) -> Vec<u8> {
    let instances: String = (0..count)
        .map(|n| format!("(core instance $i{n} (instantiate $m))"))
        .collect();
    wat::parse_str(format!(
        "(component (core module $m {memory} (func (export \"f\"))) {instances}
           (func (export \"f\") (canon lift (core func $i0 \"f\"))))"
    ))
    .unwrap()
}

#[tokio::test]
async fn core_instances_and_memories_of_a_component_are_bounded() {
    let sandbox = sandbox();
    let error = sandbox.prepare(&instances(9, "(memory 1)")).unwrap_err();
    assert!(
        matches!(
            error,
            PrepareError::TooLarge {
                what: "memories",
                found: 9,
                max: 8
            }
        ),
        "{error}"
    );
    for (count, error) in [
        (32, None),
        (
            33,
            Some(CallError::Limit {
                limit: Limit::Instances { max: 32 },
            }),
        ),
    ] {
        let guest = Guest::of(&sandbox, &instances(count, ""));
        assert_eq!(
            guest.call("f", json!({})).await.result.err(),
            error,
            "{count} instances"
        );
    }
}

#[test]
fn our_own_native_code_is_refused_as_input() {
    let key = [1; 32];
    let sandbox = sandbox();
    let code = sandbox.compile_here(&wasm("add")).unwrap();
    let sealed = sandbox.seal(&key, [2; 32], code).unwrap();
    assert!(sandbox.open(&key, [2; 32], &sealed).is_ok());
    let code = &sealed[41..];
    assert!(
        matches!(sandbox.prepare(code).unwrap_err(), PrepareError::Native),
        "a .cwasm file is never accepted"
    );
}

#[tokio::test]
async fn sealed_code_runs_like_the_original() {
    let key = [1; 32];
    let sandbox = sandbox();
    let original = Guest::load(&sandbox, "add");
    let code = sandbox.compile_here(&wasm("add")).unwrap();
    let sealed = sandbox.seal(&key, [2; 32], code).unwrap();
    let opened = Guest {
        prepared: Arc::new(sandbox.open(&key, [2; 32], &sealed).unwrap()),
        tools: original.tools,
    };
    assert_eq!(opened.value("add", json!({ "a": 20, "b": 22 })).await, json!(42));
}

#[tokio::test]
async fn a_slot_shows_its_next_guest_nothing_of_the_last() {
    for allocation in [Allocation::Pooling, Allocation::OnDemand] {
        let sandbox = Sandbox::new(&SandboxConfig {
            allocation,
            calls_max: 1,
            ..SandboxConfig::DEFAULT
        })
        .unwrap();
        assert_eq!(sandbox.allocation(), allocation);
        let secret = Guest::load(&sandbox, "secret-slot");
        for pages in [1, 16, 300] {
            assert!(
                secret
                    .call("write", json!({ "pages": pages }))
                    .await
                    .result
                    .is_ok()
            );
            let left = secret.value("leftovers", json!({ "pages": pages })).await;
            assert_eq!(left, json!(0), "{allocation:?} with {pages} pages");
        }
    }
}

#[tokio::test]
async fn a_dropped_call_stops_its_guest_and_gives_its_place_back() {
    let sandbox = Sandbox::new(&SandboxConfig {
        calls_max: 1,
        ..SandboxConfig::DEFAULT
    })
    .unwrap();
    let (spin, add) = (Guest::load(&sandbox, "spin"), Guest::load(&sandbox, "add"));
    let spinning = spin.call("spin", json!({}));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), spinning)
            .await
            .is_err(),
        "it spins"
    );
    for _ in 0..100 {
        match add.call("add", json!({ "a": 1, "b": 2 })).await.result {
            Err(CallError::Limit { limit: Limit::Calls }) => {
                tokio::time::sleep(Duration::from_millis(10)).await
            }
            other => return assert!(other.is_ok(), "{other:?}"),
        }
    }
    panic!("the dropped guest still runs");
}

#[tokio::test]
async fn one_call_too_many_is_refused_and_the_running_one_goes_on() {
    let sandbox = Sandbox::new(&SandboxConfig {
        calls_max: 1,
        ..SandboxConfig::DEFAULT
    })
    .unwrap();
    let (spin, add) = (Guest::load(&sandbox, "spin"), Guest::load(&sandbox, "add"));
    let running = spin.call_within("spin", json!({}), quick());
    let refused = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        add.error("add", json!({ "a": 1, "b": 2 }), Limits::DEFAULT).await
    };
    let (running, refused) = tokio::join!(running, refused);
    assert_eq!(refused, CallError::Limit { limit: Limit::Calls });
    assert!(
        matches!(
            running.result,
            Err(CallError::Limit {
                limit: Limit::Cpu { .. }
            })
        ),
        "{:?}",
        running.result
    );
}

#[tokio::test]
async fn a_spinning_guest_does_not_hold_up_the_thread_that_called_it() {
    let sandbox = sandbox();
    let (spin, add) = (Guest::load(&sandbox, "spin"), Guest::load(&sandbox, "add"));
    let spinning = spin.call_within(
        "spin",
        json!({}),
        Limits {
            cpu: Duration::from_secs(2),
            ..Limits::DEFAULT
        },
    );
    let calls = async {
        // All on this one thread: these answers can only come because the guest has moved away.
        for n in 0..100 {
            assert_eq!(add.value("add", json!({ "a": n, "b": 1 })).await, json!(n + 1));
        }
    };
    tokio::select! {
        () = calls => {}
        report = spinning => panic!("the guest ended first: {:?}", report.result),
    }
}
