//! Who may depend on whom: the table of ARCHITECTURE.md as data, compared with what cargo resolves.
//!
//! Cargo refuses cycles; this refuses the edges that would compile but turn a layer around, and keeps the engine,
//! the protocol library and `unsafe` where one reader can review them.

use super::{Finding, Repository};
use serde_json::Value as Json;

/// What each package may name among the packages of this workspace. A package that is not here is a finding.
const MAY_NAME: [(&str, &[&str]); 13] = [
    ("wassette-policy", &[]),
    ("wassette-wit", &[]),
    ("wassette-store", &["wassette-policy"]),
    ("wassette-secrets", &["wassette-store"]),
    ("wassette-fetch", &["wassette-store"]),
    ("wassette-signature", &[]),
    ("wassette-compiled", &[]),
    (
        "wassette-sandbox",
        &["wassette-compiled", "wassette-policy", "wassette-wit"],
    ),
    (
        "wassette-host",
        &[
            "wassette-fetch",
            "wassette-policy",
            "wassette-sandbox",
            "wassette-secrets",
            "wassette-signature",
            "wassette-store",
            "wassette-wit",
        ],
    ),
    ("wassette-mcp", &["wassette-host", "wassette-wit"]),
    (
        "wassette",
        &[
            "wassette-fetch",
            "wassette-host",
            "wassette-mcp",
            "wassette-policy",
            "wassette-sandbox",
            "wassette-secrets",
            "wassette-store",
            "wassette-wit",
        ],
    ),
    ("wassette-bench", &["wassette-store"]),
    ("xtask", &[]),
];

/// Outside libraries that only these packages may name; a name covers its family (`wasmtime`, `wasmtime-wasi`).
///
/// Tests of the binary may speak the protocol with the library's client, hence `dev` edges are not counted here.
const ONLY: [(&str, &[&str]); 6] = [
    (
        "wasmtime",
        &["wassette-compiled", "wassette-sandbox", "wassette-bench"],
    ),
    ("rmcp", &["wassette-mcp"]),
    ("sqlx", &["wassette-store"]),
    ("keyring", &["wassette-secrets"]),
    ("sigstore", &["wassette-signature"]),
    ("clap", &["wassette", "wassette-bench", "xtask"]),
];

/// Packages without I/O, clock or async: they may name nothing that has them, not even in tests.
const PURE: [&str; 2] = ["wassette-policy", "wassette-wit"];
const IMPURE: [&str; 5] = ["tokio", "futures", "tempfile", "libc", "tracing"];

/// The one package whose lints may differ from the workspace's.
const UNSAFE: &str = "crates/compiled/Cargo.toml";

/// Compares the edges of `cargo metadata --no-deps` with the table.
pub(super) fn check(metadata: &Json) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in array(metadata, "packages") {
        let name = string(package, "name");
        let manifest = manifest_path(metadata, package);
        let Some((_, allowed)) = MAY_NAME.iter().find(|(known, _)| *known == name) else {
            let message = format!(
                "`{name}` stands in no row of the dependency table in xtask/src/tidy/dependencies.rs"
            );
            findings.push(Finding::new(&manifest, 1, message));
            continue;
        };
        for dependency in array(package, "dependencies") {
            let is_test = string(dependency, "kind") == "dev";
            let target = string(dependency, "name");
            if let Some(message) = refusal(name, allowed, target, is_test) {
                findings.push(Finding::new(&manifest, 1, message));
            }
        }
    }
    findings
}

fn refusal(name: &str, allowed: &[&str], target: &str, is_test: bool) -> Option<String> {
    let is_ours = MAY_NAME.iter().any(|(known, _)| *known == target);
    if is_ours && !allowed.contains(&target) {
        return Some(format!("`{name}` may not depend on `{target}`"));
    }
    let family = |library: &str| target == library || target.starts_with(&format!("{library}-"));
    let reserved = ONLY
        .iter()
        .find(|(library, users)| family(library) && !users.contains(&name));
    if let Some((library, users)) = reserved.filter(|_| !is_test) {
        return Some(format!(
            "`{name}` may not name `{library}`: only {} may",
            users.join(", ")
        ));
    }
    if PURE.contains(&name) && IMPURE.contains(&target) {
        return Some(format!("`{name}` is pure and may not name `{target}`"));
    }
    None
}

/// Every member takes the workspace's lints, versions and features, which are written once, in the root manifest.
pub(super) fn check_manifests(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.texts() {
        if !is_member(path) {
            continue;
        }
        if path != UNSAFE && text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(path, 1, "does not take the workspace's lints"));
        }
        findings.extend(own_versions(path, text));
    }
    for (path, text) in repository.texts() {
        if is_rust_of_member(path) && !path.starts_with("crates/compiled/") {
            findings.extend(unsafe_exceptions(path, text));
        }
    }
    findings
}

fn is_member(path: &str) -> bool {
    let Some(folder) = path.strip_suffix("Cargo.toml") else {
        return false;
    };
    let parts: Vec<_> = folder.split('/').collect();
    matches!(
        parts.as_slice(),
        [""] | ["bench" | "xtask", ""] | ["crates", _, ""]
    )
}

