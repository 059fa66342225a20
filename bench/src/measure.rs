//! What is measured: calls, starts, loads, lists and memory, each in rounds over all targets in turn.

use crate::client::{Answer, List, Scratch, Server, Target};
use crate::guests;
use crate::machine::{self, Pinned};
use crate::report::{self, Sample};
use crate::targets::{Bench, Guest};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long each target is called in one round.
const CALLS_TIME: Duration = Duration::from_millis(250);

/// Calls before the first round, so that caches, allocators and just-in-time compilers are warm.
const WARM_UP_TIME: Duration = Duration::from_millis(500);

/// Requests at a time in the measurement of load.
const IN_FLIGHT: usize = 64;

/// Components of the largest installation that is started.
pub(crate) const MANY: usize = 50;

/// Tools of the server that the longest list is compared with: as many as [`MANY`] components have.
const MANY_TOOLS: usize = MANY * guests::FUNCTIONS;

/// Loads of a large component compile for seconds: fewer rounds than the rest.
pub(crate) const LOAD_ROUNDS_MAX: usize = 3;

/// Lists of each target in one round.
const LISTS: usize = 10;

/// What to measure, and with what; a target that is not given is left out.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// The binary that is measured.
    #[arg(long)]
    pub(crate) wassette: PathBuf,
    /// The same with an echo in native Rust behind its endpoint, for calls over HTTP.
    #[arg(long)]
    pub(crate) wassette_native: Option<PathBuf>,
    /// A component and its echo function, `FILE#FUNCTION`; the first is the one figures are promised for.
    #[arg(long = "guest")]
    pub(crate) guests: Vec<Guest>,
    /// A component with an interpreter inside, and its echo function.
    #[arg(long)]
    pub(crate) large: Option<Guest>,
    /// The Node.js that runs the server to compare with.
    #[arg(long, default_value = "node")]
    pub(crate) node: PathBuf,
    /// A server on the official TypeScript SDK with a native echo tool.
    #[arg(long)]
    pub(crate) node_server: Option<PathBuf>,
    /// The same over HTTP.
    #[arg(long)]
    pub(crate) node_http_server: Option<PathBuf>,
    /// How often everything is measured.
    #[arg(long, default_value_t = 9)]
    pub(crate) rounds: usize,
    /// Measure only these: calls, http, starts, loads, lists, memory, supply.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the raw figures go, as JSON lines.
    #[arg(long)]
    results: PathBuf,
    /// Where the tables go, as Markdown.
    #[arg(long)]
    report: PathBuf,
}

/// Measures everything and writes the results.
///
/// # Errors
///
/// When a target cannot be started or answers wrongly, or the results cannot be written.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let context = report::Context {
        machine: machine::describe(),
        load_before: machine::load(),
        rounds: plan.rounds,
    };
    let mut bench = Bench::prepare(plan)?;
    bench.calls()?;
    bench.http()?;
    bench.starts()?;
    bench.loads()?;
    bench.lists()?;
    bench.memory()?;
    bench.supply()?;
    let results: Vec<String> = bench
        .samples
        .iter()
        .map(|sample| sample.to_json().to_string())
        .collect();
    std::fs::write(&plan.results, results.join("\n") + "\n")
        .with_context(|| format!("cannot write `{}`", plan.results.display()))?;
    let text = report::render(&context, &bench.samples);
    std::fs::write(&plan.report, &text)
        .with_context(|| format!("cannot write `{}`", plan.report.display()))?;
    println!("{text}");
    Ok(())
}

