//! Measures the release build beside the raw engine, a Node server and the transport floor.
//!
//! The measuring itself is the `wassette-bench` crate; here is what must be there before, and where the tables
//! go: between two markers of BENCHMARKS.md. The raw figures stay in the cache folder, outside the repository.

use crate::setup::{self, Toolchain};
use crate::step::{self, Steps};
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What `cargo xtask bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Three rounds instead of nine, which are too few to be written into BENCHMARKS.md.
    #[arg(long)]
    quick: bool,
    /// Measure only these: calls, http, starts, loads, lists, memory, supply, gate. Nothing is written into BENCHMARKS.md.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Small guests in the order in which figures are promised for them, and their echo function.
const GUESTS: [&str; 2] = ["kitchen.wasm", "kitchen-c.wasm"];
/// A guest of twelve megabytes, most of which is a JavaScript engine.
const LARGE_GUEST: &str = "kitchen-starlingmonkey.wasm";
const FUNCTION: &str = "echo-string";

/// What puts a native tool behind the same endpoint.
const NATIVE_FEATURE: &str = "wassette-mcp/native-echo";

/// The name of the measurement of the gate.
const GATE: &str = "gate";

const DOCUMENT: &str = "BENCHMARKS.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench` -->";
const END: &str = "<!-- end of what is written -->";

/// Builds, measures, prints the tables and writes them into BENCHMARKS.md.
///
/// # Errors
///
/// When a build or a measurement fails, or the document has no markers.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("set-up", setup::run)?;
    let toolchain = Toolchain::open()?;
    let mut report = String::new();
    if options.only.as_slice() != [GATE] {
        steps.run("release build with a native tool", build_native)?;
        steps.run("release build", || {
            step::exec(step::cargo().args(["build", "--release", "--workspace"]))
        })?;
        report.push_str(&steps.run("measurement", || measure(options, &toolchain))?);
    }
    if options.only.is_empty() || options.only.iter().any(|only| only == GATE) {
        report.push_str(&steps.run("measurement of the gate", || gate(options))?);
    }
    if !options.quick && options.only.is_empty() {
        let path = step::root().join(DOCUMENT);
        let document = fs::read_to_string(&path).with_context(|| format!("cannot read `{DOCUMENT}`"))?;
        fs::write(&path, replaced(&document, &report)?)?;
    }
    steps.summary();
    Ok(())
}

/// What `cargo xtask soak` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// For how long.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

/// Calls a server for long, and fails when it holds more at the end than at the beginning.
///
/// # Errors
///
/// When the build or a call fails, or when the server grows.
pub(crate) fn soak(options: &Soak) -> Result<()> {
    step::exec(step::cargo().args(["build", "--release", "--workspace"]))?;
    let built = step::root().join("tests").join("guests").join("built");
    let mut command = Command::new(binary("wassette-bench")?);
    command.arg("soak").arg("--wassette").arg(binary("wassette")?);
    command.arg("--kitchen").arg(built.join("kitchen.wasm"));
    command.arg("--rich").arg(built.join("conformance.wasm"));
    command.arg("--minutes").arg(options.minutes.to_string());
    step::exec(&mut command)
}

/// Builds the program with an echo of its own and puts it aside, where the build of the others does not replace it.
fn build_native() -> Result<()> {
    step::exec(step::cargo().args(["build", "--release", "--workspace", "--features", NATIVE_FEATURE]))?;
    fs::copy(binary("wassette")?, native()?)?;
    Ok(())
}

/// The program with the native echo.
fn native() -> Result<PathBuf> {
    let name = format!("wassette-native{}", std::env::consts::EXE_SUFFIX);
    Ok(target()?.join(name))
}

