//! Policies made of policies: granting, revoking, joining.

use crate::access::FileOperation;
use crate::budget::{Budget, Stop};
use crate::decide::{Question, Verdict};
use crate::grant::{Effect, EnvironmentRule, FileAccess, NetworkRule, SecretRule, StorageRule};
use crate::pattern::RuleText;
use crate::rules::{Policy, PolicyError, Rules};
use crate::witness::Search;

/// One thing to be granted or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Files and folders. To revoke writing and leave reading, give the deny rule that says so.
    Storage(StorageRule),
    /// Requests or connections.
    Network(NetworkRule),
    /// A variable.
    Environment(EnvironmentRule),
    /// A secret.
    Secret(SecretRule),
}

impl Grant {
    /// The rule in one line.
    #[must_use]
    pub fn text(&self) -> &RuleText {
        match self {
            Self::Storage(rule) => rule.text(),
            Self::Network(rule) => rule.text(),
            Self::Environment(rule) => rule.text(),
            Self::Secret(rule) => rule.text(),
        }
    }

    fn add_to(&self, rules: &mut Rules) {
        match self {
            Self::Storage(rule) => rules.storage.push(rule.clone()),
            Self::Network(rule) => rules.network.push(rule.clone()),
            Self::Environment(rule) => rules.environment.push(rule.clone()),
            Self::Secret(rule) => rules.secrets.push(rule.clone()),
        }
    }

    fn policy(&self) -> Policy {
        let mut rules = Rules::default();
        self.add_to(&mut rules);
        Policy::of(rules)
    }
}

/// Why something cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It contradicts a rule that is there.
    #[error(transparent)]
    Conflict(#[from] PolicyError),
    /// Deny wins: the grant, or part of it, would have no effect.
    #[error("the rule `{rule}` denies it, or part of it")]
    Denied {
        /// The deny rule that has to go first.
        rule: RuleText,
    },
    /// A deny rule cannot be granted.
    #[error("the rule `{rule}` denies and does not grant")]
    NotAGrant {
        /// The rule.
        rule: RuleText,
    },
    /// Nobody can say whether a deny rule speaks of it.
    #[error("the policy has too many deny rules to say whether one of them denies it")]
    TooManyCases,
}

impl Policy {
    /// This policy and one grant more. A deny rule that says the very opposite, as revoking leaves it, goes. One
    /// that is about a part of the grant stays, because deny wins; [`Policy::denials_of`] tells which.
    ///
    /// # Errors
    ///
    /// [`GrantError`] when the grant would have no effect, or one of its abilities would have none.
    pub fn granting(&self, grant: &Grant) -> Result<Self, GrantError> {
        let not_a_grant = match grant {
            Grant::Storage(rule) => rule.effect() == Effect::Deny,
            Grant::Network(rule) => rule.effect() == Effect::Deny,
            Grant::Environment(_) | Grant::Secret(_) => false,
        };
        if not_a_grant {
            return Err(GrantError::NotAGrant {
                rule: grant.text().clone(),
            });
        }
        let mut rules = self.rules().clone();
        match grant {
            Grant::Storage(granted) => lift_storage(&mut rules, granted),
            Grant::Network(granted) => {
                let opposite = granted.denied();
                rules.network.retain(|rule| *rule != opposite);
            }
            Grant::Environment(_) | Grant::Secret(_) => {}
        }
        grant.add_to(&mut rules);
        let policy = Self::new(rules)?;
        if policy.gives(grant)? {
            return Ok(policy);
        }
        // Without a rule that denies it, only methods that nobody is allowed would be left.
        let rule = policy.denials_of(grant).into_iter().next();
        Err(GrantError::Denied {
            rule: rule.unwrap_or_else(|| grant.text().clone()),
        })
    }

