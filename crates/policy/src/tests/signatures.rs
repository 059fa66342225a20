//! Who may be trusted to have signed, and how it is written.

use crate::{SignatureMode, SignatureRule, SourcePattern, TrustedIdentity, TrustedKey, TrustedSigner};

const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn identity(text: &str) -> bool {
    TrustedIdentity::new(text, ISSUER).is_ok()
}

#[test]
fn a_star_stands_at_the_end_behind_somebody() {
    for good in [
        "https://github.com/org/*",
        "https://github.com/org/repo/.github/workflows/x.yml@*",
        "a@b.c",
    ] {
        assert!(identity(good), "{good}");
    }
    for bad in [
        "*",
        "https://*",
        "https://github.com/*",
        "https:///org/*",
        "https://@/org/*",
        "https://user@github.com/org/*",
        "https://github.com//*",
        "https://github.com/@/*",
        "https://github.com/org/*x",
        "https://github.com/org/*/*",
        "https://github.com/org*",
        "http://github.com/org/*",
        "*@example.com",
    ] {
        assert!(!identity(bad), "{bad}");
    }
}

#[test]
fn an_issuer_is_one_and_named() {
    let issuer = |text: &str| TrustedIdentity::new("a@b.c", text).is_ok();
    assert!(issuer(ISSUER) && issuer("https://user@i") && issuer("http://localhost:8080"));
    for bad in [
        "",
        "https://*",
        "@issuer",
        "https://a@@b",
        "token.actions.githubusercontent.com",
        "https://i i",
        &"i".repeat(10_000),
    ] {
        assert!(!issuer(bad), "{bad}");
    }
}

fn key(body: &str) -> Result<TrustedKey, String> {
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
    TrustedKey::new(&pem).map_err(|error| error.to_string())
}

#[test]
fn a_key_is_base64_between_its_lines() {
    for good in ["AAAA", "+/aZ09==", "AAA=", "AAAA\nBBBB", "  AAAA  "] {
        assert!(key(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "====",
        "A===",
        "AAAAA===",
        "AAA",
        "AAAA=",
        "AA-A",
        "AA_A",
        "AÄA",
        "A=AA",
        "AA A",
        "AAAA\n-----BEGIN PUBLIC KEY-----",
    ] {
        assert!(key(bad).is_err(), "{bad}");
    }
    assert!(key(&"AAAA".repeat(2_000)).is_ok());
    let long = key(&"AAAA".repeat(10_000));
    assert_eq!(long, Err("the key is too long".to_owned()));
}

#[test]
fn a_rule_names_so_many_signers_and_no_more() {
    let rule = |count: usize| {
        let signer = TrustedSigner::Keyless(TrustedIdentity::new("a@b.c", ISSUER).unwrap());
        let source = SourcePattern::new("oci://**").unwrap();
        SignatureRule::new(source, SignatureMode::Require, vec![signer; count])
    };
    let most = (1..200).take_while(|count| rule(*count).is_ok()).last().unwrap();
    assert_eq!(
        rule(most + 1).unwrap_err().to_string(),
        format!("more than {most} signers")
    );
}
