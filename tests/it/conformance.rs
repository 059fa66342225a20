//! The official conformance suite against the program, for both revisions of the protocol that it knows, through one
//! WebAssembly component (`tests/guests/conformance`): every scenario passes, those that are not scored as well.

use crate::balancer::Balanced;
use crate::http::Server;
use crate::support::{Home, Ran, guest};
use std::path::Path;
use std::process::{Command, Stdio};

/// A scenario, and how many of its checks pass and fail.
type Row = (String, usize, usize);

/// Scenarios that have no checks in this version of the suite.
const EMPTY: [&str; 1] = ["tasks-status-notifications"];

/// The numbers are those of the suite as it is: fewer would mean that it ended early.
const STATELESS: (&str, usize, usize) = ("2026-07-28", 50, 196);
const WITH_A_HANDSHAKE: (&str, usize, usize) = ("2025-11-25", 33, 83);

#[test]
fn a_server_of_the_stateless_era_conforms() {
    check_server(STATELESS);
}

#[test]
fn a_server_of_the_era_with_a_handshake_conforms() {
    check_server(WITH_A_HANDSHAKE);
}

#[test]
fn two_processes_behind_a_balancer_conform_in_the_stateless_era() {
    check_balanced(STATELESS);
}

#[test]
fn two_processes_behind_a_balancer_conform_in_the_era_with_a_handshake() {
    check_balanced(WITH_A_HANDSHAKE);
}

fn home() -> Home {
    let home = Home::new();
    home.load(&guest("conformance"));
    home
}

#[track_caller]
fn check_server(expected: (&str, usize, usize)) {
    let home = home();
    // The suite cannot send a token.
    let server = Server::open(&home, &[]);
    check(&home, &server.address, expected);
}

#[track_caller]
fn check_balanced(expected: (&str, usize, usize)) {
    let home = home();
    let balanced = Balanced::start(&home, &[]);
    check(&home, &balanced.address, expected);
}

#[track_caller]
fn check(home: &Home, address: &str, (revision, scenarios, checks): (&str, usize, usize)) {
    let url = format!("http://{address}/mcp");
    let results = home.path().join("conformance");
    let ran = suite(home, &url, revision, &results);
    let found = summary(&ran.stdout);
    let count = |side: fn(&Row) -> usize| found.iter().map(side).sum::<usize>();
    println!(
        "{revision}: {} of {} scenarios, {} checks passed, {} failed",
        found.iter().filter(|(_, _, failed)| *failed == 0).count(),
        found.len(),
        count(|row| row.1),
        count(|row| row.2),
    );
    let is_bad =
        |(name, passed, failed): &Row| *failed > 0 || (*passed == 0 && !EMPTY.contains(&name.as_str()));
    let bad: Vec<_> = found.iter().filter(|row| is_bad(row)).collect();
    assert!(
        bad.is_empty() && ran.code == 0,
        "{bad:?}\n{}\n{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(
        (found.len(), count(|row| row.1)),
        (scenarios, checks),
        "{}",
        ran.stdout
    );
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
fn summary(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let (name, counts) = line.trim().strip_prefix(['✓', '✗'])?.split_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ")?;
        let failed = failed.strip_suffix(" failed")?;
        Some((name.trim().to_owned(), passed.parse().ok()?, failed.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}
