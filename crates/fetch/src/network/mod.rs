//! The network: registries by the OCI distribution specification, and files by `https`.
//!
//! Nothing is buffered without a limit, nothing goes to an address that was not checked, and credentials go to
//! whom they belong. Why this is not a library is in docs/design/0011-registry-transport.md.

pub(crate) mod auth;
pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod https;
pub(crate) mod manifest;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod reach;
pub(crate) mod registry;
pub(crate) mod signatures;
pub(crate) mod single;
pub(crate) mod transport;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

pub use credentials::{Credential, CredentialSource};
pub use error::{NetworkError, NetworkErrorKind};
pub use manifest::ManifestError;
pub use pull::{Package, Resolved};
pub use push::{Description, Interface, PushRequest};
pub use reach::{AddressFilter, Reach};
pub use signatures::{Signature, SignatureMaterial};
pub use single::{SingleArtifact, SinglePush, SingleRequest};

/// Longest time for one thing from the network by default, while something keeps arriving.
const TIME_MAX: Duration = Duration::from_secs(600);

/// Longest time without a byte by default.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The first wait before asking again by default; it doubles each time.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// How the network is used.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Certificates of further authorities, in DER, beside those of browsers.
    pub extra_roots: Vec<Vec<u8>>,
    /// For a registry, `host[:port][/prefix]` that is asked first for everything that is read. What comes from it is
    /// checked by digest like everything else; what a tag names is taken on its word.
    pub mirrors: BTreeMap<String, String>,
    /// For a registry, `host[:port]` of token servers in other domains that its credentials may be sent to.
    pub token_hosts: BTreeMap<String, Vec<String>>,
    /// Where credentials are looked for, in this order.
    pub credentials: Vec<CredentialSource>,
    /// Folders (as in `PATH`) with `docker-credential-*` programs; `None`: none is started, whatever a file says.
    pub helper_path: Option<OsString>,
    /// Longest time for one operation.
    pub time_max: Duration,
    /// Longest time without a byte.
    pub idle_max: Duration,
    /// The first wait before asking again.
    pub retry_delay: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            extra_roots: Vec::new(),
            mirrors: BTreeMap::new(),
            token_hosts: BTreeMap::new(),
            credentials: Vec::new(),
            helper_path: None,
            time_max: TIME_MAX,
            idle_max: IDLE_MAX,
            retry_delay: RETRY_DELAY,
        }
    }
}

/// Why a network cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum NetworkConfigError {
    /// A mirror that is no host; holds it.
    #[error("the mirror `{0}` is not a host, an optional port and an optional path")]
    Mirror(String),
    /// A certificate that cannot be trusted as an authority.
    #[error("a certificate of an own authority cannot be read")]
    Roots(#[source] rustls::Error),
}

/// How much of a component arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes so far; fewer than before when the download began anew.
    pub received: u64,
    /// Bytes altogether, where that is known.
    pub total: Option<u64>,
}

/// Called while a component arrives.
pub(crate) type Progress<'a> = dyn Fn(Received) + Send + Sync + 'a;
