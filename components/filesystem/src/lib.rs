//! The starter component `filesystem`: list, read, write and search files, as far as folders were granted.
//!
//! The host decides what can be reached: it hands over the granted folders as preopened directories, and
//! every path is taken relative to one of them. With none, each tool says so in its error.

mod file;
mod path;
mod search;
mod walk;

use file::File;
use path::Place;
use wasip2::filesystem::types::{DescriptorFlags, DescriptorStat, DescriptorType, OpenFlags, PathFlags};

wit_bindgen::generate!({ world: "filesystem", path: "wit" });

const LIST_LIMIT: u32 = 1000;
const READ_LINES: u32 = 2000;
const SEARCH_LIMIT: u32 = 200;

struct Component;
export!(Component);

impl Guest for Component {
    fn roots() -> Vec<String> {
        // A host may show a folder so that it can name what is refused in it; only one that can be looked at
        // was granted.
        let granted = path::roots().into_iter().filter(|(folder, _)| folder.stat().is_ok());
        granted.map(|(_, name)| name).collect()
    }

    fn list(path: String, recursive: Option<bool>, limit: Option<u32>) -> Result<Listing, String> {
        let limit = size(limit.unwrap_or(LIST_LIMIT));
        let mut listing = Listing {
            entries: Vec::new(),
            truncated: false,
        };
        let complete = walk::walk(&Place::find(&path)?, recursive == Some(true), &mut |entry| {
            listing.truncated = listing.entries.len() == limit;
            if !listing.truncated {
                listing.entries.push(entry.clone());
            }
            !listing.truncated
        })?;
        listing.truncated |= !complete;
        Ok(listing)
    }

    fn read(path: String, first_line: Option<u32>, max_lines: Option<u32>) -> Result<Excerpt, String> {
        let place = Place::find(&path)?;
        let mut file = File::open(
            &place,
            place.relative(),
            OpenFlags::empty(),
            DescriptorFlags::READ,
        )?;
        file.excerpt(first_line.unwrap_or(1).max(1), max_lines.unwrap_or(READ_LINES))
    }

    fn write(path: String, text: String, mode: Option<WriteMode>) -> Result<u64, String> {
        let place = Place::find(&path)?;
        let mode = mode.unwrap_or(WriteMode::Create);
        let flags = match mode {
            WriteMode::Create => OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            WriteMode::Overwrite => OpenFlags::CREATE | OpenFlags::TRUNCATE,
            WriteMode::Append => OpenFlags::CREATE,
        };
        place.make_parents()?;
        let mut file = File::open(&place, place.relative(), flags, DescriptorFlags::WRITE)?;
        let start = if mode == WriteMode::Append {
            file.size()?
        } else {
            0
        };
        file.write(text.as_bytes(), start)?;
        file.size()
    }

    fn search(
        path: String,
        name: Option<String>,
        content: Option<String>,
        limit: Option<u32>,
    ) -> Result<Hits, String> {
        search::search(
            &Place::find(&path)?,
            name,
            content,
            size(limit.unwrap_or(SEARCH_LIMIT)),
        )
    }

    fn info(path: String) -> Result<Entry, String> {
        let place = Place::find(&path)?;
        let stat = place.root.stat_at(PathFlags::empty(), place.relative());
        stat.map(|stat| entry(place.path.clone(), &stat))
            .map_err(|code| place.refused("look at", code))
    }
}

fn entry(path: String, stat: &DescriptorStat) -> Entry {
    let kind = kind(stat.type_);
    let modified = stat.data_modification_timestamp;
    Entry {
        path,
        kind,
        size: if kind == Kind::File { stat.size } else { 0 },
        modified_ms: modified
            .map(|time| time.seconds.saturating_mul(1000) + u64::from(time.nanoseconds / 1_000_000)),
    }
}

fn kind(kind: DescriptorType) -> Kind {
    match kind {
        DescriptorType::RegularFile => Kind::File,
        DescriptorType::Directory => Kind::Folder,
        DescriptorType::SymbolicLink => Kind::Link,
        DescriptorType::Unknown
        | DescriptorType::BlockDevice
        | DescriptorType::CharacterDevice
        | DescriptorType::Fifo
        | DescriptorType::Socket => Kind::Other,
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
