//! Builds the hostile zoo: one component for each file of `tests/guests/hostile/attacks`.
//!
//! They are examples of one package, so that one build makes them all and they share what they need. Like the other
//! small guests they are checked in, with a `SHA256SUMS` that names the components and their sources.

use super::{collect, sums};
use crate::setup::{TARGETS, Toolchain};
use crate::step;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The package, relative to the repository.
const PACKAGE: &str = "tests/guests/hostile";

/// Where its components are checked in; also their folder among the built guests.
const CHECKED_IN: &str = "tests/guests/hostile/built";

/// All of them together; above this they would have to be built by whoever tests.
const CHECKED_IN_BYTES_MAX: u64 = 4_000_000;

/// Builds them all, and checks them in, or whether what is checked in belongs to the sources.
///
/// # Errors
///
/// When one does not compile or is too large, or the checked-in ones are of other sources.
pub(crate) fn run(toolchain: &Toolchain, is_check: bool) -> Result<()> {
    build(toolchain)?;
    if is_check { verify() } else { check_in(toolchain) }
}

/// Builds them all into the folder of built guests.
fn build(toolchain: &Toolchain) -> Result<()> {
    let mut cargo = toolchain.cargo()?;
    let target = cargo
        .get_envs()
        .find_map(|(name, value)| (name == "CARGO_TARGET_DIR").then_some(value)?);
    let [_, bare] = TARGETS;
    let cores = Path::new(target.context("no target folder")?)
        .join(bare)
        .join("release/examples");
    cargo.args(["build", "--release", "--locked", "--examples", "--target", bare]);
    step::exec(cargo.current_dir(step::root().join(PACKAGE)))?;
    let built = built(toolchain);
    fs::create_dir_all(&built)?;
    for name in names()? {
        let core = cores.join(format!("{}.wasm", name.replace('-', "_")));
        let module = fs::read(&core)
            .with_context(|| format!("attack `{name}` is no [[example]] of {PACKAGE}/Cargo.toml"))?;
        let component = wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&module)?
            .encode()
            .with_context(|| format!("attack `{name}`"))?;
        fs::write(built.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

/// Copies the built components to their place in the repository, removes those of attacks that are gone, and writes
/// the sums.
fn check_in(toolchain: &Toolchain) -> Result<()> {
    let to = step::root().join(CHECKED_IN);
    fs::create_dir_all(&to)?;
    let names = names()?;
    let mut bytes = 0;
    for name in &names {
        let file = format!("{name}.wasm");
        bytes += fs::copy(built(toolchain).join(&file), to.join(&file))?;
    }
    ensure!(
        bytes < CHECKED_IN_BYTES_MAX,
        "the attacks have {bytes} bytes, more than the {CHECKED_IN_BYTES_MAX} that are checked in"
    );
    for entry in fs::read_dir(&to)? {
        let path = entry?.path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "wasm")
            && !names.iter().any(|name| name == stem)
        {
            fs::remove_file(&path)?;
        }
    }
    fs::write(to.join("SHA256SUMS"), actual()?)?;
    Ok(())
}

/// Fails unless the sums are those of the components and the sources that are here.
fn verify() -> Result<()> {
    let file = format!("{CHECKED_IN}/SHA256SUMS");
    let recorded = fs::read_to_string(step::root().join(&file)).with_context(|| format!("no `{file}`"))?;
    ensure!(
        recorded == actual()?,
        "`{file}` is not of these files: run `cargo xtask guests` and commit"
    );
    Ok(())
}

fn actual() -> Result<String> {
    let root = step::root();
    let checked_in = root.join(CHECKED_IN);
    let mut files: Vec<PathBuf> = names()?
        .iter()
        .map(|name| checked_in.join(format!("{name}.wasm")))
        .collect();
    collect(&root.join(PACKAGE), &mut files)?;
    sums(&checked_in, files)
}

fn built(toolchain: &Toolchain) -> PathBuf {
    toolchain.built().join("attacks")
}

/// The names of all attacks, sorted.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(step::root().join(PACKAGE).join("attacks"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        names.push(name.context("an attack has no name")?.to_owned());
    }
    names.sort();
    Ok(names)
}
