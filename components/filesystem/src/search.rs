//! Finding files by their names and their content.

use crate::file::File;
use crate::path::Place;
use crate::walk::{inside, walk};
use crate::{Entry, Hit, Hits, Kind, Line};
use regex_lite::Regex;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags};

/// Larger files are not searched by content.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A longer line is cut when it is shown.
const LINE_CHARACTERS_MAX: usize = 500;

pub(crate) fn search(
    place: &Place,
    name: Option<String>,
    content: Option<String>,
    limit: usize,
) -> Result<Hits, String> {
    let regex = content
        .map(|pattern| {
            Regex::new(&pattern)
                .map_err(|error| format!("cannot read the regular expression `{pattern}`: {error}"))
        })
        .transpose()?;
    let mut hits = Hits {
        found: Vec::new(),
        truncated: false,
    };
    let complete = walk(place, true, &mut |entry| {
        let last = entry.path.rsplit('/').next().unwrap_or_default();
        if name.as_deref().is_none_or(|pattern| matches(pattern, last)) {
            match &regex {
                None => hits.found.push(Hit {
                    path: entry.path.clone(),
                    line: None,
                }),
                Some(regex) => hits.truncated |= !search_file(place, entry, regex, &mut hits.found),
            }
        }
        hits.found.len() <= limit
    })?;
    hits.truncated |= !complete || hits.found.len() > limit;
    hits.found.truncate(limit);
    Ok(hits)
}

/// Adds the lines of a file that match; false when the file had to be left out.
fn search_file(place: &Place, entry: &Entry, regex: &Regex, found: &mut Vec<Hit>) -> bool {
    if entry.kind != Kind::File {
        return true;
    }
    if entry.size > FILE_BYTES_MAX {
        return false;
    }
    let inside = inside(place, &entry.path);
    let bytes = File::open(place, &inside, OpenFlags::empty(), DescriptorFlags::READ)
        .and_then(|mut file| file.bytes());
    let Ok(bytes) = bytes else { return false };
    let Ok(text) = String::from_utf8(bytes) else {
        return true;
    };
    for (number, line) in (1..).zip(text.lines()) {
        if regex.is_match(line) {
            let text = line.chars().take(LINE_CHARACTERS_MAX).collect();
            found.push(Hit {
                path: entry.path.clone(),
                line: Some(Line { number, text }),
            });
        }
    }
    true
}

/// Whether a name is of a pattern in which `*` stands for any characters and `?` for one.
///
/// After a mismatch only the last `*` is tried further on, so that the time grows with the product of the
/// lengths at most.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    let mut star = None;
    while let Some(character) = name.get(at) {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((star_of, star_at)) = star else {
                    return false;
                };
                star = Some((star_of, star_at + 1));
                at = star_at + 1;
                of = star_of + 1;
            }
        }
    }
    pattern.iter().skip(of).all(|rest| *rest == '*')
}
