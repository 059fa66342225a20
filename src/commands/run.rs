//! `wassette run`: an MCP server over standard input and output.

use super::stop::stopped;
use super::{manifest, variables};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::descriptors;
use crate::exit::Exit;
use crate::output::note;
use std::io::IsTerminal;
use wassette_mcp::{Builtin, ServerOptions, serve_stdio};

/// What a model is told about the server as a whole.
const INSTRUCTIONS: &str = "Tools of sandboxed WebAssembly components. A component reaches no file, host or \
variable that a person has not granted; when a tool reports a denial, tell the user what was denied, and do not \
look for a way around it. Where there is the tool request-permission, it asks that person.";

pub(crate) async fn run(config: &Config, args: &RunArgs) -> Result<(), Exit> {
    descriptors::allow_all();
    let host = variables::open(config, &args.variables).await?;
    let builtins = builtins(args, !args.disable_builtin_tools);
    if let Some(file) = &args.manifest {
        manifest::apply_before(config, &host, file).await?;
    }
    let options = server_options(config, builtins);
    if std::io::stdin().is_terminal() {
        note(
            "this is a server for MCP clients and waits for their messages on standard input; \
             `wassette demo` ends with the lines that add it to a client. Ctrl-C ends it",
        );
    }
    let feeds = host.clone();
    let stop = stopped().map_err(Exit::failed)?;
    tokio::select! {
        served = serve_stdio(host, options, stop) => served.map_err(Exit::failed),
        never = feeds.follow_feeds() => match never {},
    }
}

/// The server's own tools that are offered.
pub(super) fn builtins(args: &RunArgs, manages: bool) -> Vec<Builtin> {
    let managing = Builtin::MANAGING.into_iter().filter(|_| manages);
    let finding = Builtin::FINDING.into_iter().filter(|_| args.tool_search);
    managing.chain(finding).collect()
}

/// What clients are told of this server.
pub(super) fn server_options(config: &Config, builtins: Vec<Builtin>) -> ServerOptions {
    ServerOptions {
        name: "wassette".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instructions: Some(INSTRUCTIONS.to_owned()),
        builtins,
        approve_in_client: config.approve_in_client.value,
        current_folder: config.current_dir.clone(),
    }
}
