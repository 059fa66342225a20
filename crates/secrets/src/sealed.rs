//! What is written to disk: the secrets of one component, encrypted and bound to it.
//!
//! ```text
//! "WSEC" 01 · 8 bytes that name the key · 12 bytes nonce · AES-256-GCM of the entries · 16 bytes tag
//! ```
//!
//! Everything before the nonce, and the component's id, is authenticated too: a file renamed to another
//! component's does not open. INVARIANT: what does not open is an error, never an empty set.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use wassette_store::ComponentId;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{SECRET_VALUE_BYTES_MAX, SecretName};

/// Most secrets of one component.
pub(crate) const SECRETS_MAX: usize = 64;

/// Longest file: the values, and per secret a name and its lengths.
pub(crate) const FILE_BYTES_MAX: u64 = (SECRETS_MAX * (SECRET_VALUE_BYTES_MAX + 256) + 256) as u64;

/// Length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 32;

const MAGIC: &[u8; 4] = b"WSEC";
const VERSION: u8 = 1;
const KEY_NAME_BYTES: usize = 8;
const HEAD_BYTES: usize = MAGIC.len() + 1 + KEY_NAME_BYTES;

/// How an entry begins.
const IN_KEYRING: u8 = 0;
const HERE: u8 = 1;

/// Where the value of a secret is.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// Only the name is known here; the operating system's keyring has the value.
    Keyring,
    /// Here.
    Here(SecretString),
}

/// The secrets of one component.
pub(crate) type Entries = BTreeMap<SecretName, Held>;

/// Why sealed bytes do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    Damaged,
    ForeignKey,
    Newer,
}

/// The key all files of one folder are sealed with. Never printed.
pub(crate) struct SealingKey {
    key: RandomizedNonceKey,
    name: [u8; KEY_NAME_BYTES],
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

impl SealingKey {
    /// `None` when the bytes are not [`KEY_BYTES`] many.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?;
        // One way: the name says which key it is, to those who have it, and nothing about the key to others.
        let named = Zeroizing::new([b"wassette secrets key name ".as_slice(), bytes].concat());
        let mut name = [0; KEY_NAME_BYTES];
        name.iter_mut()
            .zip(digest(&SHA256, &named).as_ref())
            .for_each(|(to, from)| *to = *from);
        Some(Self { key, name })
    }

