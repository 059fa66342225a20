//! What a request's target is, and what is refused as one.

use crate::{Host, HttpTarget, Scheme};

#[track_caller]
fn target(url: &str, normal: &str) {
    let target = HttpTarget::parse("GET", url).unwrap();
    assert_eq!(target.to_string(), normal);
    // What is normal stays as it is.
    assert_eq!(HttpTarget::parse("GET", normal), Ok(target));
}

#[track_caller]
fn refused(url: &str, why: &str) {
    let refused = HttpTarget::parse("GET", url).unwrap_err();
    assert_eq!(refused.to_string(), why);
}

#[test]
fn one_target_has_one_form() {
    target("https://example.com", "https://example.com/");
    target("HTTPS://EXAMPLE.com.:443", "https://example.com/");
    target("http://example.com:80/", "http://example.com/");
    target("http://example.com:443/", "http://example.com:443/");
    target("https://example.com?a=//..%2f", "https://example.com/");
    target("https://example.com/a/?b", "https://example.com/a/");
    target(
        "https://example.com/%7eme/%c3%a9",
        "https://example.com/~me/%C3%A9",
    );
    target("https://example.com/é", "https://example.com/%C3%A9");
    target("https://example.com/%3A%40%2b%26", "https://example.com/:@+&");
    target("https://example.com/*", "https://example.com/%2A");
    target(
        "https://example.com/a\"<>^`{|}",
        "https://example.com/a%22%3C%3E%5E%60%7B%7C%7D",
    );
    target("https://example.com/100%25", "https://example.com/100%25");
    target("https://example.com/%25zz", "https://example.com/%25zz");
    target("https://example.com/a;b=c", "https://example.com/a;b=c");
    target("https://example.com/...", "https://example.com/...");
    target(
        "https://b%C3%BCcher.example/".replace("%C3%BC", "ü").as_str(),
        "https://xn--bcher-kva.example/",
    );
    target("https://r3---sn-x.example/", "https://r3---sn-x.example/");
    target("https://127.1/", "https://127.0.0.1/");
    target("https://0x7f000001/", "https://127.0.0.1/");
    target("https://0177.0.0.1/", "https://127.0.0.1/");
    target("https://2130706433/", "https://127.0.0.1/");
    target("https://127.0.0.1./", "https://127.0.0.1/");
    target("https://[::FFFF:127.0.0.1]/", "https://127.0.0.1/");
    target("https://[2001:DB8::0:1]:8443/", "https://[2001:db8::1]:8443/");
    target("https://[64:ff9b::127.0.0.1]/", "https://[64:ff9b::7f00:1]/");
    target("https://１２７.0.0.1/", "https://127.0.0.1/");
    target("https://example。com/", "https://example.com/");
}

#[test]
fn what_has_two_readings_is_refused() {
    refused("https://user@example.com/", "the URL contains user information");
    refused(
        "https://user:pass@example.com/",
        "the URL contains user information",
    );
    refused(
        "https://good.example\\@evil.example/",
        "the URL contains a backslash",
    );
    refused("https://example.com\\a", "the URL contains a backslash");
    refused("https://example.com/#a", "the URL contains a fragment");
    refused(
        "https://example.com/ a",
        "the URL contains a space or control character",
    );
    refused(
        "https://example.com/\r\na",
        "the URL contains a space or control character",
    );
    refused(
        "https://example.com/\u{a0}",
        "the URL contains a space or control character",
    );
    refused("ftp://example.com/", "the scheme is neither http nor https");
    refused("ws://example.com/", "the scheme is neither http nor https");
    refused("//example.com/", "the URL is not absolute");
    refused("/a", "the URL is not absolute");
    refused("https:example.com", "the URL is not absolute");
    refused("https://", "there is no host");
    refused("https:///a", "there is no host");
    refused("https://?a", "there is no host");
    refused("https://./", "there is no host");
    refused("https://example.com../", "the host name is malformed");
    refused("https://exa%6dple.com/", "the host name is malformed");
    refused("https://exa_mple.com/", "the host name is malformed");
    refused("https://a.b.0x/", "the host name is malformed");
    refused("https://1.2.3.4.5/", "the host name is malformed");
    refused("https://[fe80::1%25eth0]/", "the IPv6 address is malformed");
    refused("https://[::1]x/", "the IPv6 address is malformed");
    refused("https://example.com:/", "the port is malformed");
    refused("https://example.com:0/", "the port is 0");
    refused("https://example.com:65536/", "the port is malformed");
    refused(
        "https://example.com:4 43/",
        "the URL contains a space or control character",
    );
    refused("https://example.com:+443/", "the port is malformed");
    refused("https://example.com:443:443/", "the port is malformed");
    refused("https://example.com::443/", "the port is malformed");
    refused("https://[::1/", "the bracket is not closed");
    refused("https://example.com//a", "the path contains an empty segment");
    refused("https://example.com/a//", "the path contains an empty segment");
    refused("https://example.com/.", "the path contains a dot segment");
    refused("https://example.com/../a", "the path contains a dot segment");
    refused(
        "https://example.com/a/%2E%2e/b",
        "the path contains a dot segment",
    );
    refused("https://example.com/a/.%2e", "the path contains a dot segment");
    refused("https://example.com/..;x/a", "the path contains a dot segment");
    refused(
        "https://example.com/%252e%252e/a",
        "the path contains a dot segment",
    );
    refused("https://example.com/%25252e", "the path contains a dot segment");
    refused("https://example.com/a%2Fb", "the path contains an encoded slash");
    refused("https://example.com/a%5cb", "the path contains an encoded slash");
    refused(
        "https://example.com/a%252fb",
        "the path contains an encoded slash",
    );
    refused(
        "https://example.com/%25zz%252f",
        "the path contains an encoded slash",
    );
    refused(
        "https://example.com/a%00",
        "the path contains an encoded control character",
    );
    refused(
        "https://example.com/a%7f",
        "the path contains an encoded control character",
    );
    refused(
        "https://example.com/a%0d%0a",
        "the path contains an encoded control character",
    );
    refused("https://example.com/%", "the path contains an incomplete escape");
    refused("https://example.com/%4", "the path contains an incomplete escape");
    refused(
        "https://example.com/%4g",
        "the path contains an incomplete escape",
    );
    refused("https://example.com/%é", "the path contains an incomplete escape");
    refused("https://example.com/%c0%ae", "the path is not UTF-8");
    refused("https://example.com/%ff", "the path is not UTF-8");
    refused(
        "https://example.com/%252525252561",
        "the path is escaped too many times",
    );
    let long = format!("https://example.com/{}", "a".repeat(16 * 1024));
    refused(&long, "the URL is too long");
    let longest = long.get(..16 * 1024).unwrap();
    assert!(HttpTarget::parse("GET", longest).is_ok());
}

