//! How rules are read, what is wrong with those that cannot be, and what they look like when printed.
//!
//! Long because it is one table for each form of each rule.

use super::{effect, network_spec, policy};
use crate::{
    AbsolutePath, Ceiling, Effect, EnvironmentRule, Field, HostPattern, NetworkRule, PathPattern, Peer,
    Policy, RuleError, RuleList, Rules, SecretRule, SecretSpec, SourcePattern, StorageRule, StorageSpec,
    ToolPattern,
};

/// Without a hint here, any will do: `tests/malformed.txt` has them.
type Fault<'a> = (Field, Option<usize>, &'a str, Option<&'a str>);

#[track_caller]
fn faulty<T: std::fmt::Debug>(result: Result<T, RuleError>, (field, index, message, hint): Fault<'_>) {
    let error = result.unwrap_err();
    assert_eq!(
        (error.field(), error.index(), error.to_string().as_str()),
        (field, index, message)
    );
    assert_eq!(error.hint(), hint.unwrap_or(error.hint()));
}

fn storage_spec(uri: &str, access: Option<&[&str]>) -> StorageSpec {
    StorageSpec {
        uri: uri.to_owned(),
        access: access.map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
        guest: None,
        submounts: None,
    }
}

#[track_caller]
fn faulty_uri(uri: &str, message: &str, hint: Option<&str>) {
    faulty(
        StorageRule::new(Effect::Allow, &storage_spec(uri, Some(&["read"])), None),
        (Field::Uri, None, message, hint),
    );
}

#[test]
fn a_path_that_could_mean_two_things_is_refused() {
    let absolute = Some("write `fs:///` and the absolute path");
    let characters =
        Some("only `*` stands for something else, and nothing is decoded; grant the folder instead");
    faulty_uri("", "`` is not an `fs://` URI", absolute);
    faulty_uri("/a", "`/a` is not an `fs://` URI", absolute);
    faulty_uri("file:///a\n", "`file:///a\\n` is not an `fs://` URI", absolute);
    faulty_uri("fs://", "the path is empty", absolute);
    faulty_uri(
        "fs://a/b",
        "the path `a/b` is relative",
        Some("write `fs:///` and the absolute path; nothing here says what it would be relative to"),
    );
    faulty_uri(
        "fs:///a/../b",
        "the path contains `..`",
        Some("write the path it leads to"),
    );
    faulty_uri(
        "fs:///a\0b",
        "the path contains the control character '\\0'",
        None,
    );
    for (uri, special) in [
        ("fs:///a?", '?'),
        ("fs:///[a", '['),
        ("fs:///a]", ']'),
        ("fs:///{a", '{'),
        ("fs:///a}", '}'),
        ("fs:///%2e", '%'),
        ("fs:///a\\b", '\\'),
    ] {
        faulty_uri(
            uri,
            &format!("the path contains `{special}`, which has no meaning here"),
            characters,
        );
    }
    faulty_uri("fs:///a/**/b", "`**` is not at the end of the path", None);
    faulty_uri(
        "fs:///a/b**",
        "`b**` has more than one `*`",
        Some("a segment can have one `*`; `**` stands alone at the end"),
    );
    let root = Some("name the folders that are needed");
    faulty_uri("fs:///", "the root cannot be granted", root);
    faulty_uri("fs:///**", "the root cannot be granted", root);
    faulty_uri("fs:///./*/a", "the root cannot be granted", root);
    faulty_uri(
        &format!("fs:///{}", "a".repeat(4096)),
        "the path is longer than 4096 bytes",
        None,
    );
    let longest = format!("fs:///{}", "a".repeat(4095));
    assert!(PathPattern::storage(&longest, None).is_ok());
}

#[test]
fn a_relative_path_is_below_its_base() {
    let base: AbsolutePath = "/base".parse().unwrap();
    let read = |uri: &str| PathPattern::storage(uri, Some(&base)).map(|pattern| pattern.to_string());
    assert_eq!(read("fs://a/**"), Ok("fs:///base/a".to_owned()));
    assert_eq!(read("fs://./a*"), Ok("fs:///base/a*".to_owned()));
    assert_eq!(read("fs:///a"), Ok("fs:///a".to_owned()));
    faulty(
        read("fs://../a"),
        (
            Field::Uri,
            None,
            "the path contains `..`",
            Some("write the path it leads to"),
        ),
    );
}

#[test]
fn paths_are_printed_in_one_form() {
    let print = |uri: &str| PathPattern::storage(uri, None).unwrap().to_string();
    assert_eq!(print("fs:///a/**"), "fs:///a");
    assert_eq!(print("fs:////a/./b/"), "fs:///a/b");
    assert_eq!(print("fs:///a/*/**"), "fs:///a/*/**");
    assert_eq!(print("fs:///a/*.log"), "fs:///a/*.log");
    assert_eq!(print("fs:///**"), "fs:///**");
    assert_eq!(print("fs:///"), "fs:///**");
    let tree = PathPattern::tree(&"/a/b".parse().unwrap());
    assert_eq!(tree, PathPattern::storage("fs:///a/b/**", None).unwrap());
    assert!(tree.matches(&"/a/b/c".parse().unwrap()));
    assert!(!tree.matches(&"/a".parse().unwrap()));
}

