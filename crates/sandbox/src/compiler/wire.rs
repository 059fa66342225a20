//! What goes through the pipes between the server and the compiler's process.
//!
//! A request is a fixed head and the component; an answer is one byte that says what it is, a length, and that many
//! bytes. Lengths are compared with a limit before anything is read into memory.

use crate::engine::Concurrency;
use std::io::{self, Read};

/// First bytes of a request; the digit changes with the layout.
const MAGIC: &[u8; 8] = b"WSTCOMP1";

/// Bytes of a request before the component.
pub(super) const REQUEST_HEAD_BYTES: usize = 8 + 1 + 32 + 8;

/// Bytes of an answer before its content.
pub(super) const ANSWER_HEAD_BYTES: usize = 1 + 8;

/// Most bytes of a text in an answer.
pub(super) const TEXT_BYTES_MAX: usize = 4096;

/// What is asked of the compiler, before the component itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) concurrency: Concurrency,
    /// Fingerprint of the engine that will run the code.
    pub(super) engine: [u8; 32],
    /// Length of the component.
    pub(super) bytes: u64,
}

impl Request {
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(REQUEST_HEAD_BYTES);
        head.extend_from_slice(MAGIC);
        head.push(self.concurrency.mark());
        head.extend_from_slice(&self.engine);
        head.extend_from_slice(&self.bytes.to_le_bytes());
        head
    }

    /// Reads the head of a request; `None` when this is something else.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        let (mut mark, mut engine, mut bytes) = ([0], [0; 32], [0; 8]);
        for part in [&mut magic[..], &mut mark, &mut engine, &mut bytes] {
            match input.read_exact(part) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let [mark] = mark;
        Ok(Concurrency::from_mark(mark)
            .filter(|_| magic == *MAGIC)
            .map(|concurrency| Self {
                concurrency,
                engine,
                bytes: u64::from_le_bytes(bytes),
            }))
    }
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Machine code.
    Code,
    /// Why the component cannot be compiled.
    Invalid,
    /// The compiler panicked.
    Panic,
    /// Why the process cannot work as a compiler.
    Broken,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Code, Self::Invalid, Self::Panic, Self::Broken];

    fn byte(self) -> u8 {
        match self {
            Self::Code => b'c',
            Self::Invalid => b'i',
            Self::Panic => b'p',
            Self::Broken => b'b',
        }
    }
}

pub(super) fn answer_head(kind: Kind, bytes: u64) -> [u8; ANSWER_HEAD_BYTES] {
    let [a, b, c, d, e, f, g, h] = bytes.to_le_bytes();
    [kind.byte(), a, b, c, d, e, f, g, h]
}

/// Reads the head of an answer; `None` when it is none of ours.
pub(super) fn read_answer_head(head: [u8; ANSWER_HEAD_BYTES]) -> Option<(Kind, u64)> {
    let [byte, a, b, c, d, e, f, g, h] = head;
    let kind = Kind::ALL.into_iter().find(|kind| kind.byte() == byte)?;
    Some((kind, u64::from_le_bytes([a, b, c, d, e, f, g, h])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for concurrency in [Concurrency::Unused, Concurrency::Used] {
            let request = Request {
                concurrency,
                engine: [7; 32],
                bytes: 0x0102_0304,
            };
            let head = request.head();
            assert_eq!(head.len(), REQUEST_HEAD_BYTES);
            assert_eq!(Request::read(&mut head.as_slice()).unwrap(), Some(request));
        }
        for kind in Kind::ALL {
            assert_eq!(read_answer_head(answer_head(kind, 77)), Some((kind, 77)));
        }
    }

    #[test]
    fn what_is_no_request_is_none() {
        let request = Request {
            concurrency: Concurrency::Unused,
            engine: [7; 32],
            bytes: 1,
        };
        let head = request.head();
        for cut in 0..head.len() {
            assert_eq!(Request::read(&mut &head[..cut]).unwrap(), None, "cut at {cut}");
        }
        for at in 0..9 {
            let mut changed = head.clone();
            changed[at] ^= 0x80;
            assert_eq!(Request::read(&mut changed.as_slice()).unwrap(), None, "byte {at}");
        }
        assert_eq!(read_answer_head([b'?'; ANSWER_HEAD_BYTES]), None);
    }
}
