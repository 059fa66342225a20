//! Taking back: what is meant by what is named, and what is gone afterwards.
//!
//! A folder has several names: its own on this machine, that of a link to it, and the place where the component sees it.
//! All of them are meant, so that the words of a grant find it again when a link is gone or leads elsewhere by then.

use crate::error::HostError;
use crate::grant::{moved, together};
use crate::grantable::{Grantable, rule_texts};
use crate::protect::Protection;
use std::collections::HashSet;
use wassette_policy::{AbsolutePath, Effect, Grant, NetworkRule, PathPattern, Policy, StorageRule};

/// Something to be taken back.
pub(crate) struct Meant {
    /// As it was named.
    named: Grantable,
    /// Other places of the machine that it can mean.
    places: Vec<Grantable>,
}

impl Meant {
    /// What is meant in a policy that has these rules now. Asks the disk.
    pub(crate) fn new(named: Grantable, policy: Option<&Policy>) -> Self {
        let mut places = Vec::new();
        if let Some(taken) = named.storage() {
            places.extend(real(taken));
            for rule in policy.into_iter().flat_map(seen_elsewhere) {
                let Some(behind) = behind(rule, taken) else {
                    continue;
                };
                places.extend(real(&behind));
                places.push(behind);
            }
        }
        let grantable = |rule| Grantable::from(Grant::Storage(rule));
        let places = places.into_iter().map(grantable).collect();
        Self { named, places }
    }
}

/// What is left of a policy.
pub(crate) fn without(policy: &Policy, meant: &[Meant]) -> Result<Policy, HostError> {
    let mut left = policy.clone();
    for Meant { named, places } in meant {
        let before = left.clone();
        if let Some(taken) = named.storage() {
            left = without_seen(left, taken)?;
        }
        for grant in places.iter().chain([named]) {
            left = grant.revoked_from(&left)?;
        }
        if left == before
            && let Some(taken) = named.network()
            && taken.effect() == Effect::Allow
        {
            left = without_peer(&left, taken);
        }
    }
    Ok(left)
}

/// What is left without a host or a range for whatever it was granted for: a grant that does not say so is for https, and
/// whoever takes something back need not know what it was granted for. In the words of a grant, so that a grant in the
/// same words gives it back.
fn without_peer(policy: &Policy, taken: &NetworkRule) -> Policy {
    let named = policy
        .network(Effect::Allow)
        .filter(|rule| rule.names_peer_of(taken));
    let meant = named.filter_map(|rule| {
        let (mut spec, granted) = (taken.spec(), rule.spec());
        spec.schemes = spec.schemes.or(granted.schemes);
        spec.ports = spec.ports.or(granted.ports);
        spec.protocols = spec.protocols.or(granted.protocols);
        NetworkRule::new(Effect::Allow, &spec).ok()
    });
    meant.fold(policy.clone(), |left, rule| left.revoking(&Grant::Network(rule)))
}

/// The rules that are gone, or those that deny instead, in one line each.
pub(crate) fn gone(before: &Policy, after: &Policy) -> Vec<String> {
    let (before, after) = (rule_texts(before), rule_texts(after));
    let gone = difference(&before, &after);
    if gone.is_empty() {
        difference(&after, &before)
    } else {
        gone
    }
}

fn difference(texts: &[String], others: &[String]) -> Vec<String> {
    let others: HashSet<_> = others.iter().collect();
    let only = texts.iter().filter(|text| !others.contains(text));
    only.cloned().collect()
}

/// The rules that show a path to the component at another place than its own.
fn seen_elsewhere(policy: &Policy) -> impl Iterator<Item = &StorageRule> {
    policy.storage(Effect::Allow).filter(|rule| is_elsewhere(rule))
}

fn is_elsewhere(rule: &StorageRule) -> bool {
    rule.effect() == Effect::Allow && *rule.guest() != rule.pattern().prefix()
}

/// A policy without the rules that the component sees at this place or below it. Reading stays if only writing is taken.
fn without_seen(policy: Policy, taken: &StorageRule) -> Result<Policy, HostError> {
    let mut rules = policy.into_rules();
    let mut left = Vec::new();
    for rule in rules.storage {
        if !is_elsewhere(&rule) || !taken.pattern().matches(rule.guest()) {
            left.push(rule);
        } else if !taken.access().read {
            let mut spec = rule.spec();
            spec.access = Some(vec!["read".to_owned()]);
            left.push(StorageRule::new(Effect::Allow, &spec, None).map_err(HostError::Rule)?);
        }
    }
    rules.storage = left;
    together(rules)
}

