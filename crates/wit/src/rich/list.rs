//! The lists of a component: read once, checked, bounded and kept.
//!
//! What they say is shown to models and people before anybody has granted anything, so all text in them is
//! [sanitized](crate::sanitize), and a tool is introduced with the name of its component.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::data::ListedTool;
use super::{JsonText, Prompt, ResourceInfo, ResourceTemplate};
use crate::text::{is_visible, sanitize};
use crate::tool::{COMPONENT_BYTES_MAX, DEPTH_MAX, DESCRIPTION_BYTES_MAX, RichTool, TOOL_BYTES_MAX};
use crate::{FunctionPath, Tool, ToolName};

/// Most entries of one list.
const ENTRIES_MAX: usize = 1_000;

/// Longest name and title, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Longest URI, in bytes.
const URI_BYTES_MAX: usize = 2_000;

/// Largest entry, in bytes of JSON: icons are in it.
const ENTRY_BYTES_MAX: usize = TOOL_BYTES_MAX;

/// What a component offers beyond tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offers {
    /// Its prompts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
    /// Its resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceInfo>,
    /// Its families of resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<ResourceTemplate>,
}

/// A list of a component cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is not of the form that the package has.
    #[error("the {what} that it lists cannot be read: {reason}")]
    Form {
        /// What is listed.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// One entry cannot be offered.
    #[error("it lists {what} `{name}`, which cannot be offered: {reason}")]
    Entry {
        /// What is listed.
        what: &'static str,
        /// Which entry.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// There is too much of it.
    #[error("it lists {found} {unit} of {what}, and at most {max} are taken")]
    TooMuch {
        /// What is listed.
        what: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        max: usize,
    },
}

/// What stands before the first `{` of a template: where the URIs begin that are its component's.
#[must_use]
pub fn uri_prefix(template: &str) -> &str {
    template.split_once('{').map_or(template, |(prefix, _)| prefix)
}

impl Offers {
    /// Makes tools of what `tools.list` gave.
    ///
    /// # Errors
    ///
    /// [`ListError`] says what of it cannot be offered. Nothing is left out to make the rest fit.
    pub fn tools(component_id: &str, interface: &str, listed: &Json) -> Result<Vec<Tool>, ListError> {
        const WHAT: &str = "tools";
        let listed: Vec<ListedTool> = read(WHAT, listed)?;
        distinct(WHAT, listed.iter().map(|tool| tool.name.as_str()))?;
        let tools = listed
            .into_iter()
            .map(|listed| tool(component_id, interface, listed));
        let tools: Vec<Tool> = tools.collect::<Result<_, _>>()?;
        bounded(WHAT, &tools)?;
        Ok(tools)
    }

    /// Takes over what `prompts.list` gave.
    ///
    /// # Errors
    ///
    /// As [`Offers::tools`].
    pub fn add_prompts(&mut self, listed: &Json) -> Result<(), ListError> {
        const WHAT: &str = "prompts";
        let mut prompts: Vec<Prompt> = read(WHAT, listed)?;
        distinct(WHAT, prompts.iter().map(|prompt| prompt.name.as_str()))?;
        for prompt in &mut prompts {
            tool_name(WHAT, &prompt.name)?;
            object(WHAT, &prompt.name, prompt.meta.as_ref())?;
            clean(&mut prompt.title, NAME_BYTES_MAX);
            clean(&mut prompt.description, DESCRIPTION_BYTES_MAX);
            for argument in &mut prompt.arguments {
                if argument.name.is_empty() || sanitize(&argument.name, NAME_BYTES_MAX) != argument.name {
                    return Err(entry(
                        WHAT,
                        &prompt.name,
                        "one of its arguments has no usable name",
                    ));
                }
                clean(&mut argument.title, NAME_BYTES_MAX);
                clean(&mut argument.description, DESCRIPTION_BYTES_MAX);
            }
        }
        bounded(WHAT, &prompts)?;
        self.prompts = prompts;
        Ok(())
    }

    /// Takes over what `resources.list` gave.
    ///
    /// # Errors
    ///
    /// As [`Offers::tools`].
    pub fn add_resources(&mut self, listed: &Json) -> Result<(), ListError> {
        const WHAT: &str = "resources";
        let mut resources: Vec<ResourceInfo> = read(WHAT, listed)?;
        distinct(WHAT, resources.iter().map(|resource| resource.uri.as_str()))?;
        for resource in &mut resources {
            uri(WHAT, &resource.uri)?;
            object(WHAT, &resource.uri, resource.meta.as_ref())?;
            resource.name = sanitize(&resource.name, NAME_BYTES_MAX);
            clean(&mut resource.title, NAME_BYTES_MAX);
            clean(&mut resource.description, DESCRIPTION_BYTES_MAX);
        }
        bounded(WHAT, &resources)?;
        self.resources = resources;
        Ok(())
    }

    /// Takes over what `resources.templates` gave.
    ///
    /// # Errors
    ///
    /// As [`Offers::tools`].
    pub fn add_templates(&mut self, listed: &Json) -> Result<(), ListError> {
        const WHAT: &str = "resource templates";
        let mut templates: Vec<ResourceTemplate> = read(WHAT, listed)?;
        distinct(
            WHAT,
            templates.iter().map(|template| template.uri_template.as_str()),
        )?;
        for template in &mut templates {
            uri(WHAT, &template.uri_template)?;
            if !owns_something(uri_prefix(&template.uri_template)) {
                let reason =
                    "before its first `{` there has to be a scheme and more, which no other component has";
                return Err(entry(WHAT, &template.uri_template, reason));
            }
            object(WHAT, &template.uri_template, template.meta.as_ref())?;
            template.name = sanitize(&template.name, NAME_BYTES_MAX);
            clean(&mut template.title, NAME_BYTES_MAX);
            clean(&mut template.description, DESCRIPTION_BYTES_MAX);
        }
        bounded(WHAT, &templates)?;
        self.templates = templates;
        Ok(())
    }

    /// Whether a resource of this URI would be this component's.
    #[must_use]
    pub fn has_uri(&self, uri: &str) -> bool {
        self.resources.iter().any(|resource| resource.uri == uri) || self.has_family(uri)
    }

    /// Whether a URI begins as those of one of the templates do.
    #[must_use]
    pub fn has_family(&self, uri: &str) -> bool {
        let mut templates = self.templates.iter();
        templates.any(|template| uri.starts_with(uri_prefix(&template.uri_template)))
    }

    /// What both lay claim to, if anything: a prompt's name, a URI, or the beginning of URIs.
    #[must_use]
    pub fn clash(&self, other: &Self) -> Option<String> {
        let prompt = self.prompts.iter().find(|prompt| {
            let mut others = other.prompts.iter();
            others.any(|other| other.name == prompt.name)
        });
        if let Some(prompt) = prompt {
            return Some(format!("the prompt `{}`", prompt.name));
        }
        let resource = self
            .resources
            .iter()
            .find(|resource| other.has_uri(&resource.uri));
        let mut others = other.resources.iter();
        let resource = resource.or_else(|| others.find(|resource| self.has_uri(&resource.uri)));
        if let Some(resource) = resource {
            return Some(format!("the resource `{}`", resource.uri));
        }
        let family = self.templates.iter().find(|template| {
            let prefix = uri_prefix(&template.uri_template);
            other.templates.iter().any(|other| {
                let other = uri_prefix(&other.uri_template);
                other.starts_with(prefix) || prefix.starts_with(other)
            })
        });
        family.map(|template| format!("the resources `{}`", template.uri_template))
    }
}

fn read<T: DeserializeOwned>(what: &'static str, listed: &Json) -> Result<Vec<T>, ListError> {
    let found = listed.as_array().map_or(0, Vec::len);
    if found > ENTRIES_MAX {
        return Err(ListError::TooMuch {
            what,
            unit: "entries",
            found,
            max: ENTRIES_MAX,
        });
    }
    Vec::deserialize(listed).map_err(|error| ListError::Form {
        what,
        reason: sanitize(&error.to_string(), NAME_BYTES_MAX),
    })
}

fn entry(what: &'static str, name: &str, reason: &'static str) -> ListError {
    ListError::Entry {
        what,
        name: sanitize(name, NAME_BYTES_MAX),
        reason,
    }
}

fn distinct<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ListError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(entry(what, name, "it is there twice"));
        }
    }
    Ok(())
}

