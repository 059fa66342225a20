//! Builds the guest components from source.
//!
//! The Rust ones are small: they are checked in beside a `SHA256SUMS` that names the component *and* the
//! sources it was built from, so that a source which changed without its component is noticed by
//! everyone, without a wasm compiler. The others are large and only built into the cache folder.
//!
//! The tests use the checked-in components unless `WASSETTE_GUESTS` names a folder: [`Toolchain::built`],
//! which this task fills, is such a folder.

mod attacks;
mod docs;

use crate::foreign;
use crate::setup::{self, Toolchain};
use crate::step::{self, Steps};
use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use docs::with_docs;

/// Above this a component is not checked in.
const CHECKED_IN_BYTES_MAX: usize = 300_000;

/// What `cargo xtask guests` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave the checked-in components as they are, and fail when they do not belong to their sources.
    #[arg(long)]
    pub(crate) check: bool,
    /// Build the hostile ones only, which takes seconds.
    #[arg(long)]
    pub(crate) hostile: bool,
}

/// Builds them all; sets up the tools first, which takes no time when they are there.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run()?;
    let toolchain = Toolchain::open()?;
    let built = toolchain.built();
    fs::create_dir_all(&built)?;
    let mut steps = Steps::default();
    steps.run("hostile guests", || attacks::run(&toolchain, options.check))?;
    if options.hostile {
        return Ok(());
    }
    for folder in &FOLDERS {
        steps.run(&format!("Rust guests of `{}`", folder.workspace), || {
            folder.build(&toolchain)
        })?;
        if options.check {
            steps.run(&format!("checked-in guests of `{}`", folder.workspace), || {
                folder.verify()
            })?;
        } else {
            folder.check_in(&built)?;
        }
    }
    let foreign = steps.run("guests in other languages", || foreign::build(&toolchain))?;
    if options.check {
        steps.run("checked-in guest in C", || foreign::verify(&built))?;
    } else {
        foreign::check_in(&built)?;
    }
    steps.summary();
    report(&built, &foreign)
}

/// A cargo workspace of guests and where its components are checked in.
struct Folder {
    workspace: &'static str,
    /// What the sums are taken of, relative to the repository.
    sources: &'static [&'static str],
    sums: &'static str,
    guests: &'static [Guest],
}

/// One guest written in Rust; its package, its component and, but for `wit`, its world have this name.
struct Guest {
    name: &'static str,
    kind: Kind,
    /// The WIT file or folder its documentation comes from, relative to the repository. None: it lists its tools itself.
    wit: Option<&'static str>,
    checked_in: &'static str,
}

/// How a guest becomes a component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// For `wasm32-unknown-unknown`, encoded here: imports exactly what the code calls.
    Bare,
    /// For `wasm32-wasip2`, encoded by the linker: `std` works and brings its imports.
    Std,
}

impl Kind {
    fn target(self) -> &'static str {
        match self {
            Self::Bare => "wasm32-unknown-unknown",
            Self::Std => "wasm32-wasip2",
        }
    }
}

const FOLDERS: [Folder; 2] = [
    Folder {
        workspace: "components",
        sources: &["components"],
        sums: "components/SHA256SUMS",
        guests: &[
            starter("fetch", "components/fetch/wit", "components/fetch/fetch.wasm"),
            starter(
                "filesystem",
                "components/filesystem/wit",
                "components/filesystem/filesystem.wasm",
            ),
            starter("text", "components/text/wit", "components/text/text.wasm"),
            starter("time", "components/time/wit", "components/time/time.wasm"),
        ],
    },
    Folder {
        workspace: "tests/guests/rust",
        sources: &[
            "tests/guests/rust",
            "tests/guests/conformance",
            "tests/guests/wit",
            "wit",
        ],
        sums: "tests/guests/built/SHA256SUMS",
        guests: &[
            undocumented("conformance", "tests/guests/built/conformance.wasm"),
            Guest {
                kind: Kind::Bare,
                ..guest(
                    "files",
                    "tests/guests/wit/files.wit",
                    "tests/guests/built/files.wasm",
                )
            },
            guest(
                "hostile",
                "tests/guests/wit/hostile.wit",
                "tests/guests/built/hostile.wasm",
            ),
            Guest {
                kind: Kind::Bare,
                ..guest(
                    "kitchen",
                    "tests/guests/wit/kitchen.wit",
                    "tests/guests/built/kitchen.wasm",
                )
            },
            guest(
                "needy",
                "tests/guests/wit/needy.wit",
                "tests/guests/built/needy.wasm",
            ),
            guest("net", "tests/guests/wit/net.wit", "tests/guests/built/net.wasm"),
            Guest {
                kind: Kind::Bare,
                ..undocumented("notes", "tests/guests/built/notes.wasm")
            },
        ],
    },
];

/// A component users get; it imports nothing but what its tools need.
const fn starter(name: &'static str, wit: &'static str, checked_in: &'static str) -> Guest {
    Guest {
        name,
        kind: Kind::Bare,
        wit: Some(wit),
        checked_in,
    }
}

/// A component for tests, written with `std` as most are.
const fn guest(name: &'static str, wit: &'static str, checked_in: &'static str) -> Guest {
    Guest {
        name,
        kind: Kind::Std,
        wit: Some(wit),
        checked_in,
    }
}

