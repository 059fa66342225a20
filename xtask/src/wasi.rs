//! Runs the file programs of the WASI test suite through our file system, as a user would run any component.
//!
//! The suite is <https://github.com/WebAssembly/wasi-testsuite>, branch `prod/testsuite-base`, where the programs are
//! built. It is in no package registry, so it is not part of `cargo xtask test`: whoever has a checkout names it. Each
//! program becomes a component of one tool with wasmtime's adapter for WASI preview 1, is loaded into a home of its own,
//! gets a copy of its folder as `/`, and is called once.
//!
//! What does not pass is listed in [`DEVIATIONS`] with its reason. The task fails for a program that is not listed and
//! fails, and for one that is listed and passes.

use crate::bench;
use crate::foreign;
use crate::setup::Toolchain;
use crate::step::{self, Steps};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What `cargo xtask wasi` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A checkout of the suite, branch `prod/testsuite-base`.
    suite: PathBuf,
    /// Run only the programs whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Where the built programs lie in the suite.
const FOLDERS: [&str; 2] = [
    "tests/c/testsuite/wasm32-wasip1",
    "tests/rust/testsuite/wasm32-wasip1",
];

/// A program that does not pass, and why that is right or not ours.
const DEVIATIONS: [(&str, &str); 1] = [(
    "path_link",
    "a hard link to a link is refused: only files can be linked, so that no link gets a name its grant does not show",
)];

/// A program of the suite that is given a folder.
struct Program {
    name: String,
    module: PathBuf,
    folder: PathBuf,
}

/// Runs them all and prints what came of each.
///
/// # Errors
///
/// When the suite cannot be read, a program cannot be run, or the results are not those that are known.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("build", || {
        step::exec(step::cargo().args(["build", "--workspace", "--bin", "wassette"]))
    })?;
    let toolchain = Toolchain::open()?;
    let wassette = bench::target()?
        .join("debug")
        .join(format!("wassette{}", std::env::consts::EXE_SUFFIX));
    let programs = programs(&options.suite)?;
    let chosen: Vec<_> = programs
        .iter()
        .filter(|program| program.name.contains(&options.only))
        .collect();
    ensure!(!chosen.is_empty(), "no program of the suite is called so");
    let (mut passed, mut wrong) = (0, Vec::new());
    for program in &chosen {
        let outcome = program.run(&toolchain, &wassette)?;
        let known = DEVIATIONS.iter().find(|(name, _)| *name == program.name);
        let (text, is_expected) = match (&outcome, known) {
            (Ok(()), None) => ("passed".to_owned(), true),
            (Err(_), Some((_, reason))) => (format!("deviates: {reason}"), true),
            (Ok(()), Some(_)) => ("PASSED, although it is listed".to_owned(), false),
            (Err(text), None) => (format!("FAILED: {text}"), false),
        };
        passed += usize::from(outcome.is_ok());
        println!("{:34} {text}", program.name);
        if !is_expected {
            wrong.push(program.name.as_str());
        }
    }
    println!("\n{passed} of {} programs passed", chosen.len());
    ensure!(wrong.is_empty(), "not as it is known: {}", wrong.join(", "));
    Ok(())
}

/// The programs that are given a folder, in the order of their names.
fn programs(suite: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for folder in FOLDERS.map(|folder| suite.join(folder)) {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
        for entry in entries {
            let module = entry?.path();
            let manifest = module.with_extension("json");
            if module.extension().is_none_or(|extension| extension != "wasm") || !manifest.exists() {
                continue;
            }
            let manifest: Json = serde_json::from_str(&fs::read_to_string(&manifest)?)?;
            let name = module.file_stem().and_then(|stem| stem.to_str());
            if let (Some(root), Some(name)) = (manifest.get("root").and_then(Json::as_str), name) {
                programs.push(Program {
                    name: name.to_owned(),
                    folder: folder.join(root),
                    module: module.clone(),
                });
            }
        }
    }
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(programs)
}

impl Program {
    /// Calls the program in an empty home; gives what it complained about.
    fn run(&self, toolchain: &Toolchain, wassette: &Path) -> Result<Result<(), String>> {
        let home = step::cache()?.join("wasi");
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        let home = home.canonicalize()?;
        let folder = home.join("folder");
        copy(&self.folder, &folder)?;
        let component = home.join("program.wasm");
        step::exec(&mut foreign::wit_tool(
            toolchain,
            &["program", path(&self.module)?, path(&component)?],
        ))?;
        let policy = home.join("policy.yaml");
        let grant =
            json!({ "uri": format!("fs://{}", folder.display()), "access": ["read", "write"], "guest": "/" });
        let document = json!({ "version": "1.0", "permissions": { "storage": { "allow": [grant] } } });
        fs::write(&policy, document.to_string())?;
        let ours = |arguments: &[&str]| -> Result<Output> {
            let mut command = Command::new(wassette);
            command.args(arguments).env_clear().env("HOME", &home);
            let output = command.current_dir(&home).stdin(Stdio::null()).output();
            output.context("cannot run the program")
        };
        let done = |arguments: &[&str]| -> Result<Json> {
            let output = ours(arguments)?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}: {complaint}", self.name);
            Ok(serde_json::from_slice(&output.stdout)?)
        };
        done(&["component", "load", path(&component)?])?;
        done(&["policy", "attach", "program", path(&policy)?])?;
        let tools = done(&["tool", "list"])?;
        let tool = tools
            .pointer("/tools/0/name")
            .and_then(Json::as_str)
            .context("no tool")?;
        let output = ours(&["tool", "invoke", tool])?;
        Ok(if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        })
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path is not UTF-8")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
