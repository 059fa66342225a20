//! Blanks out in an answer the secrets of its component: one request may bring a server what it repeats in the answer to
//! another, or tells another server.
//!
//! A server may send back what it was sent: a debugging page, an error message, a redirect. Wherever the bytes
//! of a secret stand in a header or in the body, as many `*` take their place, also where they are torn apart
//! between two pieces of the body. INVARIANT: each byte is looked at once for each secret, whatever the server sends.
//!
//! SECURITY: as many bytes are always held back as the longest secret has, but for one, also where they cannot become
//! part of it. Were it only those that can, a guest could see by where the pieces end how much of a guess is right, and
//! read its own secret letter by letter from any server that sends back what it gets.
//!
//! This stops accidents, not accomplices: a server that reverses the secret, encodes it or sends it in pieces
//! gets it past. Against those only helps a policy that names servers one trusts.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

const BLANK: u8 = b'*';

/// Secrets to be blanked out of one answer.
#[derive(Clone, Default)]
pub(super) struct Mask {
    needles: Vec<Arc<Needle>>,
    /// Whether one of them was put on this very request: an answer that cannot be looked through is none then.
    pub(super) is_strict: bool,
}

/// One secret, and for each of its beginnings how long the longest other beginning is that ends there as well
/// (the table of Knuth, Morris and Pratt).
struct Needle {
    secret: SecretString,
    borders: Vec<usize>,
}

/// A body on its way through a mask.
pub(super) struct MaskedBody {
    mask: Mask,
    /// For each needle, how many of its bytes the body ends with so far.
    matched: Vec<usize>,
    /// The end of the body so far.
    held: Vec<u8>,
    /// How long that is once so much has come.
    held_bytes: usize,
}

