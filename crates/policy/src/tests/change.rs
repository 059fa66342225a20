//! What is left after granting, revoking and joining.

use super::{network, policy, storage};
use crate::{EnvironmentRule, Grant, GrantError, Policy, SecretRule, SecretSpec};

fn grant(line: &str) -> Grant {
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["fs", list, ..] => Grant::Storage(storage(list, &words[2..])),
        ["net", list, ..] => Grant::Network(network(list, &words[2..])),
        ["env", name] => Grant::Environment(EnvironmentRule::new(name, None).unwrap()),
        ["secret", name, host, header] => Grant::Secret(
            SecretRule::new(&SecretSpec {
                name: name.to_owned(),
                host: host.to_owned(),
                header: header.to_owned(),
                format: None,
            })
            .unwrap(),
        ),
        _ => panic!("not a grant: {line}"),
    }
}

#[track_caller]
fn granting(before: &[&str], line: &str, after: &[&str]) {
    assert_eq!(policy(before).granting(&grant(line)), Ok(policy(after)));
}

#[track_caller]
fn revoking(before: &[&str], line: &str, after: &[&str]) -> Policy {
    let revoked = policy(before).revoking(&grant(line));
    assert_eq!(revoked, policy(after));
    revoked
}

#[test]
fn granting_adds_a_rule() {
    granting(&[], "fs allow read /a", &["fs allow read /a"]);
    granting(&["fs allow read /a"], "fs allow read /a", &["fs allow read /a"]);
    granting(
        &[],
        "net allow host=a.example.com",
        &["net allow host=a.example.com"],
    );
    granting(&[], "env A", &["env A"]);
    granting(
        &[],
        "secret t a.example.com x-key",
        &["secret t a.example.com x-key"],
    );
}

#[test]
fn granting_takes_back_what_says_the_very_opposite() {
    granting(
        &["fs allow read /a", "fs deny /a/b"],
        "fs allow write /a/b",
        &["fs allow read /a", "fs allow write /a/b"],
    );
    granting(
        &["fs allow read /a", "fs deny /a/b"],
        "fs allow read /a/b",
        &["fs allow read /a", "fs allow read /a/b", "fs deny write /a/b"],
    );
    granting(
        &["fs allow write /a", "fs deny write /a/b"],
        "fs allow read /a/b",
        &["fs allow write /a", "fs allow read /a/b", "fs deny write /a/b"],
    );
    granting(
        &[
            "net allow host=*.example.com",
            "net deny host=a.example.com schemes=https ports=443",
        ],
        "net allow host=a.example.com",
        &["net allow host=*.example.com", "net allow host=a.example.com"],
    );
}

#[test]
fn what_denies_a_part_stays_and_is_named() {
    let before = policy(&[
        "net deny host=evil.example.com",
        "net deny host=x.org",
        "net deny cidr=169.254.0.0/16",
    ]);
    let grant = grant("net allow host=*.example.com");
    let after = before.granting(&grant).unwrap();
    let denials: Vec<String> = after.denials_of(&grant).iter().map(ToString::to_string).collect();
    assert_eq!(denials, ["network deny host \"evil.example.com\""]);
}

#[test]
fn two_secrets_never_claim_one_header_of_a_request() {
    let conflict = |before: &[&str], line: &str| {
        let refused = policy(before).granting(&grant(line));
        refused.map(|_policy| ()).map_err(|error| error.to_string())
    };
    let both = |one: &str, other: &str| {
        Err(format!(
            "the secrets `{one}` and `{other}` claim the header `x-key` of the same requests"
        ))
    };
    let own = "secret t a.example.com x-key";
    assert_eq!(conflict(&[own], "secret u a.example.com x-key"), both("t", "u"));
    assert_eq!(conflict(&[own], "secret u *.example.com x-key"), both("t", "u"));
    assert_eq!(
        conflict(&[own], "secret u https://a.example.com/v1/ x-key"),
        both("t", "u")
    );
    assert_eq!(
        conflict(&["secret t *.example.com x-key s={secret}"], own),
        Err("the secret `t` has two formats for one header".to_owned())
    );
    // Nothing is sent twice: the same value, another header, another host, another port.
    for line in [
        "secret t *.example.com x-key",
        "secret u a.example.com x-other",
        "secret u b.example.com x-key",
        "secret u a.example.com:8443 x-key",
    ] {
        assert_eq!(conflict(&[own], line), Ok(()), "{line}");
    }
    let other = policy(&["secret u *.example.com x-key"]);
    let joined = policy(&[own]).join(&other);
    assert_eq!(
        joined.map_err(|error| error.to_string()).err(),
        both("t", "u").err()
    );
}