fn bounded<T: Serialize>(what: &'static str, entries: &[T]) -> Result<(), ListError> {
    let mut all = 0_usize;
    for entry in entries {
        let found = serde_json::to_vec(entry).map_or(usize::MAX, |json| json.len());
        all = all.saturating_add(found);
        for (unit, found, max) in [
            ("bytes in one entry", found, ENTRY_BYTES_MAX),
            ("bytes", all, COMPONENT_BYTES_MAX),
        ] {
            if found > max {
                return Err(ListError::TooMuch {
                    what,
                    unit,
                    found,
                    max,
                });
            }
        }
    }
    Ok(())
}

fn clean(text: &mut Option<String>, bytes_max: usize) {
    let cleaned = text.as_deref().map(|text| sanitize(text, bytes_max));
    *text = cleaned.filter(|text| !text.is_empty());
}

fn tool_name(what: &'static str, name: &str) -> Result<ToolName, ListError> {
    let reason = "its name needs 1 to 64 letters, digits, `-` and `_`, a letter or `_` first, and no `__`";
    name.parse().map_err(|_reason| entry(what, name, reason))
}

fn object(what: &'static str, name: &str, json: Option<&JsonText>) -> Result<(), ListError> {
    match json {
        Some(json) if !json.0.is_object() => Err(entry(what, name, "its `meta` is no JSON object")),
        Some(json) if !is_seen(&json.0, 0) => Err(entry(what, name, HIDDEN)),
        Some(_) | None => Ok(()),
    }
}

