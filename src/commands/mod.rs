//! One file for each noun of the command line.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod completion;
pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod demo;
mod hidden;
pub(crate) mod inspect;
pub(crate) mod issuer;
pub(crate) mod manifest;
pub(crate) mod permission;
pub(crate) mod policy;
mod ready;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod serve;
mod stop;
pub(crate) mod store;
pub(crate) mod tool;
pub(crate) mod variables;

use crate::config::Config;
use crate::exit::Exit;
use crate::output::shown;
use wassette_host::{ComponentId, Host, HostError, Reference};

/// Opens the store and everything above it.
pub(crate) async fn open(config: &Config) -> Result<Host, Exit> {
    Ok(Host::open(config.host()?).await?)
}

pub(crate) fn component_id(text: &str) -> Result<ComponentId, Exit> {
    text.parse().map_err(|error| {
        Exit::usage(format!("`{}` is not a component id: {error}", shown(text)))
            .with_hint("an id is a word of `a-z`, `0-9` and single `-`, such as `my-tool`")
    })
}

pub(crate) fn reference(config: &Config, text: &str) -> Result<Reference, Exit> {
    Reference::parse(text, &config.current_dir).map_err(|error| {
        Exit::usage(format!("`{}` names no component: {error}", shown(text)))
            .with_hint(
                "name a file, such as `./tool.wasm`, `oci://registry/repository:tag`, an `https://` URL, or a starter, such as \
                 `starter:time`",
            )
    })
}

/// Why what a reference names was refused. What is wrong with bytes does not say whose bytes they are.
pub(crate) fn refused(error: HostError, reference: &str) -> Exit {
    let is_about_bytes = matches!(
        error,
        HostError::World { .. }
            | HostError::Tools { .. }
            | HostError::NothingCallable { .. }
            | HostError::Prepare { .. }
            | HostError::Compile { .. }
    );
    let exit = Exit::from(error);
    if is_about_bytes {
        exit.about(reference)
    } else {
        exit
    }
}