#[test]
fn a_method_is_a_token() {
    let method = |method: &str| {
        HttpTarget::parse(method, "https://example.com/").map(|target| target.method().to_owned())
    };
    for token in ["GET", "get", "M-SEARCH", "a!#$%&'*+-.^_`|~9", &"A".repeat(32)] {
        assert_eq!(method(token), Ok(token.to_ascii_uppercase()));
    }
    for other in ["", "G T", "G\r\n", "É", "A/B", &"A".repeat(33)] {
        let refused = method(other).unwrap_err();
        assert_eq!(refused.to_string(), "the method is malformed");
    }
}

#[test]
fn a_target_has_parts() {
    let target = HttpTarget::parse("POST", "http://[::1]:8080/a/b").unwrap();
    assert_eq!(
        (target.method(), target.scheme(), target.port(), target.path()),
        ("POST", Scheme::Http, 8080, "/a/b")
    );
    assert_eq!(*target.host(), Host::Address("::1".parse().unwrap()));
    assert_eq!(target.origin(), "http://[::1]:8080");
    assert_eq!(target.scheme().as_str(), "http");
}

#[test]
fn accesses_are_read_as_they_are_printed() {
    for text in [
        "read /a",
        "write /a b",
        "list /",
        "inspect /a",
        "create /a",
        "remove /a",
        "rename /a",
        "GET https://example.com/",
        "PURGE http://example.com:8080/a",
        "dial 10.0.0.1 for GET https://example.com/",
        "lookup example.com",
        "open tcp",
        "open udp",
        "bind udp 0.0.0.0:0",
        "listen tcp [::1]:80",
        "connect tcp 10.0.0.1:5432",
        "send udp 10.0.0.1:53",
        "receive udp 10.0.0.1:53",
        "env A",
        "secret t https://example.com/",
    ] {
        assert_eq!(crate::AccessText::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(
        crate::AccessText::parse("  read   /a/./b ").unwrap().to_string(),
        "read /a/b"
    );
}

#[test]
fn what_is_no_access_is_refused() {
    let refused = |text: &str, why: &str| {
        let error = crate::AccessText::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` is no access: {why}"));
    };
    refused("read", "it has one word");
    let hint = |text: &str| crate::AccessText::parse(text).unwrap_err().hint();
    assert!(hint("read").contains("`GET https://host/path`"));
    for text in ["READ /tmp", "delete /tmp", "resolve x", "tcp 10.0.0.5:5432"] {
        refused(text, "it begins with no word that is known");
    }
    assert_eq!(hint("read a"), "begin with `/`");
    assert!(hint("GET example.com").contains("`https://example.com/path`"));
    refused("read a", "the path is not absolute");
    refused("read /..", "the path contains `..`");
    refused("GET example.com", "the URL is not absolute");
    refused("G,T https://example.com", "the method is malformed");
    refused("open sctp", "the protocol is neither tcp nor udp");
    refused("connect 10.0.0.1:1", "it has no address");
    refused("connect ip 10.0.0.1:1", "the protocol is neither tcp nor udp");
    refused(
        "connect tcp 10.0.0.1",
        "the address is not one of the form `10.0.0.5:5432`",
    );
    refused("secret t", "it has no URL");
    refused("secret t x", "the URL is not absolute");
    refused(
        "dial 10.0.0.1 GET https://example.com",
        "it is not of the form `dial 10.0.0.5 for GET https://host/`",
    );
    refused(
        "dial 10.0.0 for GET https://example.com",
        "the address is malformed",
    );
    refused("dial 10.0.0.1 for GET example.com", "the URL is not absolute");
}

#[test]
fn the_port_comes_after_the_bracket() {
    target("https://[::]:8443/a", "https://[::]:8443/a");
    target("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/");
}

#[test]
fn a_pattern_of_paths_is_no_longer_than_a_url() {
    let long = |more: usize| format!("/{}", "a".repeat((16 << 10) - 1 + more));
    assert!(crate::UrlPathPattern::new(&long(0)).is_ok());
    for more in [1, 5] {
        assert!(crate::UrlPathPattern::new(&long(more)).is_err());
    }
}
