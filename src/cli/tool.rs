//! Commands about tools.

use super::VariableArgs;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ToolCommand {
    /// Lists all tools.
    List,
    /// Shows one tool with its schemas.
    Read {
        /// Name of the tool.
        name: String,
    },
    /// Gives a tool another name, which no other tool may have.
    Rename {
        /// Name of the tool.
        name: String,
        /// Its new name: at most 64 letters, digits, `-` and `_`.
        new: String,
    },
    /// Says something else of a tool than its component does.
    Describe {
        /// Name of the tool.
        name: String,
        /// The description that clients and models read.
        description: String,
    },
    /// Shows a tool as its component does.
    Reset {
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
        #[command(flatten)]
        variables: VariableArgs,
    },
}