#[test]
fn what_else_a_storage_rule_says_is_checked() {
    let rule = |list: &str, spec: &StorageSpec| StorageRule::new(effect(list), spec, None);
    let uri = "fs:///a";
    faulty(
        rule("allow", &storage_spec(uri, None)),
        (
            Field::Rule,
            None,
            "`access` is missing",
            Some("write `access: [read]` or `access: [read, write]`"),
        ),
    );
    faulty(
        rule("allow", &storage_spec(uri, Some(&["read", "exec"]))),
        (
            Field::Access,
            Some(1),
            "`exec` is no access",
            Some("write `read` or `write`"),
        ),
    );
    faulty(
        rule("deny", &storage_spec(uri, Some(&[]))),
        (
            Field::Access,
            None,
            "the list is empty",
            Some("write `read`, `write` or both"),
        ),
    );
    let guest = |list: &str, guest: &str| {
        rule(
            list,
            &StorageSpec {
                guest: Some(guest.to_owned()),
                ..storage_spec(uri, Some(&["read"]))
            },
        )
    };
    faulty(
        guest("allow", "x"),
        (Field::Guest, None, "the path is not absolute", None),
    );
    faulty(
        guest("allow", "/x/.."),
        (Field::Guest, None, "the path contains `..`", None),
    );
    faulty(
        guest("allow", "/x\n"),
        (Field::Guest, None, "the path contains a control character", None),
    );
    faulty(
        guest("allow", "/x*"),
        (
            Field::Guest,
            None,
            "the path contains `*`",
            Some("it is the place of what comes before the first `*` of the uri"),
        ),
    );
    faulty(
        guest("deny", "/x"),
        (
            Field::Guest,
            None,
            "a deny rule has no place in the guest",
            Some("it denies the path wherever the guest sees it"),
        ),
    );
    faulty(
        rule(
            "deny",
            &StorageSpec {
                submounts: Some(true),
                ..storage_spec(uri, None)
            },
        ),
        (
            Field::Submounts,
            None,
            "a deny rule always covers what is mounted below",
            None,
        ),
    );
}

#[track_caller]
fn faulty_network(line: &str, fault: Fault<'_>) {
    let words: Vec<&str> = line.split(' ').collect();
    faulty(
        NetworkRule::new(effect(words[0]), &network_spec(&words[1..])),
        fault,
    );
}

#[test]
fn hosts_that_nobody_can_answer_for_are_refused() {
    let everything = (
        Field::Host,
        None,
        "`*` would allow every host",
        Some("name the hosts; `*` can only stand in `deny`"),
    );
    faulty_network("allow host=*", everything);
    for suffix in [
        "github.io",
        "s3.amazonaws.com",
        "com",
        "co.uk",
        "xn--p1ai",
        "zz",
        "ck",
        "kawasaki.jp",
        "x.kawasaki.jp",
        "lan",
    ] {
        let message = format!(
            "`*.{suffix}` would allow names of unrelated owners, because `{suffix}` is a public suffix"
        );
        faulty_network(
            &format!("allow host=*.{suffix}"),
            (
                Field::Host,
                None,
                &message,
                Some("put one more label after the `*.`"),
            ),
        );
    }
    // What no registry gives out belongs to whoever runs the network.
    for suffix in [
        "city.kawasaki.jp",
        "example.com",
        "internal",
        "localhost",
        "test",
        "local",
        "invalid",
        "example",
    ] {
        assert!(
            NetworkRule::new(Effect::Allow, &network_spec(&[&format!("host=*.{suffix}")])).is_ok(),
            "{suffix}"
        );
    }
    assert!(NetworkRule::new(Effect::Deny, &network_spec(&["host=*.com"])).is_ok());
}

