//! Environment variables: those that were granted, one by one. There are no arguments and no current folder.

use crate::state::State;
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::cli::environment;
use wassette_policy::Access;

/// Selects [`Variables`] as the data of the linked interface.
struct HasVariables;

impl HasData for HasVariables {
    type Data<'a> = Variables<'a>;
}

/// The part of the state that knows variables.
struct Variables<'a> {
    state: &'a State,
}

/// Links `wasi:cli/environment`.
pub(crate) fn link(l: &mut Linker<State>) -> wasmtime::Result<()> {
    environment::add_to_linker::<State, HasVariables>(l, |state| Variables { state })
}

impl environment::Host for Variables<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let gate = &self.state.gate;
        if gate.authorize(&Access::Environment).is_err() {
            return Ok(Vec::new());
        }
        let (authority, surroundings) = (gate.authority(), gate.control().surroundings());
        let mut set = Vec::new();
        for variable in authority.variables() {
            let name = &variable.name;
            let value = variable
                .value
                .as_ref()
                .or_else(|| surroundings.variables.get(name));
            // A variable that was granted and is not set was not handed over, so it is no access.
            let Some(value) = value else { continue };
            if gate.authorize(&Access::Variable { name }).is_ok() {
                set.push((name.clone(), value.clone()));
            }
        }
        Ok(set)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}
