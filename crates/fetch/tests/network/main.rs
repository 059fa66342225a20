//! Registries and web servers that lie, stall and redirect, all on loopback: what is taken, what is refused with
//! which error, and who is sent which credentials.

#![cfg(test)]

mod auth;
mod content;
mod https;
mod push;
mod registry;
mod server;
mod transport;

use std::time::Duration;

use wassette_fetch::{
    FetchError, FetchLimits, FetchOptions, Fetched, Fetcher, NetworkConfig, NetworkError, Reach,
};
use wassette_store::{OciReference, Reference};

/// As configured by default, but quick.
pub(crate) fn config() -> NetworkConfig {
    NetworkConfig {
        retry_delay: Duration::from_millis(1),
        idle_max: Duration::from_millis(500),
        ..NetworkConfig::default()
    }
}

pub(crate) fn fetcher(config: NetworkConfig) -> Fetcher {
    Fetcher::new(FetchLimits::default(), &[])
        .with_network(config)
        .unwrap()
}

/// `host` is of loopback and may have no port of its own; `rest` starts with the repository.
pub(crate) fn oci(host: &str, port: u16, rest: &str) -> OciReference {
    match format!("oci://{host}:{port}/{rest}").parse() {
        Ok(Reference::Oci(oci)) => oci,
        other => panic!("{other:?}"),
    }
}

/// Fetches `tool:1` from `127.0.0.1` on the operator's word.
pub(crate) async fn fetch(fetcher: &Fetcher, port: u16) -> Result<Fetched, NetworkError> {
    fetch_from(fetcher, oci("127.0.0.1", port, "tool:1"), &Reach::Operator).await
}

pub(crate) async fn fetch_from(
    fetcher: &Fetcher,
    reference: OciReference,
    reach: &Reach,
) -> Result<Fetched, NetworkError> {
    let options = FetchOptions {
        reach,
        progress: None,
    };
    match fetcher.fetch(&Reference::Oci(reference), &options).await {
        Ok(fetched) => Ok(fetched),
        Err(FetchError::Network(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

/// Asserts the variant of an error and the values in it.
#[macro_export]
macro_rules! assert_error {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            other => panic!("not {}: {other:?}", stringify!($pattern)),
        }
    };
}