#[test]
fn hosts_that_cannot_be_read_are_refused() {
    let host = |text: &str, why: &str, hint: Option<&str>| {
        let message = format!("`{text}` is not a host: {why}");
        faulty_network(&format!("deny host={text}"), (Field::Host, None, &message, hint));
    };
    host("", "there is no host", None);
    host(".", "there is no host", None);
    host("*.", "there is no host", None);
    host("a..b", "the host name is malformed", None);
    host("a_b.example", "the host name is malformed", None);
    host(
        "a/b",
        "it has a path",
        Some("write a whole URL, or put the path into `paths`"),
    );
    host(
        "a.*",
        "`*` can only stand for whole labels at the front",
        Some("write `*.` and a name"),
    );
    host(
        "1.2.3.4.*",
        "`*` can only stand for whole labels at the front",
        None,
    );
    host("a:0", "the port is 0", None);
    host("a:x", "the port is malformed", None);
    host("a:", "the port is malformed", None);
    host("a:1:2", "the port is malformed", None);
    host("a:65536", "the port is malformed", None);
    host("a:000443", "the port is malformed", None);
    host("[::1", "the bracket is not closed", None);
    host("u@a.example", "the URL contains user information", None);
    host("https:\\\\a.example", "the URL contains a backslash", None);
    host("[::g]", "the IPv6 address is malformed", None);
    host("[1.2.3.4]", "the IPv6 address is malformed", None);
    host("1.2.3.4.5", "the host name is malformed", None);
    host("256.1.1.1", "the host name is malformed", None);
    host("*.1.2.3.4", "an address has no names below it", None);
    host("xn--a", "the host name is malformed", None);
    host(
        "a*.example.com",
        "`*` can only stand for whole labels at the front",
        Some("write `*.` and a name"),
    );
    host("ftp://a.example", "the scheme is neither http nor https", None);
    host("https://u@a.example", "the URL contains user information", None);
    host(
        "https://a.example/?q",
        "it has a query",
        Some("leave out `?` and what follows it; no rule can be about the query"),
    );
    host("https://a.example/#f", "the URL contains a fragment", None);
    host("https://a.example/a//b", "it contains an empty segment", None);
    host("https://a.example/%2e", "the path contains a dot segment", None);
    faulty_network(
        "allow host=https://",
        (Field::Host, None, "`` is not a host: there is no host", None),
    );
    let long = format!("deny host={}.example", "a".repeat(64));
    let message = format!(
        "`{}.example` is not a host: the host name is malformed",
        "a".repeat(64)
    );
    faulty_network(&long, (Field::Host, None, &message, None));
}

#[test]
fn parts_that_contradict_are_refused() {
    let twice = |field| {
        (
            field,
            None,
            "the host says it already",
            Some("say it in one place"),
        )
    };
    faulty_network(
        "allow host=https://a.example.com schemes=http",
        twice(Field::Schemes),
    );
    faulty_network("allow host=https://a.example.com ports=80", twice(Field::Ports));
    faulty_network("allow host=a.example.com:80 ports=80", twice(Field::Ports));
    faulty_network("allow host=https://a.example.com/x paths=/y", twice(Field::Paths));
    faulty_network(
        "allow ports=80",
        (Field::Rule, None, "`host` or `cidr` is missing", None),
    );
    faulty_network(
        "allow host=a.example.com cidr=10.0.0.0/8",
        (
            Field::Cidr,
            None,
            "a rule has either `host` or `cidr`",
            Some("write two rules"),
        ),
    );
    let sockets = Some("raw sockets need `cidr`, `ports` and `protocols`");
    faulty_network(
        "allow host=a.example.com protocols=tcp",
        (
            Field::Protocols,
            None,
            "a rule with `host` is about requests and has no protocols",
            sockets,
        ),
    );
    faulty_network(
        "allow cidr=10.0.0.0/8 protocols=tcp",
        (Field::Rule, None, "`ports` is missing", sockets),
    );
    for (part, field) in [
        ("schemes=http", Field::Schemes),
        ("methods=GET", Field::Methods),
        ("paths=/a", Field::Paths),
    ] {
        faulty_network(
            &format!("allow cidr=10.0.0.0/8 ports=1 protocols=tcp {part}"),
            (
                field,
                None,
                "a rule with `protocols` is about raw sockets, not requests",
                Some("write two rules"),
            ),
        );
    }
    let empty = NetworkRule::new(
        Effect::Allow,
        &crate::NetworkSpec {
            host: Some("a.example.com".to_owned()),
            ports: Some(Vec::new()),
            ..Default::default()
        },
    );
    faulty(
        empty,
        (Field::Ports, None, "the list is empty", Some("leave the key out")),
    );
}

