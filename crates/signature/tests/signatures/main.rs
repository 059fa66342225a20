//! Signatures made by other implementations, read by this one; `fixtures/README.md` says by which.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a fixture that is not what it should be ends the test"
)]

mod bundles;
mod cosign;
mod damaged;
mod signing;

use serde_json::Value as Json;
use sigstore_verify::crypto::sha256;
use wassette_signature::{Material, PublicKey, Roots, SignerRule, Verifier};

const MANIFEST: &[u8] = include_bytes!("../fixtures/manifest.json");
const KEY: &str = include_str!("../fixtures/key.pub");
const ROOT: &[u8] = include_bytes!("../fixtures/trusted_root.json");

const DEV: &str = "dev@example.org";
const ISSUER: &str = "https://issuer.example";
const BY_DEV: &str = "keyless:dev@example.org@@https://issuer.example";

fn digest() -> [u8; 32] {
    *sha256(MANIFEST).as_bytes()
}

fn verifier() -> Verifier {
    Verifier::new(Roots::from_json(ROOT).expect("roots"))
}

fn keyless(identity: &str, issuer: &str) -> SignerRule {
    SignerRule::keyless(identity, issuer).expect("a rule")
}

fn key(pem: &str) -> SignerRule {
    SignerRule::Key(PublicKey::from_pem(pem).expect("a key"))
}

fn bundle(json: &str) -> Material {
    Material::Bundle(json.as_bytes().to_vec())
}

/// The bundle with one place in it changed.
fn edited(json: &str, edit: impl FnOnce(&mut Json)) -> Material {
    let mut value: Json = serde_json::from_str(json).expect("a bundle");
    edit(&mut value);
    Material::Bundle(value.to_string().into_bytes())
}

/// Either who signed, or why the one signature does not count.
fn outcome(verifier: &Verifier, digest: &[u8; 32], material: Material, rules: &[SignerRule]) -> String {
    match verifier.verify(digest, &[material], rules) {
        Ok(signers) => signers.iter().map(ToString::to_string).collect(),
        Err(error) => error
            .failures()
            .iter()
            .map(|failure| failure.reason.to_string())
            .collect(),
    }
}

/// Of the manifest of the fixtures, under the roots of the fixtures.
#[track_caller]
fn check(material: Material, rules: &[SignerRule], expected: &str) {
    assert_eq!(outcome(&verifier(), &digest(), material, rules), expected);
}
