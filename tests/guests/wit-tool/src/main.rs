//! Writes bindings for C and Go guests, and turns their core modules into components.
//!
//! The library halves of `wit-bindgen` and `wasm-tools`, so that neither has to be installed. It knows
//! nothing of the guests: `cargo xtask guests` says what to do.

use anyhow::{Context as _, Result, bail};
use std::path::Path;
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

const USAGE: &str = "usage: wit-tool c|go <wit file> <output folder>
       wit-tool component <core module> <output file> [<wit file>]
       wit-tool program <core module> <output file>";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["c", wit, folder] => bindings(wit_bindgen_c::Opts::default().build(), wit, folder),
        ["go", wit, folder] => bindings(wit_bindgen_go::Opts::default().build(), wit, folder),
        ["component", core, output] => component(core, output, None),
        ["component", core, output, wit] => component(core, output, Some(wit)),
        ["program", core, output] => program(core, output),
        _ => bail!(USAGE),
    }
}

/// Writes what a guest in one language needs to implement the only world of a WIT file.
fn bindings(mut generator: Box<dyn WorldGenerator>, wit: &str, folder: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_file(wit)?;
    let world = resolve.select_world(&[package], None)?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        let path = Path::new(folder).join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Makes a component of a core module built for WASI preview 1.
///
/// C carries its types in an object file of the bindings; Go does not, so that they come from `wit`.
fn component(core: &str, output: &str, wit: Option<&str>) -> Result<()> {
    let mut module = std::fs::read(core).with_context(|| format!("cannot read `{core}`"))?;
    if let Some(wit) = wit {
        let mut resolve = Resolve::default();
        let package = resolve.push_file(wit)?;
        let world = resolve.select_world(&[package], None)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    }
    encode(&module, output)
}

/// Makes a component that exports a function of a program built for WASI preview 1.
///
/// `wasi:cli/run`, which a program would export, is no tool. So what starts it is called otherwise in the core module:
/// by a name of the same length, so that nothing else in its bytes moves.
fn program(core: &str, output: &str) -> Result<()> {
    const START: &[u8] = b"\x06_start\0";
    const LAUNCH: &[u8] = b"\x06launch\0";
    const WORLD: &str = "package suite:program; world program { export launch: func(); }";
    let mut module = std::fs::read(core).with_context(|| format!("cannot read `{core}`"))?;
    let found = module.windows(START.len()).position(|bytes| bytes == START);
    let at = found.with_context(|| format!("`{core}` is not a program"))?;
    module[at..at + LAUNCH.len()].copy_from_slice(LAUNCH);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("program.wit", WORLD)?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    encode(&module, output)
}

fn encode(module: &[u8], output: &str) -> Result<()> {
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
    let component = ComponentEncoder::default()
        .module(module)?
        .adapter("wasi_snapshot_preview1", adapter)?
        .validate(true)
        .encode()?;
    std::fs::write(output, component).with_context(|| format!("cannot write `{output}`"))
}
