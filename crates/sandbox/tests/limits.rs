//! Each limit of a call in a pair: what stays below it is done, one step more is not, and the error says which
//! limit it was and what its value is. The guests are real ones; the values are none of the defaults, so that
//! it is seen that the call's own are used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{CallError, CallReport, Control, Invocation, Limit, Prepared, Sandbox, SandboxConfig};
use wassette_wit::{Tool, World, encode, tools};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

struct Guest {
    prepared: Arc<Prepared>,
    tools: Vec<Tool>,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

impl Guest {
    fn of(wasm: &[u8]) -> Self {
        let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
        Self {
            prepared: Arc::new(sandbox.prepare(wasm).unwrap()),
            tools: tools("guest", &World::read(wasm).unwrap()).unwrap(),
        }
    }

    /// One of those in Rust that are checked in.
    fn hostile() -> Self {
        Self::of(&std::fs::read(tests().join("guests/built/hostile.wasm")).unwrap())
    }

    fn wat(name: &str) -> Self {
        let path = tests().join("components").join(name).with_extension("wat");
        Self::of(&wat::parse_file(path).unwrap())
    }

    async fn call(&self, function: &str, arguments: Json, limits: Limits) -> CallReport {
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        let tool = Arc::new(tool.unwrap_or_else(|| panic!("no `{function}`")).clone());
        let invocation = Invocation {
            arguments: tool.decode_arguments(&arguments).unwrap(),
            function: Arc::new(tool.function()),
            control: Control::nothing(Authority::nothing(limits)),
            client: None,
        };
        Arc::clone(&self.prepared).call(invocation).await
    }

    /// What a function returns that must return something.
    async fn value(&self, function: &str, arguments: Json, limits: Limits) -> Json {
        let report = self.call(function, arguments, limits).await;
        let value = report.result.unwrap().expect("a result");
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        encode(tool.unwrap().result.as_ref().unwrap(), &value)
    }

