//! The contract between a component and an MCP client: names, descriptions and schemas of its tools.
//!
//! Computed once, when a component is installed, and stored with it: what `tools/list` answers and what
//! `tools/call` needs to read arguments is here, so neither touches WebAssembly.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::decode::{DecodeError, decode_arguments};
use crate::name::{is_component_id, tool_names};
use crate::rich::{Icon, JsonText};
use crate::schema::{Budget, Property, closed, object, schema_within};
use crate::text::sanitize;
use crate::{Function, FunctionPath, Param, ToolName, Type, Value, World};

/// Most schemas, counting each nested one, that describe one tool.
pub(crate) const TOOL_NODES_MAX: usize = 2_000;

/// Most schemas that describe all tools of one component.
pub(crate) const COMPONENT_NODES_MAX: usize = 20_000;

/// How deeply schemas nest at most.
pub(crate) const DEPTH_MAX: usize = 32;

/// Longest contract of one tool, in bytes of compact JSON.
pub(crate) const TOOL_BYTES_MAX: usize = 64 * 1024;

/// Longest contract of one component, in bytes of compact JSON: what a client pays for at each `tools/list`.
pub(crate) const COMPONENT_BYTES_MAX: usize = 1024 * 1024;

/// Longest text that describes one thing, in bytes; clients cut at about twice as much.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 1024;

/// How much text of its own a component may put into its contract, in bytes.
///
/// Texts past it are left out, functions being served first: they are an aid, unlike schemas.
const COMPONENT_TEXT_BYTES_MAX: usize = 16 * 1024;

/// A function as an MCP client sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Name of the tool.
    pub name: ToolName,
    /// Function that a call runs.
    pub path: FunctionPath,
    /// What the tool does. Never empty; text of the component is introduced as such.
    pub description: String,
    /// JSON Schema of the arguments: an object with one property for each parameter.
    pub input_schema: Json,
    /// JSON Schema of the structured result, absent when a call that succeeds gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
    /// Parameters of the function.
    pub params: Vec<Param>,
    /// Type of the result of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Type>,
    /// Only of a tool that the component lists itself (see [`rich`](crate::rich)): its `path` then has the tool's own
    /// name for a function, and `params` and `result` are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rich: Option<Box<RichTool>>,
}

/// What a component says of a tool that it lists itself, and can say of no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RichTool {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Pictures for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
    /// An object for `_meta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<JsonText>,
}

impl Tool {
    /// Reads the arguments of a call, in the order of the parameters.
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

    /// The function that a call runs; not of a tool that the component lists itself.
    #[must_use]
    pub fn function(&self) -> Function {
        Function {
            path: self.path.clone(),
            docs: None,
            params: self.params.clone(),
            result: self.result.clone(),
        }
    }

    /// Type of what a call that succeeds gives, if it gives anything: the `ok` side of a `result`.
    #[must_use]
    pub fn success(&self) -> Option<&Type> {
        success(self.result.as_ref())
    }
}

/// The functions of a component cannot be offered as tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolsError {
    /// The component id is none.
    #[error(
        "`{0}` cannot be the id of a component: it has 1 to 40 of `a-z`, `0-9` and `-`, and starts with a letter"
    )]
    ComponentId(String),
    /// The schema of one tool is too large.
    #[error("the types of function `{path}` need {found} {unit} of JSON Schema, and at most {max} are taken")]
    TooLarge {
        /// The function.
        path: FunctionPath,
        /// What is counted.
        unit: &'static str,
        /// How many it needs.
        found: usize,
        /// How many it may need.
        max: usize,
    },
    /// The schemas of all tools together are too large.
    #[error("the types of all functions need {found} {unit} of JSON Schema, and at most {max} are taken")]
    AllTooLarge {
        /// What is counted.
        unit: &'static str,
        /// How many they need.
        found: usize,
        /// How many they may need.
        max: usize,
    },
}

/// Makes the tools of a component, in the order of its exports.
///
/// # Errors
///
/// [`ToolsError`] when `component_id` is no component id, or when the types are past a bound on the size
/// of schemas. Nothing is cut to fit: a tool whose schema does not say what it takes is worse than none.
pub fn tools(component_id: &str, world: &World) -> Result<Vec<Tool>, ToolsError> {
    if !is_component_id(component_id) {
        return Err(ToolsError::ComponentId(sanitize(component_id, 80)));
    }
    let mut budget = Budget(COMPONENT_TEXT_BYTES_MAX);
    let describe = |function| description(component_id, function, &mut budget);
    let descriptions: Vec<String> = world.functions.iter().map(describe).collect();
    let names = tool_names(
        component_id,
        world.functions.iter().map(|function| &function.path),
    );

    let mut all = Size::default();
    let mut tools = Vec::with_capacity(world.functions.len());
    for (function, description) in world.functions.iter().zip(descriptions) {
        let Some(name) = names.get(&function.path) else {
            continue;
        };
        let tool = Tool {
            name: name.clone(),
            path: function.path.clone(),
            description,
            input_schema: input_schema(function, &mut budget),
            output_schema: output_schema(function, &mut budget),
            params: function.params.clone(),
            result: function.result.clone(),
            rich: None,
        };
        all.add(check_size(&tool)?);
        let bounds = [
            ("nodes", all.nodes, COMPONENT_NODES_MAX),
            ("bytes", all.bytes, COMPONENT_BYTES_MAX),
        ];
        if let Some((unit, found, max)) = bounds.into_iter().find(|(_, found, max)| found > max) {
            return Err(ToolsError::AllTooLarge { unit, found, max });
        }
        tools.push(tool);
    }
    Ok(tools)
}

