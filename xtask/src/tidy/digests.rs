//! Every checked-in `.wasm` is the one whose digest was reviewed: it stands in a `SHA256SUMS` above it.

use super::links::resolve;
use super::{Finding, Repository};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const SUMS: &str = "SHA256SUMS";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for (path, text) in repository.texts() {
        if path.rsplit('/').next() != Some(SUMS) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            match entry(repository, path, line) {
                Ok(file) => drop(listed.insert(file)),
                Err(message) => findings.push(Finding::new(path, index + 1, message)),
            }
        }
    }
    for path in repository.files.keys() {
        if path.ends_with(".wasm") && !listed.contains(path) {
            findings.push(Finding::new(
                path,
                1,
                format!("its digest stands in no `{SUMS}` that matches"),
            ));
        }
    }
    findings
}

/// The file a line of `sha256sum` output names, when its digest is right.
fn entry(repository: &Repository, sums: &str, line: &str) -> Result<String, String> {
    let Some((digest, name)) = line.split_once("  ") else {
        return Err("is not `<digest>  <file>`".to_owned());
    };
    let file = resolve(sums, name);
    let Some(bytes) = repository.files.get(&file) else {
        return Err(format!("`{name}` is not there"));
    };
    let actual = hex(&Sha256::digest(bytes));
    if actual != digest {
        return Err(format!("`{name}` has the digest {actual}"));
    }
    Ok(file)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check_sums(sums: &str, expected: &[(&str, usize, String)]) {
        let found = check(&Repository::of(&[
            ("a/SHA256SUMS", sums),
            ("a/x.wasm", ""),
            ("b.txt", ""),
        ]));
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, line, message)| Finding::new(path, *line, message.clone()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_wasm_file_must_match_its_digest() {
        check_sums(&format!("{EMPTY}  x.wasm\n{EMPTY}  ../b.txt\n"), &[]);
        let unlisted = (
            "a/x.wasm",
            1,
            "its digest stands in no `SHA256SUMS` that matches".to_owned(),
        );
        check_sums("", std::slice::from_ref(&unlisted));
        let wrong = ("a/SHA256SUMS", 1, format!("`x.wasm` has the digest {EMPTY}"));
        check_sums("00  x.wasm\n", &[wrong, unlisted]);
    }

    #[test]
    fn a_listed_file_must_be_there() {
        let missing = ("a/SHA256SUMS", 2, "`y.wasm` is not there".to_owned());
        check_sums(&format!("{EMPTY}  x.wasm\n{EMPTY}  y.wasm\n"), &[missing]);
        let garbage = ("a/SHA256SUMS", 2, "is not `<digest>  <file>`".to_owned());
        check_sums(&format!("{EMPTY}  x.wasm\nnonsense\n"), &[garbage]);
    }
}
