//! What the operator allows at most, for every component.

use crate::pattern::SourcePattern;
use crate::rules::Policy;
use std::sync::Arc;

/// The most that any component may be granted, and where components may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    policy: Arc<Policy>,
    sources: Option<Vec<SourcePattern>>,
}

impl Ceiling {
    /// Without `sources`, components may come from anywhere; with none in it, from nowhere.
    #[must_use]
    pub fn new(policy: Policy, sources: Option<Vec<SourcePattern>>) -> Self {
        Self {
            policy: Arc::new(policy),
            sources,
        }
    }

    /// What may be granted.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Where components may come from; `None`: from anywhere.
    #[must_use]
    pub fn sources(&self) -> Option<&[SourcePattern]> {
        self.sources.as_deref()
    }

    /// Whether a component may come from there. The reference is in its canonical text.
    #[must_use]
    pub fn allows_source(&self, reference: &str) -> bool {
        self.sources
            .as_ref()
            .is_none_or(|sources| sources.iter().any(|source| source.matches(reference)))
    }
}
