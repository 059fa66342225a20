//! What can be granted, and what is meant by the name of something that is to be taken back.

use crate::error::HostError;
use crate::grant::together;
use std::fmt;
use std::net::IpAddr;
use wassette_policy::{
    Effect, EnvironmentRule, Grant, LimitSettings, NetworkRule, NetworkSpec, Policy, RuleError, StorageRule,
    StorageSpec,
};

/// What can be granted to a component and taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantable {
    /// A rule.
    Rule(Box<Grant>),
    /// Limits other than the defaults. Taking them back leaves them to the defaults again, whatever they were.
    Limits(LimitSettings),
}

impl Grantable {
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::Rule(grant) => vec![grant.text().to_string()],
            Self::Limits(limits) => limit_texts(limits).collect(),
        }
    }

    /// What is taken back: a rule, or a limit whatever it is.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Rule(grant) => vec![grant.text().to_string()],
            Self::Limits(limits) => limits.keys().map(|key| format!("limit {}", key.name())).collect(),
        }
    }

    /// The rule, if it is one.
    pub(crate) fn rule(&self) -> Option<&Grant> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Limits(_) => None,
        }
    }

    /// The rule, if it is about storage.
    pub(crate) fn storage(&self) -> Option<&StorageRule> {
        match self {
            Self::Rule(rule) => match rule.as_ref() {
                Grant::Storage(rule) => Some(rule),
                Grant::Network(_) | Grant::Environment(_) | Grant::Secret(_) => None,
            },
            Self::Limits(_) => None,
        }
    }

    /// The rule about the network, if it is one.
    pub(crate) fn network(&self) -> Option<&NetworkRule> {
        match self.rule()? {
            Grant::Network(rule) => Some(rule),
            Grant::Storage(_) | Grant::Environment(_) | Grant::Secret(_) => None,
        }
    }

    pub(crate) fn granted_to(&self, policy: &Policy) -> Result<Policy, HostError> {
        match self {
            Self::Rule(grant) => policy.granting(grant).map_err(HostError::Grant),
            Self::Limits(limits) => {
                let mut rules = policy.rules().clone();
                for key in limits.keys() {
                    // Printed by the settings themselves, so that it is read again.
                    let _always_read = rules.limits.set(key, &limits.text(key).unwrap_or_default());
                }
                together(rules)
            }
        }
    }

    pub(crate) fn revoked_from(&self, policy: &Policy) -> Result<Policy, HostError> {
        match self {
            Self::Rule(grant) => Ok(policy.revoking(grant)),
            Self::Limits(limits) => {
                let mut rules = policy.rules().clone();
                limits.keys().for_each(|key| rules.limits.clear(key));
                together(rules)
            }
        }
    }
}

impl From<Grant> for Grantable {
    fn from(grant: Grant) -> Self {
        Self::Rule(Box::new(grant))
    }
}

impl fmt::Display for Grantable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(", "))
    }
}

/// What sort of thing is granted, for whoever takes something back by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// Files and folders, by `fs://` URI.
    Storage,
    /// Hosts and ranges of addresses.
    Network,
    /// Variables, by name.
    EnvironmentVariable,
    /// Secrets, by name.
    Secret,
}

impl GrantKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Storage,
        Self::Network,
        Self::EnvironmentVariable,
        Self::Secret,
    ];

    /// As users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Network => "network",
            Self::EnvironmentVariable => "environment-variable",
            Self::Secret => "secret",
        }
    }
}

/// Everything that is meant by a name that is to be taken back: for storage the tree, to read and to write; for a
/// host or a range every rule that is written with it, whatever its ports and methods, and what it means alone; for a
/// secret its use at every host.
///
/// # Errors
///
/// [`RuleError`] for a text that names nothing of the kind.
pub fn revocable(policy: Option<&Policy>, kind: GrantKind, name: &str) -> Result<Vec<Grantable>, RuleError> {
    let mut grants = Vec::new();
    match kind {
        GrantKind::Storage => {
            let spec = StorageSpec {
                uri: name.to_owned(),
                access: Some(vec!["read".to_owned(), "write".to_owned()]),
                ..StorageSpec::default()
            };
            grants.push(Grant::Storage(StorageRule::new(Effect::Allow, &spec, None)?));
        }
        GrantKind::Network => {
            let alone = NetworkRule::new(Effect::Allow, &peer(name))?;
            // For sockets an address was granted as a range of one.
            let range = NetworkRule::new(Effect::Allow, &socket_peer(name)).ok();
            let rules = policy
                .into_iter()
                .flat_map(|policy| policy.network(Effect::Allow));
            // Each rule once: what it means alone may be granted as well.
            let is_named = |rule: &NetworkRule| {
                [Some(&alone), range.as_ref()]
                    .into_iter()
                    .flatten()
                    .any(|named| is_meant(rule, named))
            };
            let meant = rules.filter(|rule| is_named(rule) && **rule != alone);
            grants.extend(meant.cloned().map(Grant::Network));
            grants.push(Grant::Network(alone));
        }
        GrantKind::EnvironmentVariable => {
            // As it was granted, perhaps: the value says nothing here.
            let name = name.split_once('=').map_or(name, |(name, _)| name);
            grants.push(Grant::Environment(EnvironmentRule::new(name, None)?));
        }
        GrantKind::Secret => {
            let rules = policy.into_iter().flat_map(|policy| &policy.rules().secrets);
            grants.extend(
                rules
                    .filter(|rule| rule.name() == name)
                    .cloned()
                    .map(Grant::Secret),
            );
        }
    }
    Ok(grants.into_iter().map(Grantable::from).collect())
}

