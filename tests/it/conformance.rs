//! The official conformance suite against the program, for both revisions of the protocol that it knows.
//!
//! Most scenarios call tools, prompts and resources of a certain name, which no component here offers yet: they are
//! no part of this. The others are about the server alone, and stand here with what they must say.

use crate::http::Server;
use crate::support::{Home, Ran};
use std::path::Path;
use std::process::{Command, Stdio};

/// A scenario, and how many of its checks pass and fail.
type Row = (&'static str, usize, usize);

/// The five are the tools with a fixed name that `server-stateless` calls, and the three of `caching` are about prompts
/// and resources.
const STATELESS: [Row; 8] = [
    ("server-stateless", 23, 5),
    ("tools-list", 4, 0),
    ("server-sse-multiple-streams", 1, 0),
    ("sep-2164-resource-not-found", 2, 0),
    ("dns-rebinding-protection", 2, 0),
    ("caching", 4, 3),
    ("input-required-result-unsupported-methods", 2, 0),
    ("http-header-validation", 14, 0),
];

const HANDSHAKE: [Row; 6] = [
    ("server-initialize", 3, 0),
    ("ping", 2, 0),
    ("tools-list", 3, 0),
    ("server-sse-multiple-streams", 2, 0),
    ("dns-rebinding-protection", 2, 0),
    ("server-session-lifecycle", 3, 0),
];

#[test]
fn a_server_of_the_stateless_era_conforms() {
    check("2026-07-28", &STATELESS);
}

#[test]
fn a_server_of_the_era_with_a_handshake_conforms() {
    check("2025-11-25", &HANDSHAKE);
}

#[track_caller]
fn check(revision: &str, rows: &[Row]) {
    let home = Home::new();
    home.json(&["component", "load", "starter:text"]);
    // The suite cannot send a token.
    let server = Server::start(&home, &["--no-auth"]);
    let url = format!("http://{}/mcp", server.address);
    let results = home.path().join("conformance");
    let ran = suite(&home, &url, revision, &results);
    let found = summary(&ran.stdout);
    assert!(found.len() > 30, "{}\n{}", ran.stdout, ran.stderr);
    let count = |side: fn(&(String, usize, usize)) -> usize| found.iter().map(side).sum::<usize>();
    println!(
        "{revision}: {} of {} scenarios, {} checks passed, {} failed",
        found.iter().filter(|(_, _, failed)| *failed == 0).count(),
        found.len(),
        count(|row| row.1),
        count(|row| row.2),
    );
    for (name, passed, failed) in rows {
        let row = found.iter().find(|(found, ..)| found == name);
        assert_eq!(
            row,
            Some(&((*name).to_owned(), *passed, *failed)),
            "{}",
            ran.stdout
        );
    }
}

fn suite(home: &Home, url: &str, revision: &str, results: &Path) -> Ran {
    let modules =
        std::env::var_os("WASSETTE_NODE_TOOLS").expect("`cargo xtask test` sets WASSETTE_NODE_TOOLS");
    let programs = Path::new(&modules).join(".bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs.clone()).chain(std::env::split_paths(&path));
    let output = Command::new(programs.join("conformance"))
        .args(["server", "--url", url, "--requirements", revision, "-o"])
        .arg(results)
        .env("PATH", std::env::join_paths(folders).unwrap())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(output)
}

/// Lines like `✓ ping: 2 passed, 0 failed`.
fn summary(text: &str) -> Vec<(String, usize, usize)> {
    let row = |line: &str| {
        let (name, counts) = line.trim().strip_prefix(['✓', '✗'])?.split_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ")?;
        let failed = failed.strip_suffix(" failed")?;
        Some((name.trim().to_owned(), passed.parse().ok()?, failed.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}
