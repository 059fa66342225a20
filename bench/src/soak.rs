//! A server over HTTP for long: does it grow?
//!
//! Calls go on at half of the rate that the same calls reach when nothing holds them back, without sessions and with new ones each minute, of a plain component and of one that
//! asks for its lists, reports progress and gives resources. What the process holds is printed each minute; more at the
//! end than after the first two minutes is an error.

use crate::client::{Scratch, command};
use crate::http::{Running, Target, before, end_session, free_address, session, start, stateless};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Minutes until what is cached and pooled is there.
const SETTLED: u64 = 2;

/// How much more memory there may be at the end: allocators give back late.
const MEMORY_FACTOR: f64 = 1.15;

/// Descriptors that may be open for what runs at the moment of looking.
const DESCRIPTORS_MORE: usize = 16;

/// How long calls go on before sessions are made anew.
const STRETCH: Duration = Duration::from_secs(15);

/// How long calls go on as fast as they can, to learn the peak.
const PEAK_TIME: Duration = Duration::from_secs(20);

/// Connections for each sort of call, and sorts.
const CONNECTIONS: usize = 4;
const SORTS: usize = 4;

/// What to call, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// The binary.
    #[arg(long)]
    wassette: PathBuf,
    /// The component `kitchen`.
    #[arg(long)]
    kitchen: PathBuf,
    /// The component of the conformance suite.
    #[arg(long)]
    rich: PathBuf,
    /// For how long.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    resident_kb: u64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn of(process: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        };
        Ok(Self {
            resident_kb: number("VmRSS:").context("no memory")?,
            descriptors: std::fs::read_dir(format!("/proc/{process}/fd"))?.count(),
            threads: std::fs::read_dir(format!("/proc/{process}/task"))?.count(),
        })
    }
}

/// Calls for as long as the plan says.
///
/// # Errors
///
/// When a call fails or the server holds more at the end.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let scratch = Scratch::new(
        &std::env::temp_dir(),
        &format!("wassette-soak-{}", std::process::id()),
    )?;
    let store = scratch.path().join("components");
    // The server runs in another folder.
    let wassette = std::path::absolute(&plan.wassette)?;
    for component in [&plan.kitchen, &plan.rich] {
        let component = std::path::absolute(component)?;
        let words: Vec<OsString> = vec![
            wassette.clone().into(),
            "--component-dir".into(),
            store.clone().into(),
            "component".into(),
            "load".into(),
            component.into(),
        ];
        let loaded = command(&words, scratch.path())?.output()?;
        ensure!(
            loaded.status.success(),
            "{}",
            String::from_utf8_lossy(&loaded.stderr)
        );
    }
    let address = free_address()?;
    let words: Vec<OsString> = vec![
        wassette.clone().into(),
        "--component-dir".into(),
        store.into(),
        "serve".into(),
        "--no-auth".into(),
        "--requests-per-second".into(),
        "1000000".into(),
        "--bind-address".into(),
        address.clone().into(),
    ];
    let (server, address) = start(scratch.path(), &words, address)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(soak(plan.minutes, &server, &address))
}

async fn soak(minutes: u64, server: &Running, address: &str) -> Result<()> {
    let process = server.0.id();
    let peak = stretch(address, PEAK_TIME, None).await? as f64 / PEAK_TIME.as_secs_f64();
    let every = Duration::from_secs_f64((CONNECTIONS * SORTS) as f64 / (peak / 2.0));
    println!("peak: {peak:.0} calls a second; half of it from here on");
    let begin = Instant::now();
    let (mut settled, mut calls) = (None, 0_usize);
    println!("minute  calls      resident kB  descriptors  threads");
    for minute in 1..=minutes {
        while begin.elapsed() < Duration::from_secs(60 * minute) {
            calls += stretch(address, STRETCH, Some(every)).await?;
        }
        let held = Held::of(process)?;
        println!(
            "{minute:>6}  {calls:<9}  {:>11}  {:>11}  {:>7}",
            held.resident_kb, held.descriptors, held.threads
        );
        if minute == SETTLED {
            settled = Some(held);
        }
    }
    let (Some(settled), held) = (settled, Held::of(process)?) else {
        bail!("{SETTLED} minutes and more are needed to say whether it grows");
    };
    let grown = held.resident_kb as f64 / settled.resident_kb as f64;
    ensure!(
        grown <= MEMORY_FACTOR,
        "memory grew {grown:.2} times since minute {SETTLED}"
    );
    ensure!(
        held.descriptors <= settled.descriptors + DESCRIPTORS_MORE,
        "descriptors grew from {} to {}",
        settled.descriptors,
        held.descriptors
    );
    ensure!(
        held.threads <= settled.threads + DESCRIPTORS_MORE,
        "threads grew from {} to {}",
        settled.threads,
        held.threads
    );
    let rate = calls as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{calls} calls in {minutes} minutes, {rate:.0} a second; memory {grown:.2} times that of minute {SETTLED}"
    );
    Ok(())
}

/// Some seconds of everything at a time, so often on each connection; gives the number of calls.
async fn stretch(address: &str, time: Duration, every: Option<Duration>) -> Result<usize> {
    let call = |name: &str, arguments: Json| json!({ "name": name, "arguments": arguments });
    let echo = call("kitchen_echo-string", json!({ "v": "hello" }));
    let rich = call("test_multiple_content_types", json!({}));
    // Ids of requests must differ within a session.
    let (one, other) = (session(address).await?, session(address).await?);
    let targets: [Target; SORTS] = [
        Target::new("echo", address, stateless(&echo)),
        Target::new("rich", address, stateless(&rich)),
        Target::new("echo in a session", address, before(&echo, Some(&one))),
        Target::new("rich in a session", address, before(&rich, Some(&other))),
    ];
    let loads = targets
        .iter()
        .map(|target| target.paced_load(CONNECTIONS, time, every));
    let mut calls = 0;
    for times in join_all(loads).await {
        calls += times?.len();
    }
    for id in [&one, &other] {
        end_session(address, id).await?;
    }
    Ok(calls)
}

/// All at a time, in their order.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
