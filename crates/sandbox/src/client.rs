//! `wassette:mcp/client`: what a guest says to the client of its call while it works.
//!
//! Nothing of it asks the gate: it reaches who called and nobody else. It is bounded here in size and number; how
//! much of it reaches the client is the [`Client`]'s to say.

use crate::state::State;
use serde_json::Value as Json;
use std::fmt;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Val};
use wassette_wit::rich::Capability;
use wassette_wit::sanitize;

/// The interface without version, and the versions of it that are linked.
pub(crate) const INTERFACE: &str = "wassette:mcp/client";
pub(crate) const VERSION: &str = "0.1.";

/// The same with the version that is linked; the linker takes it for every `0.1.x`.
const LINKED: &str = "wassette:mcp/client@0.1.0";

/// What a guest may say in one call.
const NOTES_MAX: u32 = 10_000;

/// Longest text beside a number, and longest name of a logger, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;
const LOGGER_BYTES_MAX: usize = 100;

/// Longest message of a log, in bytes of JSON.
const DATA_BYTES_MAX: usize = 16 << 10;

/// Longest URI, in bytes.
const URI_BYTES_MAX: usize = 2_000;

/// The client of one call. Nothing here may wait: the guest does not go on before it returns.
pub trait Client: Send + Sync + fmt::Debug {
    /// The guest is so far.
    fn progress(&self, progress: Progress);

    /// The guest has something to say.
    fn log(&self, log: Log);

    /// Whether the client can do this.
    fn can(&self, capability: Capability) -> bool;

    /// A list of the component is another.
    fn changed(&self, which: KeptList);

    /// A resource is another. The component may name what is not its own.
    fn updated(&self, uri: String);
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// So much is done.
    pub done: f64,
    /// Of so much, if that is known.
    pub total: Option<f64>,
    /// In words; sanitized.
    pub message: Option<String>,
}

/// Something a guest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// How grave it is.
    pub level: Level,
    /// Who says it; sanitized.
    pub logger: Option<String>,
    /// What it says, as the guest wrote it.
    pub data: Json,
}

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words of RFC 5424, as everywhere")]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// A list that clients keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they say it all")]
pub enum KeptList {
    Tools,
    Prompts,
    Resources,
}

/// Links the interface. Without derived types, which would need `unsafe` code in this crate: what a guest passes is
/// looked at value by value, and a component that imports functions of other types is told so when it calls them.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(LINKED)?;
    interface.func_new("progress", |state, _ty, params, _results| progress(state, params))?;
    interface.func_new("log", |state, _ty, params, _results| log(state, params))?;
    interface.func_new("can", |state, _ty, params, results| can(&state, params, results))?;
    interface.func_new("changed", |state, _ty, params, _results| changed(state, params))?;
    interface.func_new("updated", |state, _ty, params, _results| updated(state, params))
}

/// Whether the guest may say one thing more.
fn may_speak(state: &mut StoreContextMut<'_, State>) -> bool {
    let said = &mut state.data_mut().said;
    *said = said.saturating_add(1);
    *said <= NOTES_MAX
}

fn progress(mut state: StoreContextMut<'_, State>, params: &[Val]) -> wasmtime::Result<()> {
    let [Val::Float64(done), total, message] = params else {
        return Err(other_types("progress"));
    };
    let (total, message) = (optional(total)?, optional(message)?);
    let note = Progress {
        done: *done,
        total: match total {
            Some(Val::Float64(total)) => Some(*total),
            None => None,
            Some(_) => return Err(other_types("progress")),
        },
        message: message
            .map(text)
            .transpose()?
            .map(|text| sanitize(text, MESSAGE_BYTES_MAX)),
    };
    let is_number = note.done.is_finite() && note.total.is_none_or(f64::is_finite);
    if may_speak(&mut state)
        && is_number
        && let Some(client) = &state.data().client
    {
        client.progress(note);
    }
    Ok(())
}

fn log(mut state: StoreContextMut<'_, State>, params: &[Val]) -> wasmtime::Result<()> {
    let [Val::Enum(level), logger, Val::String(data)] = params else {
        return Err(other_types("log"));
    };
    let level = level_of(level).ok_or_else(|| other_types("log"))?;
    let logger = optional(logger)?.map(text).transpose()?;
    if !may_speak(&mut state) || data.len() > DATA_BYTES_MAX {
        return Ok(());
    }
    let data = serde_json::from_str(data)
        .map_err(|error| wasmtime::format_err!("the guest logged what is no JSON: {error}"))?;
    if let Some(client) = &state.data().client {
        client.log(Log {
            level,
            logger: logger.map(|logger| sanitize(logger, LOGGER_BYTES_MAX)),
            data,
        });
    }
    Ok(())
}

fn can(state: &StoreContextMut<'_, State>, params: &[Val], results: &mut [Val]) -> wasmtime::Result<()> {
    let ([Val::Enum(name)], [result]) = (params, results) else {
        return Err(other_types("can"));
    };
    let capability = capability_of(name).ok_or_else(|| other_types("can"))?;
    let client = state.data().client.as_ref();
    *result = Val::Bool(client.is_some_and(|client| client.can(capability)));
    Ok(())
}

fn changed(mut state: StoreContextMut<'_, State>, params: &[Val]) -> wasmtime::Result<()> {
    let [Val::Enum(name)] = params else {
        return Err(other_types("changed"));
    };
    let which = match name.as_str() {
        "tools" => KeptList::Tools,
        "prompts" => KeptList::Prompts,
        "resources" => KeptList::Resources,
        _ => return Err(other_types("changed")),
    };
    if may_speak(&mut state)
        && let Some(client) = &state.data().client
    {
        client.changed(which);
    }
    Ok(())
}

fn updated(mut state: StoreContextMut<'_, State>, params: &[Val]) -> wasmtime::Result<()> {
    let [Val::String(uri)] = params else {
        return Err(other_types("updated"));
    };
    if may_speak(&mut state)
        && uri.len() <= URI_BYTES_MAX
        && let Some(client) = &state.data().client
    {
        client.updated(uri.clone());
    }
    Ok(())
}

fn level_of(name: &str) -> Option<Level> {
    Some(match name {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "notice" => Level::Notice,
        "warning" => Level::Warning,
        "error" => Level::Error,
        "critical" => Level::Critical,
        "alert" => Level::Alert,
        "emergency" => Level::Emergency,
        _ => return None,
    })
}

fn capability_of(name: &str) -> Option<Capability> {
    Some(match name {
        "elicitation-form" => Capability::ElicitationForm,
        "elicitation-url" => Capability::ElicitationUrl,
        "sampling" => Capability::Sampling,
        "roots" => Capability::Roots,
        "tasks" => Capability::Tasks,
        _ => return None,
    })
}

fn optional(val: &Val) -> wasmtime::Result<Option<&Val>> {
    if let Val::Option(inner) = val {
        Ok(inner.as_deref())
    } else {
        Err(other_types("an option"))
    }
}

fn text(val: &Val) -> wasmtime::Result<&str> {
    if let Val::String(text) = val {
        Ok(text)
    } else {
        Err(other_types("a text"))
    }
}

fn other_types(what: &str) -> wasmtime::Error {
    wasmtime::format_err!("`{LINKED}` has other types: {what}")
}