/// What a path is on this machine that the component sees below the place of a rule.
fn behind(rule: &StorageRule, taken: &StorageRule) -> Option<StorageRule> {
    let written = taken.pattern().to_string();
    let path = written.strip_prefix("fs://")?;
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (above, below) = segments.split_at_checked(rule.guest().segments().count())?;
    if below.is_empty() || !is_place(above, rule.guest()) {
        return None;
    }
    let mut spec = taken.spec();
    spec.uri = format!("fs://{}/{}", rule.pattern().prefix(), below.join("/"));
    spec.guest = None;
    StorageRule::new(taken.effect(), &spec, None).ok()
}

/// Whether segments, which may have a `*` each, are a path that is as long as they are.
fn is_place(segments: &[&str], path: &AbsolutePath) -> bool {
    let pattern = PathPattern::storage(&format!("fs:///{}", segments.join("/")), None);
    segments.is_empty() || pattern.is_ok_and(|pattern| pattern.matches(path))
}

/// The same at the place where links lead now, if that is another.
fn real(rule: &StorageRule) -> Option<StorageRule> {
    let written = rule.pattern().prefix();
    let real = Protection::follow(&written)
        .ok()
        .filter(|real| *real != written)?;
    moved(rule, &written, &real).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::{ParseOptions, StorageSpec};

    const ELSEWHERE: &str = r#"storage allow "fs:///srv/no-such/d" access read,write guest "/seen/data""#;

    /// What is gone when this is taken back from a component that sees a folder as `/seen/data` and others as they are.
    #[track_caller]
    fn check(uri: &str, (effect, access): (Effect, &str), expected: &[&str]) -> Policy {
        let text = r#"
version: "1.0"
permissions:
  storage:
    allow:
      - {uri: "fs:///srv/no-such/d", access: [read, write], guest: /seen/data}
      - {uri: "fs:///srv/no-such/other", access: [read]}
"#;
        let policy = Policy::parse(text, &ParseOptions::default()).expect("a policy");
        let spec = StorageSpec {
            uri: uri.to_owned(),
            access: Some(access.split(',').map(str::to_owned).collect()),
            ..StorageSpec::default()
        };
        let rule = StorageRule::new(effect, &spec, None).expect("a rule");
        let meant = Meant::new(Grant::Storage(rule).into(), Some(&policy));
        let left = without(&policy, &[meant]).expect("a policy");
        assert_eq!(gone(&policy, &left), expected, "{uri}");
        left
    }

    #[test]
    fn what_is_taken_back_is_found_by_the_place_where_it_is_seen() {
        let all = (Effect::Allow, "read,write");
        for uri in [
            "fs:///seen",
            "fs:///seen/data",
            "fs:///seen/dat*",
            "fs:///seen/*/**",
            "fs:///srv/no-such/d",
        ] {
            check(uri, all, &[ELSEWHERE]);
        }
        for (uri, denied) in [
            ("fs:///seen/data/private", "fs:///srv/no-such/d/private"),
            ("fs:///seen/data/*.log", "fs:///srv/no-such/d/*.log"),
            ("fs:///seen/*/x/**", "fs:///srv/no-such/d/x"),
            ("fs:///srv/no-such/d/private", "fs:///srv/no-such/d/private"),
        ] {
            check(uri, all, &[&format!("storage deny \"{denied}\"")]);
        }
        for uri in [
            "fs:///seen/database",
            "fs:///seen/dat",
            "fs:///seen/data2/*",
            "fs:///x",
        ] {
            check(uri, all, &[]);
        }
    }

    #[test]
    fn writing_alone_is_taken_from_what_is_seen_elsewhere() {
        let left = check("fs:///seen/data", (Effect::Deny, "write"), &[ELSEWHERE]);
        assert!(
            rule_texts(&left).contains(&ELSEWHERE.replace("read,write", "read")),
            "{:?}",
            rule_texts(&left)
        );
        let denied = r#"storage deny "fs:///srv/no-such/d/x" access write"#;
        check("fs:///seen/data/x", (Effect::Deny, "write"), &[denied]);
    }

    #[test]
    fn the_root_of_the_component_is_a_place_too() {
        let text = "version: \"1.0\"\npermissions: {storage: {allow: [{uri: \"fs:///srv/no-such\", access: [read], guest: /}]}}";
        let policy = Policy::parse(text, &ParseOptions::default()).expect("a policy");
        let rule = policy.storage(Effect::Allow).next().expect("a rule");
        let spec = StorageSpec {
            uri: "fs:///a/b".to_owned(),
            access: Some(vec!["read".to_owned()]),
            ..StorageSpec::default()
        };
        let taken = StorageRule::new(Effect::Allow, &spec, None).expect("a rule");
        let place = behind(rule, &taken).map(|rule| rule.pattern().to_string());
        assert_eq!(place.as_deref(), Some("fs:///srv/no-such/a/b"));
    }
}
