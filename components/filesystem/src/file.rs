//! Reading and writing one file.

use crate::Excerpt;
use crate::path::Place;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, OpenFlags, PathFlags};

/// How much is asked of the host at a time.
const CHUNK_BYTES: u64 = 64 * 1024;

/// How much text one call returns.
const EXCERPT_BYTES_MAX: usize = 256 * 1024;

/// An open file.
#[derive(Debug)]
pub(crate) struct File<'a> {
    place: &'a Place,
    descriptor: Descriptor,
    offset: u64,
}

impl<'a> File<'a> {
    /// Opens what lies at `relative`, the way from the root of `place`.
    pub(crate) fn open(
        place: &'a Place,
        relative: &str,
        flags: OpenFlags,
        access: DescriptorFlags,
    ) -> Result<Self, String> {
        let descriptor = place
            .root
            .open_at(PathFlags::SYMLINK_FOLLOW, relative, flags, access)
            .map_err(|code| place.refused("open", code))?;
        let kind = descriptor
            .get_type()
            .map_err(|code| place.refused("open", code))?;
        if kind == DescriptorType::Directory {
            return Err(format!("`{}` is a folder", place.path));
        }
        Ok(Self {
            place,
            descriptor,
            offset: 0,
        })
    }

    pub(crate) fn size(&self) -> Result<u64, String> {
        self.descriptor
            .stat()
            .map(|stat| stat.size)
            .map_err(|code| self.place.refused("look at", code))
    }

    /// The next bytes; empty at the end.
    fn chunk(&mut self) -> Result<Vec<u8>, String> {
        let read = self.descriptor.read(CHUNK_BYTES, self.offset);
        let (bytes, _) = read.map_err(|code| self.place.refused("read", code))?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(bytes)
    }

    /// The whole file.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        loop {
            let bytes = self.chunk()?;
            if bytes.is_empty() {
                return Ok(all);
            }
            all.extend(bytes);
        }
    }

    /// Some lines, from `first` on.
    pub(crate) fn excerpt(&mut self, first: u32, max_lines: u32) -> Result<Excerpt, String> {
        let mut lines = Lines {
            number: 1,
            first,
            last: first.saturating_add(max_lines),
            text: Vec::new(),
        };
        loop {
            let bytes = self.chunk()?;
            if bytes.is_empty() {
                return self.finish(lines, false);
            }
            if !lines.take(&bytes) {
                return self.finish(lines, true);
            }
        }
    }

    fn finish(&self, mut lines: Lines, truncated: bool) -> Result<Excerpt, String> {
        if lines.text.len() > EXCERPT_BYTES_MAX {
            // End with a whole line where there is one, so that the next call can go on after it.
            let end = lines
                .text
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(EXCERPT_BYTES_MAX, |end| end + 1);
            lines.text.truncate(end);
        }
        let mut text = String::from_utf8(lines.text)
            .or_else(|error| match error.utf8_error().error_len() {
                // A character cut in two by the limit is left out; anything else is no text.
                None => {
                    let end = error.utf8_error().valid_up_to();
                    let mut bytes = error.into_bytes();
                    bytes.truncate(end);
                    String::from_utf8(bytes).map_err(|_| ())
                }
                Some(_) => Err(()),
            })
            .map_err(|()| format!("`{}` is not a text in UTF-8", self.place.path))?;
        text.shrink_to_fit();
        let line_count = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
        Ok(Excerpt {
            text,
            first_line: lines.first,
            line_count,
            truncated,
        })
    }

    /// Writes all bytes, from an offset on.
    pub(crate) fn write(&mut self, mut bytes: &[u8], start: u64) -> Result<(), String> {
        let mut offset = start;
        while !bytes.is_empty() {
            let written = self
                .descriptor
                .write(bytes, offset)
                .map_err(|code| self.place.refused("write", code))?;
            let rest = usize::try_from(written)
                .ok()
                .and_then(|written| bytes.get(written..));
            match rest {
                Some(rest) if written > 0 => bytes = rest,
                _ => return Err(format!("cannot write `{}`: nothing was taken", self.place.path)),
            }
            offset = offset.saturating_add(written);
        }
        Ok(())
    }
}

/// Collects the lines wanted from a file that comes in chunks.
struct Lines {
    /// The number of the line the next byte belongs to.
    number: u32,
    first: u32,
    /// The first line not wanted any more.
    last: u32,
    text: Vec<u8>,
}

impl Lines {
    /// Takes a chunk; false when nothing more is wanted.
    fn take(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.number >= self.last || self.text.len() > EXCERPT_BYTES_MAX {
                return false;
            }
            if self.number >= self.first {
                self.text.push(*byte);
            }
            if *byte == b'\n' {
                self.number = self.number.saturating_add(1);
            }
        }
        true
    }
}
