//! What deciding, counting and writing down costs: the same component, the same calls, once through our hosts of
//! files and HTTP and once through wasmtime's own WASI, in one process and in turns.
//!
//! Prints a Markdown table. A figure is the median of the rounds' medians, a ratio the median of the rounds'
//! ratios.

mod ours;
mod plain;
mod server;

use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wassette_policy::{
    AbsolutePath, Access, Authority, FileOperation, HttpTarget, Limits, ParseOptions, Policy,
};

/// Bytes of the file that is read and of the body that is fetched.
const BYTES: usize = 64 << 10;

/// Calls of each side in one turn, and turns in one round.
const CALLS: usize = 25;
const TURNS: usize = 12;

/// Calls of each side before anything is measured.
const WARM_UP_CALLS: usize = 200;

/// Rules of the large policy.
const MANY: usize = 10_000;

/// Decisions that are timed together.
const DECISIONS: u32 = 20_000;

/// One measured pair.
struct Row {
    what: &'static str,
    ours_us: Vec<f64>,
    plain_us: Vec<f64>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let component = arguments.next().context("usage: COMPONENT [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(9), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(Path::new(&component), rounds))?;
    println!("{report}");
    Ok(())
}

async fn measure(component: &Path, rounds: usize) -> Result<String> {
    let wasm = std::fs::read(component).with_context(|| format!("cannot read `{}`", component.display()))?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    let file = folder.join("data");
    std::fs::write(&file, "x".repeat(BYTES))?;
    let file = file.to_str().context("the temporary folder is not UTF-8")?.to_owned();
    let folder = folder.to_str().context("the temporary folder is not UTF-8")?;
    let url = format!("http://{}/data", server::start(BYTES).await?);

    let granted = policy(folder, &url, 0)?;
    let many = policy(folder, &url, MANY)?;
    let ours = ours::Side::new(&wasm)?;
    let plain = plain::Side::new(&wasm, folder)?;
    let mut files = Row::new("read a file of 64 KiB");
    let mut fetches = Row::new("fetch 64 KiB over HTTP, loopback");
    let mut large = Row::new("read the file, 10,000 rules against 2");
    for round in 0..=rounds {
        let calls = if round == 0 { WARM_UP_CALLS } else { CALLS };
        let turns = if round == 0 { 1 } else { TURNS };
        let file_pair = pair(turns, calls, &ours, &plain, &granted, ("read-file", "path", &file)).await?;
        let url_pair = pair(turns, calls, &ours, &plain, &granted, ("get-url", "url", &url)).await?;
        let many_pair = against(turns, calls, &ours, &many, &granted, &file).await?;
        if round > 0 {
            files.push(file_pair);
            fetches.push(url_pair);
            large.push(many_pair);
        }
    }
    report(rounds, &[files, fetches, large], &decisions(folder, &url)?)
}

/// The grants of both scenarios, and `extra` rules of each kind beside them that match nothing.
fn policy(folder: &str, url: &str, extra: usize) -> Result<Arc<Authority>> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let host = host.context("a URL")?;
    let mut text = format!(
        "version: \"1.0\"\npermissions:\n  network:\n    allow:\n      - {{host: \"{host}\", schemes: [http]}}\n"
    );
    for n in 0..extra / 2 {
        writeln!(text, "      - {{host: \"host-{n}.example.com\"}}")?;
    }
    writeln!(text, "  storage:\n    allow:\n      - {{uri: \"fs://{folder}\", access: [read]}}")?;
    if extra > 0 {
        text.push_str("    deny:\n");
    }
    for n in 0..extra / 2 {
        writeln!(text, "      - {{uri: \"fs://{folder}/private-{n}\"}}")?;
    }
    let policy = Policy::parse(&text, &ParseOptions::default()).map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(Arc::new(Authority::new(Arc::new(policy), None, &Limits::DEFAULT)))
}

