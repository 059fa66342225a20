//! What `cargo xtask bench` runs: a client that loads MCP servers over stdio, and two servers to compare with.
//!
//! `raw` is the engine and a line loop, nothing else: no policy, validation, audit or cancellation. It bounds
//! what any server on this engine can reach with a fresh instance per call. `floor` answers with constants and
//! shows the cost of two pipes. Every target is measured in the same minute, in turns, and a ratio is the
//! median of the rounds' ratios, so that a slow minute of the machine hits all alike.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool talks to a terminal"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "only JSON values are indexed, which answer null"
)]

mod client;
mod floor;
mod guests;
mod http;
mod machine;
mod measure;
mod raw;
mod report;
mod soak;

mod supply;
mod targets;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(about = "Measure MCP servers side by side")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Serve one function of a component with nothing but the engine.
    Raw {
        /// The component.
        component: PathBuf,
        /// The function, in whichever interface it is.
        function: String,
    },
    /// Answer every request with a constant.
    Floor,
    /// Measure all targets.
    Run(measure::Plan),
    /// Call a server over HTTP for long, and see whether it grows.
    Soak(soak::Plan),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Raw { component, function } => raw::serve(&component, &function),
        Task::Floor => floor::serve(),
        Task::Run(plan) => measure::run(&plan),
        Task::Soak(plan) => soak::run(&plan),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
