//! Policies that were written to be expensive to compare. What an update asks for is compared before anybody has read it.

use crate::support::{Home, Ran};
use std::fmt::Write as _;
use std::process::Command;

/// Memory that a comparison may take, in kB of address space; a program that needs more ends by a signal.
const ADDRESS_SPACE_KB: u32 = 1_500_000;

fn run(home: &Home, arguments: &[&str]) -> Ran {
    let limited = format!("ulimit -v {ADDRESS_SPACE_KB}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &limited, env!("CARGO_BIN_EXE_wassette")])
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path());
    Ran::of(command.output().unwrap())
}

fn network(rules: impl Iterator<Item = String>) -> String {
    let rules: Vec<_> = rules.collect();
    format!("{{network: {{allow: [{}]}}}}", rules.join(", "))
}

fn v4(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| {
        let (a, b, c) = (11 + (n >> 16), n >> 8 & 255, n & 255);
        format!("{{cidr: {a}.{b}.{c}.1}}")
    })
}

fn file(home: &Home, name: &str, permissions: &str) -> String {
    let text = format!("version: \"1.0\"\npermissions: {permissions}\n");
    home.file(name, text.as_bytes()).to_str().unwrap().to_owned()
}

/// A policy and the same with a variable more: nobody can say that it allows more and nothing less.
#[track_caller]
fn cannot_be_compared(permissions: &str) {
    let home = Home::new();
    let before = file(&home, "before.yaml", permissions);
    let more = permissions.replacen('{', "{environment: {allow: [{key: A}]}, ", 1);
    let after = file(&home, "after.yaml", &more);
    let ran = run(&home, &["policy", "diff", &before, &after, "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("\"relation\": \"neither\""),
        "{:.300}",
        ran.stdout
    );
}

/// Teredo addresses hold two IPv4 addresses, so that each has to be tried with each.
#[test]
fn addresses_that_hold_addresses_are_not_all_kept() {
    let holding = ["{cidr: \"2001::/16\"}", "{cidr: \"64:ff9b::a00:0/120\"}"].map(str::to_owned);
    cannot_be_compared(&network(holding.into_iter().chain(v4(10_000))));
}

/// Each beginning overlaps with each end in a hundred ways.
#[test]
fn texts_that_overlap_are_not_all_kept() {
    let a = "a".repeat(100);
    let pattern = |n: u32| format!("x{n:05}{a}*{a}{n:05}");
    let uris = (0..900).map(|n| format!("{{uri: \"fs:///srv/{}\", access: [read]}}", pattern(n)));
    let uris: Vec<_> = uris.collect();
    cannot_be_compared(&format!("{{storage: {{allow: [{}]}}}}", uris.join(", ")));
    let tools: Vec<_> = (0..1_000).map(|n| format!("\"{}\"", pattern(n))).collect();
    cannot_be_compared(&format!("{{tools: {{deny: [{}]}}}}", tools.join(", ")));
}

/// Each request is compared with each of these rules.
#[test]
fn rules_about_one_host_are_paid_for() {
    let rule = |n: u32| format!("{{host: a.example.com, paths: [\"/p{n}\"], methods: [M{n}]}}");
    cannot_be_compared(&network((0..4_000).map(rule)));
}

/// Each of as many secrets as there can be is compared with each other, and with the network section.
#[test]
fn secrets_are_paid_for() {
    let home = Home::new();
    let mut rules = String::new();
    for n in 0..256 {
        write!(rules, "{{name: s{n}, host: \"*.d{n}.example.com\", header: x}},").unwrap();
    }
    let ranges = (0..6_000).map(|n| format!("{{cidr: \"2a00:{n:x}::/32\"}}"));
    let ranges: Vec<_> = v4(6_000).chain(ranges).collect();
    let permissions = format!(
        "{{network: {{allow: [{}]}}, secrets: {{allow: [{rules}]}}}}",
        ranges.join(", ")
    );
    let large = file(&home, "large.yaml", &permissions);
    let ran = run(&home, &["policy", "check", &large]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// A ceiling cannot be said to hold for what cannot be compared with it, and everything else goes on.
#[test]
fn a_component_above_what_can_be_compared_stops_alone() {
    let home = Home::new();
    home.load(&crate::support::guest("needy"));
    home.load(&home.wat("greet"));
    let holding = ["{cidr: \"2001::/16\"}", "{cidr: \"64:ff9b::a00:0/120\"}"].map(str::to_owned);
    let large = file(
        &home,
        "large.yaml",
        &network(holding.into_iter().chain(v4(10_000))),
    );
    let attached = run(&home, &["policy", "attach", "needy", &large]);
    assert_eq!(attached.code, 0, "{}", attached.stderr);
    let ceiling = file(
        &home,
        "ceiling.yaml",
        "{network: {allow: [{cidr: \"0.0.0.0/0\"}, {cidr: \"::/0\"}]}}",
    );
    let list = run(&home, &["--ceiling", &ceiling, "component", "list", "-o", "json"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    assert!(
        list.stdout.contains("comparing them takes more than"),
        "{}",
        list.stdout
    );
    let reset = run(&home, &["--ceiling", &ceiling, "permission", "reset", "needy"]);
    assert_eq!(reset.code, 0, "{}", reset.stderr);
}
