//! What can be typed. Only what works is here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs WebAssembly Components as MCP tools, each in a sandbox that starts without any access.
#[derive(Debug, Parser)]
#[command(
    name = "wassette",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the component store.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) component_dir: Option<PathBuf>,
    /// Form of what is printed; a table on a terminal and JSON in a pipe, unless said otherwise.
    #[arg(short, long, global = true, value_name = "FORM")]
    pub(crate) output: Option<Form>,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Json,
    Yaml,
    Table,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves the tools to an MCP client over standard input and output.
    Run(RunArgs),
    /// Loads, lists, shows and unloads components.
    #[command(subcommand)]
    Component(ComponentCommand),
    /// Shows what a component offers, asks for and could do at most, without running it.
    Inspect {
        /// Id of a loaded component, or a path, `file://` URL or `starter:NAME`.
        subject: String,
    },
    /// Lists, reads and invokes tools.
    #[command(subcommand)]
    Tool(ToolCommand),
    /// Shows the whole thing in a minute, offline, on components inside this program.
    Demo,
    /// Shows the settings and where they come from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Offers only the components' tools: the model cannot list, load or unload components.
    #[arg(long)]
    pub(crate) disable_builtin_tools: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Loads a component and offers its functions as tools.
    Load(LoadArgs),
    /// Removes a component and its tools.
    Unload {
        /// Id of the component.
        id: String,
    },
    /// Lists the loaded components.
    List,
    /// Shows one loaded component.
    Show {
        /// Id of the component.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// A path, a `file://` URL, or `starter:NAME` for one that is inside this program.
    pub(crate) reference: String,
    /// The id it gets; made from the file's name otherwise.
    #[arg(long, value_name = "ID")]
    pub(crate) name: Option<String>,
    /// Replaces a component of the same id that was loaded from elsewhere.
    #[arg(long)]
    pub(crate) replace: bool,
    /// A WIT file or folder whose comments describe the functions.
    #[arg(long, value_name = "PATH")]
    pub(crate) wit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ToolCommand {
    /// Lists all tools.
    List,
    /// Shows one tool with its schemas.
    Read {
        /// Name of the tool.
        name: String,
    },
    /// Calls one tool.
    Invoke {
        /// Name of the tool.
        name: String,
        /// The arguments as a JSON object, or `-` to read it from standard input.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows every setting, its value and where it comes from.
    Show,
    /// Prints the path of the settings file.
    Path,
}
