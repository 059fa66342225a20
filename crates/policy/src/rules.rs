//! The rules of a policy together, in canonical order.

use crate::budget::Budget;
use crate::error::{Field, RuleError};
use crate::grant::{Effect, EnvironmentRule, NetworkRule, SecretRule, StorageRule};
use crate::index::Index;
use crate::limits::LimitSettings;
use crate::path::AbsolutePath;
use crate::pattern::ToolPattern;
use std::collections::BTreeMap;

/// Most rules of secrets for one component.
const SECRETS_MAX: usize = 256;
/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// What a policy is made of; order and repetition mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// For whoever reads the policy. Nothing is decided by it.
    pub description: Option<String>,
    /// Files and folders, both lists.
    pub storage: Vec<StorageRule>,
    /// Requests and connections, both lists.
    pub network: Vec<NetworkRule>,
    /// Variables.
    pub environment: Vec<EnvironmentRule>,
    /// Secrets.
    pub secrets: Vec<SecretRule>,
    /// Functions that are not offered as tools.
    pub tools_deny: Vec<ToolPattern>,
    /// Limits that differ from the defaults.
    pub limits: LimitSettings,
}

/// A list of [`Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleList {
    /// [`Rules::description`].
    Description,
    /// [`Rules::storage`].
    Storage,
    /// [`Rules::environment`].
    Environment,
    /// [`Rules::secrets`].
    Secrets,
}

/// Rules that cannot stand together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct PolicyError {
    list: RuleList,
    index: usize,
    error: RuleError,
}

impl PolicyError {
    /// Where the rule stands that contradicts an earlier one: the list, and the position in it as given.
    #[must_use]
    pub fn place(&self) -> (RuleList, usize) {
        (self.list, self.index)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn error(&self) -> &RuleError {
        &self.error
    }
}

/// Everything one component was granted, or everything any component may be granted. What it does not say is
/// denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Rules,
    index: Index,
}

impl Policy {
    /// The policy of a component nobody has granted anything.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            rules: Rules {
                description: None,
                storage: Vec::new(),
                network: Vec::new(),
                environment: Vec::new(),
                secrets: Vec::new(),
                tools_deny: Vec::new(),
                limits: LimitSettings::new(),
            },
            index: Index::empty(),
        }
    }

    /// Puts the rules of a component together.
    ///
    /// # Errors
    ///
    /// As for [`Policy::of_ceiling`], and when two secrets, or two formats of one, claim a header of the same request.
    pub fn new(rules: Rules) -> Result<Self, PolicyError> {
        check_headers(&rules)?;
        Self::of_ceiling(rules)
    }

    /// Puts the rules of a ceiling together: what any of several components may use need not go together.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] when one variable has two values, one secret two values for one header of one host, or
    /// one place of the guest two of the machine.
    pub fn of_ceiling(rules: Rules) -> Result<Self, PolicyError> {
        check_description(&rules)?;
        check_storage(&rules)?;
        check_environment(&rules)?;
        check_secrets(&rules)?;
        Ok(Self::of(rules))
    }

    /// Rules that are known to stand together.
    pub(crate) fn of(mut rules: Rules) -> Self {
        rules
            .storage
            .sort_by(|a, b| (a.effect(), a.text()).cmp(&(b.effect(), b.text())));
        rules.storage.dedup();
        rules
            .network
            .sort_by(|a, b| (a.effect(), a.text()).cmp(&(b.effect(), b.text())));
        rules.network.dedup();
        rules.environment.sort_by(|a, b| a.name().cmp(b.name()));
        rules.environment.dedup();
        rules
            .secrets
            .sort_by(|a, b| (a.text(), a.around()).cmp(&(b.text(), b.around())));
        rules.secrets.dedup();
        rules.tools_deny.sort();
        rules.tools_deny.dedup();
        let index = Index::new(&rules);
        Self { rules, index }
    }

    /// The rules in canonical order.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rules, to make another policy of them.
    #[must_use]
    pub fn into_rules(self) -> Rules {
        self.rules
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// For whoever reads the policy.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.rules.description.as_deref()
    }

    /// The limits it sets.
    #[must_use]
    pub fn limits(&self) -> &LimitSettings {
        &self.rules.limits
    }

    /// The storage rules of one list.
    pub fn storage(&self, effect: Effect) -> impl Iterator<Item = &StorageRule> {
        self.rules
            .storage
            .iter()
            .filter(move |rule| rule.effect() == effect)
    }

    /// The network rules of one list.
    pub fn network(&self, effect: Effect) -> impl Iterator<Item = &NetworkRule> {
        self.rules
            .network
            .iter()
            .filter(move |rule| rule.effect() == effect)
    }

    /// Whether a function is offered as a tool.
    #[must_use]
    pub fn offers_tool(&self, function: &str) -> bool {
        !self
            .rules
            .tools_deny
            .iter()
            .any(|pattern| pattern.matches(function))
    }

    /// Whether it grants nothing; it may still set limits and deny.
    #[must_use]
    pub fn grants_nothing(&self) -> bool {
        self.storage(Effect::Allow).next().is_none()
            && self.network(Effect::Allow).next().is_none()
            && self.rules.environment.is_empty()
            && self.rules.secrets.is_empty()
    }
}

