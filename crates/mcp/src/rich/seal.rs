//! The state of a component between two calls, in the hands of the client.
//!
//! SECURITY: the client is not trusted with it (MCP 2026-07-28, multi round-trip requests). It is encrypted and
//! authenticated, together with whose it is, of which component, and what was called with what; it is good for a while.
//! That it is good once is for whoever opens it to see to, with the name it has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::Called;

/// How long a state is good. A person has to think, and perhaps to log in somewhere.
const LIFETIME: Duration = Duration::from_secs(600);

/// Longest state of a component, in bytes of base64: it makes a round trip in each message.
const STATE_BYTES_MAX: usize = 64 << 10;

/// Seals states, and opens them.
pub(crate) struct Seal {
    key: RandomizedNonceKey,
}

/// A state that came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) state: String,
    /// What no other state is called.
    pub(crate) name: [u8; NONCE_LEN],
    /// In seconds since 1970.
    pub(crate) good_until: u64,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// A state that is not taken. One sentence for all reasons: who made it up learns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request state is not valid: it was changed, is of another request, has expired or was used; begin again"
)]
pub(crate) struct BadState;

/// A state that cannot be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component keeps more than {STATE_BYTES_MAX} bytes of state between two calls")]
pub(crate) struct LargeState;

/// What a state is bound to.
pub(crate) struct Binding(Vec<u8>);

impl Binding {
    /// Whose call it is, of which version of which component, and of what with what.
    pub(crate) fn new((principal, component): (&str, &str), called: &Called<'_>) -> Self {
        let Called { method, name, .. } = called;
        let mut arguments = called.arguments.clone();
        // Clients may write the same object in another order.
        arguments.sort_all_objects();
        let call = json!([principal, component, method, name, arguments]).to_string();
        Self(digest(&SHA256, call.as_bytes()).as_ref().to_vec())
    }
}

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the algorithm takes keys of 32 bytes, and this is one"
        )]
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).expect("a key of 32 bytes");
        Self { key }
    }

    pub(crate) fn seal(&self, state: &str, binding: &Binding) -> Result<String, LargeState> {
        if state.len() > STATE_BYTES_MAX {
            return Err(LargeState);
        }
        let expires = now().saturating_add(LIFETIME.as_secs());
        let mut sealed = expires.to_be_bytes().to_vec();
        sealed.extend_from_slice(state.as_bytes());
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(&binding.0), &mut sealed)
            .map_err(|_too_long_for_the_algorithm| LargeState)?;
        let mut token = nonce.as_ref().to_vec();
        token.append(&mut sealed);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    pub(crate) fn open(&self, token: &str, binding: &Binding) -> Result<Opened, BadState> {
        if token.len() > 2 * STATE_BYTES_MAX {
            return Err(BadState);
        }
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| BadState)?;
        let (nonce, sealed) = token.split_first_chunk::<NONCE_LEN>().ok_or(BadState)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(&binding.0),
                &mut sealed,
            )
            .map_err(|_| BadState)?;
        let (expires, state) = opened.split_first_chunk::<8>().ok_or(BadState)?;
        let good_until = u64::from_be_bytes(*expires);
        if now() > good_until {
            return Err(BadState);
        }
        Ok(Opened {
            state: String::from_utf8(state.to_vec()).map_err(|_| BadState)?,
            name: *nonce,
            good_until,
        })
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn binding(principal: &str, name: &str, arguments: Json) -> Binding {
        bound(principal, "notes@1", name, &arguments)
    }

    fn bound(principal: &str, component: &str, name: &str, arguments: &Json) -> Binding {
        let called = Called {
            method: "tools/call",
            name,
            arguments,
        };
        Binding::new((principal, component), &called)
    }

    #[test]
    fn a_state_comes_back_to_whom_it_was_given_for_the_same_call() {
        let seal = Seal::new(&[7; 32]);
        let own = binding("ann", "delete", json!({"file": "a", "now": true}));
        let token = seal.seal("confirmed", &own).unwrap();
        for other in [
            binding("bob", "delete", json!({"file": "a", "now": true})),
            binding("ann", "remove", json!({"file": "a", "now": true})),
            binding("ann", "delete", json!({"file": "b", "now": true})),
        ] {
            assert_eq!(seal.open(&token, &other), Err(BadState));
        }
        let arguments = json!({"file": "a", "now": true});
        let version = bound("ann", "notes@2", "delete", &arguments);
        assert_eq!(seal.open(&token, &version), Err(BadState));
        assert_eq!(Seal::new(&[8; 32]).open(&token, &own), Err(BadState));
        let same = binding("ann", "delete", json!({"now": true, "file": "a"}));
        let opened = seal.open(&token, &same).unwrap();
        assert_eq!(opened.state, "confirmed");
        assert!(
            (now() + 590..=now() + 600).contains(&opened.good_until),
            "{opened:?}"
        );
        let other = seal.seal("confirmed", &own).unwrap();
        assert_ne!(opened.name, seal.open(&other, &same).unwrap().name);
    }

    #[test]
    fn a_changed_state_is_refused_and_nobody_can_read_it() {
        let seal = Seal::new(&[7; 32]);
        let own = binding("ann", "delete", Json::Null);
        let token = seal.seal("secret word", &own).unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(seal.open(&changed, &own), Err(BadState), "byte {place}");
        }
        for made_up in ["", "x", "AAAA", &"A".repeat(500), &"A".repeat(1 << 20)] {
            assert_eq!(seal.open(made_up, &own), Err(BadState));
        }
        assert_eq!(seal.seal(&"x".repeat(STATE_BYTES_MAX + 1), &own), Err(LargeState));
    }
}
