//! Names of tools.
//!
//! The rules are the intersection of what known clients and models take: `[a-zA-Z_][a-zA-Z0-9_-]*`, at most
//! 64 characters, no `__` (some clients split there). A component id holds no `_`, so what stands before the
//! first one is the id, and tools of different components cannot meet.
//!
//! INVARIANT: names depend only on the component id and on the set of exported functions, never on their
//! order or on other components, and no two functions of one component share a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::FunctionPath;

/// Most characters of a tool's name: the least of what known clients and models take.
const NAME_CHARS_MAX: usize = 64;

/// Characters of a name that are left in front of `_` and a hash of eight digits.
const HASHED_CHARS_MAX: usize = NAME_CHARS_MAX - 9;

/// Name under which an MCP client sees a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ToolName(Arc<str>);

/// The text is no name of a tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tool name has 1 to {NAME_CHARS_MAX} letters, digits, `-` and `_`, starts with a letter or `_`, and has no `__`"
)]
pub struct ParseToolNameError(());

impl ToolName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ToolName {
    type Err = ParseToolNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let is_charset = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !starts_well || !is_charset || text.len() > NAME_CHARS_MAX || text.contains("__") {
            return Err(ParseToolNameError(()));
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for ToolName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ToolName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ToolName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether `text` can be the id of a component: `[a-z][a-z0-9-]{0,39}`, no `--`, no `-` at the end.
pub(crate) fn is_component_id(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && text.len() <= 40
        && !text.contains("--")
        && !text.ends_with('-')
}

/// Gives each path a name; `component_id` must be one, and equal paths share a name.
pub(crate) fn tool_names<'p>(
    component_id: &str,
    paths: impl Iterator<Item = &'p FunctionPath>,
) -> BTreeMap<&'p FunctionPath, ToolName> {
    let paths: BTreeSet<&FunctionPath> = paths.collect();
    let short = |path: &FunctionPath| format!("{component_id}_{}", segment(&path.function));
    let qualified = |path: &FunctionPath| match &path.interface {
        Some(interface) => format!(
            "{component_id}_{}_{}",
            interface_segment(interface),
            segment(&path.function)
        ),
        None => short(path),
    };
    let short_count = count(paths.iter().map(|path| short(path)));
    let qualified_count = count(paths.iter().map(|path| qualified(path)));

