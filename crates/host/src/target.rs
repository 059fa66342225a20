//! What a call is of, and which function of which component that is.
//!
//! A tool of a plain component is a function of its own. Everything in the rich world is one function for all of its
//! kind, to which the name is an argument.

use crate::catalog::{Catalog, Component};
use crate::error::HostError;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use wassette_sandbox::Client;
use wassette_store::{ComponentId, Digest};
use wassette_wit::rich::{Export, Reference, Resume, uri_prefix};
use wassette_wit::{Function, Tool, ToolName, Value};

/// A call as it is asked for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is called.
    pub target: Target<'a>,
    /// What came of the questions of the call before, if this one goes on with it.
    pub resume: Option<Resume>,
    /// Who listens while it runs.
    pub client: Option<Arc<dyn Client>>,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A tool, with its arguments as a JSON object.
    Tool {
        /// Its name.
        name: &'a str,
        /// The arguments.
        arguments: &'a Json,
    },
    /// A prompt is made out.
    Prompt {
        /// Its name.
        name: &'a str,
        /// Names and values of its arguments.
        arguments: &'a [(String, String)],
    },
    /// A resource is read.
    Resource {
        /// Its URI.
        uri: &'a str,
    },
    /// An argument is completed.
    Completion {
        /// Whose argument.
        reference: &'a Reference,
        /// Its name.
        argument: &'a str,
        /// What is typed of it.
        value: &'a str,
        /// The arguments that are known.
        others: &'a [(String, String)],
    },
}

impl<'a> Request<'a> {
    /// A call of a tool to which nobody listens.
    #[must_use]
    pub fn tool(name: &'a str, arguments: &'a Json) -> Self {
        Target::Tool { name, arguments }.into()
    }
}

impl<'a> From<Target<'a>> for Request<'a> {
    fn from(target: Target<'a>) -> Self {
        Self {
            target,
            resume: None,
            client: None,
        }
    }
}

/// What of a component a call is about: it ends when that is not offered any more. Printed, it is how the audit file
/// calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// By the name that it was called by, and by that of its component, which stays.
    Tool(String, ToolName),
    Prompt(String),
    Resource {
        uri: String,
        /// What is written down: of a family the template, because what stands in it is an argument.
        shown: String,
    },
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(name, _) => f.write_str(name),
            Self::Prompt(name) => write!(f, "prompt {name}"),
            Self::Resource { shown, .. } => write!(f, "resource {shown}"),
        }
    }
}

impl About {
    /// Whether a component offers it still.
    pub(crate) fn is_offered_by(&self, component: &Component) -> bool {
        match self {
            Self::Tool(_, original) => component.tools.iter().any(|tool| tool.original == *original),
            Self::Prompt(name) => component
                .offers()
                .prompts
                .iter()
                .any(|prompt| prompt.name == *name),
            Self::Resource { uri, .. } => component.offers().has_uri(uri),
        }
    }

    fn resource(uri: &str, owner: &Component) -> Self {
        let is_listed = owner
            .offers()
            .resources
            .iter()
            .any(|resource| resource.uri == uri);
        let mut templates = owner.offers().templates.iter().map(|it| it.uri_template.as_str());
        let family = templates.find(|template| uri.starts_with(uri_prefix(template)));
        Self::Resource {
            shown: family.filter(|_| !is_listed).unwrap_or(uri).to_owned(),
            uri: uri.to_owned(),
        }
    }
}

/// A call of which it is known what has to be run.
pub(crate) struct Callee<'a> {
    pub(crate) about: About,
    pub(crate) component: ComponentId,
    pub(crate) digest: Digest,
    pub(crate) function: Arc<Function>,
    /// What it gives is to be read as this, if it is of the rich world.
    pub(crate) export: Option<Export>,
    arguments: Cow<'a, Json>,
    /// For a tool with parameters of its own.
    tool: Option<Arc<Tool>>,
}

impl Callee<'_> {
    /// Reads the arguments. There are mistakes in those of a plain tool alone; the others are put together here.
    pub(crate) fn decode(&self) -> Result<Vec<Value>, HostError> {
        let decoded = match &self.tool {
            Some(tool) => tool.decode_arguments(&self.arguments),
            None => self.function.decode_arguments(&self.arguments),
        };
        decoded.map_err(HostError::Arguments)
    }

    pub(crate) fn arguments(&self) -> &Json {
        &self.arguments
    }
}

