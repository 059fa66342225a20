//! Feeds damaged input to every fuzz target for a bounded time.
//!
//! `cargo fuzz` would need a nightly compiler for sanitizers that find nothing in code without `unsafe`. Counting
//! branches, which is what guides the fuzzer, is a pass that every compiler has, so that this needs only Rust
//! and a C++ compiler. What a target has learned stays in `fuzz/corpus`, and an input that breaks one in `fuzz/artifacts`;
//! neither is part of the repository.

use crate::step::{self, Steps};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo xtask fuzz` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these targets.
    targets: Vec<String>,
}

/// Makes the compiler count branches and comparisons for libFuzzer, and keep the checks of a debug build.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=yes",
    "-Coverflow-checks=yes",
];

/// Most memory of one target, in MiB, and longest time for one input, in seconds.
const LIMITS: [&str; 2] = ["-rss_limit_mb=2048", "-timeout=10"];

/// Tables of documents that are the first inputs of `policy-document`.
const TABLES: [&str; 2] = [
    "crates/policy/tests/accepted.txt",
    "crates/policy/tests/malformed.txt",
];

/// Builds all targets and runs one after another.
///
/// # Errors
///
/// When the build fails, a target is not known, or an input breaks one.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = step::root().join("fuzz");
    let targets = targets(&folder, &options.targets)?;
    let mut steps = Steps::default();
    let built = steps.run("fuzz build", || build(&folder))?;
    seed(&folder.join("corpus").join("policy-document"))?;
    let mut counts = Vec::new();
    for target in &targets {
        let executions = steps.run(target, || fuzz(&folder, &built, target, options.seconds))?;
        counts.push(format!("{executions:>12}  {target}"));
    }
    steps.summary();
    println!("\n  executions  target\n{}", counts.join("\n"));
    Ok(())
}

fn targets(folder: &Path, only: &[String]) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets")).context("cannot list the fuzz targets")? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            targets.push(name.to_owned());
        }
    }
    targets.sort();
    for name in only {
        ensure!(
            targets.contains(name),
            "there is no fuzz target `{name}`, only {}",
            targets.join(", ")
        );
    }
    targets.retain(|target| only.is_empty() || only.contains(target));
    Ok(targets)
}

/// Builds the targets and returns their folder.
fn build(folder: &Path) -> Result<PathBuf> {
    let host = host()?;
    let target_dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || folder.join("target"),
        |shared| PathBuf::from(shared).join("fuzz"),
    );
    // With `--target`, build scripts and macros are built without the flags.
    let mut command = step::cargo();
    command
        .current_dir(folder)
        .args(["build", "--release", "--target", &host, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    step::exec(&mut command)?;
    Ok(target_dir.join(host).join("release"))
}

fn host() -> Result<String> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .output()
        .context("cannot run `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Makes one input of each document in the tables.
fn seed(corpus: &Path) -> Result<()> {
    fs::create_dir_all(corpus).with_context(|| format!("cannot make `{}`", corpus.display()))?;
    for table in TABLES {
        let text =
            fs::read_to_string(step::root().join(table)).with_context(|| format!("cannot read `{table}`"))?;
        let name = table.rsplit('/').next().unwrap_or(table);
        for (number, case) in text.split("=== ").skip(1).enumerate() {
            let document = case.split_once('\n').map_or("", |(_title, rest)| rest);
            let document = document.split("-->").next().unwrap_or_default();
            let path = corpus.join(format!("{name}-{number}"));
            fs::write(&path, document).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// Runs one target and returns how many inputs it took.
fn fuzz(folder: &Path, built: &Path, target: &str, seconds: u64) -> Result<u64> {
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for made in [&corpus, &artifacts] {
        fs::create_dir_all(made).with_context(|| format!("cannot make `{}`", made.display()))?;
    }
    let mut command = Command::new(built.join(target));
    command
        .args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    if target.starts_with("policy") {
        command.arg(format!("-dict={}", folder.join("policy.dict").display()));
    }
    let output = command
        .arg(&corpus)
        .output()
        .with_context(|| format!("cannot run `{target}`"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let lines: Vec<&str> = log.lines().rev().take(60).collect();
        for line in lines.iter().rev() {
            println!("{line}");
        }
        bail!("an input broke `{target}`: it is in `{}`", artifacts.display());
    }
    let executions = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|count| count.trim().parse().ok());
    executions.with_context(|| format!("`{target}` did not say how many inputs it took"))
}