#[test]
fn a_ceiling_may_name_two_secrets_for_one_header() {
    let text = |rules: &str| format!("version: \"1.0\"\npermissions: {{secrets: {{allow: [{rules}]}}}}");
    let both =
        text("{name: t, host: a.example.com, header: x-key}, {name: u, host: a.example.com, header: x-key}");
    assert!(crate::Ceiling::parse(&both, &crate::ParseOptions::default()).is_ok());
    assert!(Policy::parse(&both, &crate::ParseOptions::default()).is_err());
}

#[test]
fn a_secret_of_two_rules_is_put_on_a_request_once() {
    let authority = super::authority(&["secret t *.example.com x-key", "secret t a.example.com x-key"]);
    let target = crate::HttpTarget::parse("GET", "https://a.example.com/").unwrap();
    assert_eq!(authority.secrets(&target).count(), 1);
}

#[test]
fn a_secret_that_no_request_carries_is_named() {
    let secret = "secret t api.example.com x-key";
    let unused = |network: &[&str]| {
        let lines = [&[secret], network].concat();
        policy(&lines).unused_secrets().len()
    };
    assert_eq!(unused(&[]), 1);
    assert_eq!(unused(&["net allow host=api.example.com"]), 0);
    assert_eq!(unused(&["net allow host=*.example.com paths=/v1/**"]), 0);
    // A host without a scheme is https, and on its port.
    assert_eq!(unused(&["net allow host=http://api.example.com"]), 1);
    assert_eq!(unused(&["net allow host=api.example.com:8443"]), 1);
    assert_eq!(unused(&["net allow host=www.example.com"]), 1);
    assert_eq!(
        unused(&["net allow host=*.example.com", "net deny host=api.example.com"]),
        1
    );
    let both = policy(&[
        secret,
        "secret u www.example.com x-key",
        "net allow host=api.example.com",
    ]);
    let named: Vec<String> = both.unused_secrets().iter().map(ToString::to_string).collect();
    assert_eq!(named, ["secret \"u\" host \"www.example.com\" header \"x-key\""]);
}

#[track_caller]
fn refused(before: &[&str], line: &str, rule: &str) {
    assert_eq!(
        policy(before).granting(&grant(line)),
        Err(GrantError::Denied { rule: rule.into() })
    );
}

#[test]
fn a_grant_without_effect_is_refused_with_the_rule_that_denies_it() {
    refused(&["fs deny /a"], "fs allow read /a/b", "storage deny \"fs:///a\"");
    refused(
        &["fs deny write /a"],
        "fs allow write /a/b",
        "storage deny \"fs:///a\" access write",
    );
    refused(
        &["fs deny read /a"],
        "fs allow write /a/b",
        "storage deny \"fs:///a\" access read",
    );
    refused(
        &["net deny host=*.example.com"],
        "net allow host=a.example.com",
        "network deny host \"*.example.com\"",
    );
    refused(
        &["net deny host=a.example.com"],
        "net allow host=a.example.com",
        "network deny host \"a.example.com\"",
    );
    refused(
        &["net deny host=*"],
        "net allow host=a.example.com",
        "network deny host \"*\"",
    );
    refused(
        &["net deny cidr=10.0.0.0/8"],
        "net allow cidr=10.1.0.0/16 ports=53 protocols=udp",
        "network deny cidr \"10.0.0.0/8\"",
    );
}

#[test]
fn a_deny_rule_is_no_grant() {
    for line in ["fs deny /a", "net deny host=a.example.com"] {
        let grant = grant(line);
        assert_eq!(
            policy(&[]).granting(&grant),
            Err(GrantError::NotAGrant {
                rule: grant.text().clone()
            })
        );
    }
}

