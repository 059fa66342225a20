//! Logs, to standard error only: standard output belongs to results or to the protocol.
//!
//! `WASSETTE_LOG` selects what is shown, for example `info` or `warn,wassette_sandbox=debug`. Arguments and
//! results of calls are in no log.

use crate::config::Config;
use crate::exit::Exit;
use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) fn start(config: &Config) -> Result<(), Exit> {
    let filter: Targets = config.log.value.parse().map_err(|error| {
        Exit::usage(format!(
            "the log filter `{}` (from: {}) is not valid: {error}",
            config.log.value, config.log.source
        ))
        .with_hint("use a level (error, warn, info, debug, trace) or `target=level`, separated by commas")
    })?;
    // SECURITY: the protocol library prints whole requests, arguments included, below `warn`, and
    // at `warn` refusals that repeat pieces of arguments. Its errors are clients that went away.
    let filter = filter.with_target("rmcp", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(Exit::failed)
}