fn is_rust_of_member(path: &str) -> bool {
    path.ends_with(".rs")
        && ["bench/", "crates/", "src/", "tests/it/", "xtask/"]
            .iter()
            .any(|top| path.starts_with(top))
}

/// Lines of dependency tables that name a version, a path or features of their own.
fn own_versions(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            let takes_workspace = line.contains("workspace = true");
            if !takes_workspace {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    "give the version in the root's [workspace.dependencies]",
                ));
            }
        }
    }
    findings
}

fn unsafe_exceptions(path: &str, text: &str) -> Vec<Finding> {
    // In pieces, so that this line is not its own finding.
    let lint = ["unsafe", "_code"].concat();
    let lines = text.lines().enumerate().filter(|(_, line)| {
        line.contains(&format!("allow({lint}")) || line.contains(&format!("expect({lint}"))
    });
    lines
        .map(|(index, _)| Finding::new(path, index + 1, "only crates/compiled may use `unsafe`"))
        .collect()
}

fn manifest_path(metadata: &Json, package: &Json) -> String {
    let path = string(package, "manifest_path");
    let root = string(metadata, "workspace_root");
    let relative = path.strip_prefix(root).unwrap_or(path).replace('\\', "/");
    relative.trim_start_matches('/').to_owned()
}

pub(super) fn array<'a>(json: &'a Json, field: &str) -> &'a [Json] {
    json.get(field)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn string<'a>(json: &'a Json, field: &str) -> &'a str {
    json.get(field).and_then(Json::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_edge(from: &str, to: &str, kind: Option<&str>, expected: Option<&str>) {
        let metadata = json!({ "workspace_root": "/w", "packages": [
            { "name": from, "manifest_path": "/w/x/Cargo.toml", "dependencies": [{ "name": to, "kind": kind }] },
        ] });
        let expected: Vec<_> = expected
            .map(|text| Finding::new("x/Cargo.toml", 1, text))
            .into_iter()
            .collect();
        assert_eq!(check(&metadata), expected);
    }

    #[test]
    fn an_edge_against_the_layers_is_found() {
        check_edge("wassette-host", "wassette-store", None, None);
        check_edge(
            "wassette-store",
            "wassette-wit",
            None,
            Some("`wassette-store` may not depend on `wassette-wit`"),
        );
        let dev = "`wassette-wit` may not depend on `wassette-sandbox`";
        check_edge("wassette-wit", "wassette-sandbox", Some("dev"), Some(dev));
        check_edge(
            "wassette-mcp",
            "wassette-policy",
            None,
            Some("`wassette-mcp` may not depend on `wassette-policy`"),
        );
    }

    #[test]
    fn an_unknown_package_is_found() {
        let message =
            "`wassette-new` stands in no row of the dependency table in xtask/src/tidy/dependencies.rs";
        check_edge("wassette-new", "serde", None, Some(message));
    }

    #[test]
    fn the_engine_and_the_protocol_library_have_one_home() {
        let engine = "`wassette-host` may not name `wasmtime`: only wassette-compiled, wassette-sandbox, wassette-bench may";
        check_edge("wassette-host", "wasmtime-wasi", None, Some(engine));
        check_edge("wassette-sandbox", "wasmtime-wasi", None, None);
        check_edge(
            "wassette",
            "rmcp",
            None,
            Some("`wassette` may not name `rmcp`: only wassette-mcp may"),
        );
        check_edge("wassette", "rmcp", Some("dev"), None);
    }

    #[test]
    fn a_pure_crate_names_no_runtime() {
        check_edge(
            "wassette-wit",
            "tokio",
            Some("dev"),
            Some("`wassette-wit` is pure and may not name `tokio`"),
        );
        check_edge("wassette-wit", "wasmparser", None, None);
    }

    #[track_caller]
    fn check_manifest(path: &str, text: &str, expected: &[(usize, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, text)| Finding::new(path, *line, *text))
            .collect();
        assert_eq!(check_manifests(&Repository::of(&[(path, text)])), expected);
    }

    #[test]
    fn a_member_takes_lints_and_versions_from_the_workspace() {
        let good = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";
        check_manifest("crates/a/Cargo.toml", good, &[]);
        check_manifest(
            "crates/a/Cargo.toml",
            "[package]\n",
            &[(1, "does not take the workspace's lints")],
        );
        check_manifest("crates/compiled/Cargo.toml", "[package]\n", &[]);
        let own = "[lints]\nworkspace = true\n[dev-dependencies]\nserde = \"1\"\n";
        check_manifest(
            "crates/a/Cargo.toml",
            own,
            &[(4, "give the version in the root's [workspace.dependencies]")],
        );
        check_manifest(
            "tests/guests/a/Cargo.toml",
            "[dependencies]\nserde = \"1\"\n",
            &[],
        );
    }

    #[test]
    fn unsafe_is_allowed_in_one_crate() {
        let line = ["#![allow(unsafe", "_code, reason = \"\")]"].concat();
        check_manifest(
            "crates/wit/src/lib.rs",
            &line,
            &[(1, "only crates/compiled may use `unsafe`")],
        );
        check_manifest("crates/compiled/src/lib.rs", &line, &[]);
    }
}
