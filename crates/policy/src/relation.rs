//! How two policies compare, decided by asking both about one access of each class.

use crate::access_text::AccessText;
use crate::budget::{Budget, COST_MAX, Stop};
use crate::decide::{Question, Verdict};
use crate::grant::{NetworkRule, SecretRule};
use crate::limits::{LimitKey, LimitSettings, Limits};
use crate::pattern::{Glob, RuleText, ToolPattern};
use crate::rules::{Policy, Rules};
use crate::text::Quoted;
use crate::witness::{Search, texts};
use std::collections::BTreeSet;

/// What a policy grants beyond another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// An access that the other does not allow.
    #[error("`{rule}` goes too far: `{example}` is not allowed{}", denied_by(denied.as_ref()))]
    Access {
        /// The rule that grants it.
        rule: RuleText,
        /// One access that it allows and the other does not. Paths are those of the machine. A secret or a
        /// variable may be allowed by the other in another way than the rule says: in another header or
        /// format, with another value, without entering mounts.
        example: Box<AccessText>,
        /// The rule of the other that denies it; `None` when none of its rules speaks of it.
        denied: Option<RuleText>,
    },
    /// A limit that is set higher.
    #[error("the limit `{}` of {asked} is more than {most}", key.name())]
    Limit {
        /// Which.
        key: LimitKey,
        /// What is asked for.
        asked: String,
        /// What there is at most.
        most: String,
    },
    /// A function that the other does not offer as a tool.
    #[error("the function `{function}` is not offered as a tool, by `tools deny \"{rule}\"`")]
    Tool {
        /// An example.
        function: String,
        /// The pattern that denies it.
        rule: String,
    },
    /// The policies are too large to compare, so that nobody can say.
    #[error("comparing them takes more than {COST_MAX} steps; write fewer rules, or fewer with `*`")]
    TooManyCases,
}

fn denied_by(rule: Option<&RuleText>) -> String {
    rule.map(|rule| format!(", by `{rule}`")).unwrap_or_default()
}

/// Whether one policy allows more than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The same accesses.
    Equal,
    /// Nothing that was not allowed, and less.
    Narrower,
    /// All that was allowed, and more.
    Wider,
    /// More here and less there, or nobody can say.
    Neither,
}

/// A limit that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitChange {
    /// Which.
    pub key: LimitKey,
    /// As it was; `None`: left to the defaults.
    pub before: Option<String>,
    /// As it is; `None`: left to the defaults.
    pub after: Option<String>,
}

impl LimitChange {
    /// Its key, and which of the two where two limits have one key.
    #[must_use]
    pub fn words(&self) -> &'static str {
        if self.key == LimitKey::Cpu {
            return "cpu time";
        }
        if self.key == LimitKey::CpuShare {
            return "cpu share";
        }
        self.key.name()
    }
}

/// What is different between two policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDiff {
    /// Rules that were not there.
    pub added: Vec<String>,
    /// Rules that are gone.
    pub removed: Vec<String>,
    /// Limits that changed.
    pub limits: Vec<LimitChange>,
    /// Whether the new policy allows more than the old one.
    pub relation: Relation,
}

/// As what the other policy is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Something to stay below: its limits and tools hold whether or not a policy repeats them.
    Ceiling,
    /// Another policy in the same place.
    Peer,
}

impl Policy {
    /// Whether everything this policy grants is also allowed by `ceiling`. Exact, also where several rules of
    /// the ceiling together allow what one rule grants.
    ///
    /// A limit counts where both set it, since whatever is left out is lowered to the ceiling's without a word;
    /// the same holds for the tools that the ceiling hides. So what is within a ceiling that leaves a limit out
    /// can exceed one that this ceiling is within.
    ///
    /// # Errors
    ///
    /// The first [`Excess`] that is found; also when the policies are too large to compare.
    pub fn within(&self, ceiling: &Self) -> Result<(), Excess> {
        if let Some(key) = self.limits().exceeding(ceiling.limits()).next() {
            return Err(Excess::Limit {
                key,
                asked: self.limits().text(key).unwrap_or_default(),
                most: ceiling.limits().text(key).unwrap_or_default(),
            });
        }
        self.accesses_within(ceiling, Role::Ceiling)
    }

    /// Whether this policy allows nothing that `other`, in its place, would not allow.
    fn is_within_peer(&self, other: &Self) -> bool {
        limits_within(self.limits(), other.limits())
            && tools_within(self, other).is_ok()
            && self.accesses_within(other, Role::Peer).is_ok()
    }

    fn accesses_within(&self, other: &Self, role: Role) -> Result<(), Excess> {
        let mut excess = None;
        let ended = Search::new(self, other, &mut Budget::new(), |question| {
            let Verdict::Allowed(rule) = self.decide(question) else {
                return false;
            };
            let denied = match other.decide(&asked_of_other(*question, role)) {
                Verdict::Allowed(_) if is_same_variable(question, other, role) => return false,
                Verdict::Allowed(_) | Verdict::Silent => None,
                Verdict::Denied(rule) => Some(rule),
            };
            excess = Some(Excess::Access {
                rule,
                example: Box::new(AccessText::of(question)),
                denied,
            });
            true
        })
        .run();
        match ended {
            Ok(()) => Ok(()),
            Err(Stop::Found) => Err(excess.unwrap_or(Excess::TooManyCases)),
            Err(Stop::TooMany) => Err(Excess::TooManyCases),
        }
    }