    /// Whether each ability of the grant has an effect somewhere.
    fn gives(&self, grant: &Grant) -> Result<bool, GrantError> {
        let granted = grant.policy();
        let writes = matches!(grant, Grant::Storage(rule) if rule.access().write);
        for writing in [false, true].into_iter().take(1 + usize::from(writes)) {
            let ended = Search::new(&granted, self, &mut Budget::new(), |question| {
                is_proper(question)
                    && is_writing(question) == writing
                    && granted.decide(question).is_allowed()
                    && self.decide(question).is_allowed()
            })
            .run();
            match ended {
                Err(Stop::Found) => {}
                Ok(()) => return Ok(false),
                Err(Stop::TooMany) => return Err(GrantError::TooManyCases),
            }
        }
        Ok(true)
    }

    /// The deny rules that take from a grant some of what it says, for whoever has to show that.
    #[must_use]
    pub fn denials_of(&self, grant: &Grant) -> Vec<RuleText> {
        let granted = grant.policy();
        let mut denials = Vec::new();
        let ended = Search::new(&granted, self, &mut Budget::new(), |question| {
            if is_proper(question)
                && granted.decide(question).is_allowed()
                && let Verdict::Denied(rule) = self.decide(question)
                && !denials.contains(&rule)
            {
                denials.push(rule);
            }
            false
        })
        .run();
        // It is for showing; the decision does not depend on it.
        let _ends_early_when_too_many = ended;
        denials
    }

    /// The rules of secrets that no request carries, because the network section lets none through that they are
    /// for. None of them does harm, but whoever wrote them expects something else.
    #[must_use]
    pub fn unused_secrets(&self) -> Vec<RuleText> {
        let mut budget = Budget::new();
        let unused = self.rules().secrets.iter();
        unused
            .filter(|rule| !overlap(&rule.policy_of_requests(), self, &mut budget))
            .map(|rule| rule.text().clone())
            .collect()
    }

    /// This policy without what the grant allows: rules that grant nothing else go, and where a wider one stays,
    /// a deny rule is added. A secret's rule that overlaps goes as a whole.
    #[must_use]
    pub fn revoking(&self, grant: &Grant) -> Self {
        let mut rules = self.rules().clone();
        let budget = &mut Budget::new();
        match grant {
            Grant::Storage(revoked) => revoke_storage(&mut rules, revoked, budget),
            Grant::Network(revoked) => revoke_network(&mut rules, revoked, budget),
            Grant::Environment(revoked) => rules.environment.retain(|rule| rule.name() != revoked.name()),
            Grant::Secret(revoked) => {
                let name = revoked.name();
                let requests = revoked.policy_of_requests();
                rules.secrets.retain(|rule| {
                    rule.name() != name || !overlap(&rule.policy_of_requests(), &requests, budget)
                });
            }
        }
        Self::of(rules)
    }

    /// What either allows, but for what either denies. Limits are the larger.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] when rules of the two contradict each other.
    pub fn join(&self, other: &Self) -> Result<Self, PolicyError> {
        let mut rules = self.rules().clone();
        let others = other.rules().clone();
        rules.storage.extend(others.storage);
        rules.network.extend(others.network);
        rules.environment.extend(others.environment);
        rules.secrets.extend(others.secrets);
        rules.tools_deny.extend(others.tools_deny);
        rules.limits = rules.limits.join(&others.limits);
        rules.description = rules.description.max(others.description);
        Self::new(rules)
    }
}

impl SecretRule {
    fn policy_of_requests(&self) -> Policy {
        policy_of_network(self.requests.clone())
    }

    /// Whether there is a request that both are for, with another value of the same header.
    pub(crate) fn conflicts(&self, other: &Self, budget: &mut Budget) -> bool {
        self.header() == other.header()
            && (self.name(), self.around()) != (other.name(), other.around())
            // Most are for different hosts, which costs nothing to see.
            && self.requests.meets(&other.requests)
            && overlap(&self.policy_of_requests(), &other.policy_of_requests(), budget)
    }
}

