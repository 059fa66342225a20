//! What comes of a command, and how far it has come meanwhile.

use crate::asking::Asked;
use crate::version::Difference;
use serde::Serialize;
use std::fmt;
use wassette_store::{ComponentId, Digest};
use wassette_wit::ToolName;

/// What a command did.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// A component is loaded.
    Loaded(Loaded),
    /// A component is gone.
    Unloaded {
        /// Its id.
        id: ComponentId,
        /// What it was.
        digest: Digest,
    },
    /// What a component may do is another.
    Policy(PolicyChanged),
    /// Something is asked for, and a person decides.
    Asked(Asked),
    /// What was asked for is granted already.
    AlreadyGranted {
        /// The component.
        id: ComponentId,
        /// What was asked for.
        rules: Vec<String>,
    },
    /// A person denied what was asked for.
    Denied(Asked),
    /// A tool is shown in another way.
    Presented(Presented),
    /// The tools of a component are shown as was wanted.
    PresentedAll {
        /// The component.
        id: ComponentId,
        /// Whether that made a difference.
        is_changed: bool,
    },
    /// A version is out of quarantine.
    Approved {
        /// The component.
        id: ComponentId,
        /// What it is.
        digest: Digest,
        /// What was new in it; nothing when it was in no quarantine.
        approved: Difference,
        /// The rules that it asked for and that are granted now.
        granted: Vec<String>,
    },
    /// Something is in a registry.
    Published {
        /// Where.
        reference: String,
        /// Its manifest.
        manifest: Digest,
        /// Its bytes.
        digest: Digest,
        /// Who signed it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signer: Option<String>,
    },
    /// Something is revoked, or not any more.
    Revocation {
        /// The digest or the signer.
        subject: String,
        /// Whether it is revoked now.
        revoked: bool,
        /// Components that this concerns.
        components: Vec<ComponentId>,
    },
    /// A secret is kept.
    SecretSet {
        /// The component.
        id: ComponentId,
        /// The secret.
        name: String,
    },
    /// A secret is gone.
    SecretDeleted {
        /// The component.
        id: ComponentId,
        /// The secret.
        name: String,
        /// Whether there was one.
        existed: bool,
    },
}

/// A tool as it is shown now.
#[derive(Clone, Debug, Serialize)]
pub struct Presented {
    /// Its component.
    pub component: ComponentId,
    /// What it is called now.
    pub name: ToolName,
    /// What its component calls it.
    pub original: ToolName,
    /// What is said of it now.
    pub description: String,
    /// Whether that made a difference.
    pub is_changed: bool,
}

/// What a component may do, after a change.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyChanged {
    /// The component.
    pub id: ComponentId,
    /// What was done.
    pub change: PolicyChange,
    /// The rules that were granted, taken back or attached, each as its policy prints it: links in paths are
    /// resolved.
    pub rules: Vec<String>,
    /// Rules that deny a part of what was granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied_by: Vec<String>,
    /// Rules of secrets that nothing carries, granted now or before: see [`wassette_policy::Policy::unused_secrets`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<String>,
    /// Patterns of `tools.deny` in a policy that was attached that are the name of no function of the component.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<String>,
    /// Whether that made a difference.
    pub is_changed: bool,
}

/// How a policy was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyChange {
    /// Something more is allowed.
    Granted,
    /// Something is not allowed any more.
    Revoked,
    /// Nothing is allowed any more.
    Reset,
    /// The whole policy is another.
    Attached,
}

/// A component after a load, an update or a rollback.
#[derive(Clone, Debug, Serialize)]
pub struct Loaded {
    /// Its id.
    pub id: ComponentId,
    /// What it is.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// The manifest that named its bytes, if it came from a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Who signed that manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// What the load changed.
    pub change: Change,
    /// Its tools.
    pub tools: Vec<ToolName>,
    /// Rules that it asks for; none is granted by that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<String>,
    /// Whether what is new in it is withheld until a person approves it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

/// What a load changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// There was no component of this id.
    New,
    /// The same bytes with the same tools were there already.
    Unchanged,
    /// Another component of this id was there.
    Replaced {
        /// What it was.
        previous: Digest,
        /// What is different.
        #[serde(flatten)]
        difference: Box<Difference>,
    },
}

/// A part of a command that may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Getting the bytes.
    Fetch,
    /// Reading what the component offers and asks for.
    Read,
    /// Translating it to machine code.
    Compile,
    /// Writing it down.
    Store,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetching",
            Self::Read => "reading",
            Self::Compile => "compiling",
            Self::Store => "storing",
        })
    }
}

/// Is told how far a command has come.
pub trait Progress: Send + Sync {
    /// `step` begins, as number `done` of `total`.
    fn report(&self, step: Step, done: u32, total: u32);

    /// So many bytes have come, of so many, if that is known.
    fn received(&self, bytes: u64, total: Option<u64>) {
        let _nobody_asks = (bytes, total);
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _step: Step, _done: u32, _total: u32) {}
}