async fn pair(
    turns: usize,
    calls: usize,
    ours: &ours::Side,
    plain: &plain::Side,
    authority: &Arc<Authority>,
    (function, parameter, argument): (&str, &str, &str),
) -> Result<(f64, f64)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for turn in 0..turns * 2 {
        for _ in 0..calls {
            let start = Instant::now();
            let text = if turn % 2 == 0 {
                ours.call(authority, function, parameter, argument).await?
            } else {
                plain.call(function, argument).await?
            };
            let elapsed = start.elapsed();
            ensure!(text.len() >= BYTES, "`{function}` returned {} bytes: {text:.200}", text.len());
            if turn % 2 == 0 { &mut a } else { &mut b }.push(elapsed);
        }
    }
    Ok((median_us(a), median_us(b)))
}

async fn against(
    turns: usize,
    calls: usize,
    ours: &ours::Side,
    many: &Arc<Authority>,
    few: &Arc<Authority>,
    file: &str,
) -> Result<(f64, f64)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for turn in 0..turns * 2 {
        let authority = if turn % 2 == 0 { many } else { few };
        for _ in 0..calls {
            let start = Instant::now();
            black_box(ours.call(authority, "read-file", "path", file).await?);
            if turn % 2 == 0 { &mut a } else { &mut b }.push(start.elapsed());
        }
    }
    Ok((median_us(a), median_us(b)))
}

/// Nanoseconds of one decision, for a host and for a path, with few and with many rules.
fn decisions(folder: &str, url: &str) -> Result<Vec<(String, f64)>> {
    let target = HttpTarget::parse("GET", url)?;
    let path: AbsolutePath = format!("{folder}/data").parse()?;
    let accesses = [
        ("host", Access::Http(&target)),
        ("path", Access::File { path: &path, operation: FileOperation::Read }),
    ];
    let mut rows = Vec::new();
    for (rules, extra) in [("2 rules", 0), ("10,000 rules", MANY)] {
        let authority = policy(folder, url, extra)?;
        for (what, access) in &accesses {
            ensure!(authority.authorize(access).is_ok(), "the {what} is not granted");
            let mut rounds: Vec<f64> = (0..9).map(|_| nanoseconds(&authority, access)).collect();
            rows.push((format!("{what}, {rules}"), median(&mut rounds)));
        }
    }
    let start = Instant::now();
    for _ in 0..DECISIONS {
        black_box(HttpTarget::parse("GET", black_box(url)).is_ok());
    }
    rows.push(("reading the URL".to_owned(), per_one(start.elapsed())));
    Ok(rows)
}

fn nanoseconds(authority: &Authority, access: &Access<'_>) -> f64 {
    let start = Instant::now();
    for _ in 0..DECISIONS {
        black_box(black_box(authority).authorize(black_box(access)).is_ok());
    }
    per_one(start.elapsed())
}

fn per_one(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e9 / f64::from(DECISIONS)
}

impl Row {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            ours_us: Vec::new(),
            plain_us: Vec::new(),
        }
    }

    fn push(&mut self, (ours, plain): (f64, f64)) {
        self.ours_us.push(ours);
        self.plain_us.push(plain);
    }

    fn ratio(&self) -> f64 {
        let ratios = self.ours_us.iter().zip(&self.plain_us).map(|(a, b)| a / b);
        median(&mut ratios.collect::<Vec<_>>())
    }
}

fn report(rounds: usize, rows: &[Row], decisions: &[(String, f64)]) -> Result<String> {
    let mut text = format!(
        "### What the gate costs\n\nMedians of {rounds} rounds of {} calls of each side, in turns, in one process. The \
         other side is wasmtime's own WASI; in the last row it is our own with two rules.\n\n| call | wassette p50 µs | \
         other p50 µs | ratio |\n|---|---:|---:|---:|\n",
        CALLS * TURNS
    );
    for row in rows {
        let (ours, other) = (median(&mut row.ours_us.clone()), median(&mut row.plain_us.clone()));
        writeln!(text, "| {} | {ours:.1} | {other:.1} | {:.3} |", row.what, row.ratio())?;
    }
    let call_us = rows.first().map_or(f64::NAN, |row| median(&mut row.ours_us.clone()));
    text.push_str("\n| one decision | ns | % of the call that reads a file |\n|---|---:|---:|\n");
    for (what, ns) in decisions {
        writeln!(text, "| {what} | {ns:.0} | {:.2} |", ns / call_us / 10.0)?;
    }
    Ok(text)
}

fn median_us(times: Vec<Duration>) -> f64 {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    median(&mut times)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
