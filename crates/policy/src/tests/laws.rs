//! Laws that hold for every policy and every access, tried on random ones from a small world, so that rules and
//! accesses meet often.

use super::add;
use crate::{
    AccessText, Authority, Excess, Grant, HttpTarget, Limits, NetworkRule, NetworkSpec, PathPattern, Policy,
    Relation, Rules, SecretRule, SecretSpec, SecretUse, SourcePattern, StorageRule, StorageSpec, ToolPattern,
};
use crate::{Effect, EnvironmentRule, HostPattern, UrlPathPattern};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::sync::Arc;

/// How many random cases each law is tried on, unless `PROPTEST_CASES` says more.
const CASES: u32 = 100;

fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|cases| cases.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn segment() -> impl Strategy<Value = &'static str> {
    select(std::vec![
        "a", "b", "ab", "aba", "a*", "*b", "*", "ab*", "*ba", "a*b"
    ])
}

fn path_pattern() -> impl Strategy<Value = String> {
    (vec(segment(), 0..3), any::<bool>()).prop_map(|(segments, deep)| {
        // The first segment is literal, so that it can stand in `allow`.
        format!("/r/{}{}", segments.join("/"), if deep { "/**" } else { "" })
    })
}

fn storage_line() -> impl Strategy<Value = String> {
    let access = select(&["read", "write"][..]);
    (
        select(&["allow", "allow", "deny"][..]),
        access,
        path_pattern(),
        any::<bool>(),
    )
        .prop_map(|(list, access, path, submounts)| {
            let submounts = if submounts && list == "allow" {
                " submounts"
            } else {
                ""
            };
            format!("fs {list} {access} {path}{submounts}")
        })
}

fn network_line() -> impl Strategy<Value = String> {
    let host = select(
        &[
            "host=a.t.example",
            "host=b.t.example",
            "host=*.t.example",
            "host=*.u.t.example",
            "host=10.0.0.5",
            "host=localhost",
            "cidr=10.0.0.0/8",
            "cidr=10.0.0.0/30",
            "cidr=0.0.0.0/0",
            "cidr=93.184.0.0/16",
            "cidr=64:ff9b::/96",
            "host=64:ff9b::a00:5",
            "cidr=2606:4700::5efe:0:0/96",
            "cidr=2606:4700::/32",
            "cidr=::/0",
        ][..],
    );
    let schemes = select(&["", "", " schemes=http", " schemes=http,https"][..]);
    let ports = select(&["", "", " ports=80", " ports=443-8080", " ports=8080"][..]);
    let methods = select(&["", "", " methods=GET", " methods=GET,POST"][..]);
    let paths = select(&["", "", " paths=/a/**", " paths=/a*,/b"][..]);
    let list = select(&["allow", "allow", "deny"][..]);
    (list, host, schemes, ports, methods, paths).prop_map(|(list, host, schemes, ports, methods, paths)| {
        format!("net {list} {host}{schemes}{ports}{methods}{paths}")
    })
}

fn socket_line() -> impl Strategy<Value = String> {
    let cidr = select(
        &[
            "10.0.0.0/8",
            "10.0.0.0/30",
            "0.0.0.0/0",
            "93.184.0.0/16",
            "64:ff9b::/96",
            "2606:4700::5efe:0:0/96",
            "::/0",
        ][..],
    );
    let ports = select(&["80", "443-8080", "1-65535"][..]);
    let protocols = select(&["tcp", "udp", "tcp,udp"][..]);
    (select(&["allow", "allow", "deny"][..]), cidr, ports, protocols).prop_map(
        |(list, cidr, ports, protocols)| {
            format!("net {list} cidr={cidr} ports={ports} protocols={protocols}")
        },
    )
}