impl Mask {
    /// Adds a secret. Blanks at its ends do not reach a server, which gets the value of a header.
    pub(super) fn add(&mut self, secret: &SecretString) {
        let sent = secret.expose_secret().trim_matches([' ', '\t']);
        if sent.is_empty() {
            return;
        }
        let secret = SecretString::from(sent);
        let borders = borders(secret.expose_secret().as_bytes());
        self.needles.push(Arc::new(Needle { secret, borders }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Blanks out the values of headers, and drops headers which hold a secret in their name.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        if self.is_empty() {
            return;
        }
        let names = headers.keys().filter(|name| self.is_told_by(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            let mut body = MaskedBody::new(self.clone());
            let mut masked = body.pass(value.as_bytes()).to_vec();
            masked.extend(body.finish());
            if masked != value.as_bytes() {
                *value = HeaderValue::from_bytes(&masked).unwrap_or(HeaderValue::from_static("*"));
            }
        }
    }

    /// Names of headers arrive in lower case.
    fn is_told_by(&self, name: &str) -> bool {
        let mut needles = self.needles.iter();
        needles.any(|needle| name.contains(&needle.secret.expose_secret().to_ascii_lowercase()))
    }
}

impl MaskedBody {
    pub(super) fn new(mask: Mask) -> Self {
        let lengths = mask
            .needles
            .iter()
            .map(|needle| needle.secret.expose_secret().len());
        Self {
            matched: vec![0; mask.needles.len()],
            held: Vec::new(),
            held_bytes: lengths.max().unwrap_or(0).saturating_sub(1),
            mask,
        }
    }

    /// Takes the next piece and gives back all but the last bytes, none of which can become part of a secret any more.
    pub(super) fn pass(&mut self, piece: &[u8]) -> Bytes {
        let held = self.held.len();
        let mut out = std::mem::take(&mut self.held);
        out.extend_from_slice(piece);
        for (needle, matched) in self.mask.needles.iter().zip(&mut self.matched) {
            let secret = needle.secret.expose_secret().as_bytes();
            for (at, byte) in piece.iter().enumerate() {
                *matched = needle.step(*matched, *byte);
                if *matched == secret.len() {
                    let end = held + at + 1;
                    let begin = end.saturating_sub(secret.len());
                    out.get_mut(begin..end).unwrap_or_default().fill(BLANK);
                    *matched = needle.border(*matched);
                }
            }
        }
        self.held = out.split_off(out.len().saturating_sub(self.held_bytes));
        out.into()
    }

    /// Blanks out the headers that follow a body.
    pub(super) fn trailers(&self, trailers: &mut HeaderMap) {
        self.mask.headers(trailers);
    }

    /// What was held back, at the end of the body.
    pub(super) fn finish(&mut self) -> Bytes {
        self.matched.fill(0);
        std::mem::take(&mut self.held).into()
    }
}

impl Needle {
    /// How many bytes match after one more byte.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        let secret = self.secret.expose_secret().as_bytes();
        loop {
            if secret.get(matched) == Some(&byte) {
                return matched + 1;
            }
            if matched == 0 {
                return 0;
            }
            matched = self.border(matched);
        }
    }

    /// The longest shorter beginning of the secret with which its first `matched` bytes end.
    fn border(&self, matched: usize) -> usize {
        matched
            .checked_sub(1)
            .and_then(|last| self.borders.get(last).copied())
            .unwrap_or(0)
    }
}

fn borders(secret: &[u8]) -> Vec<usize> {
    let mut borders: Vec<usize> = Vec::with_capacity(secret.len());
    for (at, byte) in secret.iter().enumerate() {
        let mut length = match at {
            0 => 0,
            at => borders.get(at - 1).copied().unwrap_or(0),
        };
        while length > 0 && secret.get(length) != Some(byte) {
            length = borders.get(length - 1).copied().unwrap_or(0);
        }
        let grows = at > 0 && secret.get(length) == Some(byte);
        borders.push(length + usize::from(grows));
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut mask = Mask::default();
        for secret in secrets {
            mask.add(&(*secret).into());
        }
        mask
    }

    /// Passes a body in pieces of the given length.
    fn passed(secrets: &[&str], body: &str, length: usize) -> String {
        let mut masked = MaskedBody::new(mask(secrets));
        let mut out = Vec::new();
        let held = secrets
            .iter()
            .map(|secret| secret.trim().len())
            .max()
            .unwrap_or(0)
            .saturating_sub(1);
        let mut come = 0;
        for piece in body.as_bytes().chunks(length) {
            out.extend(masked.pass(piece));
            come += piece.len();
            // Whatever the bytes are: this is what a guest sees of the mask.
            assert_eq!(
                masked.held.len(),
                held.min(come),
                "`{body}` in pieces of {length}"
            );
        }
        out.extend(masked.finish());
        String::from_utf8(out).expect("ASCII")
    }

    #[track_caller]
    fn check(secrets: &[&str], body: &str, expected: &str) {
        for length in 1..=body.len() {
            assert_eq!(passed(secrets, body, length), expected, "in pieces of {length}");
        }
    }

    #[test]
    fn a_secret_is_blanked_out_wherever_it_stands_and_however_it_is_torn_apart() {
        check(&["s3cret"], "a s3cret b s3crets", "a ****** b ******s");
        check(&["s3cret"], "s3cre", "s3cre");
        check(&["s3cret"], "s3s3cret", "s3******");
        check(&["aa"], "baaab", "b***b");
        check(&["abab"], "ababab", "******");
        check(&["x"], "xyx", "*y*");
    }

    #[test]
    fn blanks_around_a_secret_are_no_part_of_it() {
        check(&[" s3cret\t"], "a s3cret b", "a ****** b");
        check(&["  "], "a  b", "a  b");
    }

    #[test]
    fn secrets_that_overlap_or_contain_each_other_are_all_blanked_out() {
        check(&["abc", "bcd"], "-abcd-", "-****-");
        check(&["bcd", "abc"], "-abcd-", "-****-");
        check(&["b", "abc"], "abx-abc", "a*x-***");
        check(&["abcd", "c"], "abcabcd", "ab*****");
    }

    #[test]
    fn headers_are_blanked_out_and_their_names_do_not_tell() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer S3cret!"));
        headers.append("x-echo", HeaderValue::from_static("plain"));
        headers.insert("x-s3cret-1", HeaderValue::from_static("told"));
        mask(&["S3cret"]).headers(&mut headers);
        let mut expected = HeaderMap::new();
        expected.insert("x-echo", HeaderValue::from_static("Bearer ******!"));
        expected.append("x-echo", HeaderValue::from_static("plain"));
        assert_eq!(headers, expected);
    }

    /// What the mask must do, the slow way.
    fn oracle(secrets: &[String], body: &str) -> String {
        let mut out = body.as_bytes().to_vec();
        for secret in secrets {
            for begin in 0..body.len() {
                if body.as_bytes()[begin..].starts_with(secret.as_bytes()) {
                    out[begin..begin + secret.len()].fill(BLANK);
                }
            }
        }
        String::from_utf8(out).expect("ASCII")
    }

    proptest! {
        #[test]
        fn it_does_what_the_slow_way_does(
            secrets in proptest::collection::vec("[ab]{1,5}", 1..4),
            body in "[abc]{0,40}",
            length in 1_usize..9,
        ) {
            let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
            prop_assert_eq!(passed(&names, &body, length), oracle(&secrets, &body));
        }
    }

    #[test]
    fn what_follows_a_body_is_blanked_out_too() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-echo", HeaderValue::from_static("<secret>"));
        trailers.insert("x-secret", HeaderValue::from_static("1"));
        MaskedBody::new(mask(&["secret"])).trailers(&mut trailers);
        let left: Vec<_> = trailers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(left, [("x-echo", &b"<******>"[..])]);
    }
}