impl Bench<'_> {
    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.plan.only.is_empty() || self.plan.only.iter().any(|only| only == scenario)
    }

    /// Warm calls, one after another: on one processor, then on all; and 64 at a time.
    fn calls(&mut self) -> Result<()> {
        if !self.wants("calls") {
            return Ok(());
        }
        let mut targets = Vec::new();
        for guest in &self.guests {
            targets.push(self.loaded(guest)?);
            let function = &guest.function;
            let arguments = ["raw".into(), guest.path.clone().into(), function.into()];
            let name = format!("raw:scan ({})", guest.name());
            targets.push(Self::own(name, &arguments, function)?);
        }
        // Interpreters import more than the raw engine provides.
        if let Some(large) = &self.plan.large {
            targets.push(self.loaded(large)?);
        }
        targets.extend(self.node("node-sdk", 0));
        targets.push(Self::floor()?);
        match Pinned::new() {
            Ok(_pinned) => self.call_rounds("calls, one processor", &targets, 1)?,
            Err(error) => eprintln!("not measured on one processor: {error:#}"),
        }
        self.call_rounds("calls, all processors", &targets, 1)?;
        self.call_rounds("calls, all processors, 64 in flight", &targets, IN_FLIGHT)
    }

    fn call_rounds(&mut self, scenario: &'static str, targets: &[Target], in_flight: usize) -> Result<()> {
        eprintln!("measuring {scenario}");
        let mut running = Vec::new();
        for target in targets {
            let mut server = self.start(target)?;
            server.initialize()?;
            let function = target
                .function
                .as_deref()
                .context("a target without a function")?;
            let call = server
                .find_call(function)
                .with_context(|| format!("target `{}`", target.name))?;
            server.calls(&call, in_flight, WARM_UP_TIME)?;
            running.push((target.name.clone(), server, call));
        }
        for round in 0..self.plan.rounds {
            for (name, server, call) in &mut running {
                let cpu = machine::cpu_ms(server.pid());
                let mut calls = server.calls(call, in_flight, CALLS_TIME)?;
                let cpu = machine::cpu_ms(server.pid()) - cpu;
                let count = calls.latencies_us.len() as f64;
                calls.latencies_us.sort_by(f64::total_cmp);
                let figures = vec![
                    ("p50 µs", report::quantile(&calls.latencies_us, 50)),
                    ("p99 µs", report::quantile(&calls.latencies_us, 99)),
                    ("calls/s", count / calls.elapsed.as_secs_f64()),
                    ("CPU µs per call", cpu * 1e3 / count),
                    ("peak MB", machine::memory_mb(server.pid(), "VmHWM")),
                ];
                self.samples.push(Sample::new(scenario, name, round, figures));
            }
        }
        Ok(())
    }

    /// From start to the first list, and on to the first result.
    fn starts(&mut self) -> Result<()> {
        if !self.wants("starts") {
            return Ok(());
        }
        eprintln!("measuring starts");
        let first = self.first()?.function.clone();
        let mut targets = vec![
            self.wassette("wassette (0 components)".to_owned(), &self.empty, None),
            self.wassette("wassette (1 component)".to_owned(), &self.one, Some(&first)),
            self.wassette(format!("wassette ({MANY} components)"), &self.many, None),
        ];
        if let Some(large) = &self.plan.large {
            targets.push(self.loaded(large)?);
        }
        targets.extend(self.node("node-sdk", 0));
        targets.push(Self::floor()?);
        // One round is thrown away: it brings the files into memory and compiles what is not compiled.
        for round in 0..=self.plan.rounds {
            for target in &targets {
                let figures = self
                    .one_start(target)
                    .with_context(|| format!("target `{}`", target.name))?;
                if let Some(round) = round.checked_sub(1) {
                    self.samples
                        .push(Sample::new("starts", &target.name, round, figures));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn one_start(&self, target: &Target) -> Result<Vec<(&'static str, f64)>> {
        let start = Instant::now();
        let mut server = self.start(target)?;
        let milliseconds = |at: Instant| (at - start).as_secs_f64() * 1e3;
        let hello = server.initialize()?;
        let list: Answer = server.request("tools/list", "{}")?;
        let cpu = machine::cpu_ms(server.pid());
        let memory = machine::memory_mb(server.pid(), "VmRSS");
        let mut figures = vec![
            ("initialize ms", milliseconds(hello)),
            ("list ms", milliseconds(list.at)),
            ("CPU ms", cpu),
            ("RSS MB", memory),
        ];
        if let Some(function) = &target.function {
            server.find_call(function)?;
            figures.push(("first result ms", milliseconds(Instant::now())));
        }
        Ok(figures)
    }

    /// `component load` of the same file twice, into an empty folder.
    fn loads(&mut self) -> Result<()> {
        if !self.wants("loads") {
            return Ok(());
        }
        eprintln!("measuring loads");
        let guests: Vec<Guest> = self
            .guests
            .iter()
            .take(1)
            .chain(&self.plan.large)
            .cloned()
            .collect();
        for round in 0..self.plan.rounds.min(LOAD_ROUNDS_MAX) {
            for guest in &guests {
                let folder = Scratch::new(self.scratch.path(), "loads")?;
                let (first, first_cpu) = self.load(&guest.path, folder.path())?;
                let (second, second_cpu) = self.load(&guest.path, folder.path())?;
                let size = std::fs::metadata(&guest.path)?.len();
                let figures = vec![
                    ("size kB", size as f64 / 1e3),
                    ("first ms", first),
                    ("first CPU ms", first_cpu),
                    ("second ms", second),
                    ("second CPU ms", second_cpu),
                ];
                self.samples
                    .push(Sample::new("loads", &guest.name(), round, figures));
            }
        }
        Ok(())
    }

    /// All pages of a list of 500 tools.
    fn lists(&mut self) -> Result<()> {
        if !self.wants("lists") {
            return Ok(());
        }
        eprintln!("measuring lists");
        let mut targets = vec![self.wassette(format!("wassette ({MANY} components)"), &self.many, None)];
        targets.extend(self.node("node-sdk", MANY_TOOLS));
        let mut running = Vec::new();
        for target in &targets {
            let mut server = self.start(target)?;
            server.initialize()?;
            running.push((target.name.clone(), server));
        }
        // One round is thrown away.
        for round in 0..=self.plan.rounds {
            for (name, server) in &mut running {
                let figures = list_times(server)?;
                if let Some(round) = round.checked_sub(1) {
                    self.samples.push(Sample::new("lists", name, round, figures));
                }
            }
        }
        Ok(())
    }

    /// Memory with nothing to do, and the most that 64 calls at a time needed.
    fn memory(&mut self) -> Result<()> {
        if !self.wants("memory") {
            return Ok(());
        }
        eprintln!("measuring memory");
        let first = self.first()?.function.clone();
        let mut targets = vec![
            self.wassette("wassette (0 components)".to_owned(), &self.empty, None),
            self.wassette("wassette (1 component)".to_owned(), &self.one, Some(&first)),
            self.wassette(format!("wassette ({MANY} components)"), &self.many, None),
        ];
        targets.extend(self.node("node-sdk", 0));
        for round in 0..self.plan.rounds {
            for target in &targets {
                let mut server = self.start(target)?;
                server.initialize()?;
                server.list()?;
                let mut figures = vec![("idle MB", machine::memory_mb(server.pid(), "VmRSS"))];
                if let Some(function) = &target.function {
                    let call = server.find_call(function)?;
                    server.calls(&call, IN_FLIGHT, CALLS_TIME)?;
                    figures.push(("peak MB, 64 in flight", machine::memory_mb(server.pid(), "VmHWM")));
                }
                self.samples
                    .push(Sample::new("memory", &target.name, round, figures));
            }
        }
        Ok(())
    }
}

/// Lists a few times: the median, and how large the list is.
fn list_times(server: &mut Server) -> Result<Vec<(&'static str, f64)>> {
    let mut times = Vec::new();
    let mut list = List::default();
    for _ in 0..LISTS {
        list = server.list()?;
        times.push(list.time.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(vec![
        ("p50 ms", report::quantile(&times, 50)),
        ("tools", list.tools.len() as f64),
        ("kB", list.bytes as f64 / 1e3),
    ])
}