/// The same of the rich world, which says itself what its tools do.
const fn undocumented(name: &'static str, checked_in: &'static str) -> Guest {
    Guest {
        name,
        kind: Kind::Std,
        wit: None,
        checked_in,
    }
}

impl Folder {
    fn build(&self, toolchain: &Toolchain) -> Result<()> {
        for kind in [Kind::Bare, Kind::Std] {
            let guests: Vec<&Guest> = self.guests.iter().filter(|guest| guest.kind == kind).collect();
            if guests.is_empty() {
                continue;
            }
            let cores = self.compile(toolchain, kind, &guests)?;
            for guest in guests {
                let file = cores.join(format!("{}.wasm", guest.name));
                let component = guest
                    .encode(&file)
                    .with_context(|| format!("guest `{}`", guest.name))?;
                fs::write(toolchain.built().join(format!("{}.wasm", guest.name)), component)?;
            }
        }
        Ok(())
    }

    /// Compiles the guests of one kind, and returns the folder of what came out.
    fn compile(&self, toolchain: &Toolchain, kind: Kind, guests: &[&Guest]) -> Result<PathBuf> {
        let mut cargo = toolchain.cargo()?;
        let target = cargo
            .get_envs()
            .find_map(|(name, value)| (name == "CARGO_TARGET_DIR").then_some(value)?);
        let out = Path::new(target.context("no target folder")?)
            .join(kind.target())
            .join("release");
        cargo.args(["build", "--release", "--locked", "--target", kind.target()]);
        for guest in guests {
            cargo.args(["--package", guest.name]);
        }
        step::exec(cargo.current_dir(step::root().join(self.workspace)))?;
        Ok(out)
    }

    /// Copies the built components to their places in the repository and writes the sums.
    fn check_in(&self, built: &Path) -> Result<()> {
        for guest in self.guests {
            let bytes = fs::read(built.join(format!("{}.wasm", guest.name)))?;
            ensure!(
                bytes.len() < CHECKED_IN_BYTES_MAX,
                "`{}` has {} bytes, more than the {CHECKED_IN_BYTES_MAX} that are checked in",
                guest.name,
                bytes.len()
            );
            let to = step::root().join(guest.checked_in);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(to, bytes)?;
        }
        fs::write(step::root().join(self.sums), self.sums()?)?;
        Ok(())
    }

    /// Fails unless the sums are those of the components and the sources that are here.
    fn verify(&self) -> Result<()> {
        let recorded = fs::read_to_string(step::root().join(self.sums))
            .with_context(|| format!("no `{}`", self.sums))?;
        let actual = self.sums()?;
        let changed: Vec<&str> = actual
            .lines()
            .filter(|line| !recorded.lines().any(|old| old == *line))
            .collect();
        if recorded != actual {
            bail!(
                "`{}` is not of these files: run `cargo xtask guests` and commit\n{}",
                self.sums,
                changed.join("\n")
            );
        }
        Ok(())
    }

    /// The digests of the components and their sources, in the form of `sha256sum`, sorted by path.
    fn sums(&self) -> Result<String> {
        let root = step::root();
        let base = root.join(self.sums);
        let base = base.parent().unwrap_or(root);
        let mut files: Vec<PathBuf> = self
            .guests
            .iter()
            .map(|guest| root.join(guest.checked_in))
            .collect();
        for source in self.sources {
            collect(&root.join(source), &mut files)?;
        }
        sums(base, files)
    }
}

/// The digests of files in the form of `sha256sum`, sorted by path, as seen from the folder `base`.
fn sums(base: &Path, mut files: Vec<PathBuf>) -> Result<String> {
    files.sort();
    files.dedup();
    let mut text = String::new();
    for file in files {
        let path = relative(base, &file);
        text.push_str(&format!("{}  {path}\n", digest(&fs::read(&file)?)));
    }
    Ok(text)
}

impl Guest {
    fn encode(&self, file: &Path) -> Result<Vec<u8>> {
        let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let component = match self.kind {
            Kind::Std => bytes,
            Kind::Bare => wit_component::ComponentEncoder::default()
                .validate(true)
                .module(&bytes)?
                .encode()?,
        };
        match self.wit {
            Some(wit) => with_docs(&component, &step::root().join(wit), self.name),
            None => Ok(component),
        }
    }
}

/// Every file below a folder that decides what is built: no build output, no component.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if matches!(extension, Some("rs" | "wit" | "toml" | "lock")) {
            files.push(path);
        }
    }
    Ok(())
}

/// A path as seen from a folder, with `/` on every system.
fn relative(base: &Path, file: &Path) -> String {
    let (base, file): (Vec<_>, Vec<_>) = (base.components().collect(), file.components().collect());
    let common = base
        .iter()
        .zip(&file)
        .take_while(|(one, other)| one == other)
        .count();
    let up = base.iter().skip(common).map(|_| "..".to_owned());
    let down = file
        .iter()
        .skip(common)
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn report(built: &Path, foreign: &[PathBuf]) -> Result<()> {
    let rust = FOLDERS
        .iter()
        .flat_map(|folder| folder.guests)
        .map(|guest| built.join(format!("{}.wasm", guest.name)));
    println!("\n{:>10}  component", "bytes");
    for file in rust.chain(foreign.iter().cloned()) {
        println!("{:>10}  {}", fs::metadata(&file)?.len(), file.display());
    }
    Ok(())
}