fn input_schema(function: &Function, budget: &mut Budget) -> Json {
    let properties = function.params.iter().map(|param| Property {
        name: &param.name,
        ty: &param.ty,
        docs: param.docs.as_deref(),
    });
    object(properties, budget)
}

fn output_schema(function: &Function, budget: &mut Budget) -> Option<Json> {
    let ty = success(function.result.as_ref())?;
    Some(closed("result", schema_within(ty, budget)))
}

fn success(result: Option<&Type>) -> Option<&Type> {
    let result = result?;
    if let Type::Result(sides) = result {
        sides.ok.as_ref()
    } else {
        Some(result)
    }
}

/// Size of what a client is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    /// Schemas, nested ones included.
    nodes: usize,
    depth: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.depth = self.depth.max(other.depth);
        self.bytes += other.bytes;
    }
}

/// Checks what a tool adds to `tools/list`.
fn check_size(tool: &Tool) -> Result<Size, ToolsError> {
    let mut size = Size {
        nodes: 0,
        depth: 0,
        bytes: tool.description.len(),
    };
    for schema in [Some(&tool.input_schema), tool.output_schema.as_ref()]
        .into_iter()
        .flatten()
    {
        size.add(measure(schema));
        size.bytes += schema.to_string().len();
    }
    let bounds = [
        ("nodes", size.nodes, TOOL_NODES_MAX),
        ("levels", size.depth, DEPTH_MAX),
        ("bytes", size.bytes, TOOL_BYTES_MAX),
    ];
    match bounds.into_iter().find(|(_, found, max)| found > max) {
        Some((unit, found, max)) => Err(ToolsError::TooLarge {
            path: tool.path.clone(),
            unit,
            found,
            max,
        }),
        None => Ok(size),
    }
}

/// Number and depth of the schemas in a schema; bytes are not counted.
fn measure(schema: &Json) -> Size {
    let properties = schema.get("properties").and_then(Json::as_object);
    let alternatives = schema.get("anyOf").and_then(Json::as_array);
    let inner = properties
        .into_iter()
        .flat_map(|members| members.values())
        .chain(alternatives.into_iter().flatten())
        .chain(schema.get("items"));
    let mut size = Size::default();
    inner.for_each(|schema| size.add(measure(schema)));
    Size {
        nodes: size.nodes + 1,
        depth: size.depth + 1,
        bytes: 0,
    }
}

/// What the author wrote, introduced as such, or a sentence made from the signature.
fn description(component_id: &str, function: &Function, budget: &mut Budget) -> String {
    let docs = sanitize(
        function.docs.as_deref().unwrap_or_default(),
        DESCRIPTION_BYTES_MAX,
    );
    if docs.is_empty() || !budget.pay(&docs) {
        return sanitize(&signature(function), DESCRIPTION_BYTES_MAX);
    }
    format!("From component `{component_id}`: {docs}")
}

/// A signature in words, such as ``Calls `add` with `a` (u32) and `b` (u32). Returns u32.``
fn signature(function: &Function) -> String {
    let mut text = format!("Calls `{}`", function.path.function);
    if let Some(interface) = &function.path.interface {
        let _ = write!(text, " of `{interface}`");
    }
    let last = function.params.len().saturating_sub(1);
    for (index, param) in function.params.iter().enumerate() {
        let joint = match index {
            0 => " with ",
            other if other == last => " and ",
            _ => ", ",
        };
        let _ = if let Type::Option(inner) = &param.ty {
            write!(text, "{joint}`{}` ({inner}, optional)", param.name)
        } else {
            write!(text, "{joint}`{}` ({})", param.name, param.ty)
        };
    }
    if function.params.is_empty() {
        text.push_str(" without arguments");
    }
    text.push_str(". ");
    let _ = match &function.result {
        None => write!(text, "Returns nothing."),
        Some(Type::Result(sides)) => {
            let ok = sides
                .ok
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), Type::to_string);
            match &sides.err {
                Some(err) => write!(text, "Returns {ok}, or fails with {err}."),
                None => write!(text, "Returns {ok}, or fails."),
            }
        }
        Some(other) => write!(text, "Returns {other}."),
    };
    text
}
