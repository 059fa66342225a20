//! The share of a processor that the calls of one component have together, by the processor time that the
//! system counts for this process. So these tests are alone in it, and run one after the other.

#![cfg(target_os = "linux")]
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
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{
    CallError, CallReport, Control, Invocation, Limit, Pace, Prepared, Sandbox, SandboxConfig, Surroundings,
};
use wassette_wit::{Tool, World, tools};

/// One test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What the process needs besides its guests, for the clock and for starting them.
const OWN: Duration = Duration::from_millis(60);

/// One tick for each processor.
const TICKS: Duration = Duration::from_millis(20);

#[derive(Clone)]
struct Guest {
    prepared: Arc<Prepared>,
    tools: Arc<Vec<Tool>>,
    pace: Arc<Pace>,
}

impl Guest {
    fn spin() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/components/spin.wat");
        Self::of(&wat::parse_file(path).unwrap())
    }

    fn of(wasm: &[u8]) -> Self {
        let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
        Self {
            prepared: Arc::new(sandbox.prepare(wasm).unwrap()),
            tools: Arc::new(tools("guest", &World::read(wasm).unwrap()).unwrap()),
            pace: Arc::default(),
        }
    }

    async fn call(&self, function: &str, arguments: Json, limits: Limits) -> CallReport {
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        let tool = Arc::new(tool.unwrap().clone());
        let arguments = tool.decode_arguments(&arguments).unwrap();
        let authority = Arc::new(Authority::nothing(limits));
        let control = Control::paced(
            authority,
            Arc::new(Surroundings::default()),
            Arc::clone(&self.pace),
        );
        let invocation = Invocation {
            function: Arc::new(tool.function()),
            arguments,
            control,
            client: None,
        };
        Arc::clone(&self.prepared).call(invocation).await
    }
}

fn share(millicores: u32, time: Duration) -> Limits {
    Limits {
        cpu_share_millicores: Some(millicores),
        time,
        ..Limits::DEFAULT
    }
}

/// Processor time of this process, threads that ended included, to a hundredth of a second.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: the state is field 3, user and system time are 14 and 15.
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(10 * ticks)
}

/// Processor time used since the beginning, every 50 ms until the work is done.
async fn measured(work: impl Future<Output = ()>) -> Vec<Duration> {
    let before = processor();
    let mut used = vec![Duration::ZERO];
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return used,
            _ = tick.tick() => used.push(processor() - before),
        }
    }
}

/// The most that was used in any second.
fn busiest(used: &[Duration]) -> Duration {
    used.windows(21)
        .map(|second| second[20] - second[0])
        .max()
        .expect("more than a second")
}

#[tokio::test]
async fn one_call_keeps_to_its_share_in_any_second() {
    let _alone = ALONE.lock().await;
    let guest = Guest::spin();
    let max = Duration::from_millis(2_500);
    let mut got = Duration::ZERO;
    let used = measured(async {
        let report = guest.call("spin", json!({}), share(300, max)).await;
        let limit = Limit::Time { max };
        assert_eq!(report.result, Err(CallError::Limit { limit }));
        got = report.usage.cpu;
    })
    .await;
    assert!(
        busiest(&used) <= Duration::from_millis(300) + TICKS + OWN,
        "{used:?}"
    );
    // By the guest's own clock: a busy machine takes from it what it does not give back.
    assert!(
        got >= Duration::from_millis(500),
        "it gets most of its share: {got:?}"
    );
}

#[tokio::test]
async fn all_calls_of_a_component_have_one_share_together() {
    let _alone = ALONE.lock().await;
    let guest = Guest::spin();
    let mut got = Duration::ZERO;
    let used = measured(async {
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let guest = guest.clone();
            let limits = share(500, Duration::from_millis(2_200));
            calls.spawn(async move { guest.call("spin", json!({}), limits).await.usage.cpu });
        }
        got = calls.join_all().await.into_iter().sum();
    })
    .await;
    assert!(
        busiest(&used) <= Duration::from_millis(500) + TICKS + OWN,
        "{used:?}"
    );
    assert!(
        got >= Duration::from_millis(800),
        "they get most of their share: {got:?}"
    );
}

#[tokio::test]
async fn short_calls_and_cancelled_ones_count_as_well() {
    let _alone = ALONE.lock().await;
    let guest = Guest::spin();
    let limits = Limits {
        cpu: Duration::from_millis(30),
        ..share(200, Duration::from_secs(60))
    };
    let end = Instant::now() + Duration::from_millis(2_200);
    let used = measured(async {
        while Instant::now() < end {
            let call = guest.call("spin", json!({}), limits.clone());
            drop(tokio::time::timeout(Duration::from_millis(25), call).await);
            drop(
                guest
                    .call("count", json!({ "n": 2_000_000 }), limits.clone())
                    .await,
            );
        }
    })
    .await;
    // A cancelled guest runs to its next tick.
    assert!(
        busiest(&used) <= Duration::from_millis(200) + TICKS + OWN,
        "{used:?}"
    );
}

#[tokio::test]
async fn a_share_and_a_limit_of_processor_time_hold_both() {
    let _alone = ALONE.lock().await;
    let guest = Guest::spin();
    let cpu = Duration::from_millis(300);
    let limits = Limits {
        cpu,
        ..share(200, Duration::from_secs(60))
    };
    let started = Instant::now();
    let report = guest.call("spin", json!({}), limits.clone()).await;
    assert_eq!(
        report.result,
        Err(CallError::Limit {
            limit: Limit::Cpu { max: cpu }
        })
    );
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "it slept: {:?}",
        started.elapsed()
    );
    assert!(
        report.usage.cpu >= cpu && report.usage.cpu < cpu + Duration::from_millis(100),
        "{:?}",
        report.usage
    );
    // Without a share it is as quick as the processor.
    let started = Instant::now();
    let unpaced = Limits {
        cpu_share_millicores: None,
        ..limits
    };
    drop(guest.call("spin", json!({}), unpaced).await);
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_call_that_waits_for_its_share_ends_at_once_when_it_is_revoked() {
    let _alone = ALONE.lock().await;
    let guest = Guest::spin();
    let authority = Arc::new(Authority::nothing(share(10, Duration::from_secs(60))));
    let control = Control::new(authority, Arc::new(Surroundings::default()));
    let invocation = Invocation {
        function: Arc::new(
            guest
                .tools
                .iter()
                .find(|tool| tool.path.function == "spin")
                .unwrap()
                .function(),
        ),
        arguments: Vec::new(),
        control: Arc::clone(&control),
        client: None,
    };
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        control.revoke();
        Instant::now()
    };
    let (report, revoked) = tokio::join!(Arc::clone(&guest.prepared).call(invocation), revoke);
    assert!(
        revoked.elapsed() < Duration::from_millis(100),
        "{:?}",
        revoked.elapsed()
    );
    let access = "run".to_owned();
    assert_eq!(report.result, Err(CallError::Revoked { access }));
}

#[tokio::test]
async fn what_the_host_does_for_a_call_is_in_its_share() {
    let _alone = ALONE.lock().await;
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/hostile/built/random-flood.wasm");
    let guest = Guest::of(&std::fs::read(path).unwrap());
    let max = Duration::from_millis(2_500);
    let used = measured(async {
        let report = guest.call("run", json!({ "input": "" }), share(300, max)).await;
        let limit = Limit::Time { max };
        assert_eq!(report.result, Err(CallError::Limit { limit }));
    })
    .await;
    // Between two looks at it there may be a host function at work.
    assert!(
        busiest(&used) <= Duration::from_millis(400) + TICKS + OWN,
        "{used:?}"
    );
}