    /// Names the key, and with it the folder, in 16 hexadecimal digits.
    pub(crate) fn name(&self) -> String {
        self.name.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encrypts the secrets of a component. `None` when the library fails.
    pub(crate) fn seal(&self, id: &ComponentId, entries: &Entries) -> Option<Vec<u8>> {
        let head = self.head();
        let mut bytes = Zeroizing::new(encode(entries));
        let nonce = self
            .key
            .seal_in_place_append_tag(bound_to(id, &head), &mut *bytes)
            .ok()?;
        Some([head.as_slice(), nonce.as_ref(), &bytes].concat())
    }

    /// Decrypts what [`SealingKey::seal`] made for the same component.
    pub(crate) fn open(&self, id: &ComponentId, sealed: &[u8]) -> Result<Entries, Unopened> {
        let (head, rest) = sealed.split_at_checked(HEAD_BYTES).ok_or(Unopened::Damaged)?;
        if !head.starts_with(MAGIC) {
            return Err(Unopened::Damaged);
        }
        if head.get(MAGIC.len()) != Some(&VERSION) {
            return Err(Unopened::Newer);
        }
        if head != self.head() {
            return Err(Unopened::ForeignKey);
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(Unopened::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened::Damaged)?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let plain = self
            .key
            .open_in_place(nonce, bound_to(id, head), &mut bytes)
            .map_err(|_| Unopened::Damaged)?;
        decode(plain).ok_or(Unopened::Damaged)
    }

    fn head(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &[VERSION], &self.name].concat()
    }
}

fn bound_to(id: &ComponentId, head: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([head, id.as_str().as_bytes()].concat())
}

/// Entry after entry: where, name, value; each with its length in front, as a big-endian number.
fn encode(entries: &Entries) -> Vec<u8> {
    let value = |held: &Held| match held {
        Held::Keyring => 0,
        Held::Here(value) => value.expose_secret().len(),
    };
    let length = entries
        .iter()
        .map(|(name, held)| 1 + 8 + name.as_str().len() + value(held));
    // As large as it gets, with the tag: growing would leave copies of the values behind.
    let mut bytes = Vec::with_capacity(length.sum::<usize>() + AES_256_GCM.tag_len());
    for (name, held) in entries {
        let (place, value) = match held {
            Held::Keyring => (IN_KEYRING, ""),
            Held::Here(value) => (HERE, value.expose_secret()),
        };
        bytes.push(place);
        for text in [name.as_str(), value] {
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    while let Some((place, rest)) = bytes.split_first() {
        let (name, rest) = text(rest)?;
        let (value, rest) = text(rest)?;
        let held = match *place {
            IN_KEYRING => Held::Keyring,
            HERE => Held::Here(SecretString::from(value)),
            _ => return None,
        };
        entries.insert(name.parse().ok()?, held);
        bytes = rest;
    }
    Some(entries)
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A new key's bytes. `None` when the system has no randomness.
pub(crate) fn random_key() -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if aws_lc_rs::rand::fill(bytes.as_mut_slice()).is_err() {
        bytes.zeroize();
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; KEY_BYTES]).unwrap()
    }

    fn id(text: &str) -> ComponentId {
        text.parse().unwrap()
    }

    fn entries() -> Entries {
        let here = |value: &str| Held::Here(SecretString::from(value));
        Entries::from([
            ("a".parse().unwrap(), here("one")),
            ("b".parse().unwrap(), Held::Keyring),
            ("c".parse().unwrap(), here("drei ü")),
        ])
    }

    fn plain(entries: &Entries) -> Vec<(String, Option<String>)> {
        let value = |held: &Held| match held {
            Held::Keyring => None,
            Held::Here(value) => Some(value.expose_secret().to_owned()),
        };
        entries
            .iter()
            .map(|(name, held)| (name.to_string(), value(held)))
            .collect()
    }

    #[track_caller]
    fn unopened(key: &SealingKey, component: &str, sealed: &[u8], expected: Unopened) {
        assert_eq!(key.open(&id(component), sealed).err(), Some(expected));
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_component_and_key_only() {
        let sealed = key(1).seal(&id("x"), &entries()).unwrap();
        assert_eq!(plain(&key(1).open(&id("x"), &sealed).unwrap()), plain(&entries()));
        unopened(&key(1), "y", &sealed, Unopened::Damaged);
        unopened(&key(2), "x", &sealed, Unopened::ForeignKey);
        let empty = key(1).seal(&id("x"), &Entries::new()).unwrap();
        assert_eq!(plain(&key(1).open(&id("x"), &empty).unwrap()), []);
        assert_eq!(key(1).name().len(), 16);
        assert_ne!(key(1).name(), key(2).name());
        assert!(SealingKey::new(&[0; 31]).is_none());
    }

    #[test]
    fn one_changed_or_missing_byte_is_noticed_wherever_it_is() {
        let sealed = key(1).seal(&id("x"), &entries()).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key(1).open(&id("x"), &changed).is_err(), "byte {index}");
            assert!(key(1).open(&id("x"), &sealed[..index]).is_err(), "cut at {index}");
        }
        let longer = [sealed.as_slice(), b"x"].concat();
        unopened(&key(1), "x", &longer, Unopened::Damaged);
        let mut newer = sealed;
        newer[4] = 2;
        unopened(&key(1), "x", &newer, Unopened::Newer);
        unopened(&key(1), "x", b"", Unopened::Damaged);
    }

    #[test]
    fn the_same_secrets_never_look_the_same_and_are_not_readable() {
        let seal = || key(1).seal(&id("x"), &entries()).unwrap();
        let (one, two) = (seal(), seal());
        assert_ne!(one, two);
        let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!holds(&one, "one") && !holds(&one, "drei"));
    }

    #[test]
    fn the_largest_set_fits_the_limit_of_a_file() {
        let value = "x".repeat(SECRET_VALUE_BYTES_MAX);
        let entry = |index: usize| {
            let name = format!("{index:0>128}").parse().unwrap();
            (name, Held::Here(SecretString::from(value.as_str())))
        };
        let entries: Entries = (0..SECRETS_MAX).map(entry).collect();
        let sealed = key(1).seal(&id("x"), &entries).unwrap();
        assert!(sealed.len() as u64 <= FILE_BYTES_MAX);
        assert_eq!(key(1).open(&id("x"), &sealed).unwrap().len(), SECRETS_MAX);
    }

    #[test]
    fn nothing_that_is_printed_holds_a_value_or_the_key() {
        assert_eq!(format!("{:?}", key(1)), "SealingKey(***)");
        assert!(!format!("{:?}", entries()).contains("one"));
    }
}
