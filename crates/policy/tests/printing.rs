//! What is printed means the same: for policies made of rules, and for documents made of their parts.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wassette_policy::{
    Ceiling, Effect, EnvironmentRule, LimitKey, LimitSettings, NetworkRule, NetworkSpec, ParseOptions,
    Policy, Rules, SecretRule, SecretSpec, SourcePattern, StorageRule, StorageSpec, ToolPattern,
};

fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

fn effect() -> impl Strategy<Value = Effect> {
    select(vec![Effect::Allow, Effect::Deny])
}

fn storage() -> impl Strategy<Value = Option<StorageRule>> {
    let uri = prop_oneof![
        "fs://(/[a-zé*. -]{1,3}){1,4}(/\\*\\*)?",
        words(&[
            "fs:///**",
            "fs:///a",
            "fs:///a/b/",
            "fs:///x\"y",
            "fs:///#",
            "fs:///no",
            "fs:///'"
        ]),
    ];
    let access = vec(words(&["read", "write"]), 1..3);
    let guest = option::of(words(&["/g", "/a/b", "/", "/ü", "/x\"y"]));
    (effect(), uri, option::of(access), guest, any::<Option<bool>>()).prop_map(
        |(effect, uri, access, guest, submounts)| {
            let spec = StorageSpec {
                uri,
                access,
                guest,
                submounts,
            };
            StorageRule::new(effect, &spec, None).ok()
        },
    )
}

fn network() -> impl Strategy<Value = Option<NetworkRule>> {
    let host = prop_oneof![
        "[a-c]{1,3}(\\.[a-c]{1,3}){0,3}(:[1-9][0-9]{0,3})?",
        "https?://[a-c]{1,3}\\.example(:[1-9][0-9]{0,3})?(/[a-c]{1,2}){0,3}/?",
        words(&[
            "*",
            "*.example.com",
            "*.com",
            "localhost",
            "127.0.0.1",
            "[::1]:8080",
            "bücher.example",
            "0x7f.1",
            "no"
        ]),
    ];
    let cidr = words(&[
        "10.0.0.0/8",
        "0.0.0.0/0",
        "::/0",
        "fd00::/8",
        "192.168.1.1",
        "::1",
        "1.2.3.4/31",
    ]);
    let peer = prop_oneof![
        host.prop_map(|host| (Some(host), None)),
        cidr.prop_map(|cidr| (None, Some(cidr))),
    ];
    let parts = (
        option::of(vec(words(&["http", "https"]), 1..3)),
        option::of(vec(
            words(&["1", "80", "443", "79-81", "1-65535", "8000-8099", "82"]),
            1..4,
        )),
        option::of(vec(
            words(&["GET", "post", "X-Y!", "Y", "NO", "on", "HEAD"]),
            1..4,
        )),
        option::of(vec(
            words(&["/", "/**", "/a", "/a/*", "/a/**", "/%41", "/x*y/b", "/é"]),
            1..4,
        )),
        option::of(vec(words(&["tcp", "udp"]), 1..3)),
    );
    (effect(), peer, parts).prop_map(
        |(effect, (host, cidr), (schemes, ports, methods, paths, protocols))| {
            let spec = NetworkSpec {
                host,
                cidr,
                schemes,
                ports,
                methods,
                paths,
                protocols,
            };
            NetworkRule::new(effect, &spec).ok()
        },
    )
}

fn environment() -> impl Strategy<Value = Option<EnvironmentRule>> {
    let key = prop_oneof!["[A-Z_é\"'#:{-]{1,5}", words(&["NO", "null", "~", "1", "<<"])];
    (key, option::of(any::<String>()))
        .prop_map(|(key, value)| EnvironmentRule::new(&key, value.as_deref()).ok())
}

fn secret() -> impl Strategy<Value = Option<SecretRule>> {
    let host = words(&[
        "a.example.com",
        "*.example.com",
        "http://a.example.com",
        "https://a.example.com:8443/v1/",
        "localhost:1",
        "http://a.example.com:8080/x/y",
        "10.0.0.1",
        "[::1]:8080",
        "https://[::1]/a",
    ]);
    let format = option::of(words(&[
        "Bearer {secret}",
        "{secret}",
        "a \"{secret}\\ b",
        "{secret} ",
    ]));
    (
        words(&["a", "b.c-d", "no", "1"]),
        host,
        words(&["Authorization", "x-key", "on"]),
        format,
    )
        .prop_map(|(name, host, header, format)| {
            let spec = SecretSpec {
                name,
                host,
                header,
                format,
            };
            SecretRule::new(&spec).ok()
        })
}

/// Each amount as it is written, or none where it is refused.
fn limits() -> impl Strategy<Value = LimitSettings> {
    let amount = prop_oneof![
        "[1-9][0-9]{0,8}(Ki|Mi|Gi|Ti|k|M|G|T|m|s|ms|min|h|/s|/min|/hour)?",
        "[0-9]{1,3}\\.[0-9]{1,3}(Ki|Mi|Gi|s|m|h)?",
        words(&["2s 500m", "0.5", "1 1s"]),
    ];
    vec((select(LimitKey::ALL.to_vec()), amount), 0..6).prop_map(|amounts| {
        let mut limits = LimitSettings::new();
        for (key, amount) in amounts {
            let before = limits.clone();
            if limits.set(key, &amount).is_err() {
                assert_eq!(limits, before, "what is refused changes nothing");
            }
        }
        limits
    })
}