/// Whether a rule is about the same host, and about the same of what is written beside it: a host alone means all its rules,
/// one port of it those of that port.
fn is_meant(rule: &NetworkRule, written: &NetworkRule) -> bool {
    let (rule, written) = (rule.spec(), written.spec());
    let parts = [
        (rule.schemes, written.schemes),
        (rule.ports, written.ports),
        (rule.paths, written.paths),
    ];
    (rule.host, rule.cidr) == (written.host, written.cidr)
        && parts
            .iter()
            .all(|(rule, written)| written.is_none() || rule == written)
}

/// A host, or a range of addresses, as a network rule names it.
#[must_use]
pub fn peer(name: &str) -> NetworkSpec {
    let first = name.split_once('/').map(|(first, _)| first);
    // What begins with no address is a host, and told what is wrong with it.
    let is_range = first.is_some_and(|first| first.parse::<IpAddr>().is_ok());
    let named = Some(name.to_owned());
    let (host, cidr) = if is_range { (None, named) } else { (named, None) };
    NetworkSpec {
        host,
        cidr,
        ..NetworkSpec::default()
    }
}

/// The same for raw sockets, whose rules know ranges alone: an address is a range of one.
#[must_use]
pub fn socket_peer(name: &str) -> NetworkSpec {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = inner.unwrap_or(name);
    if address.parse::<IpAddr>().is_err() {
        return peer(name);
    }
    NetworkSpec {
        cidr: Some(address.to_owned()),
        ..NetworkSpec::default()
    }
}

/// All that a policy grants, one by one.
pub(crate) fn grantables(policy: &Policy) -> Vec<Grantable> {
    let rules = policy.rules();
    let storage = rules.storage.iter().cloned().map(Grant::Storage);
    let network = rules.network.iter().cloned().map(Grant::Network);
    let environment = rules.environment.iter().cloned().map(Grant::Environment);
    let secrets = rules.secrets.iter().cloned().map(Grant::Secret);
    let granted = storage.chain(network).chain(environment).chain(secrets);
    let mut all: Vec<_> = granted.map(Grantable::from).collect();
    if rules.limits.keys().next().is_some() {
        all.push(Grantable::Limits(rules.limits.clone()));
    }
    all
}

/// Every rule of a policy in one line each, as permits and denials name them.
pub fn rule_texts(policy: &Policy) -> Vec<String> {
    let rules = policy.rules();
    let mut texts: Vec<String> = rules.storage.iter().map(|rule| rule.text().to_string()).collect();
    texts.extend(rules.network.iter().map(|rule| rule.text().to_string()));
    texts.extend(rules.environment.iter().map(|rule| rule.text().to_string()));
    texts.extend(rules.secrets.iter().map(|rule| rule.text().to_string()));
    texts.extend(
        rules
            .tools_deny
            .iter()
            .map(|pattern| format!("tools deny \"{pattern}\"")),
    );
    texts.extend(limit_texts(&rules.limits));
    texts
}

fn limit_texts(limits: &LimitSettings) -> impl Iterator<Item = String> {
    limits
        .keys()
        .filter_map(|key| Some(format!("limit {} {}", key.name(), limits.text(key)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_taken_back_with_all_that_was_granted_for_it() {
        let text = "version: \"1.0\"\npermissions: {network: {allow: [{host: \"localhost:8080\", schemes: [http]}, \
                    {host: localhost}, {host: other.example.com}, {cidr: 10.0.0.0/8}]}}";
        let policy = Policy::parse(text, &wassette_policy::ParseOptions::default()).expect("a policy");
        let left = |name| {
            let grants = revocable(Some(&policy), GrantKind::Network, name).expect("a host");
            let left = grants.iter().fold(policy.clone(), |policy, grant| {
                grant.revoked_from(&policy).expect("a policy")
            });
            rule_texts(&left)
        };
        assert_eq!(
            left("localhost"),
            [
                "network allow cidr \"10.0.0.0/8\"",
                "network allow host \"other.example.com\""
            ]
        );
        assert_eq!(left("10.0.0.0/8").len(), 3);
        // One port of a host leaves what was granted beside it.
        let without = left("localhost:8080");
        assert_eq!(without.len(), 3, "{without:?}");
        assert!(
            without.contains(&"network allow host \"localhost\"".to_owned()),
            "{without:?}"
        );
        assert_eq!(left("localhost:9090").len(), 4);
        let variable = |name| revocable(None, GrantKind::EnvironmentVariable, name);
        assert_eq!(variable("A=5"), variable("A"));
        assert!(peer("10.0.0.0/8").cidr.is_some() && peer("fd00::/8").cidr.is_some());
        assert!(peer("example.com/a").host.is_some() && peer("https://example.com/a").host.is_some());
        for one in ["10.0.0.5", "fd00::1", "[fd00::1]"] {
            assert!(
                socket_peer(one).cidr.is_some() && peer(one).cidr.is_none(),
                "{one}"
            );
        }
        assert_eq!(socket_peer("a.example.com"), peer("a.example.com"));
        let grants = revocable(Some(&policy), GrantKind::Network, "localhost").expect("a host");
        assert_eq!(grants.len(), 2, "{grants:?}");
        assert!(
            revocable(Some(&policy), GrantKind::Storage, "/x")
                .is_err_and(|e| e.to_string().contains("fs://"))
        );
    }
}
