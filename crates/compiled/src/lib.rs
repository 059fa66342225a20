//! Compiled code on its way to disk and back: sealed with a key, opened only when the seal holds.
//!
//! Loading compiled code is running it: [`wasmtime::component::Component::deserialize`] trusts its input
//! completely. So this crate, the only one with `unsafe`, opens nothing it did not seal itself: an
//! HMAC-SHA-256 over a header that names the wasm digest and the engine's fingerprint, and over the code.
//! Whoever can write the cache folder but not read the key can make us recompile, and nothing else.
//!
//! INVARIANT: bytes are read whole into memory before they are checked, and that same memory is
//! deserialised. Never a file or a mapping, which could change in between.
//!
//! It does not touch the disk and does not know where keys come from. Beside it, `descriptors` does the one thing for the
//! compiler's process that no safe function does.

mod descriptors;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use descriptors::close_on_exec;

/// First bytes of sealed code; the digit changes with the layout.
const MAGIC: &[u8; 8] = b"WSTCODE1";

/// Length of the seal that follows the magic.
const SEAL_BYTES: usize = 32;

/// What compiled code was made from and for. Code sealed under one label opens under no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// SHA-256 of the component the code was compiled from.
    pub wasm: [u8; 32],
    /// The engine's version, settings and target, see [`fingerprint`].
    pub engine: [u8; 32],
}

/// Why sealed code was not opened. In every case the right answer is to compile again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not in this format, or cut short.
    #[error("not sealed code of this version")]
    Format,
    /// The seal does not hold: other key, other component, other engine, or changed bytes.
    #[error("the seal of the compiled code does not hold")]
    Seal,
    /// The engine refused code that we sealed; wasmtime checks its own version and settings too.
    #[error("the engine refused the compiled code")]
    Engine {
        /// Wasmtime's reason.
        source: wasmtime::Error,
    },
}

/// The part of the label that names the engine: two engines share it only when code compiled for one
/// runs on the other.
#[must_use]
pub fn fingerprint(engine: &Engine) -> [u8; 32] {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Wraps compiled code so that [`open`] will take it back.
#[must_use]
pub fn seal(key: &[u8; 32], label: &Label, code: &[u8]) -> Vec<u8> {
    let seal = mac(key, label, code).finalize().into_bytes();
    let mut sealed = Vec::with_capacity(MAGIC.len() + SEAL_BYTES + code.len());
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&seal);
    sealed.extend_from_slice(code);
    sealed
}

/// Checks the seal and loads the code.
///
/// # Errors
///
/// [`OpenError::Format`] and [`OpenError::Seal`] before a byte of the code is looked at;
/// [`OpenError::Engine`] when wasmtime refuses what we sealed.
pub fn open(engine: &Engine, key: &[u8; 32], label: &Label, sealed: &[u8]) -> Result<Component, OpenError> {
    let rest = sealed.strip_prefix(MAGIC).ok_or(OpenError::Format)?;
    let (seal, code) = rest.split_at_checked(SEAL_BYTES).ok_or(OpenError::Format)?;
    mac(key, label, code)
        .verify_slice(seal)
        .map_err(|_mismatch| OpenError::Seal)?;
    deserialize(engine, code).map_err(|source| OpenError::Engine { source })
}

#[expect(
    unsafe_code,
    reason = "JUSTIFICATION: a start that compiles nothing needs code from disk; wasmtime offers no safe way"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `Component::deserialize` demands bytes that `Engine::precompile_component` produced, unchanged. The only
    // caller has just verified an HMAC over exactly these bytes, made by `seal` with a key that only this user
    // can read, over code that `Engine::precompile_component` returned: in this process, or in a process of this very
    // program that the sandbox started and read them from through a pipe that nobody else holds. The bytes are
    // borrowed memory of this process and cannot change in between.
    unsafe { Component::deserialize(engine, code) }
}

fn mac(key: &[u8; 32], label: &Label, code: &[u8]) -> Hmac<Sha256> {
    // HMAC fills a short key with zeros up to the block (RFC 2104, section 2); doing it here leaves no error to
    // handle.
    let mut block = Key::<Hmac<Sha256>>::default();
    block
        .iter_mut()
        .zip(key)
        .for_each(|(filled, byte)| *filled = *byte);
    let mut mac = Hmac::<Sha256>::new(&block);
    mac.update(MAGIC);
    mac.update(&label.wasm);
    mac.update(&label.engine);
    mac.update(code);
    mac
}

/// Feeds what `Hash` writes into SHA-256: std's hashers are not stable between builds.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn sealed() -> (Engine, Label, Vec<u8>) {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, COMPONENT).expect("the empty component compiles");
        let label = Label {
            wasm: Sha256::digest(COMPONENT).into(),
            engine: fingerprint(&engine),
        };
        let sealed = seal(
            &KEY,
            &label,
            &component.serialize().expect("compiled code serialises"),
        );
        (engine, label, sealed)
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let (engine, label, sealed) = sealed();
        open(&engine, &KEY, &label, &sealed).expect("own seal");
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused() {
        let (engine, label, sealed) = sealed();
        for at in [0, 8, 20, 39, 40, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let error = open(&engine, &KEY, &label, &changed).expect_err("changed bytes");
            assert!(
                matches!(error, OpenError::Format | OpenError::Seal),
                "byte {at}: {error}"
            );
        }
    }

    #[test]
    fn cut_code_is_refused() {
        let (engine, label, sealed) = sealed();
        for length in [0, 7, 8, 39, 40, sealed.len() - 1] {
            open(&engine, &KEY, &label, &sealed[..length]).expect_err("cut short");
        }
    }

    #[test]
    fn another_key_component_or_engine_does_not_open_it() {
        let (engine, label, sealed) = sealed();
        assert!(
            matches!(open(&engine, &[8; 32], &label, &sealed), Err(OpenError::Seal)),
            "key"
        );
        let other_wasm = Label {
            wasm: [0; 32],
            ..label
        };
        assert!(
            matches!(open(&engine, &KEY, &other_wasm, &sealed), Err(OpenError::Seal)),
            "component"
        );
        let other_engine = Label {
            engine: [0; 32],
            ..label
        };
        assert!(
            matches!(open(&engine, &KEY, &other_engine, &sealed), Err(OpenError::Seal)),
            "engine"
        );
    }

    #[test]
    fn code_without_our_seal_is_never_deserialised() {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, COMPONENT).expect("the empty component compiles");
        let raw = component.serialize().expect("compiled code serialises");
        let label = Label {
            wasm: [0; 32],
            engine: fingerprint(&engine),
        };
        assert!(
            matches!(open(&engine, &KEY, &label, &raw), Err(OpenError::Format)),
            "a .cwasm from outside"
        );
    }

    #[test]
    fn engines_of_other_settings_have_other_fingerprints() {
        let plain = Engine::default();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).expect("a valid configuration");
        assert_ne!(fingerprint(&plain), fingerprint(&other));
        assert_eq!(fingerprint(&plain), fingerprint(&Engine::default()));
    }
}
