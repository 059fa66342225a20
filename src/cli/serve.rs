//! Options of `wassette serve`.

use super::RunArgs;
use clap::Args;
use std::num::NonZeroU32;
use std::path::PathBuf;
use wassette_mcp::AccountLimits;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address, or `unix:PATH` for a socket that only this user reaches.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind_address: Option<String>,
    /// A name by which clients know this server, besides those of this machine.
    #[arg(long = "allowed-host", value_name = "HOST")]
    pub(crate) allowed_hosts: Vec<String>,
    /// An origin whose pages may send requests, such as `https://app.example.com`.
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    pub(crate) allowed_origins: Vec<String>,
    /// Requests that one client may send in a second, where all that have the same token are one.
    #[arg(long, value_name = "N", default_value_t = AccountLimits::default().requests_per_second)]
    pub(crate) requests_per_second: NonZeroU32,
    /// Serves everybody who reaches the address, without a token.
    #[arg(long, conflicts_with_all = ["oauth_issuer", "token_file"])]
    pub(crate) no_auth: bool,
    /// File of the token that clients must send; it is made when it is missing.
    #[arg(long, value_name = "PATH", conflicts_with = "oauth_issuer")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) oauth: OauthArgs,
    /// Certificate chain in PEM, for TLS.
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key in PEM, for TLS.
    #[arg(long, value_name = "PATH", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Address of `/metrics`, for the operator's programs. It asks for no token, so that an address beyond this machine
    /// is a warning.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_address: Option<std::net::SocketAddr>,
    /// Offers the model the tools to list, load and unload components, too.
    #[arg(long, conflicts_with = "disable_builtin_tools")]
    pub(crate) enable_builtin_tools: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Tokens of an authorization server.
#[derive(Debug, Args)]
pub(crate) struct OauthArgs {
    /// Accepts the tokens of this authorization server (OAuth 2.1) instead of one of our own.
    #[arg(long, value_name = "URL", requires = "oauth_resource")]
    pub(crate) oauth_issuer: Option<String>,
    /// This server's address as clients know it, for which tokens must be issued.
    #[arg(long, value_name = "URL", requires = "oauth_issuer")]
    pub(crate) oauth_resource: Option<String>,
    /// The issuer's keys: a URL or a file. Without it they are where the issuer's metadata says.
    #[arg(long, value_name = "URL|PATH", requires = "oauth_issuer")]
    pub(crate) oauth_keys: Option<String>,
}