/// RFC 3986: a scheme and something of it. Spaces, quotes and what nobody sees have no place in a URI.
fn uri(what: &'static str, text: &str) -> Result<(), ListError> {
    let is_usable = text.len() <= URI_BYTES_MAX
        && text.chars().all(|char| char.is_ascii_graphic())
        && !text.contains(['"', '<', '>', '`', '\\', '^', '|'])
        && scheme(text).is_some();
    if is_usable {
        Ok(())
    } else {
        let reason = "a URI has a scheme, at most 2,000 characters, and no spaces or letters outside ASCII";
        Err(entry(what, text, reason))
    }
}

/// The scheme of a URI, and what comes after the colon.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// Whether a beginning of URIs is more than a scheme.
fn owns_something(prefix: &str) -> bool {
    scheme(prefix).is_some_and(|(_, rest)| !rest.trim_start_matches('/').is_empty())
}

fn tool(component_id: &str, interface: &str, listed: ListedTool) -> Result<Tool, ListError> {
    const WHAT: &str = "tools";
    let name = tool_name(WHAT, &listed.name)?;
    let at = |reason| entry(WHAT, &listed.name, reason);
    object(WHAT, &listed.name, listed.meta.as_ref())?;
    let schema = |JsonText(mut schema): JsonText| {
        if schema.get("type").and_then(Json::as_str) != Some("object") {
            return Err(at("its schema is not of `\"type\": \"object\"`"));
        }
        check_schema(&mut schema, 0).map_err(at)?;
        Ok(schema)
    };
    let description = sanitize(&listed.description, DESCRIPTION_BYTES_MAX);
    if description.is_empty() {
        return Err(at("it has no description"));
    }
    let mut title = listed.title;
    clean(&mut title, NAME_BYTES_MAX);
    Ok(Tool {
        path: FunctionPath {
            interface: Some(interface.to_owned()),
            function: listed.name.clone(),
        },
        name,
        description: format!("From component `{component_id}`: {description}"),
        input_schema: schema(listed.input_schema)?,
        output_schema: listed.output_schema.map(schema).transpose()?,
        params: Vec::new(),
        result: None,
        rich: Some(Box::new(RichTool {
            title,
            icons: listed.icons,
            meta: listed.meta,
        })),
    })
}

/// Sanitizes what a schema says to people and models. What means something to a validator stays as it is, and must be
/// seen, because models read that, too.
///
/// SECURITY: a reference to another document would have clients fetch it.
fn check_schema(schema: &mut Json, depth: usize) -> Result<(), &'static str> {
    if depth > 2 * DEPTH_MAX {
        return Err("its schema nests too deeply");
    }
    match schema {
        Json::Object(members) => {
            for (name, value) in members {
                if !is_visible(name) {
                    return Err(HIDDEN);
                }
                match (name.as_str(), &mut *value) {
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Json::String(target))
                        if !target.starts_with('#') =>
                    {
                        return Err("its schema refers to another document");
                    }
                    ("title" | "description" | "$comment", Json::String(text)) => {
                        *text = sanitize(text, DESCRIPTION_BYTES_MAX);
                    }
                    (_, value) => check_schema(value, depth + 1)?,
                }
            }
            Ok(())
        }
        Json::Array(items) => items
            .iter_mut()
            .try_for_each(|item| check_schema(item, depth + 1)),
        Json::String(text) if !is_visible(text) => Err(HIDDEN),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(()),
    }
}

const HIDDEN: &str = "its JSON has characters that nobody sees, where they mean something";

/// Whether all text in some JSON is seen.
fn is_seen(json: &Json, depth: usize) -> bool {
    depth <= 2 * DEPTH_MAX
        && match json {
            Json::Object(members) => members
                .iter()
                .all(|(name, value)| is_visible(name) && is_seen(value, depth + 1)),
            Json::Array(items) => items.iter().all(|item| is_seen(item, depth + 1)),
            Json::String(text) => is_visible(text),
            Json::Null | Json::Bool(_) | Json::Number(_) => true,
        }
}