#[test]
fn members_of_lists_are_checked() {
    let at = "allow host=a.example.com";
    faulty_network(
        &format!("{at} schemes=https,ftp"),
        (
            Field::Schemes,
            Some(1),
            "`ftp` is no scheme",
            Some("write `http` or `https`"),
        ),
    );
    let port = Some("write a number from 1 to 65535 without leading zero, or a range such as `8000-8099`");
    for text in ["0", "65536", "-1", "1-", "+1", "http", "1-70000", "000001"] {
        faulty_network(
            &format!("{at} ports=1,{text}"),
            (Field::Ports, Some(1), &format!("`{text}` is no port"), port),
        );
    }
    faulty_network(
        &format!("{at} ports=2-1"),
        (Field::Ports, Some(0), "the range `2-1` is empty", None),
    );
    let method = Some("write a method such as `GET`; without `methods` all are meant");
    for text in ["*", "G(T", "G*"] {
        faulty_network(
            &format!("{at} methods={text}"),
            (Field::Methods, Some(0), &format!("`{text}` is no method"), method),
        );
    }
    faulty_network(
        &format!("{at} methods=connect"),
        (Field::Methods, Some(0), "`CONNECT` is never allowed", None),
    );
    faulty_network(
        &format!("{at} methods=TRACE"),
        (Field::Methods, Some(0), "`TRACE` is never allowed", None),
    );
    faulty_network(
        &format!("{at} methods=track"),
        (Field::Methods, Some(0), "`TRACK` is never allowed", None),
    );
    assert!(NetworkRule::new(Effect::Deny, &network_spec(&["host=*", "methods=TRACE"])).is_ok());
    faulty_network(
        "allow cidr=10.0.0.0/8 ports=1 protocols=sctp",
        (
            Field::Protocols,
            Some(0),
            "`sctp` is no protocol",
            Some("write `tcp` or `udp`"),
        ),
    );
    let path = |text: &str, why: &str| {
        let message = format!("`{text}` is not a pattern of paths: {why}");
        faulty_network(
            &format!("{at} paths={text}"),
            (Field::Paths, Some(0), &message, None),
        );
    };
    path("", "it does not begin with `/`");
    path("a", "it does not begin with `/`");
    path("/a?b", "the query is not part of a path");
    path("/a#b", "the query is not part of a path");
    path("/a\\b", "it contains a backslash, space or control character");
    path("/a//b", "it contains an empty segment");
    path("/**/b", "`**` is not at the end");
    path("/a**", "a segment has more than one `*`");
    path("/..", "the path contains a dot segment");
    path("/%2e%2e", "the path contains a dot segment");
    path("/a%2fb", "the path contains an encoded slash");
    path("/a*%2", "the path contains an incomplete escape");
    path("/%zz*", "the path contains an incomplete escape");
}

#[test]
fn ranges_are_checked() {
    let cidr = |text: &str, why: &str, hint: Option<&str>| {
        let message = format!("`{text}` is no range of addresses: {why}");
        faulty_network(&format!("deny cidr={text}"), (Field::Cidr, None, &message, hint));
    };
    let form = Some("write for example `10.0.0.0/8` or `fd00::/8`, numbers without leading zeros");
    for text in ["", "a", "10.0.0.0/33", "10/8", "0x0a.0.0.0/8", "::/129"] {
        cidr(text, "it is not an address, `/` and a length", form);
    }
    cidr(
        "10.0.0.5/8",
        "the address has bits beyond the length",
        Some("write `10.0.0.0/8`"),
    );
    cidr(
        "::ffff:10.0.0.0/104",
        "IPv4 inside IPv6 is compared as IPv4",
        Some("write the IPv4 range"),
    );
    cidr(
        "::ffff:10.0.0.1",
        "IPv4 inside IPv6 is compared as IPv4",
        Some("write the IPv4 range"),
    );
    let rule = NetworkRule::new(Effect::Deny, &network_spec(&["cidr=10.0.0.5"])).unwrap();
    assert_eq!(*rule.peer(), Peer::Range("10.0.0.5/32".parse().unwrap()));
}

/// Reads, prints, reads again.
#[track_caller]
fn printed(line: &str, text: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let rule = NetworkRule::new(effect(words[0]), &network_spec(&words[1..])).unwrap();
    assert_eq!(&**rule.text(), text);
    assert_eq!(NetworkRule::new(rule.effect(), &rule.spec()).as_ref(), Ok(&rule));
}

