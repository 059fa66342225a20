//! Nothing of the machine it was written on: no folder of that machine, no package registry's host.
//!
//! A committed registry address sends everyone's installs to it, and a committed folder works for one person.
//! The patterns are assembled from pieces, so that this file does not contain what it forbids.

use super::{Finding, Repository};

/// Folders at the root of a developer's or a build machine, without the leading slash.
const FOLDERS: [&[&str]; 3] = [&["wo", "rk"], &["ro", "ot"], &["tmp/", "plan"]];

/// Hosts of package registries.
const HOSTS: [&[&str]; 6] = [
    &["crates", ".io"],
    &["npm", "js.org"],
    &["npm", "js.com"],
    &["python", "hosted.org"],
    &["py", "pi.org"],
    &["proxy.", "golang.org"],
];

/// The one source line cargo itself writes for each package.
fn is_cargo_source(path: &str, line: &str) -> bool {
    let source = [
        "source = \"registry+https://github.com/rust-lang/crates",
        ".io-index\"",
    ]
    .concat();
    path.rsplit('/').next() == Some("Cargo.lock") && line == source
}

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let folders: Vec<String> = FOLDERS
        .iter()
        .map(|pieces| format!("/{}", pieces.concat()))
        .collect();
    let hosts: Vec<String> = HOSTS.iter().map(|pieces| pieces.concat()).collect();
    let mut findings = Vec::new();
    for (path, text) in repository.texts() {
        for (index, line) in text.lines().enumerate() {
            if is_cargo_source(path, line) {
                continue;
            }
            if let Some(message) = message(path, line, &folders, &hosts) {
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

fn message(path: &str, line: &str, folders: &[String], hosts: &[String]) -> Option<String> {
    if let Some(folder) = folders.iter().find(|folder| names_folder(line, folder)) {
        return Some(format!("names the folder `{folder}` of one machine"));
    }
    if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
        return Some(format!("names the registry host `{host}`"));
    }
    names_lock_source(path, line)
        .then(|| "fixes where packages come from: leave it to each machine".to_owned())
}

/// Whether `folder` stands there as an absolute path, not as the tail or the start of another name.
fn names_folder(line: &str, folder: &str) -> bool {
    let continues = |character: char| character.is_alphanumeric() || "._-".contains(character);
    line.match_indices(folder).any(|(start, _)| {
        let before = line.get(..start).unwrap_or_default();
        let after = line.get(start + folder.len()..).unwrap_or_default();
        let starts = before.ends_with("://")
            || before
                .chars()
                .next_back()
                .is_none_or(|last| !continues(last) && !"/*~})".contains(last));
        starts && !after.starts_with(continues)
    })
}

/// Whether a lock file pins a download address, which may be a mirror of one machine.
fn names_lock_source(path: &str, line: &str) -> bool {
    match path.rsplit('/').next() {
        Some("Cargo.lock") => line.starts_with("source = "),
        Some("package-lock.json" | "npm-shrinkwrap.json") => {
            line.trim_start().starts_with("\"resolved\": \"http")
        }
        Some("requirements.txt") => line.contains("://"),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_line(path: &str, line: &str, expected: Option<&str>) {
        let found = check(&Repository::of(&[(path, line)]));
        let expected: Vec<_> = expected
            .map(|message| Finding::new(path, 1, message))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn folders_of_a_machine_are_found() {
        let folder = ["/wo", "rk"].concat();
        let message = format!("names the folder `{folder}` of one machine");
        check_line("a.md", &format!("see {folder}/main"), Some(&message));
        check_line("a.md", &format!("(`{folder}`)"), Some(&message));
        check_line("a.md", &format!("file://{folder}/x"), Some(&message));
        check_line("a.md", &format!("path = \"{folder}\""), Some(&message));
        check_line("a.md", &format!("{folder}space and crates{folder}"), None);
        check_line(
            "a.md",
            &format!("{folder}-dir, ${{home}}{folder}, ~{folder}"),
            None,
        );
        check_line("a.md", &format!("https://example.com{folder}"), None);
    }

    #[test]
    fn registry_hosts_are_found() {
        let host = ["crates", ".io"].concat();
        check_line(
            "a.rs",
            &format!("// from {host}"),
            Some(&format!("names the registry host `{host}`")),
        );
        let source = format!("source = \"registry+https://github.com/rust-lang/{host}-index\"");
        check_line("Cargo.lock", &source, None);
        check_line("fuzz/Cargo.lock", &source, None);
        check_line(
            "Cargo.toml",
            &source,
            Some(&format!("names the registry host `{host}`")),
        );
    }

    #[test]
    fn lock_files_name_no_mirror() {
        let message = Some("fixes where packages come from: leave it to each machine");
        check_line(
            "Cargo.lock",
            "source = \"sparse+https://mirror.example/\"",
            message,
        );
        check_line("Cargo.lock", "source = \"git+https://example.com/x#1\"", message);
        check_line(
            "a/package-lock.json",
            "  \"resolved\": \"https://mirror.example/a.tgz\",",
            message,
        );
        check_line(
            "a/requirements.txt",
            "--index-url https://mirror.example/simple",
            message,
        );
        check_line("a/package.json", "  \"homepage\": \"https://example.com\"", None);
    }
}
