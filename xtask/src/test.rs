//! Everything that must pass: set-up, tidy, guests built from source, all tests, real clients.
//!
//! The tests find what was set up in the environment:
//!
//! | variable | names |
//! |---|---|
//! | `WASSETTE_GUESTS` | the folder of guests built from this source, `<name>.wasm` each |
//! | `WASSETTE_NODE_TOOLS` | the `node_modules` folder with the MCP inspector and the official SDK's client |
//! | `WASSETTE_PYTHON` | the Python that has the official SDK's client, and FastMCP's |
//! | `WASSETTE_RUST_CLIENT` | the client made of the official Rust SDK |
//!
//! What cannot do without them is the test target `foreign`, which a plain `cargo test` leaves out. Each of its
//! modules is a step here, so that their times show: `agents` (other people's agents, driven by a model on this machine), `conformance` (the
//! official suite), `large_guests` (the same guest from every toolchain), `real_clients` (other people's MCP clients), `real_issuer` (an
//! authorization server, and a client that gets its token there) and `real_registry` (a registry, and another program that uses it). A step that would run nothing fails, and so does a module with tests and without a step.

use crate::guests;
use crate::setup::{self, Toolchain};
use crate::step::{self, Steps};
use crate::tidy;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::process::Command;

/// What `cargo xtask test` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Use the checked-in guests only: nothing is installed, and the large guests and other clients are left out.
    #[arg(long)]
    pub(crate) no_guests: bool,
}

const CONFORMANCE: (&str, &str) = ("conformance", "the official conformance suite");

/// The modules of the test target `foreign`, and what their steps are called.
const FOREIGN: [(&str, &str); 6] = [
    CONFORMANCE,
    ("large_guests", "large guests"),
    ("real_clients", "real MCP clients"),
    ("real_issuer", "a real authorization server"),
    ("agents", "real agents"),
    ("real_registry", "a real registry"),
];

type Environment = Vec<(&'static str, OsString)>;

/// Runs all tests.
///
/// # Errors
///
/// The first step that fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("tidy", tidy::run)?;
    let environment = if options.no_guests {
        Environment::new()
    } else {
        // Sets up the tools first, which takes no time when they are there.
        steps.run("set-up and guests", || {
            guests::run(&guests::Options {
                check: true,
                hostile: false,
            })
        })?;
        environment(&Toolchain::open()?)
    };
    steps.run("build tests", || {
        step::exec(cargo_test(&environment).arg("--no-run"))
    })?;
    steps.run("tests", || step::exec(&mut cargo_test(&environment)))?;
    if !options.no_guests {
        for (module, name) in FOREIGN {
            steps.run(name, || foreign(&environment, module))?;
        }
    }
    steps.summary();
    Ok(())
}

/// Runs the official conformance suite, and prints how much of it passes.
///
/// # Errors
///
/// What a scenario that must pass does not.
pub(crate) fn conformance() -> Result<()> {
    setup::run()?;
    let environment = environment(&Toolchain::open()?);
    let (module, _) = CONFORMANCE;
    step::exec(cargo_test(&environment).args(["--test", "foreign", "--", "--nocapture", module]))
}

fn environment(toolchain: &Toolchain) -> Environment {
    let python = toolchain.python_program("python");
    vec![
        ("WASSETTE_GUESTS", toolchain.built().into()),
        ("WASSETTE_NODE_TOOLS", toolchain.node_modules().into()),
        ("WASSETTE_PYTHON", python.get_program().to_owned()),
        ("WASSETTE_RUST_CLIENT", toolchain.rust_client().into()),
    ]
}

/// Always the whole workspace: see the comment in `main.rs`.
fn cargo_test(environment: &Environment) -> Command {
    let mut command = step::cargo();
    command.args(["test", "--workspace"]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

fn foreign(environment: &Environment, module: &str) -> Result<()> {
    let filter = format!("{module}::");
    let test = || {
        let mut command = cargo_test(environment);
        command.args(["--test", "foreign", "--", &filter]);
        command
    };
    let listed = test().arg("--list").output().context("cannot list the tests")?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    ensure!(
        lists_a_test(&listed),
        "the test target `foreign` has no tests in a module `{module}`"
    );
    step::exec(&mut test())
}

fn lists_a_test(listing: &str) -> bool {
    listing.lines().any(|line| line.ends_with(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The modules that a file declares, and where each is.
    fn modules(text: &str) -> Vec<(&str, String)> {
        let mut path = None;
        let mut modules = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("#[path = \"") {
                path = rest.strip_suffix("\"]").map(str::to_owned);
            } else if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                modules.push((name, path.take().unwrap_or_else(|| format!("{name}.rs"))));
            }
        }
        modules
    }

    #[test]
    fn every_module_with_tests_is_a_step() {
        let folder = step::root().join("tests/it");
        let read = |path: &str| std::fs::read_to_string(folder.join(path)).expect(path);
        let (foreign, plain) = (read("foreign.rs"), read("main.rs"));
        // What both have runs with the others.
        let plain = modules(&plain);
        let own = modules(&foreign);
        let own = own.iter().filter(|module| !plain.contains(module));
        let tested: BTreeSet<_> = own
            .filter(|(_, path)| read(path).lines().any(|line| line.trim() == "#[test]"))
            .map(|(name, _)| *name)
            .collect();
        let steps: BTreeSet<_> = FOREIGN.iter().map(|(module, _)| *module).collect();
        assert_eq!(tested, steps);
    }

    #[test]
    fn modules_are_found_with_their_paths() {
        assert_eq!(
            modules("mod one;\n#[path = \"a/b.rs\"]\nmod two;\nmod three;\n"),
            [
                ("one", "one.rs".to_owned()),
                ("two", "a/b.rs".to_owned()),
                ("three", "three.rs".to_owned())
            ]
        );
    }

    #[test]
    fn an_empty_listing_is_noticed() {
        assert!(lists_a_test(
            "large_guests::javascript: test\n\n1 test, 0 benchmarks\n"
        ));
        assert!(!lists_a_test("\n0 tests, 0 benchmarks\n"));
    }
}