fn conflict(list: RuleList, index: usize, error: RuleError) -> PolicyError {
    PolicyError { list, index, error }
}

fn check_description(rules: &Rules) -> Result<(), PolicyError> {
    let refused = |why: String, hint: &str| {
        let error = RuleError::at(Field::Description, why).hint(hint);
        Err(conflict(RuleList::Description, 0, error))
    };
    let Some(description) = &rules.description else {
        return Ok(());
    };
    if description.len() > DESCRIPTION_BYTES_MAX {
        let why = format!("the description is longer than {DESCRIPTION_BYTES_MAX} bytes");
        return refused(why, "put longer notes into comments");
    }
    if description
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        let why = "the description contains a control character".to_owned();
        return refused(why, "leave it out; line breaks and tabs may stand there");
    }
    Ok(())
}

fn check_storage(rules: &Rules) -> Result<(), PolicyError> {
    let mut places: BTreeMap<&AbsolutePath, AbsolutePath> = BTreeMap::new();
    for (index, rule) in rules.storage.iter().enumerate() {
        if rule.effect() == Effect::Deny {
            continue;
        }
        let host = rule.pattern().prefix();
        let earlier = places.entry(rule.guest()).or_insert_with(|| host.clone());
        if *earlier != host {
            let message = format!("the guest already sees `{earlier}` at `{}`", rule.guest());
            let error = RuleError::at(Field::Guest, message).hint("write another `guest` for one of them");
            return Err(conflict(RuleList::Storage, index, error));
        }
    }
    Ok(())
}

fn check_environment(rules: &Rules) -> Result<(), PolicyError> {
    let mut values = BTreeMap::new();
    for (index, rule) in rules.environment.iter().enumerate() {
        if *values.entry(rule.name()).or_insert(rule.value()) != rule.value() {
            let message = format!("the variable `{}` has two values", rule.name());
            let error = RuleError::at(Field::Key, message).hint("keep one of them");
            return Err(conflict(RuleList::Environment, index, error));
        }
    }
    Ok(())
}

fn check_secrets(rules: &Rules) -> Result<(), PolicyError> {
    let mut formats = BTreeMap::new();
    for (index, rule) in rules.secrets.iter().enumerate() {
        if *formats.entry(rule.text()).or_insert(rule.around()) != rule.around() {
            return Err(conflict(RuleList::Secrets, index, two_values(rule, rule)));
        }
    }
    Ok(())
}

fn two_values(one: &SecretRule, other: &SecretRule) -> RuleError {
    if one.name() == other.name() {
        let message = format!("the secret `{}` has two formats for one header", one.name());
        return RuleError::at(Field::Format, message).hint("keep one of them");
    }
    let (one, header, other) = (one.name(), one.header(), other.name());
    let message =
        format!("the secrets `{one}` and `{other}` claim the header `{header}` of the same requests");
    RuleError::at(Field::Header, message).hint("keep one of them, or give each a host or a header of its own")
}

/// Of two secrets for one header, a request could carry neither. Each is compared with each, so there is a bound.
fn check_headers(rules: &Rules) -> Result<(), PolicyError> {
    let mut budget = Budget::new();
    for (index, rule) in rules.secrets.iter().enumerate() {
        if index >= SECRETS_MAX {
            let message = format!("there are more than {SECRETS_MAX} rules of secrets");
            return Err(conflict(
                RuleList::Secrets,
                index,
                RuleError::at(Field::Name, message).hint("keep those that the component uses"),
            ));
        }
        let mut earlier = rules.secrets.iter().take(index);
        if let Some(other) = earlier.find(|other| rule.conflicts(other, &mut budget)) {
            return Err(conflict(RuleList::Secrets, index, two_values(other, rule)));
        }
    }
    Ok(())
}