    /// Below the limit the call is done, above it ends for this reason.
    async fn pair(&self, function: &str, [below, above]: [Json; 2], bound: (Limits, Limit)) {
        let (limits, reached) = bound;
        let report = self.call(function, below.clone(), limits.clone()).await;
        assert!(report.result.is_ok(), "{function} {below}: {:?}", report.result);
        let report = self.call(function, above.clone(), limits).await;
        let limit = Err(CallError::Limit { limit: reached });
        assert_eq!(report.result, limit, "{function} {above}");
    }
}

#[tokio::test]
async fn memory() {
    let guest = Guest::hostile();
    for memory_bytes in [4 * MIB, 12 * MIB] {
        let limits = Limits {
            memory_bytes,
            ..Limits::DEFAULT
        };
        // The guest takes all it gets and copes with the refusal.
        let pages = guest
            .value("eat-memory", json!({}), limits)
            .await
            .as_u64()
            .unwrap();
        assert!(
            pages * 64 * KIB <= memory_bytes && (pages + 2) * 64 * KIB > memory_bytes,
            "{pages}"
        );
    }
    // One that does not cope ends, and the refusal is the reason.
    let limits = Limits {
        memory_bytes: 4 * MIB,
        output_bytes: 64 * MIB,
        host_call_bytes: 64 * MIB,
        ..Limits::DEFAULT
    };
    let reached = Limit::Memory { bytes_max: 4 * MIB };
    let sizes = [MIB, 16 * MIB].map(|n| json!({ "n": n }));
    guest.pair("big-result", sizes, (limits, reached)).await;
}

#[tokio::test]
async fn table_elements() {
    let guest = Guest::wat("tables");
    // The guest takes a thousand at a time.
    for table_elements in [500, 2_500] {
        let limits = Limits {
            table_elements,
            ..Limits::DEFAULT
        };
        let got = guest.value("grow", json!({}), limits).await.as_u64().unwrap();
        assert_eq!(got, table_elements / 1_000 * 1_000 + 1);
    }
}

#[tokio::test]
async fn time() {
    let max = Duration::from_millis(400);
    let limits = Limits {
        time: max,
        ..Limits::DEFAULT
    };
    let times = [5, 5_000].map(|ms| json!({ "ms": ms }));
    Guest::hostile()
        .pair("sleep", times, (limits, Limit::Time { max }))
        .await;
}

#[tokio::test]
async fn processor_time() {
    let max = Duration::from_millis(60);
    let limits = Limits {
        cpu: max,
        ..Limits::DEFAULT
    };
    let guest = Guest::wat("spin");
    let rounds = [1_000, u64::MAX / 2].map(|n| json!({ "n": n }));
    guest
        .pair("count", rounds, (limits.clone(), Limit::Cpu { max }))
        .await;
    // Time in which the guest waits for its host does not count.
    let report = Guest::hostile().call("sleep", json!({ "ms": 200 }), limits).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
    assert!(
        report.usage.cpu < max && report.usage.elapsed >= 3 * max,
        "{:?}",
        report.usage
    );
}

#[tokio::test]
async fn output_to_the_standard_streams() {
    let guest = Guest::hostile();
    let limits = Limits {
        stdio_bytes: 10_000,
        ..Limits::DEFAULT
    };
    for (n, kept, dropped) in [(10_000, 10_000, 0), (10_001, 10_000, 2)] {
        let report = guest
            .call("flood-stdout", json!({ "n": n }), limits.clone())
            .await;
        assert!(report.result.is_ok(), "the guest is not told");
        let output = report.output;
        assert_eq!(
            (output.stdout.len(), output.stderr.len(), output.dropped_bytes),
            (kept, kept, dropped)
        );
    }
}

#[tokio::test]
async fn the_result() {
    let guest = Guest::hostile();
    let limits = Limits {
        output_bytes: 5_000,
        ..Limits::DEFAULT
    };
    let reached = Limit::Output { bytes_max: 5_000 };
    // A value counts as one byte besides its text.
    let sizes = [4_999, 5_000].map(|n| json!({ "n": n }));
    guest.pair("big-result", sizes.clone(), (limits, reached)).await;
    let limits = Limits {
        host_call_bytes: 4_999,
        ..Limits::DEFAULT
    };
    let reached = Limit::HostCall { bytes_max: 4_999 };
    guest.pair("big-result", sizes, (limits, reached)).await;
}

#[tokio::test]
async fn random_numbers_at_once() {
    let limits = Limits {
        random_bytes: 1_000,
        ..Limits::DEFAULT
    };
    let reached = Limit::Random { bytes_max: 1_000 };
    let sizes = [1_000, 1_001].map(|n| json!({ "n": n }));
    Guest::hostile()
        .pair("big-random", sizes, (limits, reached))
        .await;
}

#[tokio::test]
async fn handles_and_resources() {
    let guest = Guest::hostile();
    let counts = [20, 60].map(|n| json!({ "n": n }));
    let limits = Limits {
        handles: 50,
        ..Limits::DEFAULT
    };
    guest
        .pair(
            "many-handles",
            counts.clone(),
            (limits, Limit::Handles { max: 50 }),
        )
        .await;
    let limits = Limits {
        resources: 50,
        ..Limits::DEFAULT
    };
    guest
        .pair("many-handles", counts, (limits, Limit::Resources { max: 50 }))
        .await;
}

#[tokio::test]
async fn as_many_calls_as_may_run_at_a_time_find_places_for_all_that_each_may_have() {
    let guest = Guest::wat("nap-full");
    let calls = (0..64).map(|_| guest.call("nap", json!({ "ms": 1_000 }), Limits::DEFAULT));
    let started = std::time::Instant::now();
    let reports = futures::future::join_all(calls).await;
    for report in reports {
        assert_eq!(report.result, Ok(None));
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "they slept one after the other"
    );
}
