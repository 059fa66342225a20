//! Everything that must pass: set-up, tidy, guests built from source, all tests, real clients.
//!
//! The tests find what was set up in the environment:
//!
//! | variable | names |
//! |---|---|
//! | `WASSETTE_GUESTS` | the folder of guests built from this source, `<name>.wasm` each |
//! | `WASSETTE_NODE_TOOLS` | the `node_modules` folder with the MCP inspector and the official SDK's client |
//! | `WASSETTE_PYTHON` | the Python that has the official SDK's client |
//!
//! A test that needs one of them is left out of a plain `cargo test` and runs here, where all are set. Two
//! modules of the end-to-end tests have steps of their own, so that their times show: `large_guests` (guests which
//! bring an interpreter) and `real_clients` (other people's MCP clients). A step that would run nothing fails.

use crate::guests;
use crate::setup::Toolchain;
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

/// Modules of `tests/it` with a step of their own, and what it is called.
const OWN_STEPS: [(&str, &str); 2] = [
    ("large_guests", "large guests"),
    ("real_clients", "real MCP clients"),
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
            guests::run(&guests::Options { check: true })
        })?;
        environment(&Toolchain::open()?)
    };
    steps.run("build tests", || {
        step::exec(cargo_test(&environment).arg("--no-run"))
    })?;
    steps.run("tests", || {
        step::exec(cargo_test(&environment).args(without_own_steps()))
    })?;
    if !options.no_guests {
        for (module, name) in OWN_STEPS {
            steps.run(name, || end_to_end(&environment, module))?;
        }
    }
    steps.summary();
    Ok(())
}

fn environment(toolchain: &Toolchain) -> Environment {
    let python = toolchain.python_program("python");
    vec![
        ("WASSETTE_GUESTS", toolchain.built().into()),
        ("WASSETTE_NODE_TOOLS", toolchain.node_modules().into()),
        ("WASSETTE_PYTHON", python.get_program().to_owned()),
    ]
}

/// Always the whole workspace: see the comment in `main.rs`.
fn cargo_test(environment: &Environment) -> Command {
    let mut command = step::cargo();
    command.args(["test", "--workspace"]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

fn without_own_steps() -> Vec<String> {
    let skips = OWN_STEPS
        .iter()
        .flat_map(|(module, _)| ["--skip".to_owned(), format!("{module}::")]);
    std::iter::once("--".to_owned()).chain(skips).collect()
}

fn end_to_end(environment: &Environment, module: &str) -> Result<()> {
    let filter = format!("{module}::");
    let listed = cargo_test(environment)
        .args(["--test", "it", "--", "--list", &filter])
        .output()
        .context("cannot list the tests")?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    ensure!(
        lists_a_test(&listed),
        "`tests/it` has no tests in a module `{module}`"
    );
    step::exec(cargo_test(environment).args(["--test", "it", "--", &filter]))
}

fn lists_a_test(listing: &str) -> bool {
    listing.lines().any(|line| line.ends_with(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_listing_is_noticed() {
        assert!(lists_a_test(
            "large_guests::javascript: test\n\n1 test, 0 benchmarks\n"
        ));
        assert!(!lists_a_test("\n0 tests, 0 benchmarks\n"));
    }

    #[test]
    fn modules_with_a_step_of_their_own_run_once() {
        assert_eq!(
            without_own_steps(),
            ["--", "--skip", "large_guests::", "--skip", "real_clients::"]
        );
    }
}
