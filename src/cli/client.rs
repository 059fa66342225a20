//! Options of `wassette client`.

use crate::clients::Client;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Adds this program; shows the change, asks, and keeps a copy of the file.
    Add(ClientAddArgs),
    /// Takes this program out.
    Remove(ClientChangeArgs),
    /// Lists the clients that are known, and in which of them this program is.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct ClientAddArgs {
    #[command(flatten)]
    pub(crate) change: ClientChangeArgs,
    /// Adds a server that runs already (`wassette serve`) instead of starting one. The token comes along for one on this machine.
    #[arg(long, value_name = "URL", conflicts_with = "args")]
    pub(crate) url: Option<String>,
    /// Options for `wassette run`, after `--`.
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ClientChangeArgs {
    /// The client.
    pub(crate) client: Client,
    /// Does not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Shows the change and makes none.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
