//! Developer tasks: `cargo xtask <task>`.
//!
//! Each task is one module with one `run`. Tasks call cargo as a child process, always with `--workspace`:
//! selecting a package would resolve other features and compile the engine a second time.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer tool talks to a terminal, not through a log"
)]

mod bench;
mod foreign;
mod fuzz;
mod guests;
mod setup;
mod step;
mod test;
mod tidy;
mod wasi;
mod zoo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Developer tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what tests and guests need beyond Rust, into the cache folder.
    Setup,
    /// Run everything: set-up, tidy, guests, all tests, real MCP clients and agents.
    Test(test::Options),
    /// Check the rules a compiler cannot: dependencies, module comments, links, digests.
    Tidy,
    /// Build the guest components from source.
    Guests(guests::Options),
    /// Feed damaged input to every fuzz target for a bounded time.
    Fuzz(fuzz::Options),
    /// Measure the release build beside the raw engine and a Node server.
    Bench(bench::Options),
    /// Call a release build over HTTP for long, and see whether it grows.
    Soak(bench::Soak),
    /// Run the official MCP conformance suite and print how much of it passes.
    Conformance,
    /// Let the hostile components loose and print what came of each.
    Zoo(zoo::Options),
    /// Run the file programs of the WASI test suite.
    Wasi(wasi::Options),
    /// Run what continuous integration runs (`.ci/run`).
    Ci,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Test(options) => test::run(&options),
        Task::Tidy => tidy::run(),
        Task::Guests(options) => guests::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Soak(options) => bench::soak(&options),
        Task::Conformance => test::conformance(),
        Task::Zoo(options) => zoo::run(&options),
        Task::Wasi(options) => wasi::run(&options),
        Task::Ci => step::script(".ci/run"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
