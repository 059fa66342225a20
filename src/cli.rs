//! What can be typed. Only what works is here.

mod client;
mod serve;
mod tool;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use client::{ClientAddArgs, ClientChangeArgs, ClientCommand};
pub(crate) use serve::{OauthArgs, ServeArgs};
use std::path::PathBuf;
pub(crate) use tool::ToolCommand;

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
    /// A policy file that nothing exceeds.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) ceiling: Option<PathBuf>,
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
    /// Serves the tools to many MCP clients over HTTP.
    Serve(Box<ServeArgs>),
    /// Loads, lists, shows and unloads components.
    #[command(subcommand)]
    Component(ComponentCommand),
    /// Shows what a component offers, asks for and could do at most, without running it.
    Inspect {
        /// Id of a loaded component, or a reference as `component load` takes it.
        subject: String,
    },
    /// Lists, reads and invokes tools.
    #[command(subcommand)]
    Tool(ToolCommand),
    /// Grants a component what it needs, and takes it back.
    #[command(subcommand)]
    Permission(PermissionCommand),
    /// Shows, checks, compares and attaches policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Keeps secrets that components use and never see.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Finds, gets and publishes components in registries.
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Compares what is loaded with a file that says what is to be loaded, and makes it so.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Copies the component store, puts a copy back, and checks it.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Shows the whole thing in a minute, offline, on components inside this program.
    Demo,
    /// Shows the settings and where they come from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Adds this program to the settings of an MCP client, and takes it out again.
    #[command(subcommand)]
    Client(ClientCommand),
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
    /// Lists `search-tools` and `invoke-tool` instead of every component's tools, for hundreds of tools and for
    /// clients that read the list once.
    #[arg(long)]
    pub(crate) tool_search: bool,
    /// Loads what this file says before anything is served.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
}

