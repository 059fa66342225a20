//! Going through a folder and, if wanted, all folders in it.

use crate::path::Place;
use crate::{Entry, Kind, entry};
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// Shows every entry below a place to `visit`, sorted, until that returns false.
///
/// Links are shown, not followed. Returns whether everything could be read.
///
/// # Errors
///
/// When the place itself is no folder that can be read.
pub(crate) fn walk(
    place: &Place,
    recursive: bool,
    visit: &mut dyn FnMut(&Entry) -> bool,
) -> Result<bool, String> {
    let mut waiting =
        content(&place.root, place.relative(), &place.path).map_err(|code| place.refused("list", code))?;
    let mut complete = true;
    while let Some(entry) = waiting.pop() {
        if !visit(&entry) {
            return Ok(complete);
        }
        if recursive && entry.kind == Kind::Folder {
            match content(&place.root, &inside(place, &entry.path), &entry.path) {
                Ok(entries) => waiting.extend(entries),
                Err(_) => complete = false,
            }
        }
    }
    Ok(complete)
}

/// The way from the root of `place` to a path below it.
pub(crate) fn inside(place: &Place, path: &str) -> String {
    let below = path
        .strip_prefix(place.path.as_str())
        .unwrap_or(path)
        .trim_start_matches('/');
    if place.inside.is_empty() {
        below.to_owned()
    } else {
        format!("{}/{below}", place.inside)
    }
}

/// The entries of one folder, the last first: they are taken from the end.
fn content(root: &Descriptor, relative: &str, path: &str) -> Result<Vec<Entry>, ErrorCode> {
    let folder = root.open_at(
        PathFlags::empty(),
        relative,
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    )?;
    let stream = folder.read_directory()?;
    let mut entries = Vec::new();
    while let Some(found) = stream.read_directory_entry()? {
        // What vanished since, or may not be looked at, is left out.
        if let Ok(stat) = folder.stat_at(PathFlags::empty(), &found.name) {
            entries.push(entry(
                format!("{}/{}", path.trim_end_matches('/'), found.name),
                &stat,
            ));
        }
    }
    entries.sort_by(|one, other| other.path.cmp(&one.path));
    Ok(entries)
}
