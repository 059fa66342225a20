//! Documents from outside: which are refused, where and why, and what the accepted ones mean.
//!
//! The tables are plain files: a case begins with `=== title`, then comes the document, then what must come of it
//! after `-->` lines. `<U+0007>` in a document stands for that character.

#![expect(
    clippy::expect_used,
    clippy::string_slice,
    reason = "a table that cannot be read ends the test"
)]

use std::time::{Duration, Instant};
use wassette_policy::{
    AbsolutePath, Ceiling, DOCUMENT_BYTES_MAX, EnvironmentRule, LimitKey, LimitSettings, Limits, NetworkRule,
    ParseOptions, Policy, PolicyPart, SecretRule, StorageRule,
};

const MALFORMED: &str = include_str!("malformed.txt");
const ACCEPTED: &str = include_str!("accepted.txt");

struct Case {
    title: String,
    document: String,
    expected: String,
}

fn cases(table: &str) -> Vec<Case> {
    let cases: Vec<Case> = table
        .split("=== ")
        .skip(1)
        .map(|case| {
            let (title, rest) = case.split_once('\n').expect("a title ends its line");
            let (document, expected) = rest.split_once("-->").expect("a case says what is expected");
            Case {
                title: title.to_owned(),
                document: unescaped(document.strip_suffix('\n').unwrap_or(document)),
                expected: expected.trim().to_owned(),
            }
        })
        .collect();
    let mut titles: Vec<&str> = cases.iter().map(|case| case.title.as_str()).collect();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), cases.len(), "each title is there once");
    cases
}

fn unescaped(document: &str) -> String {
    let mut parts = document.split("<U+");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('>').expect("an escape is closed");
        let code = u32::from_str_radix(code, 16).expect("an escape is hexadecimal");
        text.push(char::from_u32(code).expect("an escape is a character"));
        text.push_str(rest);
    }
    text
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

fn below(base: &str) -> ParseOptions {
    ParseOptions {
        base: Some(base.parse::<AbsolutePath>().expect("the base is a path")),
    }
}

#[track_caller]
fn refused(text: &str, error: &str) {
    assert_eq!(parse(text), Err(error.to_owned()));
}

#[track_caller]
fn printed(text: &str, options: &ParseOptions) -> String {
    let policy = Policy::parse(text, options).expect("the document is accepted");
    let printed = policy.print();
    let again = Policy::parse(&printed, &ParseOptions::default()).expect("what is printed is accepted");
    assert_eq!(again, policy, "what is printed means the same");
    assert_eq!(again.print(), printed, "what is printed is printed again");
    printed
}

#[test]
fn each_mistake_is_told_with_its_place_and_a_hint() {
    let cases = cases(MALFORMED);
    assert!(cases.len() >= 200);
    let mut wrong = String::new();
    for case in &cases {
        let outcome = match Policy::parse(&case.document, &ParseOptions::default()) {
            Ok(policy) => format!("accepted as\n{}", policy.print()),
            Err(error) => format!("{error}\n    {}", error.hint()),
        };
        if outcome != case.expected {
            wrong += &format!("=== {}\n{}\n--> {outcome}\n", case.title, case.document);
        }
    }
    assert!(wrong.is_empty(), "other outcomes:\n{wrong}");
}

#[test]
fn each_spelling_is_printed_in_one_form() {
    let mut wrong = String::new();
    for case in &cases(ACCEPTED) {
        if let Err(error) = Policy::parse(&case.document, &below("/base")) {
            wrong += &format!("=== {}\n{}\n--> {error}\n", case.title, case.document);
            continue;
        }
        let printed = printed(&case.document, &below("/base"));
        let body = printed.strip_prefix("version: \"1.0\"\n").unwrap_or(&printed);
        if body.trim_end() != case.expected.trim_start() {
            wrong += &format!("=== {}\n{}\n--> \n{body}", case.title, case.document);
        }
    }
    assert!(wrong.is_empty(), "other outcomes:\n{wrong}");
}

