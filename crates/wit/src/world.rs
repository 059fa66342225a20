//! What a component imports and exports, as far as it matters to tools.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use serde_json::Value as Json;

use crate::decode::{DecodeError, decode_arguments};
use crate::docs::Docs;
use crate::read::{self, ReadWorldError};
use crate::{Type, Value};

/// What a component imports, and which functions it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// What the component needs from its host, in its own order.
    pub imports: Vec<Import>,
    /// Functions that can become tools, in the order of the exports.
    pub functions: Vec<Function>,
    /// Functions that are exported and cannot become tools, each with the reason.
    pub omitted: Vec<Omitted>,
}

impl World {
    /// Reads the world of a component without running, compiling or fully validating its code.
    ///
    /// Types come from the component's own type sections. The `package-docs` custom section is not looked at
    /// (see [`Docs::from_component`]), so no text in it can spoil the types.
    ///
    /// # Errors
    ///
    /// [`ReadWorldError`] says which of the ways of not being a usable component applies. Any input is fine:
    /// this neither panics nor uses memory or time out of proportion to the bounds named in this crate.
    pub fn read(component: &[u8]) -> Result<Self, ReadWorldError> {
        read::read(component)
    }

    /// Fills in what is not yet described, from `docs`.
    ///
    /// Texts that are already there stay, so call this with the preferred source first. Texts are
    /// [sanitized](crate::sanitize) and bounded before they enter the world.
    pub fn describe(&mut self, docs: &Docs) {
        docs.describe(self);
    }
}

/// Something a component needs from its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Import {
    /// Name of an interface, such as `wasi:http/outgoing-handler@0.2.3`, or of a bare function.
    pub name: String,
}

/// An exported function that is not offered as a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// Where the function is.
    pub path: FunctionPath,
    /// Why it is not offered, for a person to read.
    pub reason: String,
}

/// Where in a component an exported function is.
///
/// Prints as `ns:pkg/iface@1.0.0#function`, or as `function` when the world itself exports it, and parses
/// from the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionPath {
    /// Full name of the exported interface, with its version, exactly as the component spells it.
    pub interface: Option<String>,
    /// Name of the function.
    pub function: String,
}

impl fmt::Display for FunctionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{interface}#{}", self.function),
            None => f.write_str(&self.function),
        }
    }
}

/// The text is no path of a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a function is written `function` or `namespace:package/interface@version#function`")]
pub struct ParseFunctionPathError(());

impl FromStr for FunctionPath {
    type Err = ParseFunctionPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (interface, function) = match text.split_once('#') {
            Some((interface, function)) => (Some(interface), function),
            None => (None, text),
        };
        let is_empty = function.is_empty() || interface.is_some_and(str::is_empty);
        if is_empty || function.contains('#') {
            return Err(ParseFunctionPathError(()));
        }
        Ok(Self {
            interface: interface.map(str::to_owned),
            function: function.to_owned(),
        })
    }
}

/// An exported function that can become a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Where the function is.
    pub path: FunctionPath,
    /// What its author wrote about it, sanitized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Parameters, in the order of the declaration.
    pub params: Vec<Param>,
    /// Type of the result, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Type>,
}

impl Function {
    /// Reads the arguments of a call from a JSON object, in the order of the parameters.
    ///
    /// `null` counts as no arguments.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when they are no object, when one is missing, unknown or not of its type, or when they
    /// would become too many values.
    pub fn decode_arguments(&self, arguments: &Json) -> Result<Vec<Value>, DecodeError> {
        decode_arguments(&self.params, arguments)
    }
}

/// A parameter of a [`Function`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Name in kebab case, which is also the JSON key.
    pub name: String,
    /// Type of the value.
    pub ty: Type,
    /// What is known about it, sanitized. WIT has no place for this; a reader of other sources may fill it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}
