//! Sigstore bundles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use wassette_signature::{
    Finding, MATERIALS_MAX, Material, Roots, RootsError, Signer, SignerRule, Verifier, VerifyError,
};

use super::*;

const STATEMENT: &str = include_str!("../fixtures/keyless-statement.json");
const MESSAGE: &str = include_str!("../fixtures/keyless-message.json");
const BY_KEY: &str = include_str!("../fixtures/key-statement.json");
const BY_KEY_WITHOUT_LOG: &str = include_str!("../fixtures/key-statement-without-log.json");
const OTHER_KEY: &str = include_str!("../fixtures/openssl-p256.pub");

const SIGNATURE: &str = "does not hold: invalid signature: DSSE signature verification failed: Verification error: ECDSA_P256_SHA256 signature invalid";
const PROMISE: &str = "does not hold: invalid inclusion promise: SET verification failed: Verification error: ECDSA_P256_SHA256 signature invalid";
const NO_PROOF: &str = "does not hold: Bundle error: application/vnd.dev.sigstore.bundle.v0.3+json bundle must have an inclusion proof";
const ROOT_HASH: &str =
    "does not hold: Bundle error: inclusion proof root hash does not match checkpoint root hash";

fn by_key() -> String {
    let key = PublicKey::from_pem(KEY).expect("a key");
    Signer::Key(key.fingerprint()).to_string()
}

#[test]
fn a_keyless_bundle_counts_for_identity_and_issuer() {
    let rules = [keyless(DEV, ISSUER)];
    check(bundle(STATEMENT), &rules, BY_DEV);
    check(bundle(MESSAGE), &rules, BY_DEV);
    let provenance = include_str!("../fixtures/keyless-provenance.json");
    check(bundle(provenance), &rules, BY_DEV);
    check(bundle(STATEMENT), &[key(KEY), keyless(DEV, ISSUER)], BY_DEV);
}

#[test]
fn another_identity_or_issuer_does_not_count() {
    let refused = "signed by `dev@example.org` (issuer `https://issuer.example`), which no rule trusts";
    for rules in [
        keyless("eve@example.org", ISSUER),
        keyless(DEV, "https://other.example"),
        keyless("https://issuer.example", DEV),
        key(KEY),
    ] {
        check(bundle(STATEMENT), &[rules], refused);
    }
}

#[test]
fn a_signature_of_something_else_does_not_count() {
    let rules = [keyless(DEV, ISSUER), key(KEY)];
    for json in [STATEMENT, MESSAGE, BY_KEY, BY_KEY_WITHOUT_LOG] {
        let outcome = outcome(&verifier(), &[7; 32], bundle(json), &rules);
        assert_eq!(outcome, "a signature of something else than this manifest");
    }
}

#[test]
fn a_statement_that_releases_nothing_does_not_count() {
    let json = include_str!("../fixtures/keyless-vulnerabilities.json");
    let expected = "a statement of type `https://in-toto.io/attestation/vulns`, which does not say that the signer released it";
    check(bundle(json), &[keyless(DEV, ISSUER)], expected);
}

#[test]
fn the_roots_decide_whose_certificates_count() {
    let public = Verifier::new(Roots::public_good().expect("roots"));
    let outcome = outcome(&public, &digest(), bundle(STATEMENT), &[keyless(DEV, ISSUER)]);
    let unknown = "does not hold: invalid inclusion promise: No log key valid at integrated time ";
    assert!(outcome.starts_with(unknown), "{outcome}");
}

#[test]
fn a_certificate_counts_while_it_is_valid_and_not_after() {
    let json = include_str!("../fixtures/keyless-expired.json");
    let outcome = outcome(&verifier(), &digest(), bundle(json), &[keyless(DEV, ISSUER)]);
    let expired =
        "does not hold: certificate chain is invalid: certificate chain validation failed: CertExpired";
    assert!(outcome.starts_with(expired), "{outcome}");
}

#[test]
fn a_bundle_without_its_certificate_is_not_read() {
    let material = edited(STATEMENT, |json| {
        let material = json["verificationMaterial"].as_object_mut().expect("an object");
        assert!(material.remove("certificate").is_some());
    });
    let outcome = outcome(&verifier(), &digest(), material, &[keyless(DEV, ISSUER)]);
    let expected = "not readable: no variant of enum VerificationMaterialContent found";
    assert!(outcome.starts_with(expected), "{outcome}");
}

fn entry(json: &mut Json) -> &mut Json {
    &mut json["verificationMaterial"]["tlogEntries"][0]
}

