//! One file for each noun of the command line.

pub(crate) mod completion;
pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod tool;

use crate::config::Config;
use crate::exit::Exit;
use wassette_host::{ComponentId, Host, Reference};

/// Opens the store and everything above it.
pub(crate) async fn open(config: &Config) -> Result<Host, Exit> {
    Ok(Host::open(config.host()).await?)
}

pub(crate) fn component_id(text: &str) -> Result<ComponentId, Exit> {
    text.parse()
        .map_err(|error| Exit::usage(format!("`{text}` is not a component id: {error}")))
}

pub(crate) fn reference(config: &Config, text: &str) -> Result<Reference, Exit> {
    Reference::parse(text, &config.current_dir).map_err(|error| Exit::usage(error.to_string()))
}
