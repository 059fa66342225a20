//! Rules a compiler cannot check: who may depend on whom, what every file must say, what no file may say.
//!
//! Each rule is a pure function from texts to findings, so that its tests can hand it a bad input. All input is
//! read first, by [`Repository::read`]; nothing here changes a file.

mod changelog;
mod dependencies;
mod digests;
mod hosts;
mod links;
mod locks;
mod source;

use crate::step;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// One violation, printed as `path:line: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Every file git tracks or would track, by its path from the root, with `/` between the parts.
#[derive(Debug, Default)]
struct Repository {
    files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// Reads the working tree, so that a finding shows before it is committed.
    fn read(root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot run `git ls-files`")?;
        if !listed.status.success() {
            bail!(
                "`git ls-files` failed: {}",
                String::from_utf8_lossy(&listed.stderr).trim()
            );
        }
        let listed = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            match std::fs::read(root.join(path)) {
                Ok(bytes) => drop(files.insert(path.to_owned(), bytes)),
                // Deleted, but not yet in the index: there is nothing to check.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read `{path}`")),
            }
        }
        Ok(Self { files })
    }

    /// The text files, which are all that are UTF-8.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
    }

    fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Self {
            files: files.collect(),
        }
    }
}

/// Checks the repository and prints every finding.
///
/// # Errors
///
/// When there is a finding, or the repository cannot be read.
pub(crate) fn run() -> Result<()> {
    let repository = Repository::read(step::root())?;
    let mut findings = check_all(&repository, &metadata()?);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy: 1 finding"),
        many => bail!("tidy: {many} findings"),
    }
}

fn check_all(repository: &Repository, metadata: &serde_json::Value) -> Vec<Finding> {
    let mut findings = dependencies::check(metadata);
    findings.extend(locks::check(repository, metadata));
    findings.extend(check(repository));
    findings
}

/// All rules that need nothing but the files.
fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = changelog::check(repository);
    findings.extend(dependencies::check_manifests(repository));
    findings.extend(digests::check(repository));
    findings.extend(hosts::check(repository));
    findings.extend(links::check(repository));
    findings.extend(source::check(repository));
    findings
}

fn metadata() -> Result<serde_json::Value> {
    let output = step::cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .context("cannot run `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_is_printed_so_that_an_editor_can_jump_to_it() {
        assert_eq!(
            Finding::new("src/main.rs", 7, "too long").to_string(),
            "src/main.rs:7: too long"
        );
    }

    #[test]
    fn this_repository_is_tidy() {
        let repository = Repository::read(step::root()).unwrap();
        let findings = check_all(&repository, &metadata().unwrap());
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(
            lines.is_empty(),
            "`cargo xtask tidy` finds:\n{}",
            lines.join("\n")
        );
    }
}
