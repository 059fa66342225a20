//! Keys of one's own, and what they sign.

use wassette_signature::{
    KEY_PEM_BYTES_MAX, KeyError, Material, PASSPHRASE_BYTES_MAX, SigningError, SigningKey,
};

use super::*;

const PLAIN: &str = include_str!("../fixtures/openssl-p256.key");
const PUBLIC: &str = include_str!("../fixtures/openssl-p256.pub");

#[test]
fn what_a_key_signs_counts_for_it_and_for_no_other() {
    let ours = SigningKey::generate().expect("a key");
    let material = ours
        .sign_manifest(&digest(), "registry.example/org/tool")
        .expect("a signature");
    let rule = SignerRule::Key(ours.public().clone());
    check(
        material.clone(),
        &[rule],
        &format!("key:{}", ours.public().fingerprint()),
    );
    check(
        material.clone(),
        &[key(KEY)],
        "made with a key that no rule trusts",
    );
    let Material::Cosign { payload, .. } = material else {
        panic!("another layout");
    };
    let hex: String = digest().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"registry.example/org/tool"}},"image":{{"docker-manifest-digest":"sha256:{hex}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    assert_eq!(String::from_utf8(payload).expect("text"), expected);
}

#[test]
fn a_blob_is_signed_and_verified() {
    let ours = SigningKey::generate().expect("a key");
    let signature = ours.sign_blob(b"feed").expect("a signature");
    assert_eq!(ours.public().verify_blob(b"feed", &signature), Ok(()));
    assert_eq!(
        ours.public().verify_blob(b"food", &signature),
        Err(KeyError::Signature)
    );
    assert_eq!(ours.public().verify_blob(b"feed", "?"), Err(KeyError::Signature));
    let other = PublicKey::from_pem(KEY).expect("a key");
    assert_eq!(other.verify_blob(b"feed", &signature), Err(KeyError::Signature));
}

#[test]
fn a_key_comes_back_with_its_passphrase_only() {
    let ours = SigningKey::generate().expect("a key");
    let pem = ours.to_encrypted_pem("correct horse").expect("a text");
    assert!(
        pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
        "{}",
        *pem
    );
    let back = SigningKey::from_pem(&pem, Some("correct horse")).expect("the key");
    assert_eq!(back.public(), ours.public());
    let public = PublicKey::from_pem(&ours.public().to_pem()).expect("the public half");
    assert_eq!(&public, ours.public());
    refused(&pem, Some("wrong"), SigningError::PassphraseWrong);
    refused(&pem, Some(""), SigningError::Passphrase);
    refused(&pem, None, SigningError::PassphraseMissing);
    for passphrase in ["", &"a".repeat(PASSPHRASE_BYTES_MAX + 1)] {
        let error = ours.to_encrypted_pem(passphrase).expect_err("refused");
        assert_eq!(error, SigningError::Passphrase);
    }
}

#[test]
fn keys_of_openssl_are_read() {
    let expected = PublicKey::from_pem(PUBLIC).expect("a key");
    for (pem, passphrase) in [
        (PLAIN, None),
        (PLAIN, Some("not needed")),
        (
            include_str!("../fixtures/openssl-p256.pbkdf2.pem"),
            Some("fixture"),
        ),
        (
            include_str!("../fixtures/openssl-p256.scrypt.pem"),
            Some("fixture"),
        ),
    ] {
        let key = SigningKey::from_pem(pem, passphrase).expect("a key");
        assert_eq!(key.public(), &expected);
        let material = key.sign_manifest(&digest(), "tool").expect("a signature");
        check(
            material,
            &[super::key(PUBLIC)],
            &format!("key:{}", expected.fingerprint()),
        );
    }
}

#[track_caller]
fn refused(pem: &str, passphrase: Option<&str>, expected: SigningError) {
    assert_eq!(SigningKey::from_pem(pem, passphrase).map(|_| ()), Err(expected));
}

#[test]
fn what_is_no_key_to_sign_with_is_refused() {
    let scrypt = include_str!("../fixtures/openssl-p256.scrypt.pem");
    refused("", None, SigningError::NotPrivate);
    refused(PUBLIC, None, SigningError::NotPrivate);
    refused(
        include_str!("../fixtures/openssl-p256.sec1.pem"),
        None,
        SigningError::NotPrivate,
    );
    refused(&"a".repeat(KEY_PEM_BYTES_MAX + 1), None, SigningError::TooLong);
    refused(scrypt, None, SigningError::PassphraseMissing);
    refused(
        include_str!("../fixtures/openssl-ed25519.key"),
        None,
        SigningError::Kind,
    );
    let cosign =
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJ\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    refused(cosign, Some("fixture"), SigningError::Cosign);
    let error = PublicKey::from_pem(PLAIN).expect_err("private");
    assert_eq!(error, KeyError::NotPublic);
    assert_eq!(
        PublicKey::from_pem(&"a".repeat(KEY_PEM_BYTES_MAX + 1)),
        Err(KeyError::TooLong)
    );
    let broken = "-----BEGIN PUBLIC KEY-----\nMAMBAf8=\n-----END PUBLIC KEY-----\n";
    assert_eq!(PublicKey::from_pem(broken), Err(KeyError::Kind));
}

/// The parameters of scrypt in a key are whatever its file says.
#[test]
fn a_key_that_costs_too_much_is_not_opened() {
    use base64::Engine as _;
    let pem = include_str!("../fixtures/openssl-p256.scrypt.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let engine = base64::engine::general_purpose::STANDARD;
    let der = engine.decode(body).expect("base64");
    // `N` = 16384 is the integer 02 02 40 00.
    let at = der
        .windows(4)
        .position(|four| four == [2, 2, 0x40, 0])
        .expect("N");
    for (n, expected) in [
        ([0x40, 0x01], SigningError::Cost),
        ([0x20, 0x00], SigningError::PassphraseWrong),
    ] {
        let mut der = der.clone();
        der[at + 2..at + 4].copy_from_slice(&n);
        refused(&encrypted(&engine.encode(der)), Some("fixture"), expected);
    }
    // `r` = 8 is one byte: 128 * 16384 * 127 are 254 MiB, which is allowed, hence `p`.
    let mut der = der;
    assert_eq!(der[at + 4..at + 10], [2, 1, 8, 2, 1, 1]);
    der[at + 9] = 17;
    refused(
        &encrypted(&engine.encode(der)),
        Some("fixture"),
        SigningError::Cost,
    );
}

fn encrypted(base64: &str) -> String {
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let body = lines.join("\n");
    format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n")
}