fn hint(text: &str) -> String {
    let error = Policy::parse(text, &ParseOptions::default()).expect_err("the document is refused");
    error.hint().to_owned()
}

#[test]
fn a_hint_says_what_to_write_instead() {
    let table = [
        ("version: 1.0", "put it into quotes: `version: \"1.0\"`"),
        ("version: \"1.0\"\nPermissions: {}", "did you mean `permissions`?"),
        ("version: \"1.0\"\npremissions: {}", "did you mean `permissions`?"),
        (
            "version: \"1.0\"\nkind: x",
            "its keys are `version`, `permissions`, `description`, `$schema`",
        ),
        (
            "version: \"1.0\"\npermissions: {enviroment: {}}",
            "did you mean `environment`?",
        ),
        (
            "version: \"1.0\"\npermissions: {resources: {limits: {file_read: 5}}}",
            "did you mean `file-read`?",
        ),
        (
            "version: \"1.0\"\npermissions: {runtime: {docker: {}}}",
            "nothing here would enforce it: components run in this program, not in another runtime",
        ),
        (
            "version: \"1.0\"\npermissions: {ipc: {}}",
            "nothing here would enforce it: components have no pipes and no local sockets",
        ),
        (
            "version: \"1.0\"\npermissions: {network: {allow: [{host: *.example.com}]}}",
            "put a text that begins with this character into quotes",
        ),
        (
            "version: \"1.0\"\npermissions: {resources: {limits: {memory: 512m}}}",
            "for mebibytes write `Mi`, for megabytes `M`",
        ),
        (
            "version: \"1.0\"\npermissions: {tools: {deny: delete}}",
            "write `[\"delete\"]`",
        ),
        ("version:\"1.0\"", "a key is followed by a colon and a space"),
        ("version: \"1.0\"\nversion: \"1.0\"", "leave one of the two out"),
        (
            "version: \"1.0\"\npermissions: {tools: {deny: [a], deny: [b]}}",
            "write both lists under one key",
        ),
        (
            "version: \"1.0\"\npermissions: {tuolz: {}}",
            "did you mean `tools`?",
        ),
        (
            "version: \"1.0\"\npermissions: {nerwolf: {}}",
            "its keys are `storage`, `filesystem`, `network`, `environment`, `secrets`, `tools`, `resources`",
        ),
        (
            "version: \"1.0\"\npermissions: storage",
            "its keys are `storage`, `filesystem`, `network`, `environment`, `secrets`, `tools`, `resources`",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(hint(text), expected, "{text}");
    }
}

#[test]
fn a_hint_says_how_numbers_are_written() {
    let table = [
        (
            "version: \"1.0\"\npermissions: {network: {allow: [{cidr: 010.0.0.0/8}]}}",
            "write for example `10.0.0.0/8` or `fd00::/8`, numbers without leading zeros",
        ),
        (
            "version: \"1.0\"\npermissions: {network: {allow: [{host: a.example.com, ports: [\"0443\"]}]}}",
            "write a number from 1 to 65535 without leading zero, or a range such as `8000-8099`",
        ),
        (
            "version: \"1.0\"\npermissions: {network: {allow: [{host: a.example.com, ports: [0443]}]}}",
            "leave the leading zero out",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(hint(text), expected, "{text}");
    }
}

#[test]
fn a_hint_says_how_texts_are_written() {
    let table = [
        (
            "version: \"1.0\"\ndescription: one\n  two",
            "write it in quotes on one line; check the indentation of the next line",
        ),
        (
            "version: \"1.0\"\ndescription: note: this",
            "put a text that contains `: ` into quotes, and check the indentation",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(hint(text), expected, "{text}");
    }
}

#[test]
fn a_document_that_is_too_long_is_refused_at_once() {
    let head = "version: \"1.0\"\n";
    let comment = format!("#{}\n", "x".repeat(78));
    let mut full = format!(
        "{head}{}",
        comment.repeat((DOCUMENT_BYTES_MAX - head.len()) / comment.len())
    );
    full.push_str(&"\n".repeat(DOCUMENT_BYTES_MAX - full.len()));
    assert!(parse(&full).is_ok());

    for bytes in [DOCUMENT_BYTES_MAX + 1, 10 << 20] {
        let begin = Instant::now();
        refused(
            &"[".repeat(bytes),
            "1:1: the document is longer than 1048576 bytes",
        );
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

/// As long as a document can be, and each of a kind that costs some readers memory, time or stack.
#[test]
fn no_document_costs_more_than_its_length() {
    let filled = |unit: &str| unit.repeat((DOCUMENT_BYTES_MAX - 64) / unit.len());
    let head = "version: \"1.0\"\npermissions:\n";
    let documents = [
        filled("["),
        filled("{a: "),
        filled("- "),
        filled("? "),
        filled("&a [*a, *a]"),
        filled("\""),
        filled("\"\\u0041"),
        filled("x"),
        filled(": "),
        filled("\n"),
        filled("#\n"),
        filled(" "),
        filled("\r\n"),
        filled("---\n"),
        format!("{head}  tools: {{deny: [{}]}}", filled("a,")),
        format!("{head}  tools:\n    deny:\n{}", filled("    - a\n")),
        format!("{head}  tools:\n    deny:\n{}", filled("    -\n")),
        format!("{head}  {}: {{}}", filled("k")),
        format!("{head}  tools: {{deny: [{}]}}", filled("[],")),
        format!(
            "{head}{}",
            (0..60_000).map(|n| format!("  k{n}: {{}}\n")).collect::<String>()
        ),
        format!("description: \"{}\"", filled("\\n")),
    ];
    for document in documents {
        let begin = Instant::now();
        let outcome = parse(&document);
        let start: String = document.chars().take(20).collect();
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{start}: {:?}",
            begin.elapsed()
        );
        if let Err(error) = outcome {
            assert!(error.len() < 500, "{start}: {error}");
        }
    }
}

#[test]
fn ten_thousand_rules_are_read_and_printed() {
    let mut document = String::from("version: \"1.0\"\npermissions:\n  network:\n    allow:\n");
    for number in 0..10_000 {
        document += &format!("      - {{host: \"h{number}.example.com\", methods: [GET]}}\n");
    }
    let printed = printed(&document, &ParseOptions::default());
    assert_eq!(printed.lines().count(), 4 + 2 * 10_000);
}

#[test]
fn an_error_repeats_only_a_short_and_harmless_part_of_the_document() {
    refused(
        &format!("version: \"1.0\"\n{}: 1", "k".repeat(500)),
        &format!("2:1: `{}…` is not a key of a policy", "k".repeat(60)),
    );
    refused(
        "version: \"1.0\"\n\"a\\u202eb\\u001b`\": 1",
        "2:1: `a\u{fffd}b\u{fffd}\u{fffd}` is not a key of a policy",
    );
    let zeros = format!(
        "version: \"1.0\"\npermissions: {{resources: {{limits: {{requests: \"{}1\"}}}}}}",
        "0".repeat(500)
    );
    refused(&zeros, &format!("2:46: `{}…` begins with a zero", "0".repeat(60)));
}

#[test]
fn columns_count_characters() {
    refused(
        "version: \"1.0\" # é😀\ndescription: \"é😀\" x",
        "2:19: there is more text after the quotes",
    );
}

#[test]
fn a_description_has_a_largest_length() {
    let of = |length: usize| {
        parse(&format!(
            "version: \"1.0\"\ndescription: \"{}\"",
            "x".repeat(length)
        ))
    };
    assert!(of(4096).is_ok());
    assert_eq!(
        of(4097),
        Err("2:14: the description is longer than 4096 bytes".to_owned())
    );
}

#[test]
fn nesting_up_to_the_bound_is_read() {
    let nested = |depth: usize| {
        format!(
            "version: \"1.0\"\npermissions: {}{}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    refused(&nested(15), "2:14: `permissions` must be a map, not a list");
    refused(&nested(16), "2:29: the nesting is deeper than 16");
}

#[test]
fn relative_paths_need_a_base() {
    let document =
        "version: \"1.0\"\npermissions: {storage: {allow: [{uri: \"fs://data\", access: [read]}]}}";
    refused(document, "2:39: the path `data` is relative");
    assert_eq!(
        printed(document, &below("/srv/app")),
        "version: \"1.0\"\npermissions:\n  storage:\n    allow:\n      - uri: \"fs:///srv/app/data\"\n        access: [read]\n"
    );
}

#[test]
fn an_older_policy_for_containers_is_refused_where_it_names_them() {
    let document = "version: \"1.0\"\ndescription: \"An agent\"\npermissions:\n  storage:\n    allow:\n    - uri: \"fs://work/agent/**\"\n      access: [\"read\"]\n\n  runtime:\n    docker:\n      security:\n        privileged: true\n    hyperlight:\n";
    let error = Policy::parse(document, &below("/base")).expect_err("the document is refused");
    assert_eq!((error.line(), error.column()), (9, 3));
    assert_eq!(error.message(), "`runtime` is refused in `permissions`");
}

#[track_caller]
fn ceiling(text: &str) -> Result<String, String> {
    let ceiling = Ceiling::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())?;
    let printed = ceiling.print();
    let again = Ceiling::parse(&printed, &ParseOptions::default()).expect("what is printed is accepted");
    assert_eq!(again, ceiling);
    Ok(printed)
}

#[test]
fn a_ceiling_is_a_policy_with_sources() {
    assert_eq!(
        ceiling("version: \"1.0\"\nsources: [\"starter:*\", \"oci://ghcr.io/example/*\"]\npermissions: {tools: {deny: [a]}}"),
        Ok("version: \"1.0\"\nsources:\n  - \"starter:*\"\n  - \"oci://ghcr.io/example/*\"\npermissions:\n  tools:\n    deny:\n      - \"a\"\n".to_owned())
    );
    assert_eq!(
        ceiling("version: \"1.0\""),
        Ok("version: \"1.0\"\npermissions: {}\n".to_owned()),
        "without sources, anything may be loaded"
    );
    assert_eq!(
        ceiling("version: \"1.0\"\nsources: []"),
        Ok("version: \"1.0\"\nsources: []\npermissions: {}\n".to_owned()),
        "with none, nothing may be loaded"
    );
}

#[test]
fn a_mistake_in_a_ceiling_is_told_with_its_line_and_column() {
    let table = [
        ("sources:", "2:8: `sources` must be a list, not nothing"),
        (
            "sources: \"starter:*\"",
            "2:10: `sources` must be a list, not a text",
        ),
        ("sources: [1]", "2:11: `1` is not surely a text"),
        ("sources: [\"\"]", "2:11: the pattern is empty"),
        (
            "sources: [\"a b\"]",
            "2:11: the pattern contains a space or control character",
        ),
        ("source: []", "2:1: `source` is not a key of a ceiling"),
        (
            "permissions: {ipc: {}}",
            "2:15: `ipc` is refused in `permissions`",
        ),
    ];
    for (line, error) in table {
        assert_eq!(
            ceiling(&format!("version: \"1.0\"\n{line}")),
            Err(error.to_owned())
        );
    }
}

/// A document with these lines below its `signatures`.
fn signed(lines: &str) -> Result<String, String> {
    ceiling(&format!("version: \"1.0\"\nsignatures:\n{lines}\n"))
}

#[test]
fn rules_about_signatures_are_printed_in_one_form() {
    let key = "-----BEGIN PUBLIC KEY-----\\nAAAA\\nBBBB\\n-----END PUBLIC KEY-----";
    let lines = format!(
        "  - source: oci://ghcr.io/o/*\n    signers:\n    - {{identity: a@b.c, issuer: https://i}}\n    - key: \"{key}\"\n  - {{source: \"oci://**\", mode: off}}\n  - {{mode: warn, source: oci://h/**}}"
    );
    let expected = "version: \"1.0\"\nsignatures:\n  - source: \"oci://ghcr.io/o/*\"\n    mode: \"require\"\n    signers:\n      - identity: \"a@b.c\"\n        issuer: \"https://i\"\n      - key: |\n          -----BEGIN PUBLIC KEY-----\n          AAAA\n          BBBB\n          -----END PUBLIC KEY-----\n  - source: \"oci://**\"\n    mode: \"off\"\n  - source: \"oci://h/**\"\n    mode: \"warn\"\npermissions: {}\n";
    assert_eq!(signed(&lines), Ok(expected.to_owned()));
    assert_eq!(
        ceiling("version: \"1.0\"\nsignatures: []"),
        Ok("version: \"1.0\"\npermissions: {}\n".to_owned())
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    let text = "version: \"1.0\"\nsignatures:\n- {source: oci://h/tool, mode: off}\n- {source: oci://h/*, mode: warn}\n- {source: \"oci://**\", mode: off}";
    let ceiling = Ceiling::parse(text, &ParseOptions::default()).expect("a ceiling");
    let decides = |reference| {
        let rule = ceiling.signature_rule(reference)?;
        Some(format!("{} {}", rule.source(), rule.mode()))
    };
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(decides("oci://h/tool:1"), found("oci://h/tool off"));
    assert_eq!(decides("oci://h/other:1"), found("oci://h/* warn"));
    assert_eq!(decides("oci://h/a/b@sha256:0"), found("oci://** off"));
    assert_eq!(decides("file:///a.wasm"), None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mistake_in_a_rule_about_signatures_is_told_with_its_line_and_column() {
    let rule = |rest: &str| signed(&format!("  - {{source: \"oci://**\", {rest}}}"));
    let table = [
        ("mode: on", "3:32: `on` is not a mode"),
        ("mode: [off]", "3:32: `mode` must be a text, not a list"),
        (
            "mode: require",
            "3:5: nobody is named whose signature is required",
        ),
        ("signers: []", "3:35: nobody is named whose signature is required"),
        (
            "mode: off, signers: [{identity: a, issuer: \"https://i\"}]",
            "3:46: signers are named, and nobody looks at signatures",
        ),
        (
            "signer: []",
            "3:26: `signer` is not a key of a rule of `signatures`",
        ),
        ("signers: [{identity: a}]", "3:36: `issuer` is missing"),
        ("signers: [{issuer: i}]", "3:36: `identity` is missing"),
        ("signers: [{}]", "3:36: this names nobody"),
        (
            "signers: [{identity: a, issuer: i, subject: b}]",
            "3:61: `subject` is not a key of a signer",
        ),
        (
            "signers: [{identity: \"\", issuer: i}]",
            "3:47: an identity has 1 to 2048 visible ASCII characters",
        ),
        (
            "signers: [{identity: a b, issuer: i}]",
            "3:47: an identity has 1 to 2048 visible ASCII characters",
        ),
        (
            "signers: [{identity: \"*\", issuer: i}]",
            "3:47: `*` would let in too many, or nobody",
        ),
        (
            "signers: [{identity: \"https://github.com/*\", issuer: i}]",
            "3:47: `*` would let in too many, or nobody",
        ),
        (
            "signers: [{identity: a, issuer: \"\"}]",
            "3:58: an issuer has 1 to 2048 visible ASCII characters",
        ),
        (
            "signers: [{identity: a, issuer: \"https://*\"}]",
            "3:58: an issuer has no `*`, no `@@`, and no `@` at its beginning",
        ),
        (
            "signers: [{key: k, issuer: i}]",
            "3:37: a signer is a key, or an identity and its issuer, not both",
        ),
        ("signers: [{key: k}]", "3:42: not one public key in PEM"),
        (
            "signers: [{key: \"-----BEGIN PRIVATE KEY-----\"}]",
            "3:42: this is a private key: take it out of here, and give its public half",
        ),
        (
            "signers: [{key: \"-----BEGIN PUBLIC KEY-----\\nAAA\\n-----END PUBLIC KEY-----\"}]",
            "3:42: what stands between the first and the last line of the key is not base64",
        ),
    ];
    let outcomes: Vec<_> = table.iter().map(|(rest, _)| rule(rest)).collect();
    let expected: Vec<_> = table.iter().map(|(_, error)| Err((*error).to_owned())).collect();
    assert_eq!(outcomes, expected);
    let refused = |lines: &str, error: &str| assert_eq!(signed(lines), Err(error.to_owned()));
    refused("  {}", "3:3: `signatures` must be a list, not a map");
    refused("  - {mode: warn}", "3:5: `source` is missing");
    refused("  - {source: \"\", mode: warn}", "3:14: the pattern is empty");
    refused(
        "  - {source: \"oci://*\", mode: warn}",
        "3:14: no reference is like `oci://*`",
    );
    let without_issuer = "version: \"1.0\"\nsignatures: [{source: \"oci://**\", signers: [{identity: a}]}]";
    let error = Ceiling::parse(without_issuer, &ParseOptions::default()).expect_err("no issuer");
    let hint = "an identity means nothing without who confirmed it: `issuer: \"https://token.actions.githubusercontent.com\"`";
    assert_eq!(error.hint(), hint);
}

/// What some version of YAML reads as another thing has to be in quotes; what looks like that and is none has not.
#[test]
fn a_text_without_quotes_is_a_text_in_every_version_of_yaml() {
    let read = |text: &str| {
        parse(&format!(
            "version: \"1.0\"\npermissions: {{environment: {{allow: [{{key: A, value: {text}}}]}}}}"
        ))
        .is_ok()
    };
    for plain in [
        "a",
        "0x",
        "0x_",
        "0xg",
        "0o",
        "0b",
        ".",
        ".x",
        "1-2",
        "1.2.3",
        "2026-01-31x",
        "1x",
        "-x",
        "a:b",
    ] {
        assert!(read(plain), "{plain}");
    }
    for other in [
        "0x1F",
        "0o17",
        "0b101",
        "1",
        "-1",
        "+1.5",
        "1e3",
        "1_000",
        ".5",
        "12:30",
        "12:30:15.5",
        "2026-01-31",
        "2026-01-31t10",
        "2026-01-31T10",
        "yes",
        "No",
        "~",
        ".inf",
        "-.INF",
        ".nan",
    ] {
        assert!(!read(other), "{other}");
        assert!(read(&format!("\"{other}\"")), "{other} in quotes");
    }
}

#[test]
fn limits_may_be_left_empty() {
    for text in [
        "resources: {limits: null}",
        "resources: {limits: {}}",
        "resources: {}",
    ] {
        assert!(
            parse(&format!("version: \"1.0\"\npermissions: {{{text}}}")).is_ok(),
            "{text}"
        );
    }
}

const MANUAL: &str = include_str!("../../../docs/policy.md");

#[test]
fn each_example_of_the_manual_is_read() {
    let examples: Vec<&str> = MANUAL
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    assert!(examples.len() > 5);
    for example in examples {
        let head = if example.starts_with("version:") {
            ""
        } else {
            "version: \"1.0\"\n"
        };
        let outcome = Ceiling::parse(&format!("{head}{example}"), &ParseOptions::default());
        assert!(outcome.is_ok(), "{outcome:?}\n{example}");
    }
}

/// The table of limits in the manual: key, default and largest amount.
#[test]
fn the_manual_tells_the_limits_that_hold() {
    let plain = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let mut keys = Vec::new();
    let table = MANUAL
        .lines()
        .skip_while(|line| !line.starts_with("| Key | Default | At most"));
    for line in table.skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<String> = line.split('|').map(plain).collect();
        let (name, default, most) = (&cells[1], &cells[2], &cells[3]);
        let key = if cells[4] == "share" {
            LimitKey::CpuShare
        } else {
            LimitKey::from_name(name).expect("a limit")
        };
        keys.push(key);

        let mut limits = LimitSettings::new();
        assert_eq!(limits.set(key, most), Ok(()), "{name} can be {most}");
        assert_eq!(
            limits.text(key).as_ref(),
            Some(most),
            "{name} is printed as in the manual"
        );
        let number: String = most.chars().take_while(char::is_ascii_digit).collect();
        let more = most.replacen(&number, &format!("{number}.001"), 1);
        let larger = format!(
            "{}{}",
            number.parse::<u64>().expect("a number") + 1,
            &most[number.len()..]
        );
        assert!(limits.set(key, &larger).is_err(), "{name} cannot be {larger}");
        if key == LimitKey::Memory || key == LimitKey::Output {
            assert!(limits.set(key, &more).is_err(), "{name} cannot be {more}");
        }

        let none = LimitSettings::new();
        let mut set = LimitSettings::new();
        if set.set(key, default).is_ok() {
            let defaults = none.effective(&Limits::DEFAULT, None);
            assert_eq!(
                set.effective(&Limits::DEFAULT, None),
                defaults,
                "{name} is {default}"
            );
        } else {
            assert!(
                matches!(key, LimitKey::CpuShare | LimitKey::Rate),
                "{name} has a default"
            );
        }
    }
    assert_eq!(keys, LimitKey::ALL, "each limit has a line");
}

const PARTS: &str = r#"version: "1.0"
permissions:
  storage:
    allow:
      - uri: "fs:///data/**"
        access: [read]
      - {uri: "fs:///data/**", access: [write]}
  filesystem: {read: [/logs]}
  network:
    deny: [{host: "a.example.com"}]
    allow:
      - host: "b.example.com"
  environment: {allow: [LANG, {key: MODE, value: strict}]}
  secrets:
    allow: [{name: token, host: b.example.com, header: x-key}]
  resources:
    limits: {memory: 1Mi, time: "5s"}
    cpu: 50.0
"#;

#[test]
fn a_part_of_a_policy_is_found_in_its_document() {
    let options = ParseOptions::default();
    let find = |part: PolicyPart<'_>| Policy::find(PARTS, &options, part);
    let policy = Policy::parse(PARTS, &options).expect("a policy");
    let rules = policy.rules();
    let texts = rules.storage.iter().map(StorageRule::text);
    let texts = texts.chain(rules.network.iter().map(NetworkRule::text));
    let texts = texts.chain(rules.environment.iter().map(EnvironmentRule::text));
    let texts = texts.chain(rules.secrets.iter().map(SecretRule::text));
    let found = texts.map(|text| find(PolicyPart::Rule(text)).expect("a place"));
    assert_eq!(
        std::collections::BTreeSet::from_iter(found),
        [
            (5, 9),
            (7, 9),
            (8, 23),
            (10, 12),
            (12, 9),
            (13, 25),
            (13, 31),
            (15, 13)
        ]
        .into()
    );
    let path = |text: &str| find(PolicyPart::Path(&text.parse().expect("a path")));
    assert_eq!(
        ["/data", "/logs", "/else"].map(path),
        [Some((5, 9)), Some((8, 23)), None]
    );
    let limit = |key| find(PolicyPart::Limit(key));
    assert_eq!(
        [
            LimitKey::Memory,
            LimitKey::Time,
            LimitKey::CpuShare,
            LimitKey::Files
        ]
        .map(limit),
        [Some((17, 22)), Some((17, 33)), Some((18, 10)), None]
    );
    // What is no policy says nothing.
    for text in ["version: \"1.0\"", "[", "permissions: {network: 1}"] {
        for part in [
            PolicyPart::Limit(LimitKey::Time),
            PolicyPart::Path(&AbsolutePath::root()),
        ] {
            assert_eq!(Policy::find(text, &options, part), None, "{text}");
        }
    }
}
