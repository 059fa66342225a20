//! Components made from text: as many as a measurement needs, each with its own digest.

use anyhow::Result;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Functions each of the many components exports.
pub(crate) const FUNCTIONS: usize = 10;

/// A core that returns its first string and forgets what it allocated after each call.
const CORE: &str = r#"
  (core module $m
    (memory (export "mem") 2)
    (global $p (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $r i32)
      (local.set $r (i32.and (i32.add (global.get $p) (i32.const 7)) (i32.const -8)))
      (global.set $p (i32.add (local.get $r) (local.get 3)))
      (local.get $r))
    (func (export "tool") (param i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "reset") (param i32) (global.set $p (i32.const 1024))))
  (core instance $i (instantiate $m))
  (func $tool (param "query" string) (param "limit" (option u32)) (param "tags" (list string)) (result string)
    (canon lift (core func $i "tool") (memory (core memory $i "mem")) (realloc (core func $i "realloc")) (post-return (core func $i "reset"))))
  (func $echo (param "v" string) (result string)
    (canon lift (core func $i "echo") (memory (core memory $i "mem")) (realloc (core func $i "realloc")) (post-return (core func $i "reset"))))
"#;

/// Writes a component with the one function `echo`.
pub(crate) fn echo(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("echo.wasm");
    std::fs::write(&path, component(&[("echo".to_owned(), "echo")])?)?;
    Ok(path)
}

/// Writes `count` different components with [`FUNCTIONS`] functions each.
pub(crate) fn many(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for number in 0..count {
        let exports: Vec<_> = (0..FUNCTIONS)
            .map(|function| (format!("c{number}-tool-n{function}"), "tool"))
            .collect();
        let path = folder.join(format!("many-{number:02}.wasm"));
        std::fs::write(&path, component(&exports)?)?;
        paths.push(path);
    }
    Ok(paths)
}

fn component(exports: &[(String, &str)]) -> Result<Vec<u8>> {
    let mut text = format!("(component\n{CORE}");
    for (name, function) in exports {
        writeln!(text, "  (export \"{name}\" (func ${function}))")?;
    }
    text.push(')');
    Ok(wat::parse_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_valid_text_and_differ() {
        let first = component(&[("a".to_owned(), "tool")]).unwrap();
        let second = component(&[("b".to_owned(), "echo")]).unwrap();
        assert_ne!(first, second);
    }
}