impl<'a> Request<'a> {
    /// What it is of, if that is offered.
    pub(crate) fn find(&self, catalog: &Catalog) -> Result<Callee<'a>, HostError> {
        match self.target {
            Target::Tool { name, arguments } => self.find_tool(catalog, name, arguments),
            Target::Prompt { name, arguments } => {
                let about = About::Prompt(name.to_owned());
                let owner = catalog.prompt_owner(name);
                let owner = owner.ok_or_else(|| HostError::UnknownPrompt {
                    name: name.to_owned(),
                })?;
                check_required(owner, name, arguments)?;
                let arguments = self.resumed(json!({ "name": name, "arguments": arguments }));
                found(owner, about, Export::GetPrompt, arguments)
            }
            Target::Resource { uri } => {
                let owner = catalog.resource_owner(uri).ok_or_else(|| unknown_resource(uri))?;
                let arguments = self.resumed(json!({ "uri": uri }));
                found(
                    owner,
                    About::resource(uri, owner),
                    Export::ReadResource,
                    arguments,
                )
            }
            Target::Completion {
                reference,
                argument,
                value,
                others,
            } => {
                let (about, owner) = completed(catalog, reference)?;
                let arguments = json!({
                    "reference": reference, "argument": argument, "value": value, "others": others,
                });
                found(owner, about, Export::Complete, arguments)
            }
        }
    }

    fn find_tool(&self, catalog: &Catalog, name: &str, arguments: &'a Json) -> Result<Callee<'a>, HostError> {
        let unknown = || HostError::UnknownTool {
            name: name.to_owned(),
        };
        let listed = catalog.tool(name).ok_or_else(unknown)?;
        let about = About::Tool(name.to_owned(), listed.original.clone());
        if listed.tool.rich.is_none() {
            return Ok(Callee {
                about,
                component: listed.component.clone(),
                digest: listed.digest,
                function: Arc::clone(&listed.function),
                export: None,
                arguments: Cow::Borrowed(arguments),
                tool: Some(Arc::clone(&listed.tool)),
            });
        }
        let owner = catalog.component(&listed.component).ok_or_else(unknown)?;
        let text = match arguments {
            Json::Null => "{}".to_owned(),
            other
            @ (Json::Object(_) | Json::Array(_) | Json::String(_) | Json::Number(_) | Json::Bool(_)) => {
                other.to_string()
            }
        };
        let arguments = self.resumed(json!({ "name": listed.original, "arguments": text }));
        found(owner, about, Export::CallTool, arguments)
    }

    fn resumed(&self, mut arguments: Json) -> Json {
        if let (Some(resume), Some(object)) = (&self.resume, arguments.as_object_mut()) {
            object.insert("resume".to_owned(), json!(resume));
        }
        arguments
    }
}

fn found(
    owner: &Component,
    about: About,
    export: Export,
    arguments: Json,
) -> Result<Callee<'static>, HostError> {
    // Only completion may be missing: the other interfaces are whole, or the component was not loaded.
    let function = owner.rich.exports.get(export).ok_or(HostError::NoCompletion)?;
    Ok(Callee {
        about,
        component: owner.id.clone(),
        digest: owner.digest,
        function: Arc::clone(function),
        export: Some(export),
        arguments: Cow::Owned(arguments),
        tool: None,
    })
}

fn unknown_resource(uri: &str) -> HostError {
    HostError::UnknownResource { uri: uri.to_owned() }
}

fn completed<'c>(catalog: &'c Catalog, reference: &Reference) -> Result<(About, &'c Component), HostError> {
    match reference {
        Reference::Prompt(name) => {
            let owner = catalog.prompt_owner(name);
            let owner = owner.ok_or_else(|| HostError::UnknownPrompt { name: name.clone() })?;
            Ok((About::Prompt(name.clone()), owner))
        }
        Reference::ResourceTemplate(template) => {
            let owner = catalog.template_owner(template);
            let owner = owner.ok_or_else(|| unknown_resource(template))?;
            Ok((About::resource(uri_prefix(template), owner), owner))
        }
    }
}

fn check_required(owner: &Component, name: &str, arguments: &[(String, String)]) -> Result<(), HostError> {
    let prompts = &owner.rich.offers.prompts;
    let prompt = prompts.iter().find(|prompt| prompt.name == name);
    let is_given = |name: &str| arguments.iter().any(|(given, _)| given == name);
    let missing = prompt.and_then(|prompt| {
        let mut required = prompt.arguments.iter().filter(|argument| argument.required);
        required.find(|argument| !is_given(&argument.name))
    });
    match missing {
        Some(argument) => Err(HostError::MissingArgument {
            name: argument.name.clone(),
        }),
        None => Ok(()),
    }
}
