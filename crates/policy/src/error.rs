//! Why a rule of a policy cannot be.

use std::fmt;

/// The part of a rule that is at fault; named as the key that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The rule as a whole: a part is missing, or it contradicts another rule.
    Rule,
    /// `uri` of a storage rule.
    Uri,
    /// `access` of a storage rule.
    Access,
    /// `guest` of a storage rule.
    Guest,
    /// `submounts` of a storage rule.
    Submounts,
    /// `host` of a network rule or of a secret.
    Host,
    /// `cidr` of a network rule.
    Cidr,
    /// `schemes` of a network rule.
    Schemes,
    /// `ports` of a network rule.
    Ports,
    /// `methods` of a network rule.
    Methods,
    /// `paths` of a network rule.
    Paths,
    /// `protocols` of a network rule.
    Protocols,
    /// `key` of an environment rule or of a signer.
    Key,
    /// `value` of an environment rule.
    Value,
    /// `name` of a secret.
    Name,
    /// `header` of a secret.
    Header,
    /// `format` of a secret.
    Format,
    /// A pattern of `tools`.
    Tool,
    /// A pattern of `sources`.
    Source,
    /// `identity` of a signer.
    Identity,
    /// `issuer` of a signer.
    Issuer,
    /// `signers` of a rule about signatures.
    Signers,
    /// `description` of the document.
    Description,
}

/// Why a rule cannot be, which part of it is at fault, and what could be written instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    field: Field,
    item: Option<usize>,
    message: String,
    hint: String,
}

/// What is wrong with a part of a rule. No error before [`Fault::hint`] says what to write instead.
#[must_use]
pub(crate) struct Fault {
    field: Field,
    message: String,
}

impl Fault {
    pub(crate) fn hint(self, hint: impl fmt::Display) -> RuleError {
        let Self { field, message } = self;
        RuleError {
            field,
            item: None,
            message,
            hint: hint.to_string(),
        }
    }
}

impl RuleError {
    pub(crate) fn at(field: Field, message: impl fmt::Display) -> Fault {
        let message = message.to_string();
        Fault { field, message }
    }

    pub(crate) fn item(mut self, index: usize) -> Self {
        self.item = Some(index);
        self
    }

    /// The part that is at fault.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// Where the part is a list: which of its members, from 0.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.item
    }

    /// What could be written instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Why a text is not an amount of a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseLimitError {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

impl ParseLimitError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}