fn other_line() -> impl Strategy<Value = String> {
    select(
        &[
            "env A",
            "env B",
            "secret s a.t.example x-a",
            "secret s *.t.example x-a",
            "secret s *.t.example x-b",
            "secret s *.u.t.example x-c k={secret}",
            "secret t 10.0.0.5:8080 x-a",
            "tool a*",
            "tool *b",
            "tool ab",
            "limit memory 1Mi",
            "limit memory 2Mi",
            "limit time 5s",
            "limit rate 1/s",
            "limit rate 30/min",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![3 => storage_line(), 4 => network_line(), 2 => socket_line(), 2 => other_line()]
}

fn of_lines(lines: &[String]) -> Policy {
    let mut rules = Rules::default();
    for line in lines {
        add(&mut rules, line);
    }
    Policy::new(rules).unwrap()
}

fn policies() -> impl Strategy<Value = Policy> {
    vec(line(), 0..6).prop_map(|lines| of_lines(&lines))
}

fn url() -> impl Strategy<Value = String> {
    let scheme = select(&["http", "https", "https"][..]);
    let host = select(
        &[
            "a.t.example",
            "b.t.example",
            "c.t.example",
            "x.u.t.example",
            "t.example",
            "10.0.0.5",
            "10.0.0.9",
            "93.184.0.1",
            "1.1.1.1",
            "localhost",
            "[64:ff9b::a00:5]",
        ][..],
    );
    let port = select(&["", "", ":80", ":443", ":8080"][..]);
    let path = select(&["/", "/a", "/a/b", "/ab", "/b", "/c"][..]);
    (scheme, host, port, path).prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"))
}

fn access() -> impl Strategy<Value = AccessText> {
    let address = || {
        select(
            &[
                "10.0.0.5",
                "10.0.0.9",
                "10.9.0.0",
                "93.184.0.1",
                "1.1.1.1",
                "127.0.0.1",
                "64:ff9b::a00:5",
                "64:ff9b::101:101",
                "2606:4700::1",
                "2606:4700::5efe:a00:5",
                "2606:4700::5efe:101:101",
                "2001:0:101:101::f5ff:fffa",
                "2002:a00:5::",
            ][..],
        )
    };
    let path = vec(select(&["a", "b", "ab", "aba", "abb", "ba", "c"][..]), 0..4)
        .prop_map(|segments| format!("/r/{}", segments.join("/")));
    let operation = select(&["read", "write", "inspect", "rename", "list"][..]);
    let method = || select(&["GET", "POST", "PUT", "TRACE"][..]);
    let socket = (
        select(&["bind", "connect", "send"][..]),
        select(&["tcp", "udp"][..]),
        address(),
        select(&[0_u16, 80, 443, 8080, 9000][..]),
    )
        .prop_map(|(word, protocol, ip, port)| {
            format!(
                "{word} {protocol} {}",
                std::net::SocketAddr::new(ip.parse().unwrap(), port)
            )
        });
    prop_oneof![
        3 => (operation, path).prop_map(|(operation, path)| format!("{operation} {path}")),
        3 => (method(), url()).prop_map(|(method, url)| format!("{method} {url}")),
        2 => (address(), method(), url()).prop_map(|(address, method, url)| format!("dial {address} for {method} {url}")),
        2 => socket,
        1 => select(&["lookup a.t.example", "lookup c.t.example", "lookup localhost", "lookup 10.0.0.5", "open tcp", "open udp", "env A", "env B"][..]).prop_map(str::to_owned),
        1 => (select(&["s", "t"][..]), url()).prop_map(|(name, url)| format!("secret {name} {url}")),
    ]
    .prop_map(|text| AccessText::parse(&text).unwrap())
}

fn alone(policy: &Policy) -> Authority {
    Authority::new(Arc::new(policy.clone()), None, &Limits::DEFAULT)
}

fn allowed(authority: &Authority, access: &AccessText) -> bool {
    if let AccessText::Http(target) = access {
        return authority.authorize(&crate::Access::Http(target)).is_ok();
    }
    // The last one is what the text is about; those before it lead there.
    access
        .accesses()
        .last()
        .is_some_and(|access| authority.authorize(access).is_ok())
}

fn allows(policy: &Policy, access: &AccessText) -> bool {
    allowed(&alone(policy), access)
}

/// How a secret is put on the request of an access, in which headers and formats; an access only names it.
fn uses(authority: &Authority, access: &AccessText) -> Vec<SecretUse> {
    let AccessText::Secret { name, target } = access else {
        return Vec::new();
    };
    if !allowed(authority, access) {
        return Vec::new();
    }
    let secrets = authority.secrets(target);
    secrets.filter(|secret| secret.name == *name).cloned().collect()
}

/// Whether it is nothing that two rules allow only together: an address that one names for the other's host.
fn is_of_one_rule(access: &AccessText) -> bool {
    !matches!(access, AccessText::Dial { .. })
}

fn with(policy: &Policy, line: &str) -> Policy {
    let mut rules = policy.clone().into_rules();
    add(&mut rules, line);
    Policy::new(rules).unwrap()
}

fn denying() -> impl Strategy<Value = String> {
    line().prop_filter("denies", |line| {
        line.contains(" deny ") || line.starts_with("tool")
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    line().prop_filter_map("grants", |line| {
        let rules = of_lines(&[line]).into_rules();
        let storage = rules
            .storage
            .into_iter()
            .filter(|rule| rule.effect() == Effect::Allow)
            .map(Grant::Storage);
        let network = rules
            .network
            .into_iter()
            .filter(|rule| rule.effect() == Effect::Allow)
            .map(Grant::Network);
        let environment = rules.environment.into_iter().map(Grant::Environment);
        let secrets = rules.secrets.into_iter().map(Grant::Secret);
        storage.chain(network).chain(environment).chain(secrets).next()
    })
}

fn only(grant: &Grant) -> Policy {
    Policy::empty().granting(grant).unwrap()
}

/// Whether it is about a folder that is only the way to what was granted, and shows only that.
fn is_way(authority: &Authority, access: &AccessText) -> bool {
    matches!(access, AccessText::File { path, .. } if authority.locate(path) == crate::Place::Above)
}

/// What the one rule of a policy is for, and not what it brings along with others.
fn is_proper(granted: &Authority, access: &AccessText) -> bool {
    match access {
        AccessText::File { operation, .. } => {
            *operation != crate::FileOperation::Inspect && !is_way(granted, access)
        }
        AccessText::SocketAddress { address, .. } => address.port() != 0,
        AccessText::Http(target) => matches!(target.host(), crate::Host::Name(_)),
        AccessText::Variable(_) | AccessText::Secret { .. } => true,
        AccessText::Dial { .. } | AccessText::Lookup(_) | AccessText::Socket(_) => false,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_deny_rule_never_allows_more(policy in policies(), line in denying(), accesses in vec(access(), 20)) {
        let denied = with(&policy, &line);
        for access in accesses {
            prop_assert!(!allows(&denied, &access) || allows(&policy, &access), "{access}");
        }
        prop_assert!(matches!(policy.diff(&denied).relation, Relation::Equal | Relation::Narrower));
    }

    #[test]
    fn an_allow_rule_never_allows_less(policy in policies(), grant in grant(), accesses in vec(access(), 20)) {
        let mut rules = policy.clone().into_rules();
        match &grant {
            Grant::Storage(rule) => rules.storage.push(rule.clone()),
            Grant::Network(rule) => rules.network.push(rule.clone()),
            Grant::Environment(rule) => rules.environment.push(rule.clone()),
            Grant::Secret(rule) => rules.secrets.push(rule.clone()),
        }
        let after = Policy::new(rules).unwrap();
        let before = alone(&policy);
        for access in accesses {
            // A folder that was only the way to a grant shows the grant; one that is in a grant shows itself.
            if is_way(&before, &access) {
                continue;
            }
            prop_assert!(!allowed(&before, &access) || allows(&after, &access), "{access}");
        }
    }

    #[test]
    fn a_ceiling_only_takes_away(policy in policies(), ceiling in policies(), accesses in vec(access(), 20)) {
        let both = Authority::new(Arc::new(policy.clone()), Some(Arc::new(ceiling.clone())), &Limits::DEFAULT);
        for access in accesses {
            let is_allowed = allowed(&both, &access);
            prop_assert!(!is_allowed || allows(&policy, &access), "{access}");
        }
        let lowered = Policy::empty().limits().effective(both.limits(), Some(ceiling.limits()));
        prop_assert_eq!(both.limits(), &lowered);
    }

    #[test]
    fn what_is_within_is_not_taken_away(policy in policies(), ceiling in policies(), accesses in vec(access(), 40)) {
        let both = Authority::new(Arc::new(policy.clone()), Some(Arc::new(ceiling.clone())), &Limits::DEFAULT);
        if policy.within(&ceiling).is_ok() {
            // What the policy sets is what holds.
            prop_assert_eq!(both.limits(), &policy.limits().effective(both.limits(), None));
        }
        match policy.within(&ceiling) {
            Ok(()) => for access in accesses {
                prop_assert_eq!(allowed(&both, &access), allows(&policy, &access), "{}", access);
                prop_assert_eq!(uses(&both, &access), uses(&alone(&policy), &access), "{}", access);
            },
            Err(Excess::Access { example, rule, .. }) => {
                let own = alone(&policy);
                prop_assert!(allowed(&own, &example), "{example}");
                // Whether mounts are entered, and how a secret is sent, is asked of no single access.
                if matches!(*example, AccessText::Secret { .. }) {
                    prop_assert_ne!(uses(&own, &example), uses(&both, &example), "{}", example);
                } else if !rule.ends_with(" submounts") {
                    prop_assert!(!allowed(&both, &example), "{example}");
                }
            }
            Err(Excess::Limit { key, .. }) => prop_assert!(policy.limits().exceeding(ceiling.limits()).any(|exceeding| exceeding == key)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn a_relation_holds_for_each_access(before in policies(), after in policies(), accesses in vec(access(), 40)) {
        let (is_no_more, is_no_less) = match before.diff(&after).relation {
            Relation::Equal => (true, true),
            Relation::Narrower => (true, false),
            Relation::Wider => (false, true),
            Relation::Neither => (false, false),
        };
        let (before, after) = (alone(&before), alone(&after));
        for access in accesses {
            // Whether a folder is only the way to a grant depends on where grants are mounted.
            if is_way(&before, &access) || is_way(&after, &access) {
                continue;
            }
            prop_assert!(!is_no_more || !allowed(&after, &access) || allowed(&before, &access), "{access}");
            prop_assert!(!is_no_less || !allowed(&before, &access) || allowed(&after, &access), "{access}");
        }
    }

    #[test]
    fn within_is_reflexive_and_transitive(a in policies(), b in policies(), c in policies()) {
        prop_assert_eq!(a.within(&a), Ok(()));
        prop_assert_eq!(a.diff(&a).relation, Relation::Equal);
        // What `b` leaves out is no bound for `a`, and is lowered below `c`: there the order has a gap.
        let mut rules = c.into_rules();
        let unset: Vec<_> = rules.limits.keys().filter(|key| !b.limits().is_set(*key)).collect();
        unset.into_iter().for_each(|key| rules.limits.clear(key));
        let c = Policy::new(rules).unwrap();
        if a.within(&b).is_ok() && b.within(&c).is_ok() {
            prop_assert_eq!(a.within(&c), Ok(()));
        }
    }

    #[test]
    fn a_policy_is_within_what_it_is_joined_with(a in policies(), b in policies()) {
        let joined = a.join(&b).unwrap();
        let denies = |policy: &Policy| policy.storage(Effect::Deny).next().is_some() || policy.network(Effect::Deny).next().is_some();
        if denies(&a) || denies(&b) {
            return Ok(());
        }
        for own in [a, b] {
            // Of two rates the join has one.
            let is_rate = |excess: &Excess| matches!(excess, Excess::Limit { key: crate::LimitKey::Rate, .. });
            let excess = own.within(&joined).err().filter(|excess| !is_rate(excess));
            prop_assert_eq!(excess, None);
        }
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(a in policies(), b in policies(), c in policies()) {
        let join = |a: &Policy, b: &Policy| a.join(b).unwrap();
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert_eq!(join(&a, &Policy::empty()), a);
    }

    #[test]
    fn what_the_join_allows_one_of_the_two_allows(a in policies(), b in policies(), accesses in vec(access(), 20)) {
        let joined = a.join(&b).unwrap();
        for access in accesses.iter().filter(|access| is_of_one_rule(access)) {
            if let AccessText::Http(target) = access && matches!(target.host(), crate::Host::Address(_)) {
                continue;
            }
            let is_held = matches!(access, AccessText::SocketAddress { .. });
            prop_assert!(is_held || !allows(&joined, access) || allows(&a, access) || allows(&b, access), "{access}");
        }
    }

    #[test]
    fn what_is_revoked_is_gone(policy in policies(), grant in grant(), accesses in vec(access(), 40)) {
        let revoked = policy.revoking(&grant);
        let (granted, left) = (alone(&only(&grant)), alone(&revoked));
        let is_meant = |access: &&AccessText| is_proper(&granted, access) && !is_way(&left, access);
        for access in accesses.iter().filter(is_meant) {
            prop_assert!(!allowed(&granted, access) || !allowed(&left, access), "{access} {:?}", revoked.rules());
        }
        prop_assert!(matches!(policy.diff(&revoked).relation, Relation::Equal | Relation::Narrower));
        prop_assert_eq!(revoked.revoking(&grant), revoked);
    }

    #[test]
    fn what_is_granted_is_allowed_but_for_what_is_denied(policy in policies(), grant in grant(), accesses in vec(access(), 40)) {
        let Ok(after) = policy.granting(&grant) else {
            return Ok(());
        };
        let granted = alone(&only(&grant));
        let denials = after.denials_of(&grant);
        for access in accesses.iter().filter(|access| is_proper(&granted, access)) {
            if allowed(&granted, access) && !allows(&after, access) {
                prop_assert!(!denials.is_empty(), "{access}");
            }
        }
        prop_assert_eq!(after.granting(&grant), Ok(after.clone()));
        prop_assert!(after.revoking(&grant).granting(&grant).is_ok());
    }

    #[test]
    fn rules_are_read_as_they_are_printed(policy in policies()) {
        let rules = policy.rules();
        for rule in &rules.storage {
            prop_assert_eq!(StorageRule::new(rule.effect(), &rule.spec(), None), Ok(rule.clone()));
        }
        for rule in &rules.network {
            prop_assert_eq!(NetworkRule::new(rule.effect(), &rule.spec()), Ok(rule.clone()));
        }
        for rule in &rules.secrets {
            prop_assert_eq!(SecretRule::new(&rule.spec()), Ok(rule.clone()));
        }
        prop_assert_eq!(Policy::new(rules.clone()), Ok(policy.clone()));
    }

    #[test]
    fn no_text_is_too_odd_to_be_read_or_refused(text in "\\PC*", more in ".{0,40}", odd in "[a/*.%2fe:@\\[\\]\\\\;#?0-9-]{0,30}") {
        for text in [&text, &more, &odd] {
            let _fine = (PathPattern::storage(text, None), HostPattern::new(text), UrlPathPattern::new(text), ToolPattern::new(text), SourcePattern::new(text));
            let _fine = (EnvironmentRule::new(text, Some(text)), AccessText::parse(text), HttpTarget::parse(text, text));
            let some = || Some(std::vec![text.clone()]);
            let _fine = NetworkRule::new(Effect::Allow, &NetworkSpec {
                host: Some(text.clone()), cidr: None, schemes: some(), ports: some(), methods: some(), paths: some(), protocols: some(),
            });
            let _fine = NetworkRule::new(Effect::Deny, &NetworkSpec { cidr: Some(text.clone()), ..NetworkSpec::default() });
            let _fine = SecretRule::new(&SecretSpec { name: text.clone(), host: text.clone(), header: text.clone(), format: Some(text.clone()) });
            let _fine = StorageRule::new(Effect::Allow, &StorageSpec { uri: format!("fs://{text}"), access: some(), guest: Some(text.clone()), submounts: None }, None);
        }
        // What is read as a target is in normal form.
        if let Ok(target) = HttpTarget::parse("GET", &format!("https://a.example/{odd}")) {
            let again = HttpTarget::parse("GET", &target.to_string());
            prop_assert_eq!(again, Ok(target));
        }
    }

    #[test]
    fn patterns_are_read_as_they_are_printed(odd in "[a/*.%2fe:@~+é]{0,20}") {
        if let Ok(pattern) = UrlPathPattern::new(&odd) {
            prop_assert_eq!(UrlPathPattern::new(&pattern.to_string()), Ok(pattern));
        }
        if let Ok(pattern) = PathPattern::storage(&format!("fs:///{odd}"), None) {
            prop_assert_eq!(PathPattern::storage(&pattern.to_string(), None), Ok(pattern));
        }
        if let Ok(pattern) = HostPattern::new(&odd) {
            prop_assert_eq!(HostPattern::new(&pattern.to_string()), Ok(pattern));
        }
    }

    #[test]
    fn a_list_of_one_member_is_what_it_says(members in subsequence(std::vec!["GET", "POST", "PUT"], 1..3), port in of(1_u16..)) {
        let spec = NetworkSpec {
            host: Some("a.t.example".to_owned()),
            methods: Some(members.iter().map(ToString::to_string).collect()),
            ports: port.map(|port| std::vec![port.to_string()]),
            ..NetworkSpec::default()
        };
        let rule = NetworkRule::new(Effect::Allow, &spec).unwrap();
        let policy = Policy::new(Rules { network: std::vec![rule], ..Rules::default() }).unwrap();
        let port = port.unwrap_or(443);
        for method in ["GET", "POST", "PUT", "PATCH"] {
            let access = AccessText::Http(HttpTarget::parse(method, &format!("https://a.t.example:{port}/")).unwrap());
            prop_assert_eq!(allows(&policy, &access), members.contains(&method));
        }
    }
}
