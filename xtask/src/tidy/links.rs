//! Every link from one document of the repository to another leads somewhere, headings included.

use super::{Finding, Repository};

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (number, target) in targets(text) {
            if let Some(message) = refusal(repository, path, &target) {
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    findings
}

fn refusal(repository: &Repository, from: &str, target: &str) -> Option<String> {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = resolve(from, file);
    let is_file = repository.files.contains_key(&path);
    let folder = format!("{}/", path.trim_end_matches('/'));
    let is_folder = path.is_empty() || repository.files.keys().any(|known| known.starts_with(&folder));
    if !is_file && !is_folder {
        return Some(format!("links to `{target}`, which is not there"));
    }
    let document = repository.text(&path).filter(|_| path.ends_with(".md"))?;
    let is_missing = !heading.is_empty() && !headings(document).any(|known| known == heading);
    is_missing.then(|| format!("links to `{target}`, which is no heading there"))
}

/// The path from the root that `target` means in the file `from`.
pub(super) fn resolve(from: &str, target: &str) -> String {
    if target.is_empty() {
        return from.to_owned();
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            // Above the root: keep it, so that the path is not found.
            ".." if parts.last().is_none_or(|last| *last == "..") => parts.push(part),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Link targets inside the repository, with their lines: `[text](target)` and `[name]: target`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        let inline = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', ' ']).next());
        let defined = line
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .and_then(|(_, rest)| rest.split(' ').next());
        let all = inline
            .chain(defined)
            .filter(|target| !target.is_empty() && !is_elsewhere(target));
        found.extend(all.map(|target| (number, target.to_owned())));
    }
    found
}

fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:") || target.starts_with('<')
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Anchors of a document's headings, made as the usual renderers make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|character| character.is_alphanumeric() || " -_".contains(*character));
            kept.map(|character| if character == ' ' { '-' } else { character })
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_link(line: &str, expected: Option<&str>) {
        let other = ("docs/other.md", "# Top\n\n## What it costs, in `ms`\n");
        let found = check(&Repository::of(&[
            ("docs/a.md", line),
            other,
            ("src/main.rs", ""),
            ("README.md", ""),
        ]));
        let expected: Vec<_> = expected
            .map(|text| Finding::new("docs/a.md", 1, text))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_link_must_lead_to_a_file_or_folder() {
        check_link(
            "see [it](other.md) and [root](../README.md), [code](../src)",
            None,
        );
        check_link(
            "see [it](missing.md)",
            Some("links to `missing.md`, which is not there"),
        );
        check_link(
            "see [it](../../README.md)",
            Some("links to `../../README.md`, which is not there"),
        );
        check_link("[it]: gone.md", Some("links to `gone.md`, which is not there"));
        check_link(
            "![picture](gone.png \"title\")",
            Some("links to `gone.png`, which is not there"),
        );
    }

    #[test]
    fn a_fragment_must_name_a_heading() {
        check_link("see [it](other.md#what-it-costs-in-ms)", None);
        check_link(
            "see [it](other.md#nothing)",
            Some("links to `other.md#nothing`, which is no heading there"),
        );
        check_link(
            "see [it](#nothing)",
            Some("links to `#nothing`, which is no heading there"),
        );
    }

    #[test]
    fn code_and_other_sites_are_left_alone() {
        check_link(
            "`[x](missing.md)` and [site](https://example.com/missing.md)",
            None,
        );
        check_link("```text\n[x](missing.md)\n```", None);
    }
}
