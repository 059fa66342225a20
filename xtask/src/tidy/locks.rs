//! Lock files of workspaces beside ours that build our packages: they lock what ours locks, so that what is measured
//! and fuzzed is what is shipped.
//!
//! Cargo could say that one is out of date, but only where it knows every package in it: not on a machine that has
//! built nothing but this workspace. So texts are compared, and the rest is left to cargo.

use super::{Finding, Repository, dependencies};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

const LOCK: &str = "Cargo.lock";

/// One package of a lock file.
#[derive(Debug, Default)]
struct Package<'t> {
    /// Where its name stands.
    line: usize,
    name: &'t str,
    version: &'t str,
    dependencies: BTreeSet<&'t str>,
}

/// Compares with the root's lock file, and with what `cargo metadata --no-deps` says that our packages need.
pub(super) fn check(repository: &Repository, metadata: &Json) -> Vec<Finding> {
    let needed = needed(metadata);
    let root = packages(repository.text(LOCK).unwrap_or_default());
    let mut shipped: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for package in &root {
        shipped.entry(package.name).or_default().insert(package.version);
    }
    let mut findings = Vec::new();
    for (path, text) in repository.texts() {
        let locked = packages(text);
        let is_beside = path.ends_with(&format!("/{LOCK}"));
        if !is_beside || !locked.iter().any(|package| needed.contains_key(package.name)) {
            continue;
        }
        for package in &locked {
            let message = fault(package, needed.get(package.name), shipped.get(package.name));
            findings.extend(message.map(|message| Finding::new(path, package.line, message)));
        }
    }
    findings
}

fn fault(
    package: &Package<'_>,
    needed: Option<&BTreeSet<&str>>,
    shipped: Option<&BTreeSet<&str>>,
) -> Option<String> {
    let Package { name, version, .. } = package;
    if needed.is_some_and(|needed| *needed != package.dependencies) {
        return Some(format!(
            "`{name}` needs other packages by now: run `cargo tree` in this folder, which writes them down"
        ));
    }
    let shipped = shipped.filter(|shipped| !shipped.contains(version))?;
    let shipped = Vec::from_iter(shipped.iter().copied()).join(" or ");
    Some(format!(
        "has `{name}` {version}, and the program {shipped}: run `cargo update {name} --precise` in this folder"
    ))
}

/// What each of our packages needs to be built, without its tests.
fn needed(metadata: &Json) -> BTreeMap<&str, BTreeSet<&str>> {
    let (array, string) = (dependencies::array, dependencies::string);
    let of_package = |package| {
        let all = array(package, "dependencies").iter();
        let built = all.filter(|needed| string(needed, "kind") != "dev");
        built.map(|needed| string(needed, "name")).collect()
    };
    let packages = array(metadata, "packages").iter();
    packages
        .map(|package| (string(package, "name"), of_package(package)))
        .collect()
}

/// The packages of a lock file, which cargo writes one key a line.
fn packages(text: &str) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line == "[[package]]" {
            packages.push(Package::default());
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        if let Some(name) = value(line, "name = \"") {
            (package.name, package.line) = (name, index + 1);
        } else if let Some(version) = value(line, "version = \"") {
            package.version = version;
        } else if let Some(needed) = value(line, " \"") {
            // The version follows where there are several.
            package.dependencies.extend(needed.split(' ').next());
        }
    }
    packages
}

fn value<'t>(line: &'t str, key: &str) -> Option<&'t str> {
    line.strip_prefix(key)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROOT: &str =
        "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.2\"\nsource = \"registry\"\n";

    #[track_caller]
    fn check_lock(path: &str, lock: &str, expected: &[(usize, &str)]) {
        let metadata = json!({ "packages": [{ "name": "wassette-wit", "dependencies": [
            { "name": "serde", "kind": null }, { "name": "proptest", "kind": "dev" },
        ] }] });
        let repository = Repository::of(&[(LOCK, ROOT), (path, lock)]);
        let finding = |(line, message): &(usize, &str)| Finding::new(path, *line, *message);
        let expected: Vec<_> = expected.iter().map(finding).collect();
        assert_eq!(check(&repository, &metadata), expected);
    }

    #[test]
    fn a_lock_file_beside_ours_that_is_out_of_date_is_found() {
        let ours = "[[package]]\nname = \"wassette-wit\"\nversion = \"0.1.0\"\ndependencies = [\n \"serde 1.0.2\",\n]\n";
        check_lock("fuzz/Cargo.lock", ours, &[]);
        check_lock("fuzz/Cargo.lock", &format!("{ROOT}\n{ours}"), &[]);
        let other = format!("{}\n{ours}", ROOT.replace("1.0.2", "1.0.1"));
        let message =
            "has `serde` 1.0.1, and the program 1.0.2: run `cargo update serde --precise` in this folder";
        check_lock("fuzz/Cargo.lock", &other, &[(4, message)]);
        let without = ours.replace(" \"serde 1.0.2\",\n", "");
        let message = "`wassette-wit` needs other packages by now: run `cargo tree` in this folder, which writes them down";
        check_lock("fuzz/Cargo.lock", &without, &[(2, message)]);
        // One that builds none of ours is its own business.
        check_lock("tests/Cargo.lock", &ROOT.replace("1.0.2", "1.0.1"), &[]);
    }
}