#[test]
fn network_rules_are_printed_in_one_form() {
    let a = "network allow host \"a.example.com\"";
    for same in [
        "host=A.example.com.",
        "host=a.example.com:443",
        "host=https://a.example.com/",
        "host=a.example.com schemes=https ports=443 paths=/**,/x",
        "host=a.example.com ports=443-443,443",
    ] {
        printed(&format!("allow {same}"), a);
    }
    printed(
        "allow host=bücher.example",
        "network allow host \"xn--bcher-kva.example\"",
    );
    printed("allow host=*.Example.com", "network allow host \"*.example.com\"");
    printed("allow host=::1", "network allow host \"[::1]\"");
    printed(
        "allow host=0x7f.1:80",
        "network allow host \"127.0.0.1\" ports 80",
    );
    printed(
        "allow host=http://a.example.com",
        "network allow host \"a.example.com\" schemes http",
    );
    printed(
        "allow host=a.example.com schemes=https,http",
        "network allow host \"a.example.com\" schemes http,https",
    );
    printed(
        "allow host=a.example.com ports=1-3,2-5,6,9",
        "network allow host \"a.example.com\" ports 1-6,9",
    );
    printed(
        "allow host=a.example.com ports=5-9,1-65535,7",
        "network allow host \"a.example.com\" ports 1-65535",
    );
    printed(
        "allow host=a.example.com methods=post,GET,POST",
        "network allow host \"a.example.com\" methods GET,POST",
    );
    printed(
        "allow host=a.example.com paths=/b/,/a/%7e*x",
        "network allow host \"a.example.com\" paths /a/~*x,/b/**",
    );
    printed(
        "allow host=a.example.com paths=/a/.*w",
        "network allow host \"a.example.com\" paths /a/.*w",
    );
    printed(
        "allow host=a.example.com paths=/%2a",
        "network allow host \"a.example.com\" paths /%2A",
    );
    printed("allow cidr=10.0.0.0/8", "network allow cidr \"10.0.0.0/8\"");
    printed(
        "allow cidr=10.0.0.0/8 schemes=https ports=443",
        "network allow cidr \"10.0.0.0/8\" schemes https ports 443",
    );
    printed(
        "allow cidr=10.0.0.0/8 ports=53 protocols=udp,tcp",
        "network allow cidr \"10.0.0.0/8\" ports 53 protocols tcp,udp",
    );
    printed(
        "deny host=a.example.com schemes=http,https ports=1-65535",
        "network deny host \"a.example.com\"",
    );
    printed(
        "deny host=a.example.com schemes=https",
        "network deny host \"a.example.com\" schemes https",
    );
    printed(
        "deny host=a.example.com:443",
        "network deny host \"a.example.com\" ports 443",
    );
    printed(
        "deny host=https://a.example.com/",
        "network deny host \"a.example.com\" schemes https ports 443",
    );
    printed(
        "deny cidr=10.0.0.0/8 protocols=tcp,udp",
        "network deny cidr \"10.0.0.0/8\"",
    );
    printed(
        "deny cidr=10.0.0.0/8 protocols=tcp",
        "network deny cidr \"10.0.0.0/8\" protocols tcp",
    );
    printed("deny host=*", "network deny host \"*\"");
}

#[test]
fn storage_rules_are_printed_in_one_form() {
    let printed = |list: &str, spec: &StorageSpec, text: &str| {
        let rule = StorageRule::new(effect(list), spec, None).unwrap();
        assert_eq!(&**rule.text(), text);
        assert_eq!(
            StorageRule::new(rule.effect(), &rule.spec(), None).as_ref(),
            Ok(&rule)
        );
    };
    printed(
        "allow",
        &storage_spec("fs:///a/**", Some(&["write"])),
        "storage allow \"fs:///a\" access read,write",
    );
    printed("deny", &storage_spec("fs:///a", None), "storage deny \"fs:///a\"");
    printed(
        "deny",
        &storage_spec("fs:///a", Some(&["write", "read"])),
        "storage deny \"fs:///a\"",
    );
    printed(
        "deny",
        &storage_spec("fs:///a", Some(&["write"])),
        "storage deny \"fs:///a\" access write",
    );
    let spec = StorageSpec {
        guest: Some("/x/./y/".to_owned()),
        submounts: Some(true),
        ..storage_spec("fs:///a/b*", Some(&["read"]))
    };
    printed(
        "allow",
        &spec,
        "storage allow \"fs:///a/b*\" access read guest \"/x/y\" submounts",
    );
    let spec = StorageSpec {
        guest: Some("/a".to_owned()),
        submounts: Some(false),
        ..storage_spec("fs:///a/b*", Some(&["read"]))
    };
    printed("allow", &spec, "storage allow \"fs:///a/b*\" access read");
}

#[test]
fn names_of_variables_are_checked() {
    let key = |key: &str, message: &str, hint: Option<&str>| {
        faulty(EnvironmentRule::new(key, None), (Field::Key, None, message, hint))
    };
    key("", "the name is empty", None);
    key("A*", "variables are granted one by one", Some("write each name"));
    key(
        "A=b",
        "the name contains `=`",
        Some("write `{key: NAME, value: \"text\"}`"),
    );
    key("A b", "the name contains a space or control character", None);
    key("A\0", "the name contains a space or control character", None);
    key(&"A".repeat(257), "the name is too long", None);
    assert!(EnvironmentRule::new(&"A".repeat(256), Some(&"x".repeat(32 * 1024))).is_ok());
    let value = |value: &str, message: &str| {
        faulty(
            EnvironmentRule::new("A", Some(value)),
            (Field::Value, None, message, None),
        )
    };
    value("a\0", "the value contains a NUL character");
    value(&"x".repeat(32 * 1024 + 1), "the value is longer than 32768 bytes");
    let rule = EnvironmentRule::new("A", Some("")).unwrap();
    assert_eq!(
        (rule.name(), rule.value(), &**rule.text()),
        ("A", Some(""), "environment allow \"A\" with a value")
    );
}

fn secret(name: &str, host: &str, header: &str, format: Option<&str>) -> Result<SecretRule, RuleError> {
    SecretRule::new(&SecretSpec {
        name: name.to_owned(),
        host: host.to_owned(),
        header: header.to_owned(),
        format: format.map(str::to_owned),
    })
}

