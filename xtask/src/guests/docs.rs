//! Puts the documentation of a WIT file into a component built from it.
//!
//! No toolchain keeps doc comments. The `package-docs` custom section is where WIT tools look for them, but
//! in a component they apply it to the package they *decode*, which holds only the world `root`; a mention of
//! any other world or interface makes them refuse the whole component. So only the world's own types and
//! functions are described here, under that name. Functions of exported interfaces stay undocumented: for
//! those, give the WIT at load.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use wit_parser::{PackageMetadata, Resolve};

/// Returns the component with the docs of one world of a WIT file or folder.
///
/// # Errors
///
/// When the WIT cannot be parsed or has no such world, or when the result can no longer be decoded.
pub(crate) fn with_docs(component: &[u8], wit: &Path, world: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(wit)
        .with_context(|| format!("cannot parse `{}`", wit.display()))?;
    let section = PackageMetadata::extract(&resolve, package).encode()?;
    let Some((version, text)) = section.split_first() else {
        bail!("the docs of `{}` are empty", wit.display())
    };
    let mut docs: Value = serde_json::from_slice(text)?;
    let Some(root) = docs
        .pointer_mut("/worlds")
        .and_then(|worlds| worlds.get_mut(world))
    else {
        bail!("`{}` documents no world `{world}`", wit.display());
    };
    let mut data = vec![*version];
    serde_json::to_writer(&mut data, &json!({ "worlds": { "root": root.take() } }))?;
    let mut described = component.to_vec();
    append_section(&mut described, PackageMetadata::SECTION_NAME, &data);
    wit_component::decode(&described).context("the component cannot be decoded with its docs")?;
    Ok(described)
}

/// Appends a custom section: its id, its size, the size of its name, its name and its data.
fn append_section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::new();
    push_leb128(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    component.push(0);
    push_leb128(component, body.len());
    component.extend_from_slice(&body);
}

/// Writes a number in the variable-length form of WebAssembly, seven bits a byte, the lowest first.
fn push_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::push_leb128;

    #[track_caller]
    fn check(number: usize, expected: &[u8]) {
        let mut bytes = Vec::new();
        push_leb128(&mut bytes, number);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        check(0, &[0]);
        check(127, &[0x7f]);
        check(128, &[0x80, 1]);
        check(624_485, &[0xe5, 0x8e, 0x26]);
    }
}
