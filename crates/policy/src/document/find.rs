//! Where a document says something, for faults of its policy that only show later: on the disk, below the ceiling.
//!
//! The document is read again then, so that a policy is nothing but its rules.

use super::ParseOptions;
use super::rules::{self, Placed};
use super::yaml::{self, Node, Position};
use crate::limits::LimitKey;
use crate::path::AbsolutePath;
use crate::pattern::RuleText;
use crate::relation::Excess;
use crate::rules::Policy;

/// A part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyPart<'a> {
    /// A rule.
    Rule(&'a RuleText),
    /// The first rule that is about this path, or begins there.
    Path(&'a AbsolutePath),
    /// A limit.
    Limit(LimitKey),
}

impl Excess {
    /// What goes too far; `None` when that is no one part.
    #[must_use]
    pub fn part(&self) -> Option<PolicyPart<'_>> {
        match self {
            Self::Access { rule, .. } => Some(PolicyPart::Rule(rule)),
            Self::Limit { key, .. } => Some(PolicyPart::Limit(*key)),
            Self::Tool { .. } | Self::TooManyCases => None,
        }
    }
}

impl Policy {
    /// The line and column, from 1, where a document that is a policy says this; `None` when it does not, such as for
    /// a rule whose path was changed since.
    #[must_use]
    pub fn find(text: &str, options: &ParseOptions, part: PolicyPart<'_>) -> Option<(usize, usize)> {
        let root = yaml::read(text).ok()?;
        let permissions = value(&root, "permissions")?;
        let at = match part {
            PolicyPart::Limit(key) => limit(permissions, key)?,
            PolicyPart::Rule(rule) => placed(permissions, options)?.rule(rule)?,
            PolicyPart::Path(path) => placed(permissions, options)?.path(path)?,
        };
        Some((at.line, at.column))
    }
}

fn placed<'n>(permissions: &'n Node, options: &'n ParseOptions) -> Option<Placed<'n>> {
    let mut read = Placed::new(options);
    rules::permissions(permissions, &mut read).ok()?;
    Some(read)
}

/// In the newer form or the older one.
fn limit(permissions: &Node, key: LimitKey) -> Option<Position> {
    let resources = value(permissions, "resources")?;
    let newer = value(resources, "limits").and_then(|limits| value(limits, key.name()));
    let found = newer.or_else(|| value(resources, key.name()));
    found.map(|node| node.at)
}

fn value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.entry(key).map(|entry| &entry.value)
}