/// One second later than it was.
fn later(json: &mut Json) {
    let time: u64 = entry(json)["integratedTime"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("a number");
    entry(json)["integratedTime"] = json!((time + 1).to_string());
}

/// Another text in base64 of the same length.
fn flip(place: &mut Json) {
    let mut bytes = STANDARD.decode(place.as_str().expect("a text")).expect("base64");
    let last = bytes.last_mut().expect("a byte");
    *last ^= 1;
    *place = json!(STANDARD.encode(bytes));
}

#[test]
fn whatever_was_changed_in_a_keyless_bundle_is_found() {
    let check = |edit: fn(&mut Json), expected: &str| {
        check(edited(STATEMENT, edit), &[keyless(DEV, ISSUER)], expected);
    };
    check(|_| {}, BY_DEV);
    check(
        |json| flip(&mut json["dsseEnvelope"]["signatures"][0]["sig"]),
        SIGNATURE,
    );
    check(
        |json| flip(&mut json["verificationMaterial"]["certificate"]["rawBytes"]),
        "does not hold: certificate chain is invalid: certificate chain validation failed: InvalidSignatureForPublicKey",
    );
    check(
        |json| flip(&mut entry(json)["inclusionPromise"]["signedEntryTimestamp"]),
        PROMISE,
    );
    check(later, PROMISE);
    check(|json| flip(&mut entry(json)["canonicalizedBody"]), PROMISE);
    check(
        |json| flip(&mut entry(json)["inclusionProof"]["rootHash"]),
        ROOT_HASH,
    );
    check(
        |json| entry(json)["inclusionPromise"] = Json::Null,
        "does not hold: no verified timestamp: No verified timestamp found. V1 bundles require either an RFC3161 timestamp or a tlog entry with both an integrated time and an inclusion_promise (SET).",
    );
    check(|json| entry(json)["inclusionProof"] = Json::Null, NO_PROOF);
    check(
        |json| json["verificationMaterial"]["tlogEntries"] = json!([]),
        NO_PROOF,
    );
    check(
        |json| json["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v9+json"),
        "not readable: Invalid media type: application/vnd.dev.sigstore.bundle.v9+json at line 1 column 58",
    );
    check(
        |json| json["mediaType"] = json!("application/json"),
        "not readable: Invalid media type: application/json at line 1 column 31",
    );
    check(
        |json| {
            let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
                "subject": [{ "digest": { "sha256": hex() } }] });
            json["dsseEnvelope"]["payload"] = json!(STANDARD.encode(statement.to_string()));
        },
        SIGNATURE,
    );
}

