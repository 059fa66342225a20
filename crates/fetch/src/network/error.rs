//! What the network refuses, or is refused: each with the host, and with what to do about it.
//!
//! SECURITY: no text here comes from a credential, a token, a query or a body; of an error body only the code
//! that the distribution specification defines is kept.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use wassette_store::Digest;

use super::manifest::ManifestError;

/// What an error of the network means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkErrorKind {
    /// There is no such thing.
    NotFound,
    /// Credentials or an address are missing or refused.
    Denied,
    /// What came, or what was asked for, is refused; trying again does not help.
    Invalid,
    /// The other side did not answer as it should; trying again may help.
    Unavailable,
}

/// Why something could not be taken from, or given to, a registry or a web server.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "fields are `host`, `what` was fetched, what was expected and found, and limits"
)]
pub enum NetworkError {
    /// This fetcher was made without a network.
    #[error("nothing is fetched from the network here")]
    Off,
    /// No connection.
    #[error("cannot connect to `{host}`")]
    Connect { host: String, source: io::Error },
    /// No connection in time.
    #[error("`{host}` did not accept a connection within {} s", time_max.as_secs())]
    ConnectTime { host: String, time_max: Duration },
    /// The certificate was issued by nobody we trust.
    #[error("the certificate of `{host}` was issued by an authority that is not trusted here")]
    UnknownIssuer { host: String },
    /// The other side does not speak TLS.
    #[error("`{host}` does not speak TLS")]
    NotTls { host: String },
    /// TLS failed in another way.
    #[error("no secure connection to `{host}`")]
    Tls { host: String, source: io::Error },
    /// The connection ended before the answer did, or the answer is no HTTP.
    #[error("the connection to `{host}` broke")]
    Broken { host: String, source: hyper::Error },
    /// Nothing arrived for too long.
    #[error("`{host}` sent nothing for {} ms", time_max.as_millis())]
    Idle { host: String, time_max: Duration },
    /// It took too long altogether.
    #[error("`{what}` was not fetched within {} s", time_max.as_secs())]
    Time { what: String, time_max: Duration },
    /// The name or the address leads where this request may not go.
    #[error("`{host}` has an address that may not be reached from here")]
    Address { host: String },
    /// Plain HTTP to another machine.
    #[error("`{host}` is only reached by `https://`")]
    PlainHttp { host: String },
    /// Too many redirects.
    #[error("`{host}` redirects more than {redirects_max} times")]
    Redirects { host: String, redirects_max: u32 },
    /// A redirect, a page or an upload is to go on where we do not go.
    #[error("`{host}` sends us on to {reason}")]
    Location { host: String, reason: &'static str },
    /// Not known to the registry, or not allowed.
    #[error("`{host}` refuses access with status {status}")]
    Login { host: String, status: u16 },
    /// The registry wants the credentials sent to somebody else.
    #[error("`{host}` wants its credentials sent to `{realm}`, and they are not")]
    Realm { host: String, realm: String },
    /// There is no such thing.
    #[error("`{what}` does not exist")]
    NotFound { what: String },
    /// Too many requests.
    #[error("`{host}` accepts no more requests for now (status 429)")]
    Busy { host: String },
    /// Another status.
    #[error("`{host}` answered with status {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Status {
        host: String,
        status: u16,
        code: Option<String>,
    },
    /// An answer that the protocol does not allow.
    #[error("`{host}` answered wrongly: {reason}")]
    Protocol { host: String, reason: &'static str },
    /// More bytes than the limit.
    #[error("`{what}` is larger than {bytes_max} bytes")]
    TooLarge { what: String, bytes_max: u64 },
    /// No bytes.
    #[error("`{what}` is empty")]
    Empty { what: String },
    /// Other bytes than those that were named.
    #[error("`{what}` should have the digest {expected} and has {found}")]
    Digest {
        what: String,
        expected: Digest,
        found: Digest,
    },
    /// Another number of bytes than was named.
    #[error("`{what}` should have {expected} bytes and has {found}")]
    Length { what: String, expected: u64, found: u64 },
    /// The registry names a digest that we do not compute.
    #[error("`{host}` names `{what}` by a digest that is not sha256")]
    Algorithm { host: String, what: String },
    /// Compressed on the way.
    #[error("`{what}` came compressed although that was not asked for")]
    Encoded { what: String },
    /// A page for people.
    #[error("`{what}` is a web page")]
    Html { what: String },
    /// The manifest is refused.
    #[error("the manifest of `{what}` is refused")]
    Manifest { what: String, source: ManifestError },
    /// What is pushed is named by a digest.
    #[error("`{what}` is named by a digest, and is pushed by a tag")]
    Pinned { what: String },
    /// A file with credentials cannot be used.
    #[error("`{}` {reason}", path.display())]
    Credentials { path: PathBuf, reason: &'static str },
    /// A program that keeps credentials did not give them.
    #[error("`docker-credential-{name}` {reason}")]
    Helper { name: String, reason: &'static str },
}

impl NetworkError {
    /// What it means for who asked.
    pub fn kind(&self) -> NetworkErrorKind {
        match self {
            Self::NotFound { .. } => NetworkErrorKind::NotFound,
            Self::Off
            | Self::Login { .. }
            | Self::Realm { .. }
            | Self::Address { .. }
            | Self::PlainHttp { .. }
            | Self::Credentials { .. }
            | Self::Helper { .. } => NetworkErrorKind::Denied,
            Self::Connect { .. }
            | Self::ConnectTime { .. }
            | Self::UnknownIssuer { .. }
            | Self::NotTls { .. }
            | Self::Tls { .. }
            | Self::Broken { .. }
            | Self::Idle { .. }
            | Self::Time { .. }
            | Self::Busy { .. }
            | Self::Status { .. } => NetworkErrorKind::Unavailable,
            Self::Redirects { .. }
            | Self::Location { .. }
            | Self::Protocol { .. }
            | Self::TooLarge { .. }
            | Self::Empty { .. }
            | Self::Digest { .. }
            | Self::Length { .. }
            | Self::Algorithm { .. }
            | Self::Encoded { .. }
            | Self::Html { .. }
            | Self::Manifest { .. }
            | Self::Pinned { .. } => NetworkErrorKind::Invalid,
        }
    }

    /// What the user can do, where there is more to say than the message does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { .. } | Self::ConnectTime { .. } => Some(
                "check the name and that this machine reaches it; proxies of the environment are not used",
            ),
            Self::UnknownIssuer { .. } => {
                Some("if it is your own authority, give its certificate in the configuration (own CA)")
            }
            Self::NotTls { .. } | Self::PlainHttp { .. } => {
                Some("plain http is for registries on this machine only (`localhost`, `127.0.0.1`, `[::1]`)")
            }
            Self::Idle { .. } | Self::Broken { .. } | Self::Status { .. } | Self::Busy { .. } => {
                Some("try again later")
            }
            Self::Login { .. } => Some(
                "log in with `wassette registry login HOST`; some registries say this of what does not exist",
            ),
            Self::Realm { .. } => {
                Some("if you trust that host with this registry's credentials, allow it in the configuration")
            }
            Self::NotFound { .. } => Some("check the name, the tag, and that you may see it"),
            Self::Html { .. } => Some("name the file itself, not the page that offers it"),
            Self::Digest { .. } | Self::Length { .. } => {
                Some("do not use it: what came is not what was named; tell who runs the registry")
            }
            Self::Pinned { .. } => Some("leave `@sha256:…` out"),
            Self::Manifest { source, .. } => source.hint(),
            Self::Off
            | Self::Tls { .. }
            | Self::Time { .. }
            | Self::Address { .. }
            | Self::Redirects { .. }
            | Self::Location { .. }
            | Self::Protocol { .. }
            | Self::TooLarge { .. }
            | Self::Empty { .. }
            | Self::Algorithm { .. }
            | Self::Encoded { .. }
            | Self::Credentials { .. }
            | Self::Helper { .. } => None,
        }
    }

    /// Whether the same request may succeed when it is sent again.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::ConnectTime { .. }
                | Self::Broken { .. }
                | Self::Idle { .. }
                | Self::Busy { .. }
        ) || matches!(self, Self::Status { status, .. } if *status >= 500)
    }
}
