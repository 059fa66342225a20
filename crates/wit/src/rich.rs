//! The rich world: what a component exports of the package `wassette:mcp`, and its lists.
//!
//! A component that exports an interface of the package has to have each of its functions exactly as published:
//! what its functions give is read by names of fields and cases, and a mistake should show when the component is
//! loaded, not when a user calls it. The published form is in `wit/mcp.wit`; `signatures.txt` has the same with all
//! types written out.

mod data;
mod list;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use data::{
    Annotations, Capability, Completions, Content, ContentBody, ElicitForm, ElicitUrl, Failure, Icon,
    InputRequest, InputRequired, InputResponse, JsonText, Media, Message, Prompt, PromptArgument,
    PromptOutcome, PromptResult, Question, ReadOutcome, Reference, ResourceBody, ResourceContents,
    ResourceInfo, ResourceTemplate, Resume, Role, Theme, ToolOutcome, ToolResult,
};
pub use list::{ListError, Offers, uri_prefix};

use crate::{Function, FunctionPath, Label, Param, Type, World};

/// The package whose interfaces are not offered as plain functions.
const PACKAGE: &str = "wassette:mcp/";

/// The versions of it that are understood.
const VERSION: &str = "0.1.";

/// All functions of the package with all types written out, a line each.
const SIGNATURES: &str = include_str!("rich/signatures.txt");

/// A function of the rich world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    /// `tools.list`.
    ListTools,
    /// `tools.call`.
    CallTool,
    /// `prompts.list`.
    ListPrompts,
    /// `prompts.get`.
    GetPrompt,
    /// `resources.list`.
    ListResources,
    /// `resources.templates`.
    ListTemplates,
    /// `resources.read`.
    ReadResource,
    /// `completion.complete`.
    Complete,
}

impl Export {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ListTools,
        Self::CallTool,
        Self::ListPrompts,
        Self::GetPrompt,
        Self::ListResources,
        Self::ListTemplates,
        Self::ReadResource,
        Self::Complete,
    ];

    /// Those that list what a component has.
    pub const LISTS: [Self; 4] = [
        Self::ListTools,
        Self::ListPrompts,
        Self::ListResources,
        Self::ListTemplates,
    ];

    /// As the package calls it, such as `tools.list`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListTools => "tools.list",
            Self::CallTool => "tools.call",
            Self::ListPrompts => "prompts.list",
            Self::GetPrompt => "prompts.get",
            Self::ListResources => "resources.list",
            Self::ListTemplates => "resources.templates",
            Self::ReadResource => "resources.read",
            Self::Complete => "completion.complete",
        }
    }

    fn of(interface: &str, function: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|export| {
            export
                .name()
                .split_once('.')
                .is_some_and(|name| name == (interface, function))
        })
    }
}

/// A component is not of the rich world as published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RichError {
    /// The version of the package is none that is understood, or the package has no such function.
    #[error("it exports `{0}`, and `{PACKAGE}` has no such function in version {VERSION}x")]
    Unknown(FunctionPath),
    /// A function takes or gives something else.
    #[error("its `{0}` is not the function of that name in `{PACKAGE}`: build it with the WIT as published")]
    Signature(FunctionPath),
    /// An interface is not exported whole.
    #[error("it exports a part of an interface of `{PACKAGE}`: `{0}` is missing")]
    Partial(&'static str),
    /// A function has no place in the contract.
    #[error("its `{path}` cannot be called: {reason}")]
    Omitted {
        /// The function.
        path: FunctionPath,
        /// Why.
        reason: String,
    },
}

/// The functions of the rich world that a component exports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exports(BTreeMap<Export, Arc<Function>>);