/// Variables that components can be granted, besides those of this process.
#[derive(Debug, Default, Args)]
pub(crate) struct VariableArgs {
    /// A variable for components that were granted it; wins over a file and over this process's own.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// A file of such variables, one `KEY=VALUE` in each line.
    #[arg(long, value_name = "PATH")]
    pub(crate) env_file: Option<PathBuf>,
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
    /// Puts the newest version in place; what is new in one that wants more is withheld until it is approved.
    Update(UpdateArgs),
    /// Goes back to the version that was there before.
    Rollback {
        /// Id of the component.
        id: String,
        /// The version, as `component show` lists them; the last one otherwise.
        #[arg(long, value_name = "DIGEST")]
        to: Option<String>,
    },
    /// Accepts what is new in a version.
    Approve {
        /// Id of the component.
        id: String,
        /// Also grants what it asks for.
        #[arg(long)]
        grant_requested: bool,
    },
    /// Shows who signed a component, and whether that is enough.
    Verify {
        /// Id of a loaded component, or a reference.
        subject: String,
    },
    /// Takes a version, or all that someone signed, out of service everywhere.
    Revoke {
        /// A digest (`sha256:...`) of a component or a manifest, or a signer as `component verify` prints it.
        subject: String,
        /// Why; it is shown to whoever calls one of its tools.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// Takes the revocation back.
        #[arg(long, conflicts_with = "reason")]
        undo: bool,
    },
    /// Writes down exactly what is loaded, for `component load --locked`.
    Lock {
        /// The lock file.
        #[arg(default_value = "wassette.lock")]
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// A path, `file://`, `https://` or `oci://` (registry/repository:tag), or `starter:NAME` for one that is inside this
    /// program.
    pub(crate) reference: String,
    /// The id it gets; made from the last part of its name otherwise.
    #[arg(long, value_name = "ID")]
    pub(crate) name: Option<String>,
    /// Replaces a component of the same id that was loaded from elsewhere, or is another version.
    #[arg(long)]
    pub(crate) replace: bool,
    /// A WIT file or folder whose comments describe the functions.
    #[arg(long, value_name = "PATH")]
    pub(crate) wit: Option<PathBuf>,
    /// Refuses everything but what the lock file says.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "wassette.lock")]
    pub(crate) locked: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Id of the component; all that came from registries and web servers otherwise.
    pub(crate) id: Option<String>,
    /// Another version of the same source, such as `oci://registry/repository:2.0`.
    #[arg(long, value_name = "REFERENCE", requires = "id")]
    pub(crate) to: Option<String>,
    /// Only says what there is, and changes nothing.
    #[arg(long, conflicts_with = "approve")]
    pub(crate) check: bool,
    /// Approves what is new at once.
    #[arg(long, requires = "id")]
    pub(crate) approve: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Copies the store as of one moment, while it is in use. Secrets are not in it.
    Backup {
        /// A folder that is not there yet, or empty.
        target: PathBuf,
    },
    /// Makes the store from a copy. There must be none yet.
    Restore {
        /// The folder of the copy.
        source: PathBuf,
    },
    /// Reads the database and every component, and says what is missing or damaged.
    Check,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Says what would be done. Changes nothing.
    Plan(ManifestArgs),
    /// Does it, and writes `wassette.lock` beside the file.
    Apply(ManifestArgs),
    /// Fails when something is not as the file says.
    Check(ManifestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The manifest, in YAML.
    pub(crate) file: PathBuf,
    /// Also unloads what the file does not name.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Loads nothing but what `wassette.lock` beside the file says.
    #[arg(long)]
    pub(crate) locked: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Searches the catalogues.
    Search {
        /// Words to find; everything otherwise.
        query: Option<String>,
    },
    /// Shows one entry of a catalogue.
    Get {
        /// Its name.
        name: String,
    },
    /// Keeps a user's name and password or token for a registry.
    Login {
        /// The registry, such as `ghcr.io`.
        host: String,
        /// The user's name.
        #[arg(short, long)]
        username: String,
        /// Reads the password or token from standard input; asked for without echo otherwise.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Forgets them.
    Logout {
        /// The registry.
        host: String,
    },
    /// Publishes a component.
    Push(PushArgs),
    /// Asks the revocation feeds now.
    Sync,
    /// Makes a pair of keys for signing.
    Keygen {
        /// Where the private key goes; the public one goes beside it, ending in `.pub`.
        #[arg(default_value = "wassette.key")]
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The component.
    pub(crate) file: PathBuf,
    /// Where it goes: `oci://registry/repository:tag`.
    pub(crate) reference: String,
    /// A policy that it asks for. Whoever loads it decides.
    #[arg(long, value_name = "PATH")]
    pub(crate) policy: Option<PathBuf>,
    /// A WIT file or folder whose comments describe the functions.
    #[arg(long, value_name = "PATH")]
    pub(crate) wit: Option<PathBuf>,
    /// What it is, in one line.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Its licence, as SPDX writes it.
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// Where its source code is.
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// Signs it with this private key.
    #[arg(long, value_name = "PATH")]
    pub(crate) sign: Option<PathBuf>,
    /// What the file is.
    #[arg(long, value_enum, default_value = "component")]
    pub(crate) kind: PushKind,
}

/// What can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PushKind {
    /// A component.
    Component,
    /// A catalogue, in JSON.
    Catalogue,
    /// A revocation feed, in JSON.
    Feed,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows every setting, its value and where it comes from.
    Show,
    /// Prints the path of the settings file.
    Path,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PermissionCommand {
    /// Allows a component something.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Takes something back; calls that used it end.
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// Takes everything back.
    Reset {
        /// Id of the component.
        id: String,
    },
    /// Shows what models asked for.
    Pending {
        /// Also what was denied.
        #[arg(long)]
        all: bool,
    },
    /// Grants what a model asked for.
    Approve {
        /// Its number, as `permission pending` shows it.
        number: u64,
    },
    /// Denies what a model asked for, also when it is asked for again.
    Deny {
        /// Its number, as `permission pending` shows it; or several.
        #[arg(required_unless_present = "component")]
        numbers: Vec<u64>,
        /// Denies all that waits for this component.
        #[arg(long, value_name = "ID", conflicts_with = "numbers")]
        component: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// A folder or a file.
    Storage(StorageArgs),
    /// Requests to a host, or connections to a range of addresses.
    Network(NetworkArgs),
    /// A variable of this program's environment.
    EnvironmentVariable {
        /// Id of the component.
        id: String,
        /// Name of the variable; with `=VALUE`, that value instead of the environment's.
        key: String,
    },
    /// A secret that is put on the component's requests to one host, and that it never sees.
    Secret(SecretArgs),
    /// Memory of one call, such as `512Mi`.
    Memory {
        /// Id of the component.
        id: String,
        /// The limit.
        limit: String,
    },
    /// Processor time of one call, such as `2s`, or a share of one core, such as `500m`.
    Cpu {
        /// Id of the component.
        id: String,
        /// The limit.
        limit: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RevokeCommand {
    /// A folder or a file, and all below it.
    Storage(RevokeStorageArgs),
    /// A host or a range. Without options, all that was granted for it.
    Network(NetworkArgs),
    /// A variable.
    EnvironmentVariable {
        /// Id of the component.
        id: String,
        /// Name of the variable.
        key: String,
    },
    /// A secret's use; the secret itself stays until `secret delete`.
    Secret {
        /// Id of the component.
        id: String,
        /// Name of the secret.
        name: String,
        /// The host it is not sent to any more; all hosts otherwise.
        #[arg(long)]
        host: Option<String>,
    },
    /// Leaves the memory of one call to the default.
    Memory {
        /// Id of the component.
        id: String,
        /// As for `grant`, and not looked at: the default holds again, whatever the limit was.
        limit: Option<String>,
    },
    /// Leaves processor time and share to the defaults.
    Cpu {
        /// Id of the component.
        id: String,
        /// As for `grant`, and not looked at: the default holds again, whatever the limit was.
        limit: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StorageArgs {
    /// Id of the component.
    pub(crate) id: String,
    /// The path, as `fs:///path`.
    pub(crate) uri: String,
    /// What is allowed: `read`, or `read,write`.
    #[arg(long, value_delimiter = ',', required = true, value_parser = ["read", "write"])]
    pub(crate) access: Vec<String>,
    /// Where the component sees it; the same path otherwise.
    #[arg(long, value_name = "PATH")]
    pub(crate) guest: Option<String>,
    /// Enters file systems that are mounted below it.
    #[arg(long)]
    pub(crate) submounts: bool,
    /// Where relative paths begin.
    #[arg(long, value_name = "DIR")]
    pub(crate) base: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeStorageArgs {
    /// Id of the component.
    pub(crate) id: String,
    /// The path, as `fs:///path`.
    pub(crate) uri: String,
    /// What is taken back; reading takes writing with it.
    #[arg(long, value_delimiter = ',', default_value = "read,write", value_parser = ["read", "write"])]
    pub(crate) access: Vec<String>,
    /// Where relative paths begin.
    #[arg(long, value_name = "DIR")]
    pub(crate) base: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Id of the component.
    pub(crate) id: String,
    /// A host (`api.example.com`, `*.example.com`, `localhost:8080`), a URL, or a range of addresses (`10.0.0.0/8`).
    pub(crate) host: String,
    /// A port, or a range of them; https's own otherwise.
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',')]
    pub(crate) ports: Vec<String>,
    /// `http` or `https`.
    #[arg(long = "scheme", value_name = "SCHEME", value_delimiter = ',')]
    pub(crate) schemes: Vec<String>,
    /// A method, such as `GET`; all otherwise.
    #[arg(long = "method", value_name = "METHOD", value_delimiter = ',')]
    pub(crate) methods: Vec<String>,
    /// A path, such as `/v1/**`; all otherwise.
    #[arg(long = "path", value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// `tcp` or `udp`, for raw sockets to a range.
    #[arg(long = "protocol", value_name = "PROTOCOL", value_delimiter = ',')]
    pub(crate) protocols: Vec<String>,
}

impl NetworkArgs {
    /// Whether nothing but the host is said.
    pub(crate) fn is_plain(&self) -> bool {
        let lists = [
            &self.ports,
            &self.schemes,
            &self.methods,
            &self.paths,
            &self.protocols,
        ];
        lists.into_iter().all(Vec::is_empty)
    }
}

#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    /// Id of the component.
    pub(crate) id: String,
    /// Name of the secret.
    pub(crate) name: String,
    /// The host it is sent to.
    #[arg(long)]
    pub(crate) host: String,
    /// The header that carries it.
    #[arg(long, default_value = "Authorization")]
    pub(crate) header: String,
    /// The header's value with `{secret}` in it; `Bearer {secret}` in `Authorization`, the secret alone elsewhere.
    #[arg(long)]
    pub(crate) format: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Shows the rules in force for a component.
    Get {
        /// Id of the component.
        id: String,
    },
    /// Reads a policy file and says what is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
        /// Where relative paths in it begin.
        #[arg(long, value_name = "DIR", conflicts_with = "as_ceiling")]
        base: Option<PathBuf>,
        /// Reads it as a ceiling, and says which components could not be used below it.
        #[arg(long)]
        as_ceiling: bool,
    },
    /// Says whether a component may do something, and by which rule of which layer.
    Explain {
        /// Id of the component.
        id: String,
        /// For example `read /path`, `GET https://host/path`, `connect tcp 10.0.0.5:5432`, `env NAME`.
        access: String,
    },
    /// Shows what is different between two policies.
    Diff {
        /// Id of a component, or a file.
        a: String,
        /// Id of a component, or a file.
        b: String,
        /// Where relative paths in files begin.
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
    },
    /// Puts a policy in place of a component's.
    Attach {
        /// Id of the component.
        id: String,
        /// The file.
        file: PathBuf,
        /// Where relative paths in it begin.
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Lists the names of a component's secrets. Nothing shows their values.
    List {
        /// Id of the component.
        id: String,
    },
    /// Keeps a secret for a component.
    Set {
        /// Id of the component.
        id: String,
        /// Names of secrets. A value that is not given as `NAME=VALUE` is asked for without echo, or read from standard
        /// input.
        #[arg(required = true, value_name = "NAME[=VALUE]")]
        keys: Vec<String>,
    },
    /// Forgets secrets of a component.
    Delete {
        /// Id of the component.
        id: String,
        /// Names of secrets.
        #[arg(required = true, value_name = "NAME")]
        keys: Vec<String>,
    },
}