    /// What changes when this policy is replaced by `after`.
    #[must_use]
    pub fn diff(&self, after: &Self) -> PolicyDiff {
        let (old, new) = (lines(self.rules()), lines(after.rules()));
        let limits = LimitKey::ALL
            .into_iter()
            .map(|key| LimitChange {
                key,
                before: self.limits().text(key),
                after: after.limits().text(key),
            })
            .filter(|change| change.before != change.after)
            .collect();
        let is_same = old == new && self.limits() == after.limits();
        let relation = match (is_same, after.is_within_peer(self), self.is_within_peer(after)) {
            (true, _, _) | (false, true, true) => Relation::Equal,
            (false, true, false) => Relation::Narrower,
            (false, false, true) => Relation::Wider,
            (false, false, false) => Relation::Neither,
        };
        PolicyDiff {
            added: new.difference(&old).cloned().collect(),
            removed: old.difference(&new).cloned().collect(),
            limits,
            relation,
        }
    }
}

fn asked_of_other(question: Question<'_>, role: Role) -> Question<'_> {
    match question {
        Question::Resolve { host_name, .. } => Question::Resolve {
            host_name,
            by_pattern: role == Role::Ceiling,
        },
        Question::File { .. }
        | Question::Http(_)
        | Question::Dial { .. }
        | Question::Socket(_)
        | Question::SocketAddress { .. }
        | Question::Environment
        | Question::Variable { .. }
        | Question::Secret { .. } => question,
    }
}

/// A ceiling that names a variable allows any value; another policy gives the value it says.
fn is_same_variable(question: &Question<'_>, other: &Policy, role: Role) -> bool {
    let Question::Variable {
        name,
        granted: Some(value),
    } = question
    else {
        return true;
    };
    role == Role::Ceiling
        || other
            .variable_rule(name)
            .is_some_and(|rule| rule.value() == *value)
}

/// The rules as lines, with what a line leaves out for brevity.
fn lines(rules: &Rules) -> BTreeSet<String> {
    let storage = rules.storage.iter().map(|rule| rule.text().to_string());
    let network = rules
        .network
        .iter()
        .map(NetworkRule::text)
        .map(ToString::to_string);
    let environment = rules.environment.iter().map(|rule| match rule.value() {
        Some(value) => format!("{} {value:?}", rule.text()),
        None => rule.text().to_string(),
    });
    let secrets = rules.secrets.iter().map(|rule: &SecretRule| {
        let (before, after) = rule.around();
        format!(
            "{} format {}",
            rule.text(),
            Quoted(&format!("{before}{{secret}}{after}"))
        )
    });
    let tools = rules
        .tools_deny
        .iter()
        .map(|pattern| format!("tools deny {}", Quoted(&pattern.to_string())));
    storage
        .chain(network)
        .chain(environment)
        .chain(secrets)
        .chain(tools)
        .collect()
}

/// Whether every function that `own` offers is offered by `other`.
fn tools_within(own: &Policy, other: &Policy) -> Result<(), Excess> {
    let globs = || {
        let patterns = own.rules().tools_deny.iter().chain(&other.rules().tools_deny);
        patterns.map(ToolPattern::glob)
    };
    let mut budget = Budget::new();
    let names = texts(globs().filter_map(Glob::as_literal), globs(), &mut budget);
    for function in names.map_err(|_| Excess::TooManyCases)? {
        budget.spend(globs().count()).map_err(|_| Excess::TooManyCases)?;
        let denied = other
            .rules()
            .tools_deny
            .iter()
            .find(|pattern| pattern.matches(&function));
        if let Some(pattern) = denied
            && own.offers_tool(&function)
        {
            return Err(Excess::Tool {
                rule: pattern.to_string(),
                function,
            });
        }
    }
    Ok(())
}

/// Whether no limit is higher, with the defaults where nothing is said.
fn limits_within(own: &LimitSettings, other: &LimitSettings) -> bool {
    let [own, other] = [own, other].map(|settings| settings.effective(&Limits::DEFAULT, None));
    let numbers = |limits: &Limits| {
        [
            limits.memory_bytes,
            limits.table_elements,
            limits.stdio_bytes,
            limits.output_bytes,
            limits.requests,
            limits.egress_bytes,
            limits.ingress_bytes,
            limits.file_read_bytes,
            limits.file_write_bytes,
            limits.files,
            u64::from(limits.concurrency),
            limits.cpu_share_millicores.map_or(u64::MAX, u64::from),
        ]
    };
    let rate = |limits: &Limits| {
        limits.rate.map_or((f64::INFINITY, u32::MAX), |rate| {
            (f64::from(rate.calls) / rate.per.as_secs_f64(), rate.calls)
        })
    };
    let ((own_rate, own_burst), (other_rate, other_burst)) = (rate(&own), rate(&other));
    numbers(&own)
        .iter()
        .zip(numbers(&other))
        .all(|(own, other)| *own <= other)
        && own.time <= other.time
        && own.cpu <= other.cpu
        && own_rate <= other_rate
        && own_burst <= other_burst
}