impl Exports {
    /// Takes the functions of the package out of a world.
    ///
    /// # Errors
    ///
    /// [`RichError`] when one of them is not as published.
    pub fn take(world: &mut World) -> Result<Self, RichError> {
        let is_ours = |path: &FunctionPath| {
            path.interface
                .as_deref()
                .is_some_and(|interface| interface.starts_with(PACKAGE))
        };
        if let Some(omitted) = world.omitted.iter().find(|omitted| is_ours(&omitted.path)) {
            return Err(RichError::Omitted {
                path: omitted.path.clone(),
                reason: omitted.reason.clone(),
            });
        }
        let mut exports = BTreeMap::new();
        for function in world.functions.extract_if(.., |function| is_ours(&function.path)) {
            let export = export(&function.path).ok_or_else(|| RichError::Unknown(function.path.clone()))?;
            let signature = format!("{}{}", export.name(), Signature(&function));
            if !SIGNATURES.lines().any(|line| line == signature) {
                return Err(RichError::Signature(function.path));
            }
            exports.insert(export, Arc::new(function));
        }
        let is_partial = |export: &Export| {
            let interface = |export: &Export| export.name().split_once('.').map(|(interface, _)| interface);
            let mut exported = exports.keys();
            !exports.contains_key(export) && exported.any(|other| interface(other) == interface(export))
        };
        match Export::ALL.into_iter().find(is_partial) {
            Some(missing) => Err(RichError::Partial(missing.name())),
            None => Ok(Self(exports)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, export: Export) -> Option<&Arc<Function>> {
        self.0.get(&export)
    }
}

fn export(path: &FunctionPath) -> Option<Export> {
    let interface = path.interface.as_deref()?.strip_prefix(PACKAGE)?;
    let (interface, version) = interface.split_once('@')?;
    Export::of(interface, &path.function).filter(|_| version.starts_with(VERSION))
}

/// Prints what a function takes and gives, without the names of types.
struct Signature<'a>(&'a Function);

impl std::fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::from("(");
        for Param { name, ty, .. } in &self.0.params {
            let _ = write!(text, "{name}: ");
            structure(ty, &mut text);
            text.push_str(", ");
        }
        text.push_str(") -> ");
        if let Some(result) = &self.0.result {
            structure(result, &mut text);
        }
        f.write_str(&text)
    }
}

/// Writes a type with everything in it. The depth of types is bounded when they are read.
fn structure(ty: &Type, text: &mut String) {
    match ty {
        Type::Record(record) => {
            let fields = record.fields.iter().map(|field| (&field.name, Some(&field.ty)));
            members(fields, ("{", ", ", "}"), text);
        }
        Type::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| (&case.name, case.ty.as_ref()));
            members(cases, ("<", " | ", ">"), text);
        }
        Type::Enum(names) => labels(&names.names, "enum", text),
        Type::Flags(flags) => labels(&flags.names, "flags", text),
        Type::List(element) => {
            text.push('[');
            structure(element, text);
            text.push(']');
        }
        Type::Tuple(members) => {
            text.push('(');
            for member in members.iter() {
                structure(member, text);
                text.push_str(", ");
            }
            text.push(')');
        }
        Type::Option(inner) => {
            structure(inner, text);
            text.push('?');
        }
        Type::Result(sides) => {
            text.push_str("result ");
            optional(sides.ok.as_ref(), text);
            text.push_str(" else ");
            optional(sides.err.as_ref(), text);
        }
        Type::Bool
        | Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::S8
        | Type::S16
        | Type::S32
        | Type::S64
        | Type::F32
        | Type::F64
        | Type::Char
        | Type::String => {
            let _ = write!(text, "{ty}");
        }
    }
}

fn optional(ty: Option<&Type>, text: &mut String) {
    match ty {
        Some(ty) => structure(ty, text),
        None => text.push('_'),
    }
}

fn members<'a>(
    members: impl Iterator<Item = (&'a String, Option<&'a Type>)>,
    (open, between, close): (&str, &str, &str),
    text: &mut String,
) {
    text.push_str(open);
    for (name, ty) in members {
        let _ = write!(text, "{name}: ");
        optional(ty, text);
        text.push_str(between);
    }
    text.push_str(close);
}

fn labels(labels: &[Label], word: &str, text: &mut String) {
    let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    let _ = write!(text, "{word}<{}>", names.join(" | "));
}

#[cfg(test)]
mod tests;