fn present<T: std::fmt::Debug>(
    rule: impl Strategy<Value = Option<T>>,
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    vec(rule, 0..most).prop_map(|rules| rules.into_iter().flatten().collect())
}

fn rules() -> impl Strategy<Value = Rules> {
    let tool = "[a-z*. -]{1,4}".prop_map(|text| ToolPattern::new(&text).ok());
    (
        option::of(any::<String>()),
        present(storage(), 4),
        present(network(), 6),
        present(environment(), 4),
        present(secret(), 3),
        present(tool, 3),
        limits(),
    )
        .prop_map(
            |(description, storage, network, environment, secrets, tools_deny, limits)| Rules {
                description,
                storage,
                network,
                environment,
                secrets,
                tools_deny,
                limits,
            },
        )
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text, &ParseOptions::default()).map_err(|error| format!("{error}\n{text}"))
}

/// A line of a document, right or wrong, at any depth.
fn line() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "version: \"1.0\"",
        "permissions:",
        "permissions: {}",
        "storage:",
        "network:",
        "environment:",
        "allow:",
        "deny:",
        "allow: []",
        "- uri: \"fs:///a\"",
        "access: [read]",
        "- host: a.example.com",
        "ports: [80, 443]",
        "- PATH",
        "- {key: A, value: \"b\"}",
        "resources:",
        "limits:",
        "memory: 1Gi",
        "tools:",
        "- a",
        "-",
        "{",
        "}",
        "[",
        "]",
        ",",
        "# comment",
        "\"",
        "'",
        "---",
        "...",
        "filesystem:",
        "read: [\"/x\"]",
        "secrets:",
        "a: b: c",
        "\t",
        "é",
        "&a",
    ];
    (0..6_usize, words(WORDS)).prop_map(|(depth, text)| format!("{}{text}", "  ".repeat(depth)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_printed_policy_is_the_same_policy(rules in rules()) {
        // Rules that contradict each other make no policy; then there is nothing to print.
        if let Ok(policy) = Policy::new(rules) {
            let printed = policy.print();
            let again = parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&policy), "{}", printed);
            prop_assert_eq!(again.map(|policy| policy.print()), Ok(printed));
        }
    }

    #[test]
    fn the_order_of_rules_does_not_show(rules in rules()) {
        let mut turned = rules.clone();
        turned.storage.reverse();
        turned.network.reverse();
        turned.environment.reverse();
        turned.secrets.reverse();
        turned.tools_deny.reverse();
        let (Ok(policy), Ok(turned)) = (Policy::new(rules), Policy::new(turned)) else { return Ok(()) };
        prop_assert_eq!(policy.print(), turned.print());
        prop_assert_eq!(policy, turned);
    }

    #[test]
    fn a_printed_ceiling_is_the_same_ceiling(
        rules in rules(),
        sources in option::of(present("(starter:|file:///|oci://|https://)[a-z:/.*é\"]{1,9}".prop_map(|text| SourcePattern::new(&text).ok()), 4)),
    ) {
        let Ok(policy) = Policy::new(rules) else { return Ok(()) };
        let ceiling = Ceiling::new(policy, sources);
        let printed = ceiling.print();
        prop_assert_eq!(Ceiling::parse(&printed, &ParseOptions::default()), Ok(ceiling), "{}", printed);
    }

    #[test]
    fn any_text_is_a_policy_or_a_mistake_at_a_place_in_it(text in any::<String>()) {
        located(&text)?;
    }

    #[test]
    fn lines_in_any_order_are_a_policy_or_a_mistake_at_a_place_in_them(lines in vec(line(), 0..12)) {
        located(&lines.join("\n"))?;
        located(&format!("version: \"1.0\"\npermissions:\n{}", lines.join("\n")))?;
    }

    #[test]
    fn a_damaged_policy_is_a_policy_or_a_mistake_at_a_place_in_it(
        rules in rules(),
        at in any::<prop::sample::Index>(),
        with in any::<char>(),
    ) {
        let Ok(policy) = Policy::new(rules) else { return Ok(()) };
        let mut text: Vec<char> = policy.print().chars().collect();
        let place = at.index(text.len());
        text[place] = with;
        located(&text.iter().collect::<String>())?;
        text.remove(place);
        located(&text.iter().collect::<String>())?;
        text.truncate(place);
        located(&text.iter().collect::<String>())?;
    }
}

fn located(text: &str) -> Result<(), TestCaseError> {
    match Policy::parse(text, &ParseOptions::default()) {
        Ok(policy) => {
            let printed = policy.print();
            prop_assert_eq!(parse(&printed), Ok(policy), "{}", printed);
        }
        Err(error) => {
            let line = text.split('\n').nth(error.line() - 1);
            let column_max = line.map_or(1, |line| line.chars().count() + 1);
            prop_assert!((1..=column_max).contains(&error.column()), "{}\n{}", error, text);
        }
    }
    Ok(())
}