#[test]
fn secrets_are_checked() {
    let host = "a.example.com";
    let long = "a".repeat(129);
    let shown = format!("{}…", "a".repeat(100));
    for (name, shown) in [
        ("", ""),
        ("a b", "a b"),
        ("-a", "-a"),
        ("a/b", "a/b"),
        (&long, &shown),
    ] {
        faulty(
            secret(name, host, "x-key", None),
            (
                Field::Name,
                None,
                &format!("`{shown}` is no name of a secret"),
                Some("use letters, digits, `.`, `_` and `-`, at most 128 of them"),
            ),
        );
    }
    assert!(secret(&"a".repeat(128), host, "x-key", None).is_ok());
    // A ceiling may have several secrets for a header, and no two formats of one.
    let formats = [None, Some("Bearer {secret}")].map(|format| secret("a", host, "x-key", format).unwrap());
    let twice = Rules {
        secrets: formats.to_vec(),
        ..Rules::default()
    };
    let error = Policy::of_ceiling(twice).unwrap_err();
    assert_eq!(error.to_string(), "the secret `a` has two formats for one header");
    faulty(
        secret("a", "*.com", "x-key", None),
        (
            Field::Host,
            None,
            "`*.com` would allow names of unrelated owners, because `com` is a public suffix",
            Some("put one more label after the `*.`"),
        ),
    );
    faulty(
        secret("a", host, "x key", None),
        (Field::Header, None, "`x key` is no name of a header", None),
    );
    for header in crate::RESERVED_HEADERS {
        let message = format!("the header `{header}` cannot carry a secret");
        let spelled = header.to_ascii_uppercase();
        faulty(
            secret("a", host, &spelled, None),
            (Field::Header, None, &message, None),
        );
    }
    let format = |format: &str, message: &str, hint: Option<&str>| {
        faulty(
            secret("a", host, "x-key", Some(format)),
            (Field::Format, None, message, hint),
        )
    };
    let once = Some("write for example `Bearer {secret}`");
    format("Bearer", "the format does not have `{secret}` once", once);
    format(
        "{secret}{secret}",
        "the format does not have `{secret}` once",
        once,
    );
    format(
        "{secret}\n",
        "the format has characters that a header cannot carry",
        None,
    );
    format(
        "ü{secret}",
        "the format has characters that a header cannot carry",
        None,
    );
    format(
        "\u{7f}{secret}",
        "the format has characters that a header cannot carry",
        None,
    );
    format(
        &format!("{{secret}}{}", "x".repeat(32 * 1024)),
        "the format is longer than 32768 bytes",
        None,
    );
    assert!(
        secret(
            "a",
            host,
            "x-key",
            Some(&format!("{{secret}} ~{}", "x".repeat(32 * 1024 - 10)))
        )
        .is_ok()
    );
}

#[test]
fn secrets_are_printed_in_one_form() {
    let hosts = [
        ("A.example.com", "a.example.com"),
        ("a.example.com:8443", "a.example.com:8443"),
        ("http://a.example.com", "http://a.example.com"),
        ("http://a.example.com:8080/v1", "http://a.example.com:8080/v1/**"),
        ("https://a.example.com/v1/x*", "https://a.example.com/v1/x*"),
        ("https://a.example.com:8443", "a.example.com:8443"),
        ("*.example.com", "*.example.com"),
        ("[::1]:8080", "[::1]:8080"),
        ("https://[::1]/a", "https://[::1]/a/**"),
    ];
    for (host, canonical) in hosts {
        let rule = secret("t", host, "X-Key", Some("a{secret}b")).unwrap();
        let spec = rule.spec();
        assert_eq!(
            spec,
            SecretSpec {
                name: "t".to_owned(),
                host: canonical.to_owned(),
                header: "x-key".to_owned(),
                format: Some("a{secret}b".to_owned()),
            }
        );
        assert_eq!(SecretRule::new(&spec), Ok(rule.clone()));
        assert_eq!(rule.around(), ("a", "b"));
        assert_eq!((rule.name(), rule.header()), ("t", "x-key"));
        assert_eq!(
            &**rule.text(),
            format!("secret \"t\" host \"{canonical}\" header \"x-key\"")
        );
    }
}

