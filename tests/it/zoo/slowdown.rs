//! What an attack costs honest callers: four of them, alone and beside it in turn.

use crate::support::root;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{Control, Invocation, Prepared, Sandbox, Surroundings};
use wassette_wit::{Tool, Value, World, tools};

/// Honest callers at a time.
const CALLERS: usize = 4;

/// How long they call in each half of a round.
const HALF: Duration = Duration::from_millis(400);

/// How long the attack runs before anything is measured beside it.
const HEAD_START: Duration = Duration::from_millis(100);

/// Everything a call is made of, to be made again.
pub(crate) struct Invoke {
    pub(crate) tool: Arc<Tool>,
    pub(crate) arguments: Vec<Value>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) surroundings: Arc<Surroundings>,
}

impl Invoke {
    pub(crate) fn invocation(&self) -> Invocation {
        Invocation {
            function: Arc::new(self.tool.function()),
            arguments: self.arguments.clone(),
            control: Control::new(Arc::clone(&self.authority), Arc::clone(&self.surroundings)),
            client: None,
        }
    }
}

/// The median over the rounds of: median of an honest call beside the attack, over the same alone.
///
/// The attack is called again as soon as it ends, and left alone by dropping its call.
pub(crate) async fn measure(
    sandbox: &Sandbox,
    attack: &Arc<Prepared>,
    invoke: &Invoke,
    rounds: usize,
) -> Option<f64> {
    let (honest, sum) = honest(sandbox);
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let alone = half(&honest, &sum).await;
        let attacking = async {
            loop {
                drop(Arc::clone(attack).call(invoke.invocation()).await);
                // An attack that ends within its first poll would keep the thread for ever.
                tokio::task::yield_now().await;
            }
        };
        let beside = async {
            tokio::time::sleep(HEAD_START).await;
            half(&honest, &sum).await
        };
        let beside = tokio::select! {
            beside = beside => beside,
            () = attacking => unreachable!("it is called again"),
        };
        ratios.push(beside / alone);
    }
    Some(median(&mut ratios))
}

fn honest(sandbox: &Sandbox) -> (Arc<Prepared>, Arc<Invoke>) {
    let wasm = wat::parse_file(root().join("tests/components/add.wat")).unwrap();
    let tool = tools("honest", &World::read(&wasm).unwrap()).unwrap().remove(0);
    let sum = Invoke {
        arguments: tool.decode_arguments(&json!({ "a": 1, "b": 2 })).unwrap(),
        tool: Arc::new(tool),
        authority: Arc::new(Authority::nothing(Limits::DEFAULT)),
        surroundings: Arc::default(),
    };
    (Arc::new(sandbox.prepare(&wasm).unwrap()), Arc::new(sum))
}

/// The median of the honest calls in one half of a round, in microseconds.
async fn half(honest: &Arc<Prepared>, sum: &Arc<Invoke>) -> f64 {
    let is_over = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|_| {
        let (honest, sum, is_over) = (Arc::clone(honest), Arc::clone(sum), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while !is_over.load(Relaxed) {
                let started = Instant::now();
                let report = Arc::clone(&honest).call(sum.invocation()).await;
                times.push(started.elapsed().as_secs_f64() * 1e6);
                assert!(report.result.is_ok(), "{:?}", report.result);
                // A call that ends within its first poll never gives the thread away.
                tokio::task::yield_now().await;
            }
            times
        })
    });
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep(HALF).await;
    is_over.store(true, Relaxed);
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.unwrap());
    }
    median(&mut times)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
