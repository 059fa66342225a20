//! What was granted to one component, the operator's ceiling above it, and the decision both make.

use crate::access::{Access, AccessKind};
use crate::limits::Limits;
use crate::path::AbsolutePath;
use crate::rules::Policy;
use crate::url::HttpTarget;
use std::sync::Arc;

/// What one component may do: its policy below the operator's ceiling, and the limits of its calls.
///
/// This is all that the sandbox knows of policies. An access needs both layers.
#[derive(Clone, Debug)]
pub struct Authority {
    granted: Arc<Policy>,
    ceiling: Option<Arc<Policy>>,
    limits: Limits,
}

/// A folder or file of this machine, and where a guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where the guest sees it.
    pub guest: AbsolutePath,
    /// Where it is: the grant's path, or the part of it before the first `*`.
    pub host: AbsolutePath,
    /// Whether mount points below it are entered.
    pub enters_submounts: bool,
    /// Whether anything below it was granted for writing.
    pub is_writable: bool,
}

/// Where a guest's path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Into a mount.
    Inside {
        /// The one with the longest matching guest path.
        mount: &'a Mount,
        /// What follows below it, without leading `/`; empty at the mount itself.
        below: String,
    },
    /// To a folder that exists only because a mount is somewhere below it.
    Above,
    /// Nowhere that was granted.
    Outside,
}

/// A secret that the gate puts on requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// The secret's name.
    pub name: String,
    /// The header that carries it, lower case.
    pub header: String,
    /// The header's value before and after the secret.
    pub before: String,
    /// See `before`.
    pub after: String,
}

/// A variable that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// A literal value instead of the server's own variable.
    pub value: Option<String>,
}

impl Authority {
    /// A policy below a ceiling, if there is one. `defaults` holds for each limit that neither sets; a limit
    /// of the ceiling is never exceeded.
    #[must_use]
    pub fn new(granted: Arc<Policy>, ceiling: Option<Arc<Policy>>, defaults: &Limits) -> Self {
        Self {
            granted,
            ceiling,
            limits: defaults.clone(),
        }
    }

    /// Nothing granted, under these limits.
    #[must_use]
    pub fn nothing(limits: Limits) -> Self {
        Self {
            granted: Arc::new(Policy::empty()),
            ceiling: None,
            limits,
        }
    }

    /// What was granted.
    #[must_use]
    pub fn granted(&self) -> &Policy {
        &self.granted
    }

    /// The operator's ceiling.
    #[must_use]
    pub fn ceiling(&self) -> Option<&Policy> {
        self.ceiling.as_deref()
    }

    /// The bounds of each call.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Decides one access.
    ///
    /// # Errors
    ///
    /// [`Denied`] when the policy does not allow it, or the ceiling does not.
    pub fn authorize(&self, access: &Access<'_>) -> Result<Permit, Denied> {
        Err(Denied {
            access: access.to_string(),
            lacks: access.lacks(),
            layer: Layer::Granted,
            rule: None,
        })
    }

    /// The folders and files a guest sees, by guest path.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &[]
    }

    /// Where a guest's path leads. A lexical answer: links are the sandbox's business.
    #[must_use]
    pub fn locate(&self, path: &AbsolutePath) -> Place<'_> {
        let _nothing_is_granted_yet = path;
        Place::Outside
    }

    /// The variables a guest gets, if they are authorized one by one.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        [].into_iter()
    }

    /// The secrets to be put on a request, if they are authorized one by one.
    pub fn secrets(&self, target: &HttpTarget) -> impl Iterator<Item = &SecretUse> {
        let _nothing_is_granted_yet = target;
        [].into_iter()
    }

    /// Whether any rule allows raw sockets of any kind, or HTTP to anywhere. A quick no for code that would
    /// otherwise prepare for nothing.
    #[must_use]
    pub fn has_network(&self) -> bool {
        false
    }
}

/// Which layer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The component's own policy.
    Granted,
    /// The operator's ceiling.
    Ceiling,
}

/// Proof that an access was allowed. Only [`Authority::authorize`] makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    rule: Arc<str>,
}

impl Permit {
    /// The rule that allowed it, as the printed policy has it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

/// A refused access, and why. For the operator; agents get less.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("denied: {access}; it lacks {lacks}")]
pub struct Denied {
    /// What was attempted, for example ``read `/etc/passwd` ``.
    pub access: String,
    /// The missing grant, for example ``a storage grant for `fs:///etc/passwd` with read``.
    pub lacks: String,
    /// Whose no it is.
    pub layer: Layer,
    /// The rule that denies it; `None` when no rule allows it.
    pub rule: Option<Arc<str>>,
}

/// One line of a call's report: an access, how often it was attempted, and what was decided.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// What sort of access it was.
    pub kind: AccessKind,
    /// What was attempted.
    pub access: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The missing grant when it was denied; empty when allowed.
    pub lacks: String,
    /// The rule that decided; empty when no rule speaks of the access.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Attempts with this same text.
    pub attempts: u64,
}