fn measure(options: &Options, toolchain: &Toolchain) -> Result<String> {
    let folder = toolchain.cache().join("bench");
    fs::create_dir_all(&folder)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let report = folder.join(format!("{seconds}.md"));
    let mut command = Command::new(binary("wassette-bench")?);
    command.arg("run").arg("--wassette").arg(binary("wassette")?);
    command.arg("--wassette-native").arg(native()?);
    command.args(["--rounds", if options.quick { "3" } else { "9" }]);
    command
        .arg("--results")
        .arg(folder.join(format!("{seconds}.jsonl")));
    command.arg("--report").arg(&report);
    let only: Vec<_> = options
        .only
        .iter()
        .filter(|only| *only != GATE)
        .map(String::as_str)
        .collect();
    if !only.is_empty() {
        command.arg("--only").arg(only.join(","));
    }
    for path in GUESTS.iter().filter_map(|name| built(name, toolchain)) {
        command.arg("--guest").arg(guest(&path));
    }
    if let Some(path) = built(LARGE_GUEST, toolchain) {
        command.arg("--large").arg(guest(&path));
    } else {
        println!("`{LARGE_GUEST}` is left out: `cargo xtask guests` builds it");
    }
    command
        .arg("--node")
        .arg(toolchain.npm_program("node").get_program());
    command
        .arg("--node-server")
        .arg(node_server(toolchain, "echo.mjs")?);
    command
        .arg("--node-http-server")
        .arg(node_server(toolchain, "echo-http.mjs")?);
    step::exec(&mut command)?;
    let commit = commit()?;
    let tables = fs::read_to_string(&report)?;
    Ok(format!("Commit {commit}. {tables}"))
}

/// Measures our hosts of files and HTTP against wasmtime's own. Built apart, because it asks for wasmtime's
/// client of HTTP, which must not get into the program.
fn gate(options: &Options) -> Result<String> {
    let manifest = step::root().join("bench").join("gate").join("Cargo.toml");
    let mut command = step::cargo();
    command
        .args(["run", "--release", "--locked", "--manifest-path"])
        .arg(manifest);
    command.arg("--target-dir").arg(target()?.join("bench-gate"));
    command
        .arg("--")
        .arg(step::root().join("tests/guests/built/needy.wasm"));
    command.arg(if options.quick { "3" } else { "9" });
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the measurement of the gate")?;
    ensure!(output.status.success(), "the measurement of the gate failed");
    let report = String::from_utf8(output.stdout)?;
    println!("{report}");
    Ok(format!("\n{report}"))
}

/// A guest of this source if it was built, else the one that is checked in.
fn built(name: &str, toolchain: &Toolchain) -> Option<PathBuf> {
    let checked_in = step::root().join("tests").join("guests").join("built");
    [toolchain.built(), checked_in]
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

fn guest(path: &Path) -> OsString {
    let mut text = path.as_os_str().to_owned();
    text.push("#");
    text.push(FUNCTION);
    text
}

/// The server must lie beside the packages it imports.
fn node_server(toolchain: &Toolchain, name: &str) -> Result<PathBuf> {
    let path = toolchain.node_modules().with_file_name(format!("bench-{name}"));
    let source = step::root().join("bench").join("servers").join(name);
    fs::copy(&source, &path).with_context(|| format!("cannot copy `{}`", source.display()))?;
    Ok(path)
}

/// A program of the release build.
fn binary(name: &str) -> Result<PathBuf> {
    let path = target()?
        .join("release")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(path.exists(), "`{}` was not built", path.display());
    Ok(path)
}

/// Where cargo builds.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = step::cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .context("cannot run `cargo metadata`")?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata
        .get("target_directory")
        .and_then(|folder| folder.as_str())
        .context("no target folder")?;
    Ok(PathBuf::from(target))
}

fn commit() -> Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(step::root())
        .output()
        .context("cannot run `git describe`")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The document with `report` between its markers.
fn replaced(document: &str, report: &str) -> Result<String> {
    let parts = document
        .split_once(BEGIN)
        .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.with_context(|| format!("`{DOCUMENT}` lacks `{BEGIN}` or `{END}`"))?;
    Ok(format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", report.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let document = format!("# Head\n\n{BEGIN}\nold\n{END}\n\ntail\n");
        let expected = format!("# Head\n\n{BEGIN}\n\nnew\n\n{END}\n\ntail\n");
        assert_eq!(replaced(&document, "new\n").unwrap(), expected);
        assert_eq!(
            replaced("# Head\n", "new").unwrap_err().to_string(),
            format!("`{DOCUMENT}` lacks `{BEGIN}` or `{END}`")
        );
    }

    #[test]
    fn the_document_has_its_markers() {
        let document = fs::read_to_string(step::root().join(DOCUMENT)).unwrap();
        assert!(replaced(&document, "").is_ok(), "{document}");
    }
}