#[test]
fn patterns_of_tools_and_sources_are_checked() {
    let tool = |text: &str, message: &str| faulty(ToolPattern::new(text), (Field::Tool, None, message, None));
    tool("", "the pattern is empty");
    tool("a b", "the pattern contains a space or control character");
    tool("a\0", "the pattern contains a space or control character");
    tool("a*b*", "the pattern has more than one `*`");
    tool(&"a".repeat(4097), "the pattern is longer than 4096 bytes");
    assert_eq!(
        ToolPattern::new(&"a".repeat(4096)).unwrap().to_string(),
        "a".repeat(4096)
    );
    let source =
        |text: &str, message: &str| faulty(SourcePattern::new(text), (Field::Source, None, message, None));
    source("", "the pattern is empty");
    source("file:///a*/**", "the pattern has both `*` and `**`");
    source("file:///a**", "the pattern has more than one `*`");
    for text in [
        "file:///srv/",
        "file:///srv//*",
        "file:///srv/../etc/*",
        "file:///srv/./*",
        "file:///srv/a b/*",
        "file:///srv/a%2f*",
        "file:///srv/a%2",
        "oci://GHCR.io/org/*",
        "oci://ghcr.io/Org/*",
        "oci://ghcr.io/org/Tool*",
        "oci://ghcr.io/",
        "oci://user@ghcr.io/org/*",
        "ftp://**",
        "file://**",
        "starter:a.b",
        "oci:///org/*",
        "https://EXAMPLE.com/*",
        "https://b\u{fc}cher.example/*",
        "file:///b\u{fc}cher/*",
        "https://example.com:443/*",
        "https://user@example.com/*",
        "https://example.com/",
        "starter:Time",
        "starter:",
    ] {
        let error = SourcePattern::new(text).unwrap_err();
        assert!(!error.hint().is_empty(), "{text}");
    }
    for text in [
        "oci://*",
        "oci://ghcr.io",
        "oci://",
        "https://*",
        "http://example.com/*",
        "file://srv/*",
        "ghcr.io/org/*",
        "*",
    ] {
        let error = SourcePattern::new(text).unwrap_err();
        assert_eq!(error.to_string(), format!("no reference is like `{text}`"));
        assert!(error.hint().contains("`oci://**`"));
    }
    for text in [
        "oci://**",
        "https://**",
        "https://*/a.wasm",
        "file:///srv/**",
        "starter:*",
        "oci://ghcr.io/org/*",
        "file:///a.wasm",
        "file:///srv/a%2Fb%20c/*",
        "oci://ghcr.io/org2/tool:V1",
        "starter:a-2*",
        "oci://ghcr.io/org/tool@sha256:0*",
        "oci://localhost:5000/org/**",
        "https://example.com:8443/A/**",
        "https://*/a/b.wasm",
    ] {
        assert_eq!(SourcePattern::new(text).unwrap().to_string(), text);
    }
}

#[test]
fn tools_are_hidden_by_name() {
    let policy = policy(&["tool delete-*", "tool drop"]);
    for (function, offered) in [
        ("delete-all", false),
        ("delete-", false),
        ("delete", true),
        ("drop", false),
        ("dropped", true),
    ] {
        assert_eq!(policy.offers_tool(function), offered, "{function}");
    }
}

#[test]
fn components_come_from_named_sources() {
    let ceiling = |patterns: Option<&[&str]>| {
        let patterns = patterns.map(|patterns| {
            patterns
                .iter()
                .map(|text| SourcePattern::new(text).unwrap())
                .collect()
        });
        Ceiling::new(Policy::empty(), patterns)
    };
    assert!(ceiling(None).allows_source("file:///a.wasm"));
    assert!(!ceiling(Some(&[])).allows_source("file:///a.wasm"));
    let named = ceiling(Some(&[
        "starter:*",
        "file:///srv/**",
        "oci://ghcr.io/org/*",
        "file:///one.wasm",
    ]));
    assert_eq!(named.sources().map(<[SourcePattern]>::len), Some(4));
    assert_eq!(**named.policy(), Policy::empty());
    let references = [
        ("starter:time", true),
        ("starter:", false),
        ("starter:a/b", false),
        ("file:///srv/a/b.wasm", true),
        ("file:///srv/", false),
        ("file:///srv/../etc/a.wasm", false),
        ("file:///srv/./a.wasm", false),
        ("file:///srv/%2E%2E/a.wasm", false),
        ("file:///srv/a%2fb", false),
        ("file:///srv/a%5cb", false),
        ("file:///srv/a\\b", false),
        ("file:///service/a.wasm", false),
        ("oci://ghcr.io/org/tool:1", true),
        ("oci://ghcr.io/org/tool/x", false),
        ("oci://ghcr.io/organ/tool", false),
        ("oci://ghcr.io/org/..", false),
        ("file:///one.wasm", true),
        ("file:///one.wasm2", false),
        ("https://example.com/a", false),
    ];
    for (reference, allowed) in references {
        assert_eq!(named.allows_source(reference), allowed, "{reference}");
    }
    let each = SourcePattern::new("oci://h:5000/*/tool").unwrap();
    for reference in [
        "oci://h:5000/a/tool",
        "oci://h:5000/a/tool:1",
        "oci://h:5000/a/tool:1@sha256:0",
        "oci://h:5000/a/tool@sha256:0",
    ] {
        assert!(each.matches(reference), "{reference}");
    }
    for reference in [
        "oci://h:5000/a/tools:1",
        "oci://h:5000/tool:1",
        "oci://h:5000/a:tool/b",
    ] {
        assert!(!each.matches(reference), "{reference}");
    }
    let suffix = SourcePattern::new("file:///a/*.wasm").unwrap();
    assert!(suffix.matches("file:///a/b.wasm"));
    assert!(!suffix.matches("file:///a/b.txt"));
    assert!(!suffix.matches("file:///a/.wasm"));
}

