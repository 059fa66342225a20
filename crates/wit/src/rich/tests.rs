//! The signatures of the package as published, and lists that cannot be offered.

use super::*;

/// A component that exports all of the package, built with the WIT as published.
const FIXTURE: &[u8] = include_bytes!("../../../../tests/guests/built/conformance.wasm");

#[test]
fn the_signatures_are_those_of_the_wit() {
    let world = World::read(FIXTURE).unwrap();
    let mut lines: Vec<String> = world
        .functions
        .iter()
        .map(|function| {
            format!(
                "{}{}",
                export(&function.path).unwrap().name(),
                Signature(function)
            )
        })
        .collect();
    lines.push(String::new());
    assert_eq!(
        lines.join("\n"),
        SIGNATURES,
        "the left side is what `signatures.txt` should be"
    );
}
