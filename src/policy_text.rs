//! A policy file that was read, for saying at which line an error is about it.

use crate::exit::Exit;
use std::path::PathBuf;
use wassette_host::{HostError, ParseOptions, Policy};

/// What a policy was read from.
#[derive(Clone, Debug)]
pub(crate) struct PolicyText {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) options: ParseOptions,
}

impl PolicyText {
    /// An error of the policy, with its line and column where they are known.
    pub(crate) fn located(&self, error: HostError) -> Exit {
        let part = error.part();
        let place = part.and_then(|part| Policy::find(&self.text, &self.options, part));
        let exit = Exit::from(error);
        match place {
            Some(place) => exit.at(&self.path, place),
            None => exit,
        }
    }
}