#[test]
fn rules_that_contradict_are_named_by_their_place() {
    let place = |rules: Rules| {
        let error = Policy::new(rules).unwrap_err();
        (error.place(), error.to_string(), error.error().field())
    };
    let variables = [
        EnvironmentRule::new("A", None),
        EnvironmentRule::new("B", None),
        EnvironmentRule::new("A", Some("1")),
    ];
    assert_eq!(
        place(Rules {
            environment: variables.into_iter().map(Result::unwrap).collect(),
            ..Rules::default()
        }),
        (
            (RuleList::Environment, 2),
            "the variable `A` has two values".to_owned(),
            Field::Key
        )
    );
    let description = |description: String| {
        place(Rules {
            description: Some(description),
            ..Rules::default()
        })
    };
    let at = (RuleList::Description, 0);
    assert_eq!(
        description("a".repeat(4097)),
        (
            at,
            "the description is longer than 4096 bytes".to_owned(),
            Field::Description
        )
    );
    assert_eq!(
        description("\u{1b}".to_owned()),
        (
            at,
            "the description contains a control character".to_owned(),
            Field::Description
        )
    );
    let fine = Rules {
        description: Some(format!("\ta\n{}", "b".repeat(4093))),
        ..Rules::default()
    };
    assert!(Policy::new(fine).is_ok());
}

#[test]
fn order_and_repetition_mean_nothing() {
    let lines = [
        "fs allow read /b",
        "fs deny /b",
        "fs allow read /a",
        "net deny host=b.example.com",
        "net allow host=b.example.com",
        "net allow host=a.example.com",
        "env B",
        "env A",
        "secret t a.example.com x-b",
        "secret t a.example.com x-a",
        "tool b",
        "tool a",
    ];
    let mut reversed: Vec<&str> = lines.iter().rev().copied().collect();
    reversed.extend(lines);
    assert_eq!(policy(&lines), policy(&reversed));
    let policy = policy(&lines);
    let texts: Vec<_> = policy
        .storage(Effect::Allow)
        .map(|rule| rule.pattern().to_string())
        .collect();
    assert_eq!(texts, ["fs:///a", "fs:///b"]);
    assert_eq!(policy.network(Effect::Deny).count(), 1);
}

#[test]
fn a_policy_that_only_denies_grants_nothing() {
    assert!(policy(&["fs deny /a", "net deny host=*", "tool a", "limit memory 1Mi"]).grants_nothing());
    for line in [
        "fs allow read /a",
        "net allow host=a.example.com",
        "env A",
        "secret t a.example.com x-key",
    ] {
        assert!(!policy(&[line]).grants_nothing(), "{line}");
    }
}

#[test]
fn a_host_pattern_is_what_it_says() {
    let host = |text: &str| crate::Host::parse(text).unwrap();
    let pattern = |text: &str| HostPattern::new(text).unwrap();
    assert!(pattern("*").matches(&host("1.2.3.4")));
    assert!(pattern("*.b").matches(&host("a.b")));
    assert!(!pattern("*.b").matches(&host("b")));
    assert!(!pattern("*.b").matches(&host("ab")));
    assert!(!pattern("*.b").matches(&host("1.2.3.4")));
    assert!(pattern("A.b").matches(&host("a.B.")));
}

#[test]
fn what_is_below_a_name_ends_at_a_dot() {
    let below = HostPattern::new("*.example.com").unwrap();
    let is_below = |name: &str| below.matches(&crate::Host::Name(name.to_owned()));
    assert!(is_below("a.example.com") && is_below("a.b.example.com"));
    for name in [
        "example.com",
        "evilexample.com",
        "evil-example.com",
        ".example.com",
        "a.example.com.evil",
    ] {
        assert!(!is_below(name), "{name}");
    }
}

#[test]
fn a_rule_cannot_look_like_another() {
    let text = |path: &str| {
        let spec = StorageSpec {
            uri: format!("fs://{path}"),
            ..StorageSpec::default()
        };
        StorageRule::new(Effect::Deny, &spec, None)
            .unwrap()
            .text()
            .to_string()
    };
    assert_eq!(
        text("/private\u{3164}"),
        r#"storage deny "fs:///private\u{3164}""#
    );
    assert_eq!(
        text("/private\u{e0041}"),
        r#"storage deny "fs:///private\u{e0041}""#
    );
    assert_eq!(
        text(r#"/x" access write, storage deny "fs/srv"#),
        r#"storage deny "fs:///x\" access write, storage deny \"fs/srv""#
    );
}
