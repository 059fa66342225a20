//! What was granted to one component, the operator's ceiling above it, and the decision both make.

use crate::access::{Access, AccessKind, FileOperation};
use crate::decide::{Question, Verdict};
use crate::index::{prefixes, writes_below};
use crate::limits::Limits;
use crate::path::AbsolutePath;
use crate::pattern::RuleText;
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
    /// Those of the policy, and what the ceiling leaves of them.
    mounts: Vec<Mount>,
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
        let limits = granted
            .limits()
            .effective(defaults, ceiling.as_deref().map(Policy::limits));
        let mut mounts = granted.index().mounts.clone();
        if let Some(ceiling) = &ceiling {
            for mount in &mut mounts {
                narrow(mount, ceiling);
            }
        }
        Self {
            granted,
            ceiling,
            limits,
            mounts,
        }
    }

    /// Nothing granted, under these limits.
    #[must_use]
    pub fn nothing(limits: Limits) -> Self {
        Self {
            granted: Arc::new(Policy::empty()),
            ceiling: None,
            limits,
            mounts: Vec::new(),
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
        self.decide(access)
            .map(|rule| Permit { rule })
            .map_err(|refusal| Denied {
                access: access.to_string(),
                lacks: self.lacks(access),
                layer: refusal.layer,
                rule: refusal.rule,
            })
    }

    /// The grant that is missing. Paths are those of the machine, because rules are about these.
    fn lacks(&self, access: &Access<'_>) -> String {
        if let Access::File { path, operation } = *access
            && let Place::Inside { mount, below } = self.locate(path)
            && let Ok(path) = &mount.host.join(&below)
        {
            return Access::File { path, operation }.lacks();
        }
        access.lacks()
    }

    fn decide(&self, access: &Access<'_>) -> Result<RuleText, Refusal> {
        match *access {
            Access::File { path, operation } => self.decide_file(path, operation),
            Access::Http(target) => self.ask(&Question::Http(target)),
            Access::Dial { target, address } => self.ask(&Question::Dial { target, address }),
            Access::Resolve { host_name } => self.ask_both(
                &Question::Resolve {
                    host_name,
                    by_pattern: false,
                },
                &Question::Resolve {
                    host_name,
                    by_pattern: true,
                },
            ),
            Access::Socket { protocol } => self.ask(&Question::Socket(protocol)),
            Access::SocketAddress {
                protocol,
                socket_use,
                address,
            } => self.ask(&Question::SocketAddress {
                protocol,
                socket_use,
                address,
            }),
            Access::Environment => self.ask(&Question::Environment),
            Access::Variable { name } => self.decide_variable(name),
            Access::Secret { name, target } => self.decide_secret(name, target),
            Access::Malformed { .. } => Err(Refusal::silent(Layer::Granted)),
        }
    }

    fn decide_file(&self, path: &AbsolutePath, operation: FileOperation) -> Result<RuleText, Refusal> {
        let silent = Err(Refusal::silent(Layer::Granted));
        let host = match self.locate(path) {
            Place::Inside { mount, below } => mount.host.join(&below),
            Place::Above => {
                // Nothing is there but the way to what was granted, and that is all it shows.
                let is_look = matches!(operation, FileOperation::List | FileOperation::Inspect);
                return match self.first_mount_below(path).filter(|_| is_look) {
                    Some(mount) => self.mount_rule(mount).map_or(silent, Ok),
                    None => silent,
                };
            }
            Place::Outside => return silent,
        };
        let Ok(host) = host else {
            return silent;
        };
        self.ask(&Question::File {
            path: &host,
            operation,
            submounts: false,
        })
    }

    fn decide_variable(&self, name: &str) -> Result<RuleText, Refusal> {
        let granted = self.granted.variable_rule(name).map(|rule| rule.value());
        self.ask_both(
            &Question::Variable { name, granted: None },
            &Question::Variable { name, granted },
        )
    }

    fn decide_secret(&self, name: &str, target: &HttpTarget) -> Result<RuleText, Refusal> {
        let own = Question::Secret {
            name,
            target,
            granted: None,
        };
        let rules = self
            .granted
            .secret_rules(target)
            .filter(|rule| rule.name() == name);
        let mut refusal = None;
        for rule in rules {
            let granted = Some(rule);
            match self.ask_both(
                &own,
                &Question::Secret {
                    name,
                    target,
                    granted,
                },
            ) {
                Ok(_) => return Ok(rule.text().clone()),
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or(Refusal::silent(Layer::Granted)))
    }

    fn ask(&self, question: &Question<'_>) -> Result<RuleText, Refusal> {
        self.ask_both(question, question)
    }

    fn ask_both(&self, own: &Question<'_>, of_ceiling: &Question<'_>) -> Result<RuleText, Refusal> {
        let rule = Refusal::unless_allowed(Layer::Granted, self.granted.decide(own))?;
        if let Some(ceiling) = &self.ceiling {
            Refusal::unless_allowed(Layer::Ceiling, ceiling.decide(of_ceiling))?;
        }
        Ok(rule)
    }

    /// The folders and files a guest sees, by guest path.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Where a guest's path leads. A lexical answer: links are the sandbox's business.
    #[must_use]
    pub fn locate(&self, path: &AbsolutePath) -> Place<'_> {
        let at_prefix = |prefix: &str| {
            let at = self
                .mounts
                .binary_search_by(|mount| mount.guest.as_str().cmp(prefix));
            at.ok().and_then(|at| self.mounts.get(at))
        };
        if let Some(mount) = prefixes(path.as_str()).filter_map(at_prefix).last() {
            return Place::Inside {
                mount,
                below: path.below(&mount.guest).unwrap_or_default().to_owned(),
            };
        }
        if self.first_mount_below(path).is_some() {
            return Place::Above;
        }
        Place::Outside
    }

    fn first_mount_below(&self, path: &AbsolutePath) -> Option<&Mount> {
        let folder = if path.is_root() {
            "/".to_owned()
        } else {
            format!("{path}/")
        };
        let at = self
            .mounts
            .partition_point(|mount| mount.guest.as_str() < folder.as_str());
        self.mounts
            .get(at)
            .filter(|mount| mount.guest.as_str().starts_with(&folder))
    }

    fn mount_rule(&self, mount: &Mount) -> Option<RuleText> {
        let at = self.granted.index().mount_rules.get(mount.guest.as_str())?;
        Some(self.granted.rules().storage.get(*at)?.text().clone())
    }

    /// The variables a guest gets, if they are authorized one by one.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.granted.index().variables.iter()
    }

    /// The secrets to be put on a request, if they are authorized one by one.
    ///
    /// One which the ceiling wants in another header, or in another format, is left out when the same secret
    /// can be put on the request as the ceiling wants it; so is one that two rules put there alike.
    pub fn secrets(&self, target: &HttpTarget) -> impl Iterator<Item = &SecretUse> {
        let at: Vec<usize> = self.granted.secret_positions(target).collect();
        let authorized: Vec<usize> = at
            .iter()
            .copied()
            .filter(|at| self.ceiling_allows_secret(*at, target))
            .collect();
        let uses = &self.granted.index().secret_uses;
        let mut seen: Vec<&SecretUse> = Vec::new();
        at.into_iter().filter_map(move |at| {
            let own = uses.get(at)?;
            if seen.contains(&own) {
                return None;
            }
            seen.push(own);
            let is_possible = |other: &usize| uses.get(*other).is_some_and(|other| other.name == own.name);
            (authorized.contains(&at) || !authorized.iter().any(is_possible)).then_some(own)
        })
    }

    fn ceiling_allows_secret(&self, at: usize, target: &HttpTarget) -> bool {
        let (Some(ceiling), Some(rule)) = (&self.ceiling, self.granted.rules().secrets.get(at)) else {
            return true;
        };
        let question = Question::Secret {
            name: rule.name(),
            target,
            granted: Some(rule),
        };
        ceiling.decide(&question).is_allowed()
    }

    /// Whether any rule allows raw sockets of any kind, or HTTP to anywhere. A quick no for code that would
    /// otherwise prepare for nothing.
    #[must_use]
    pub fn has_network(&self) -> bool {
        let layers = std::iter::once(&self.granted).chain(&self.ceiling);
        layers
            .into_iter()
            .all(|layer| !layer.index().network_allow.names_nobody())
    }

    /// Whether a function is offered as a tool.
    #[must_use]
    pub fn offers_tool(&self, function: &str) -> bool {
        let mut layers = std::iter::once(&self.granted).chain(&self.ceiling);
        layers.all(|layer| layer.offers_tool(function))
    }
}

