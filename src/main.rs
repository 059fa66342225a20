//! The program: composition only. Here, and only here, arguments, environment, home folder, working folder
//! and terminal are read and passed on.

mod cli;
mod clients;
mod commands;
mod config;
mod descriptors;
mod exit;
mod lock;
mod logging;
mod logins;
mod manifest;
#[cfg(unix)]
mod others;
mod output;
mod policy_text;
#[cfg(unix)]
mod socket;
mod starters;

use clap::Parser;
use cli::{Cli, Command};
use config::Config;
use exit::Exit;
use output::Output;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use wassette_host::{COMPILER_ARGUMENT, CompilerRunError, run_compiler};

/// Threads for work that blocks: reading files, compiling, asking the database.
const BLOCKING_THREADS_MAX: usize = 8;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == COMPILER_ARGUMENT) {
        return compile(&arguments.collect::<Vec<_>>());
    }
    // A library that asks for the provider of TLS without naming one panics when two are compiled in.
    let _first_call_wins = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

/// Is a compiler and nothing else: before any setting is read and anything is opened.
fn compile(arguments: &[OsString]) -> ExitCode {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    if input.is_terminal() || output.is_terminal() {
        return Exit::usage(CompilerRunError::NotForPeople.to_string()).report();
    }
    match run_compiler(arguments, &mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CompilerRunError::NotForPeople) => Exit::usage(error.to_string()).report(),
        Err(error) => Exit::failed(error).report(),
    }
}

fn run(cli: Cli) -> Result<(), Exit> {
    let output = Output::new(cli.global.output);
    if let Command::Completion { shell } = cli.command {
        return commands::completion::print(shell);
    }
    let config = Config::read(&cli.global)?;
    logging::start(&config)?;
    // One thread carries the protocol: a message is read, handled and answered without a hop. Guests that
    // take longer move to threads of their own.
    // Where there are many clients, each connection is a task for whichever thread is free.
    let mut runtime = if matches!(cli.command, Command::Serve(_)) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(Exit::failed)?;
    let result = runtime.block_on(dispatch(cli.command, config, output));
    // A read of standard input that never returns must not keep the process.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, config: Config, output: Output) -> Result<(), Exit> {
    match command {
        Command::Run(args) => Box::pin(commands::run::run(&config, &args)).await,
        Command::Serve(args) => Box::pin(commands::serve::run(&config, &args)).await,
        Command::Component(command) => commands::component::run(&config, command, output).await,
        Command::Inspect { subject } => commands::inspect::run(&config, &subject, output).await,
        Command::Tool(command) => commands::tool::run(&config, command, output).await,
        Command::Permission(command) => commands::permission::run(&config, command, output).await,
        Command::Policy(command) => commands::policy::run(&config, command, output).await,
        Command::Secret(command) => commands::secret::run(&config, command, output).await,
        Command::Registry(command) => commands::registry::run(&config, command, output).await,
        Command::Store(command) => commands::store::run(&config, &command, output).await,
        Command::Manifest(command) => commands::manifest::run(&config, command, output).await,
        Command::Client(command) => commands::client::run(&config, command, output),
        Command::Demo => commands::demo::run(&config).await,
        Command::Config(command) => commands::config::run(&config, &command, output),
        Command::Completion { shell } => commands::completion::print(shell),
    }
}
