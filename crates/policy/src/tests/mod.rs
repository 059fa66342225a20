//! What the language means, and the laws that hold for every policy.

#![expect(clippy::too_many_lines, reason = "a table is read as one")]

mod addresses;
mod change;
mod laws;
mod limits;
mod meaning;
mod paths;
mod relation;
mod rules;
mod signatures;
mod urls;

use crate::{
    Access, AccessText, Authority, Effect, EnvironmentRule, Limits, NetworkRule, NetworkSpec, Policy, Rules,
    SecretRule, SecretSpec, StorageRule, StorageSpec, ToolPattern,
};
use std::sync::Arc;

/// A policy in short lines: `fs allow read,write /a/** guest=/x submounts`, `net deny host=x ports=1,2`,
/// `env NAME=value`, `secret NAME HOST HEADER FORMAT`, `tool delete-*`, `limit memory 1Mi`.
#[track_caller]
pub(crate) fn policy(lines: &[&str]) -> Policy {
    let mut rules = Rules::default();
    for line in lines {
        add(&mut rules, line);
    }
    Policy::new(rules).unwrap()
}

#[track_caller]
pub(crate) fn add(rules: &mut Rules, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["fs", effect, ..] => rules.storage.push(storage(effect, &words[2..])),
        ["net", effect, ..] => rules.network.push(network(effect, &words[2..])),
        ["env", text] => rules.environment.push(match text.split_once('=') {
            Some((key, value)) => EnvironmentRule::new(key, Some(value)).unwrap(),
            None => EnvironmentRule::new(text, None).unwrap(),
        }),
        ["secret", name, host, header, ..] => rules.secrets.push(
            SecretRule::new(&SecretSpec {
                name: name.to_owned(),
                host: host.to_owned(),
                header: header.to_owned(),
                format: words.get(4).map(|_| words[4..].join(" ")),
            })
            .unwrap(),
        ),
        ["tool", pattern] => rules.tools_deny.push(ToolPattern::new(pattern).unwrap()),
        ["limit", key, amount] => rules
            .limits
            .set(crate::LimitKey::from_name(key).unwrap(), amount)
            .unwrap(),
        _ => panic!("not a line: {line}"),
    }
}

pub(crate) fn effect(word: &str) -> Effect {
    match word {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        _ => panic!("not a list: {word}"),
    }
}

#[track_caller]
pub(crate) fn storage(list: &str, words: &[&str]) -> StorageRule {
    let list_of = |text: &str| text.split(',').map(str::to_owned).collect();
    let mut spec = StorageSpec::default();
    for word in words {
        match word.split_once('=') {
            Some(("guest", guest)) => spec.guest = Some(guest.to_owned()),
            _ if *word == "submounts" => spec.submounts = Some(true),
            _ if word.starts_with('/') => spec.uri = format!("fs://{word}"),
            _ => spec.access = Some(list_of(word)),
        }
    }
    StorageRule::new(effect(list), &spec, None).unwrap()
}

#[track_caller]
pub(crate) fn network(list: &str, words: &[&str]) -> NetworkRule {
    NetworkRule::new(effect(list), &network_spec(words)).unwrap()
}

pub(crate) fn network_spec(words: &[&str]) -> NetworkSpec {
    let list_of = |text: &str| Some(text.split(',').map(str::to_owned).collect());
    let mut spec = NetworkSpec::default();
    for word in words {
        match word.split_once('=').unwrap() {
            ("host", host) => spec.host = Some(host.to_owned()),
            ("cidr", cidr) => spec.cidr = Some(cidr.to_owned()),
            ("schemes", list) => spec.schemes = list_of(list),
            ("ports", list) => spec.ports = list_of(list),
            ("methods", list) => spec.methods = list_of(list),
            ("paths", list) => spec.paths = list_of(list),
            ("protocols", list) => spec.protocols = list_of(list),
            _ => panic!("not a part: {word}"),
        }
    }
    spec
}

pub(crate) fn authority(granted: &[&str]) -> Authority {
    Authority::new(Arc::new(policy(granted)), None, &Limits::DEFAULT)
}

pub(crate) fn below(granted: &[&str], ceiling: &[&str]) -> Authority {
    Authority::new(
        Arc::new(policy(granted)),
        Some(Arc::new(policy(ceiling))),
        &Limits::DEFAULT,
    )
}

/// Whether the whole access is allowed, as `policy explain` would say.
#[track_caller]
pub(crate) fn allows(authority: &Authority, access: &str) -> bool {
    let access = AccessText::parse(access).unwrap();
    let each: Vec<Access<'_>> = access.accesses();
    let allowed = each.iter().all(|access| authority.authorize(access).is_ok());
    assert_eq!(authority.explain_text(&access).allowed, allowed);
    allowed
}

/// Checks lines of `yes ACCESS` and `no ACCESS`.
#[track_caller]
pub(crate) fn check(authority: &Authority, lines: &[&str]) {
    for line in lines {
        let (answer, access) = line.split_once(' ').unwrap();
        let is_allowed = match answer {
            "yes" => true,
            "no" => false,
            _ => panic!("neither yes nor no: {line}"),
        };
        assert_eq!(
            allows(authority, access),
            is_allowed,
            "{access}: {}",
            authority.explain_text(&AccessText::parse(access).unwrap()).text
        );
    }
}