    let mut names = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for path in paths {
        let short = short(path);
        let is_shared = short_count.get(&short).is_some_and(|count| *count > 1);
        let name = if is_shared { qualified(path) } else { short };
        let is_still_shared = is_shared && qualified_count.get(&name).is_some_and(|count| *count > 1);
        let mut candidate = if is_still_shared || name.len() > NAME_CHARS_MAX {
            hashed(&name, path, 0)
        } else {
            name.clone()
        };
        let mut salt = 0;
        while !taken.insert(candidate.clone()) {
            salt += 1;
            candidate = hashed(&name, path, salt);
        }
        names.insert(path, ToolName(candidate.into()));
    }
    names
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

/// A name of WIT, lower-cased, with anything but letters, digits and single `-` replaced.
///
/// Names that a validated component exports are in kebab case already, so this changes letters only.
fn segment(name: &str) -> String {
    let replace = |char: char| {
        if char.is_ascii_alphanumeric() {
            char.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let segment: String = name.chars().map(replace).collect();
    if segment.is_empty() {
        "x".to_owned()
    } else {
        segment
    }
}

/// `iface` of `ns:pkg/iface@1.0.0`: versions never enter a name.
fn interface_segment(interface: &str) -> String {
    let unversioned = interface.split_once('@').map_or(interface, |(name, _)| name);
    segment(unversioned.rsplit_once('/').map_or(unversioned, |(_, name)| name))
}

/// Cuts `name` so that `_` and a hash of the full WIT name fit behind it.
fn hashed(name: &str, path: &FunctionPath, salt: u32) -> String {
    let cut: String = name.chars().take(HASHED_CHARS_MAX).collect();
    let hash = fnv1a(&if salt == 0 {
        path.to_string()
    } else {
        format!("{path}#{salt}")
    });
    format!(
        "{}_{:08x}",
        cut.trim_end_matches(['-', '_']),
        (hash ^ (hash >> 32)) & 0xffff_ffff
    )
}

/// FNV-1a, 64 bits.
///
/// The hash tells apart functions of one component, so an author who makes two of them collide meets only
/// the tie-break in [`tool_names`]. It must be the same on every machine and in every version for ever,
/// which `std`'s hasher does not promise, and a cryptographic one would add nothing.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Names of functions given as `interface#function`, in that order.
    fn names(id: &str, paths: &[&str]) -> Vec<String> {
        let paths: Vec<FunctionPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let names = tool_names(id, paths.iter());
        paths.iter().map(|path| names[path].to_string()).collect()
    }

    #[track_caller]
    fn check(id: &str, paths: &[&str], expected: &[&str]) {
        assert_eq!(names(id, paths), expected);
    }

    #[test]
    fn name_is_component_and_function() {
        check("clock", &["now"], &["clock_now"]);
        check(
            "clock",
            &["a:b/c@1.0.0#now", "later"],
            &["clock_now", "clock_later"],
        );
    }

    #[test]
    fn letters_are_lower_cased() {
        check("web", &["get-URL", "HTTP"], &["web_get-url", "web_http"]);
    }

    #[test]
    fn collision_adds_the_interface() {
        check(
            "m",
            &["a:b/x#run", "a:b/y#run", "a:b/y#stop"],
            &["m_x_run", "m_y_run", "m_stop"],
        );
    }

    #[test]
    fn world_level_function_keeps_the_short_name() {
        check("m", &["run", "a:b/x#run"], &["m_run", "m_x_run"]);
    }

    #[test]
    fn collision_of_interfaces_adds_a_hash() {
        check(
            "m",
            &["a:b/x@1.0.0#run", "a:b/x@2.0.0#run", "c:d/x#run"],
            &["m_x_run_e3417e91", "m_x_run_b639d8e7", "m_x_run_8f1b8cc6"],
        );
    }

    #[test]
    fn long_name_is_cut_and_hashed() {
        let (fits, long) = ("f".repeat(62), "f".repeat(63));
        check("m", &[&fits], &[&format!("m_{fits}")]);
        let name = names("m", &[&long]).remove(0);
        assert_eq!(name.len(), 64);
        assert_eq!(
            name,
            format!("m_{}_{:08x}", "f".repeat(53), {
                let hash = fnv1a(&long);
                (hash ^ (hash >> 32)) & 0xffff_ffff
            })
        );
    }

    #[test]
    fn hash_is_the_published_one() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn tool_name_is_checked() {
        for good in ["a", "_", "a_b-C9", &"a".repeat(64)] {
            assert_eq!(good.parse::<ToolName>().unwrap().as_str(), good);
        }
        for bad in ["", "9a", "-a", "a__b", "a.b", "ä", "a b", &"a".repeat(65)] {
            assert_eq!(bad.parse::<ToolName>(), Err(ParseToolNameError(())), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_are_legal_injective_and_independent_of_order(
            id in "[a-z]([a-z0-9]|-[a-z0-9]){0,19}",
            paths in proptest::collection::btree_set(
                ("([a-z]:[a-z]/)?[a-cA-C]{1,2}(@[12].0.0)?|[a-z]{50,70}", "[a-bA-B]{1,2}(-[a-z0-9]{1,3}){0,2}|[f-h]{60,70}|.{0,5}", any::<bool>()),
                0..24,
            ),
        ) {
            let paths: Vec<FunctionPath> = paths
                .into_iter()
                .map(|(interface, function, is_top)| FunctionPath { interface: (!is_top).then_some(interface), function })
                .collect();
            let names = tool_names(&id, paths.iter());
            let distinct: BTreeSet<&str> = names.values().map(ToolName::as_str).collect();
            let distinct_paths: BTreeSet<&FunctionPath> = paths.iter().collect();
            prop_assert_eq!(distinct.len(), distinct_paths.len());
            for name in &distinct {
                prop_assert!(name.parse::<ToolName>().is_ok(), "{}", name);
                prop_assert_eq!(name.split_once('_').map(|(id, _)| id), Some(id.as_str()));
            }
            prop_assert_eq!(&tool_names(&id, paths.iter().rev()), &names);
        }
    }
}
