//! Whether a component can be used, and why not, in words for each reader.

use std::fmt;

/// Whether a component can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentState {
    /// Its tools are offered.
    Ready,
    /// What was approved is offered; what is new in it is withheld until a person approves it.
    Quarantined,
    /// It is listed, its tools are not, because it is revoked.
    Revoked(Unavailable),
    /// It is listed, its tools are not, for this reason.
    Unavailable(Unavailable),
}

impl ComponentState {
    /// Why it cannot be used, if it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<&Unavailable> {
        match self {
            Self::Ready | Self::Quarantined => None,
            Self::Revoked(fault) | Self::Unavailable(fault) => Some(fault),
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Quarantined => "quarantined",
            Self::Revoked(_) => "revoked",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Why a component cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// For the operator: rules, with their paths.
    pub reason: String,
    /// For agents: no path of this machine, and nothing of the ceiling.
    pub told: String,
}

impl Unavailable {
    /// The same for everybody.
    pub(crate) fn plain(reason: String) -> Self {
        Self {
            told: reason.clone(),
            reason,
        }
    }

    pub(crate) fn because(told: &str, detail: impl fmt::Display) -> Self {
        Self {
            reason: format!("{told}: {detail}"),
            told: told.to_owned(),
        }
    }
}