#[test]
fn a_grant_that_contradicts_is_refused() {
    let conflict = |before: &[&str], line: &str| match policy(before).granting(&grant(line)) {
        Err(GrantError::Conflict(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(conflict(&["env A=1"], "env A"), "the variable `A` has two values");
    assert_eq!(
        conflict(&["fs allow read /a guest=/x"], "fs allow read /b guest=/x"),
        "the guest already sees `/a` at `/x`"
    );
    assert_eq!(
        conflict(
            &["secret t a.example.com x-key s={secret}"],
            "secret t a.example.com x-key"
        ),
        "the secret `t` has two formats for one header"
    );
}

#[test]
fn a_grant_says_its_rule() {
    for (line, text) in [
        ("fs allow read /a", "storage allow \"fs:///a\" access read"),
        (
            "net allow host=a.example.com",
            "network allow host \"a.example.com\"",
        ),
        ("env A", "environment allow \"A\""),
        (
            "secret t a.example.com x-key",
            "secret \"t\" host \"a.example.com\" header \"x-key\"",
        ),
    ] {
        assert_eq!(&**grant(line).text(), text);
    }
}

#[test]
fn a_grant_is_refused_when_nobody_can_say_what_denies_it() {
    let lines: Vec<String> = (0..1100)
        .map(|number| format!("fs deny /a/b{number}*e{number}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let policy = policy(&lines);
    assert_eq!(
        policy.granting(&grant("fs allow read /a/*/x")),
        Err(GrantError::TooManyCases)
    );
}

#[test]
fn revoking_removes_the_rules_it_covers() {
    revoking(&["fs allow read /a"], "fs allow read /a", &[]);
    revoking(&["fs allow write /a"], "fs allow read /a", &[]);
    revoking(
        &["fs allow read /a/b", "fs allow write /a/c", "fs allow read /b"],
        "fs allow read /a",
        &["fs allow read /b"],
    );
    revoking(&["fs allow read /a guest=/x submounts"], "fs allow read /a", &[]);
    revoking(
        &["net allow host=a.example.com", "net allow host=b.example.com"],
        "net allow host=*.example.com",
        &[],
    );
    revoking(&["net allow host=10.0.0.5"], "net allow cidr=10.0.0.0/8", &[]);
    revoking(&["env A=1", "env B"], "env A", &["env B"]);
    revoking(
        &["secret t a.example.com x-key", "secret u a.example.com x-other"],
        "secret t a.example.com x-key",
        &["secret u a.example.com x-other"],
    );
}

#[test]
fn revoking_a_part_leaves_a_deny_rule() {
    revoking(
        &["fs allow write /a"],
        "fs allow read /a/b",
        &["fs allow write /a", "fs deny /a/b"],
    );
    revoking(
        &["fs allow read /a/*.log"],
        "fs allow read /a/x.log",
        &["fs allow read /a/*.log", "fs deny /a/x.log"],
    );
    revoking(
        &["net allow host=*.example.com"],
        "net allow host=a.example.com",
        &[
            "net allow host=*.example.com",
            "net deny host=a.example.com schemes=https ports=443",
        ],
    );
    revoking(
        &["net allow host=a.example.com ports=1-65535"],
        "net allow host=a.example.com schemes=http,https",
        &[
            "net allow host=a.example.com ports=1-65535",
            "net deny host=a.example.com ports=80,443 schemes=http,https",
        ],
    );
    revoking(
        &["net allow host=a.example.com ports=443,8443"],
        "net allow host=a.example.com ports=8443",
        &[
            "net allow host=a.example.com ports=443,8443",
            "net deny host=a.example.com ports=8443 schemes=https",
        ],
    );
    revoking(
        &["net allow cidr=10.0.0.0/8 ports=53 protocols=udp"],
        "net allow cidr=10.0.0.0/9 ports=53 protocols=udp",
        &[
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp",
            "net deny cidr=10.0.0.0/9 ports=53 protocols=udp",
        ],
    );
}

#[test]
fn revoking_writing_leaves_reading() {
    revoking(
        &["fs allow write /a guest=/x submounts"],
        "fs deny write /a",
        &["fs allow read /a guest=/x submounts"],
    );
    revoking(&["fs allow read /a"], "fs deny write /a", &["fs allow read /a"]);
    revoking(
        &["fs allow write /a"],
        "fs deny write /a/b",
        &["fs allow write /a", "fs deny write /a/b"],
    );
}

#[test]
fn revoking_what_was_not_granted_changes_nothing() {
    let before = [
        "fs allow read /a",
        "fs deny /a/b",
        "net allow host=a.example.com",
        "net deny host=b.example.com",
        "env A",
        "secret t a.example.com x-key",
    ];
    for line in [
        "fs allow read /b",
        "fs deny write /a",
        "net allow host=b.example.com",
        "net allow host=a.example.com:8080",
        "env B",
        "secret t b.example.com x-key",
        "secret u a.example.com x-key",
    ] {
        revoking(&before, line, &before);
    }
}

#[test]
fn a_secret_for_more_hosts_goes_as_a_whole() {
    revoking(
        &["secret t *.example.com x-key"],
        "secret t a.example.com x-key",
        &[],
    );
}

#[test]
fn revoking_by_a_deny_rule_adds_it() {
    revoking(
        &["net allow host=a.example.com"],
        "net deny host=*",
        &["net allow host=a.example.com", "net deny host=*"],
    );
}

#[test]
fn joining_takes_what_either_says() {
    let join = |a: &[&str], b: &[&str]| policy(a).join(&policy(b));
    assert_eq!(
        join(
            &["fs allow read /a", "env A", "limit memory 1Mi", "tool x"],
            &[
                "fs deny /a/b",
                "net allow host=a.example.com",
                "secret t a.example.com x-key",
                "limit memory 2Mi",
                "limit time 5s"
            ]
        ),
        Ok(policy(&[
            "fs allow read /a",
            "fs deny /a/b",
            "env A",
            "net allow host=a.example.com",
            "secret t a.example.com x-key",
            "limit memory 2Mi",
            "limit time 5s",
            "tool x"
        ]))
    );
    assert_eq!(
        join(&["env A=1"], &["env A=2"]).unwrap_err().place(),
        (crate::RuleList::Environment, 1)
    );
    let described = |text: &str| {
        let mut rules = policy(&[]).into_rules();
        rules.description = Some(text.to_owned());
        Policy::new(rules).unwrap()
    };
    assert_eq!(
        described("a").join(&described("b")),
        described("b").join(&described("a"))
    );
    assert_eq!(
        policy(&[]).join(&described("b")).unwrap().description(),
        Some("b")
    );
}

#[test]
fn a_denial_of_one_access_is_lifted_by_a_grant_of_it() {
    granting(
        &["fs allow read,write /a", "fs deny write /a/b"],
        "fs allow write /a/b",
        &["fs allow read,write /a", "fs allow write /a/b"],
    );
    granting(
        &["fs allow read,write /a", "fs deny read /a/b"],
        "fs allow read /a/b",
        &["fs allow read,write /a", "fs allow read /a/b"],
    );
}

#[test]
fn a_peer_is_named_by_itself_or_by_a_range_that_holds_it() {
    let rule = |peer: &str| network("allow", &[peer]);
    for (one, two, expected) in [
        ("host=a.example.com", "host=a.example.com", true),
        ("host=*.example.com", "host=a.example.com", true),
        ("host=a.example.com", "host=b.example.com", false),
        ("cidr=10.0.0.0/8", "cidr=10.1.0.0/16", true),
        ("cidr=10.0.0.0/8", "cidr=11.0.0.0/8", false),
        ("cidr=10.0.0.0/8", "host=10.0.0.5", true),
        ("cidr=10.0.0.0/8", "host=11.0.0.5", false),
        ("cidr=10.0.0.0/8", "host=a.example.com", false),
        ("cidr=10.0.0.0/8", "host=*.example.com", false),
    ] {
        let (one, two) = (rule(one), rule(two));
        assert_eq!(one.names_peer_of(&two), expected, "{one:?} {two:?}");
        assert_eq!(two.names_peer_of(&one), expected, "{two:?} {one:?}");
    }
}
