//! Whatever bytes come, an answer is given; and no change to a signed thing goes unseen.

use proptest::prelude::*;
use wassette_signature::{Finding, Material};

use super::*;

const STATEMENT: &str = include_str!("../fixtures/keyless-statement.json");
const BY_KEY: &str = include_str!("../fixtures/key-statement.json");
const LAYER: &str = include_str!("../fixtures/keyless-cosign.json");

fn rules() -> [SignerRule; 2] {
    [keyless(DEV, ISSUER), key(KEY)]
}

fn with_change(text: &str, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] = byte;
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2000), text in ".{0,400}") {
        let cosign = Material::Cosign {
            payload: bytes.clone(),
            signature: text.clone(),
            certificate: Some(text.clone()),
            chain: Some(text.clone()),
            bundle: Some(text),
        };
        let observed = verifier().observe(&digest(), &[Material::Bundle(bytes), cosign], &rules()).expect("two");
        for observed in observed {
            prop_assert!(matches!(observed.finding, Finding::Refused(_)));
            let is_one_line = observed.to_string().chars().all(|char| !char.is_control());
            prop_assert!(is_one_line);
        }
    }

    #[test]
    fn a_changed_byte_gives_the_same_signer_or_none(at: prop::sample::Index, byte: u8) {
        let own = PublicKey::from_pem(KEY).expect("a key").fingerprint();
        for (text, signer) in [(STATEMENT, BY_DEV.to_owned()), (BY_KEY, format!("key:{own}"))] {
            let material = Material::Bundle(with_change(text, at, byte));
            for observed in verifier().observe(&digest(), &[material], &rules()).expect("one") {
                match observed.finding {
                    Finding::Holds(found) => prop_assert_eq!(found.to_string(), signer.clone()),
                    Finding::Refused(_) => {}
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_of_a_layer_gives_the_same_signer_or_none(at: prop::sample::Index, byte: u8) {
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&with_change(LAYER, at, byte)) else {
            return Ok(());
        };
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let material = Material::Cosign {
            payload: text("payload").unwrap_or_default().into_bytes(),
            signature: text("signature").unwrap_or_default(),
            certificate: text("certificate"),
            chain: None,
            bundle: text("bundle"),
        };
        for observed in verifier().observe(&digest(), &[material], &rules()).expect("one") {
            match observed.finding {
                Finding::Holds(found) => prop_assert_eq!(found.to_string(), BY_DEV),
                Finding::Refused(_) => {}
            }
        }
    }
}