/// Takes from a mount what the ceiling does not give.
fn narrow(mount: &mut Mount, ceiling: &Policy) {
    let enter = Question::File {
        path: &mount.host,
        operation: FileOperation::Inspect,
        submounts: true,
    };
    mount.enters_submounts &= ceiling.decide(&enter).is_allowed();
    mount.is_writable &= writes_below(ceiling.rules(), &ceiling.index().storage_allow, &mount.host);
}

/// A no, before it has words.
struct Refusal {
    layer: Layer,
    rule: Option<RuleText>,
}

impl Refusal {
    fn silent(layer: Layer) -> Self {
        Self { layer, rule: None }
    }

    fn unless_allowed(layer: Layer, verdict: Verdict) -> Result<RuleText, Self> {
        match verdict {
            Verdict::Allowed(rule) => Ok(rule),
            Verdict::Denied(rule) => Err(Self {
                layer,
                rule: Some(rule),
            }),
            Verdict::Silent => Err(Self::silent(layer)),
        }
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

impl Decision {
    /// Why it was denied, to stand after what was denied: the rule that denies it, or the grant that is missing. Empty
    /// when it was allowed.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.allowed, self.rule.as_str()) {
            (true, _) => String::new(),
            (false, "") => format!("it lacks {}", self.lacks),
            (false, rule) => format!("the rule `{rule}` says so"),
        }
    }
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
