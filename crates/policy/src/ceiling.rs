//! What the operator allows at most, for every component.

use crate::rules::Policy;
use crate::signature::SignatureRule;
use crate::source::SourcePattern;
use std::sync::Arc;

/// The most that any component may be granted, where components may come from, and who must have signed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling {
    policy: Arc<Policy>,
    sources: Option<Vec<SourcePattern>>,
    signatures: Vec<SignatureRule>,
}

impl Ceiling {
    /// Without `sources`, components may come from anywhere; with none in it, from nowhere.
    #[must_use]
    pub fn new(policy: Policy, sources: Option<Vec<SourcePattern>>) -> Self {
        Self {
            policy: Arc::new(policy),
            sources,
            signatures: Vec::new(),
        }
    }

    /// The same with other rules about signatures. [`Ceiling::new`] has none.
    #[must_use]
    pub fn with_signatures(self, signatures: Vec<SignatureRule>) -> Self {
        Self { signatures, ..self }
    }

    /// The rules about signatures, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureRule] {
        &self.signatures
    }

    /// The rule about signatures that decides for a reference, in its canonical text: the first that matches. Without
    /// one, nobody looks at signatures.
    #[must_use]
    pub fn signature_rule(&self, reference: &str) -> Option<&SignatureRule> {
        self.signatures
            .iter()
            .find(|rule| rule.source().matches(reference))
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
