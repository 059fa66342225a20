//! Policies as documents: reading them with the line and column of every mistake, and printing them.
//!
//! A document is read once into a tree that knows where everything stands ([`yaml`]), then its keys are taken
//! one by one. A key that nobody takes is an error: what would not be enforced must not be written. Nothing
//! is read from anywhere else.

mod characters;
mod fields;
mod find;
mod mistakes;
mod print;
mod rules;
mod signatures;
mod yaml;

use crate::ceiling::Ceiling;
use crate::error::RuleError;
use crate::path::AbsolutePath;
use crate::rules::{Policy, PolicyError, Rules};
pub(crate) use characters::shown;
use fields::Map;
pub use find::PolicyPart;
use rules::Placed;
pub use yaml::DOCUMENT_BYTES_MAX;
use yaml::Value;

/// The version of the language that is read and printed.
const VERSION: &str = "1.0";

/// What a document's meaning depends on besides its text.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    /// The folder that relative `fs://` URIs are below. Without it they are refused.
    pub base: Option<AbsolutePath>,
}

/// Why a document is not a policy, and where.
///
/// The message may repeat short parts of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParsePolicyError {
    line: usize,
    column: usize,
    message: String,
    hint: String,
}

impl ParsePolicyError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What could be written instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`ParsePolicyError`] for the first thing that is not YAML, not known, or could not be enforced.
    pub fn parse(text: &str, options: &ParseOptions) -> Result<Self, ParsePolicyError> {
        let root = yaml::read(text)?;
        let map = Map::of(
            &root,
            "a policy",
            &["version", "permissions", "description", "$schema"],
        )?;
        policy(&map, options, Self::new)
    }

    /// The policy as a document. [`Policy::parse`] makes the same policy of it; equal policies have equal texts.
    #[must_use]
    pub fn print(&self) -> String {
        print::policy(self)
    }
}

impl Ceiling {
    /// Reads a ceiling: a policy that may also say which sources components may be loaded from, and who must have
    /// signed them.
    ///
    /// # Errors
    ///
    /// As for [`Policy::parse`].
    pub fn parse(text: &str, options: &ParseOptions) -> Result<Self, ParsePolicyError> {
        let root = yaml::read(text)?;
        let keys = [
            "version",
            "permissions",
            "description",
            "$schema",
            "sources",
            "signatures",
        ];
        let map = Map::of(&root, "a ceiling", &keys)?;
        let policy = policy(&map, options, Policy::of_ceiling)?;
        let sources = map.get("sources").map(rules::sources).transpose()?;
        let signatures = map.get("signatures").map(signatures::read).transpose()?;
        Ok(Self::new(policy, sources).with_signatures(signatures.unwrap_or_default()))
    }

    /// The ceiling as a document that [`Ceiling::parse`] reads.
    #[must_use]
    pub fn print(&self) -> String {
        print::ceiling(self)
    }
}

fn policy<'n>(
    map: &Map<'n>,
    options: &'n ParseOptions,
    put_together: impl FnOnce(Rules) -> Result<Policy, PolicyError>,
) -> Result<Policy, ParsePolicyError> {
    version(map)?;
    if let Some(schema) = map.get("$schema") {
        // Editors use it; it changes nothing here.
        schema.text("$schema")?;
    }
    let mut read = Placed::new(options);
    if let Some(description) = map.get("description")
        && !description.is_null()
    {
        read.rules.description = Some(description.text("description")?.to_owned());
    }
    if let Some(permissions) = map.get("permissions")
        && !permissions.is_null()
    {
        rules::permissions(permissions, &mut read)?;
    }
    let rules = std::mem::take(&mut read.rules);
    put_together(rules).map_err(|error| read.conflict(&error, map.nearest("description", None)))
}

fn version(map: &Map<'_>) -> Result<(), ParsePolicyError> {
    let Some(node) = map.get("version") else {
        return Err(map
            .at
            .error("`version` is missing")
            .hint("begin with `version: \"1.0\"`"));
    };
    let is_known = |text: &str| text == VERSION;
    match &node.value {
        Value::Quoted(text) if is_known(text) => Ok(()),
        Value::Plain(text) if is_known(text) => Err(node
            .at
            .error("`version` is a number here")
            .hint("put it into quotes: `version: \"1.0\"`")),
        Value::Quoted(text) | Value::Plain(text) => Err(node
            .at
            .error(format!("the version `{}` is not known", shown(text)))
            .hint("this program reads `version: \"1.0\"`")),
        Value::Null | Value::List(_) | Value::Map(_) => Err(node
            .at
            .error("`version` must be a text")
            .hint("write `version: \"1.0\"`")),
    }
}

fn from_rule(error: &RuleError, at: yaml::Position) -> ParsePolicyError {
    // A rule may have been written with escapes for characters that the document itself could not hold.
    let clean = |text: &str| text.chars().map(characters::harmless).collect::<String>();
    at.error(clean(&error.to_string())).hint(clean(error.hint()))
}