fn lift_storage(rules: &mut Rules, granted: &StorageRule) {
    let storage = std::mem::take(&mut rules.storage);
    rules.storage = storage
        .into_iter()
        .filter_map(|rule| {
            if rule.effect() == Effect::Allow || rule.pattern() != granted.pattern() {
                return Some(rule);
            }
            let access = rule.access();
            rule.with_access(FileAccess {
                read: access.read && !granted.access().read,
                write: access.write && !granted.access().write,
            })
        })
        .collect();
}

fn revoke_storage(rules: &mut Rules, revoked: &StorageRule, budget: &mut Budget) {
    let place = |rule: &StorageRule| policy_of_storage(rule.as_place());
    let taken = place(revoked);
    // Writing comes with reading, so that who cannot read keeps nothing.
    let access = FileAccess {
        read: revoked.access().read,
        write: true,
    };
    let mut is_left = false;
    let storage = std::mem::take(&mut rules.storage);
    for rule in storage {
        if rule.effect() == Effect::Deny || (!access.read && !rule.access().write) {
            rules.storage.push(rule);
        } else if is_within(&place(&rule), &taken, budget) {
            let left = (!access.read).then_some(FileAccess::READ);
            rules
                .storage
                .extend(left.and_then(|access| rule.with_access(access)));
        } else {
            is_left |= overlap(&place(&rule), &taken, budget);
            rules.storage.push(rule);
        }
    }
    if is_left {
        rules.storage.push(revoked.denied(access));
    }
}

fn revoke_network(rules: &mut Rules, revoked: &NetworkRule, budget: &mut Budget) {
    if revoked.effect() == Effect::Deny {
        rules.network.push(revoked.clone());
        return;
    }
    let taken = policy_of_network(revoked.clone());
    let mut is_left = false;
    rules.network.retain(|rule| {
        if rule.effect() == Effect::Deny {
            return true;
        }
        let own = policy_of_network(rule.clone());
        if is_within(&own, &taken, budget) {
            return false;
        }
        is_left |= overlap(&own, &taken, budget);
        true
    });
    if is_left {
        rules.network.push(revoked.denied());
    }
}

fn policy_of_storage(rule: StorageRule) -> Policy {
    Policy::of(Rules {
        storage: vec![rule],
        ..Rules::default()
    })
}

fn policy_of_network(rule: NetworkRule) -> Policy {
    Policy::of(Rules {
        network: vec![rule],
        ..Rules::default()
    })
}

/// Whether the first allows nothing that the second does not; no when nobody can say.
fn is_within(own: &Policy, other: &Policy, budget: &mut Budget) -> bool {
    Search::new(own, other, budget, |question| {
        is_proper(question) && own.decide(question).is_allowed() && !other.decide(question).is_allowed()
    })
    .run()
    .is_ok()
}

/// Whether there is anything both allow; yes when nobody can say.
fn overlap(own: &Policy, other: &Policy, budget: &mut Budget) -> bool {
    Search::new(own, other, budget, |question| {
        is_proper(question) && own.decide(question).is_allowed() && other.decide(question).is_allowed()
    })
    .run()
    .is_err()
}

/// Whether the access is what a rule is for. What it brings along (looking at a folder on the way, looking up
/// a name, taking a free port, an address that a name leads to) also comes with other rules.
fn is_proper(question: &Question<'_>) -> bool {
    match question {
        Question::File { operation, .. } => *operation != FileOperation::Inspect,
        Question::Http(_) | Question::Variable { .. } | Question::Secret { .. } => true,
        Question::SocketAddress { address, .. } => address.port() != 0,
        Question::Dial { .. } | Question::Resolve { .. } | Question::Socket(_) | Question::Environment => {
            false
        }
    }
}

fn is_writing(question: &Question<'_>) -> bool {
    matches!(question, Question::File { operation, .. } if operation.grant_word() == "write")
}
