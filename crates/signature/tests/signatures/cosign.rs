//! Cosign's older layout.

use serde_json::Value as Json;
use wassette_signature::{COSIGN_PAYLOAD_BYTES_MAX, COSIGN_TEXT_BYTES_MAX, Material};

use super::*;

const PAYLOAD: &str = include_str!("../fixtures/openssl.payload");
const SIGNATURE: &str = include_str!("../fixtures/openssl-p256.sig");
const P256: &str = include_str!("../fixtures/openssl-p256.pub");

const PROMISE: &str = "does not hold: invalid inclusion promise: SET verification failed: Verification error: ECDSA_P256_SHA256 signature invalid";

fn plain(payload: &str, signature: &str) -> Material {
    Material::Cosign {
        payload: payload.as_bytes().to_vec(),
        signature: signature.to_owned(),
        certificate: None,
        chain: None,
        bundle: None,
    }
}

/// A layer and its annotations, as `make.cjs` writes them, with one place changed.
fn layer(json: &str, edit: impl FnOnce(&mut Json)) -> Material {
    let mut json: Json = serde_json::from_str(json).expect("a layer");
    edit(&mut json);
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Material::Cosign {
        payload: text("payload").expect("a payload").into_bytes(),
        signature: text("signature").expect("a signature"),
        certificate: text("certificate"),
        chain: text("chain"),
        bundle: text("bundle"),
    }
}

fn named(pem: &str) -> String {
    format!("key:{}", PublicKey::from_pem(pem).expect("a key").fingerprint())
}

#[test]
fn a_signature_of_openssl_counts_for_its_key() {
    for (signature, pem) in [
        (SIGNATURE, P256),
        (
            include_str!("../fixtures/openssl-p384.sig"),
            include_str!("../fixtures/openssl-p384.pub"),
        ),
        (
            include_str!("../fixtures/openssl-ed25519.sig"),
            include_str!("../fixtures/openssl-ed25519.pub"),
        ),
        (
            include_str!("../fixtures/openssl-rsa.sig"),
            include_str!("../fixtures/openssl-rsa.pub"),
        ),
    ] {
        check(plain(PAYLOAD, signature), &[key(KEY), key(pem)], &named(pem));
        let unknown = "made with a key that no rule trusts";
        check(plain(PAYLOAD, signature), &[key(KEY)], unknown);
        check(plain(PAYLOAD, signature), &[keyless(DEV, ISSUER)], unknown);
    }
}

#[test]
fn a_payload_names_the_manifest_and_says_what_it_is() {
    let other = "a signature of something else than this manifest";
    let outcome = outcome(&verifier(), &[7; 32], plain(PAYLOAD, SIGNATURE), &[key(P256)]);
    assert_eq!(outcome, other);
    let check = |payload: &str, expected: &str| check(plain(payload, SIGNATURE), &[key(P256)], expected);
    check(&PAYLOAD.replace("sha256:", "sha256:0"), other);
    check(&PAYLOAD.replace("sha256:", "sha512:"), other);
    check(
        &PAYLOAD.replace("container image", "container"),
        "not readable: a payload of type `cosign container signature`",
    );
    check("{}", "not readable: missing field `critical` at line 1 column 2");
    check("[", "not readable: EOF while parsing a list at line 1 column 1");
    check(
        &"[".repeat(COSIGN_PAYLOAD_BYTES_MAX),
        "not readable: invalid type: sequence, expected a string at line 1 column 3",
    );
    check(
        &PAYLOAD.replacen("\"critical\":", "\"critical\":null,\"critical\":", 1),
        "not readable: invalid type: null, expected struct Critical at line 1 column 16",
    );
    // The signature is over every byte, also of what is not read.
    check(
        &PAYLOAD.replace("openssl", "someone"),
        "made with a key that no rule trusts",
    );
}

#[test]
fn what_is_too_large_is_not_read() {
    let refused = |material| {
        check(
            material,
            &[key(P256)],
            &wassette_signature::Reason::TooLarge.to_string(),
        )
    };
    refused(plain(&" ".repeat(COSIGN_PAYLOAD_BYTES_MAX + 1), SIGNATURE));
    refused(plain(PAYLOAD, &"A".repeat(COSIGN_TEXT_BYTES_MAX + 1)));
    let json = include_str!("../fixtures/keyless-cosign.json");
    for name in ["certificate", "chain", "bundle"] {
        refused(layer(json, |json| {
            json[name] = " ".repeat(COSIGN_TEXT_BYTES_MAX + 1).into()
        }));
    }
    let bytes = vec![b' '; wassette_signature::BUNDLE_BYTES_MAX + 1];
    refused(Material::Bundle(bytes));
}

#[test]
fn a_certificate_counts_with_its_log_entry() {
    let json = include_str!("../fixtures/keyless-cosign.json");
    let check = |edit: fn(&mut Json), expected: &str| {
        check(layer(json, edit), &[keyless(DEV, ISSUER)], expected);
    };
    check(|_| {}, BY_DEV);
    check(|json| json["chain"] = json["certificate"].clone(), BY_DEV);
    check(
        |json| json["bundle"] = Json::Null,
        "signed with a certificate, but no entry of a log says when",
    );
    check(
        |json| json["certificate"] = "".into(),
        "not readable: Invalid encoding: failed to parse PEM: malformedframing",
    );
    check(
        |json| json["certificate"] = Json::Null,
        "made with a key that no rule trusts",
    );
    check(
        |json| json["bundle"] = "{}".into(),
        "not readable: missing field `SignedEntryTimestamp` at line 1 column 2",
    );
    check(
        |json| json["signature"] = SIGNATURE.into(),
        "does not hold: invalid signature: signature verification failed: Verification error: ECDSA_P256_SHA256 signature invalid",
    );
    check(later, PROMISE);
    check(
        |json| replace(json, "bundle", "\"logIndex\":", "\"logIndex\":1"),
        PROMISE,
    );
    check(
        |json| json["chain"] = json["certificate"].as_str().expect("pem").repeat(9).into(),
        "too many log entries, timestamps or certificates: at most 8 of each are read",
    );
    let other = SignerRule::keyless("eve@example.org", ISSUER).expect("a rule");
    super::check(
        layer(json, |_| {}),
        &[other],
        "signed by `dev@example.org` (issuer `https://issuer.example`), which no rule trusts",
    );
}

/// The log entry, one second later than it was.
fn later(json: &mut Json) {
    let mut log: Json = serde_json::from_str(json["bundle"].as_str().expect("a text")).expect("an entry");
    let time = log["Payload"]["integratedTime"].as_u64().expect("a time");
    log["Payload"]["integratedTime"] = (time + 1).into();
    json["bundle"] = log.to_string().into();
}

fn replace(json: &mut Json, name: &str, from: &str, to: &str) {
    let text = json[name].as_str().expect("a text");
    assert!(text.contains(from), "{text}");
    json[name] = text.replace(from, to).into();
}

#[test]
fn the_log_entry_of_a_key_must_hold() {
    let json = include_str!("../fixtures/key-cosign-with-log.json");
    let check = |edit: fn(&mut Json), expected: &str| check(layer(json, edit), &[key(KEY)], expected);
    check(|_| {}, &named(KEY));
    check(|json| json["bundle"] = Json::Null, &named(KEY));
    check(
        |json| replace(json, "bundle", "\"logIndex\":", "\"logIndex\":1"),
        PROMISE,
    );
}