fn hex() -> String {
    digest().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_key_needs_no_log_but_what_is_there_must_hold() {
    let rules = [key(OTHER_KEY), key(KEY)];
    check(bundle(BY_KEY), &rules, &by_key());
    check(bundle(BY_KEY_WITHOUT_LOG), &rules, &by_key());
    let check = |edit: fn(&mut Json), expected: &str| {
        check(edited(BY_KEY, edit), &rules, expected);
    };
    check(
        |json| flip(&mut entry(json)["inclusionPromise"]["signedEntryTimestamp"]),
        PROMISE,
    );
    check(
        |json| flip(&mut entry(json)["inclusionProof"]["rootHash"]),
        ROOT_HASH,
    );
    check(
        |json| json["verificationMaterial"]["tlogEntries"] = json!([]),
        &by_key(),
    );
    check(
        |json| {
            json["verificationMaterial"]["timestampVerificationData"] =
                json!({ "rfc3161Timestamps": [{ "signedTimestamp": "AAAA" }] });
        },
        "does not hold: invalid RFC 3161 timestamp: TSA timestamp verification failed: no timestamp authorities configured in trusted root",
    );
}

#[test]
fn another_key_does_not_count() {
    let hint = "made with a key that no rule trusts (it calls itself `";
    for rules in [key(OTHER_KEY), keyless(DEV, ISSUER)] {
        let outcome = outcome(&verifier(), &digest(), bundle(BY_KEY), &[rules]);
        assert!(outcome.starts_with(hint), "{outcome}");
    }
}

#[test]
fn one_signature_that_counts_suffices_and_each_signer_is_named_once() {
    let materials = [
        Material::Bundle(Vec::new()),
        bundle(STATEMENT),
        bundle(MESSAGE),
        bundle(BY_KEY),
    ];
    let rules = [keyless(DEV, ISSUER), key(KEY)];
    let signers = verifier()
        .verify(&digest(), &materials, &rules)
        .expect("two signers");
    let signers: Vec<_> = signers.iter().map(ToString::to_string).collect();
    assert_eq!(signers, [BY_DEV.to_owned(), by_key()]);
}

#[test]
fn without_rules_or_signatures_nothing_counts() {
    let rules = [keyless(DEV, ISSUER)];
    let verify =
        |materials: &[Material], rules: &[SignerRule]| verifier().verify(&digest(), materials, rules);
    assert_eq!(verify(&[bundle(STATEMENT)], &[]), Err(VerifyError::NoRule));
    assert_eq!(verify(&[], &rules), Err(VerifyError::Unsigned));
    let many = vec![bundle(STATEMENT); MATERIALS_MAX + 1];
    assert_eq!(
        verify(&many, &rules),
        Err(VerifyError::TooMany(MATERIALS_MAX + 1))
    );
}

#[test]
fn what_is_there_is_told_without_a_rule() {
    let materials = [bundle(STATEMENT), bundle(BY_KEY_WITHOUT_LOG), bundle("{")];
    let observed = verifier().observe(&digest(), &materials, &[]).expect("three");
    let signer: Signer = BY_DEV.parse().expect("a signer");
    assert_eq!(observed[0].finding, Finding::Holds(signer));
    let lines: Vec<_> = observed.iter().map(ToString::to_string).collect();
    let hint: Json = serde_json::from_str(BY_KEY_WITHOUT_LOG).expect("a bundle");
    let hint = hint["verificationMaterial"]["publicKey"]["hint"]
        .as_str()
        .expect("a hint");
    let expected = [
        format!("signature 1 (bundle): holds, by {BY_DEV}"),
        format!("signature 2 (bundle): made with a key that no rule trusts (it calls itself `{hint}`)"),
        "signature 3 (bundle): not readable: EOF while parsing an object at line 1 column 1".to_owned(),
    ];
    assert_eq!(lines, expected);
    let error = verifier()
        .verify(&digest(), &materials[2..], &[key(KEY)])
        .expect_err("no signature");
    let expected = "no signature counts: signature 1 (bundle): not readable: EOF while parsing an object at line 1 column 1";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn roots_that_cannot_be_used_are_refused() {
    let refused = |json: &[u8]| Roots::from_json(json).map(|_| ()).expect_err("refused");
    let long = vec![b' '; wassette_signature::ROOTS_BYTES_MAX + 1];
    assert_eq!(refused(&long), RootsError::TooLong);
    assert!(matches!(refused(b"{}"), RootsError::Unreadable(_)));
    assert!(matches!(refused(b"\xff"), RootsError::Unreadable(_)));
    let mut root: Json = serde_json::from_slice(ROOT).expect("roots");
    root["tlogs"][0]["publicKey"]["rawBytes"] = json!("AAAA");
    assert!(matches!(
        refused(root.to_string().as_bytes()),
        RootsError::Unusable(_)
    ));
}

/// Vectors of the public services: the text, the digest it is of if it does not name it, what is found.
const PUBLIC: [(&str, &str, &str); 7] = [
    (
        include_str!("../fixtures/public/cosign-v3-blob.sigstore.json"),
        "",
        "holds, by keyless:w.vollprecht@gmail.com@@https://github.com/login/oauth",
    ),
    (
        include_str!("../fixtures/public/bundle_v3_github.whl.sigstore"),
        "",
        "holds, by keyless:https://github.com/trailofbits/rfc8785.py/.github/workflows/release.yml@refs/tags/v0.1.2@@https://token.actions.githubusercontent.com",
    ),
    (
        include_str!("../fixtures/public/managed-key.sigstore.json"),
        "a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
        "holds, by key:sha256:4cb32c4837c6dda8cfb1681efb3fef5f94ffce5b979e6bdb9139302c857af139",
    ),
    (
        include_str!("../fixtures/public/conda-attestation.sigstore.json"),
        "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f",
        "a statement of type `https://schemas.conda.org/attestations-publish-1.schema.json`, which does not say that the signer released it",
    ),
    (
        include_str!("../fixtures/public/bundle_no_log_entry.txt.sigstore"),
        "",
        "does not hold: Bundle error: application/vnd.dev.sigstore.bundle+json;version=0.1 bundles must have an inclusion promise",
    ),
    (
        include_str!("../fixtures/public/bundle_no_cert_v1.txt.sigstore"),
        "",
        "made with a key that no rule trusts",
    ),
    (
        include_str!("../fixtures/public/bundle_invalid_version.txt.sigstore"),
        "",
        "not readable: Invalid media type: this is completely wrong at line 2 column 43",
    ),
];

/// The same of the services on which the public ones are tried.
const STAGING: [(&str, &str, &str); 1] = [(
    include_str!("../fixtures/public/bundle_cve_2022_36056.txt.sigstore"),
    "",
    "does not hold: log entry does not match the bundle: certificate in bundle does not match certificate in Rekor entry",
)];

#[track_caller]
fn check_vectors(roots: Roots, vectors: &[(&str, &str, &str)]) {
    let verifier = Verifier::new(roots);
    let managed = [key(include_str!("../fixtures/public/managed-key.pub"))];
    for (json, digest, expected) in vectors {
        let observed = verifier
            .observe(&stated(json, digest), &[bundle(json)], &managed)
            .expect("one");
        assert_eq!(
            observed[0].to_string(),
            format!("signature 1 (bundle): {expected}")
        );
    }
}

#[test]
fn public_vectors_hold_or_are_refused_as_they_should() {
    check_vectors(Roots::public_good().expect("roots"), &PUBLIC);
    let staging = sigstore_verify::trust_root::SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes();
    check_vectors(Roots::from_json(staging).expect("roots"), &STAGING);
}

/// The digest that a test vector is of: given, or the one its message names.
fn stated(json: &str, digest: &str) -> [u8; 32] {
    let text = match digest {
        "" => {
            let json: Json = serde_json::from_str(json).expect("a bundle");
            let stated = json["messageSignature"]["messageDigest"]["digest"].as_str();
            STANDARD.decode(stated.expect("a digest")).expect("base64")
        }
        hex => (0..32)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
            .collect(),
    };
    text.try_into().expect("32 bytes")
}
