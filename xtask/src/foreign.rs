//! Builds the guests in languages other than Rust: the kitchen sink of `tests/guests/wit/kitchen.wit` in
//! JavaScript (two engines), Python, C and Go, and the example of the rich world in JavaScript and Python.
//!
//! A guest lies beside a stamp, the digest of all that decides its bytes: its sources, the WIT, the
//! versions of the tools and this recipe. So a second run builds nothing. Every guest is built in a scratch
//! folder under paths relative to it, because some tools write the paths they see into the component, or
//! caches beside the sources.
//!
//! The one in C is small, and the same bytes come out of every build: it is checked in, with a `SHA256SUMS`
//! beside its sources that names the component and what it was built from; `cargo xtask tidy` compares.

use crate::guests::digest;
use crate::setup::{Toolchain, fingerprint};
use crate::step;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One guest and how it is made.
struct Guest {
    /// Names the guest and its folder in the cache.
    name: &'static str,
    /// What it implements.
    world: &'static World,
    /// Its folder below `tests/guests`.
    sources: &'static str,
    /// What else decides its bytes, relative to the repository: the lists of its tools' versions.
    tools: &'static [&'static str],
    /// Builds it in a scratch folder, where the sources are, as `OUTPUT`.
    build: fn(&Toolchain, &Path) -> Result<()>,
}

/// The WIT of a world: paths in the scratch folder and in the repository.
type World = [(&'static str, &'static str)];

const KITCHEN: &World = &[(WIT, "tests/guests/wit/kitchen.wit")];

const NOTES: &World = &[
    ("wit/notes.wit", "tests/guests/wit/notes.wit"),
    ("wit/deps/wassette-mcp/mcp.wit", "wit/mcp.wit"),
];

const NPM: &str = "xtask/toolchain/package-lock.json";
const PYPI: &str = "xtask/toolchain/requirements.txt";
const WIT_TOOL: &[&str] = &[
    PYPI,
    "tests/guests/wit-tool/Cargo.toml",
    "tests/guests/wit-tool/Cargo.lock",
    "tests/guests/wit-tool/src/main.rs",
];

/// The guest that is checked in: its name in the folder of built guests, and its place in the repository.
const CHECKED_IN: (&str, &str) = ("kitchen-c.wasm", "tests/guests/built/kitchen-c.wasm");
/// What it is made of, and where the digests stand.
const CHECKED_IN_SOURCES: [&str; 5] = [
    "tests/guests/c/kitchen.c",
    "tests/guests/wit-tool/Cargo.lock",
    "tests/guests/wit-tool/Cargo.toml",
    "tests/guests/wit-tool/src/main.rs",
    "tests/guests/wit/kitchen.wit",
];
const SUMS: &str = "tests/guests/c/SHA256SUMS";

const GUESTS: [Guest; 7] = [
    Guest {
        name: "kitchen-quickjs",
        world: KITCHEN,
        sources: "javascript",
        tools: &[NPM],
        build: quickjs,
    },
    Guest {
        name: "kitchen-starlingmonkey",
        world: KITCHEN,
        sources: "javascript",
        tools: &[NPM],
        build: starlingmonkey,
    },
    Guest {
        name: "kitchen-python",
        world: KITCHEN,
        sources: "python",
        tools: &[PYPI],
        build: python,
    },
    Guest {
        name: "kitchen-c",
        world: KITCHEN,
        sources: "c",
        tools: WIT_TOOL,
        build: c,
    },
    Guest {
        name: "kitchen-go",
        world: KITCHEN,
        sources: "go",
        tools: WIT_TOOL,
        build: go,
    },
    Guest {
        name: "notes-quickjs",
        world: NOTES,
        sources: "notes/javascript",
        tools: &[NPM],
        build: notes_in_javascript,
    },
    Guest {
        name: "notes-python",
        world: NOTES,
        sources: "notes/python",
        tools: &[PYPI],
        build: notes_in_python,
    },
];

/// What the kitchen sinks implement; in the scratch folder it lies alone, as the tools want it.
const WIT: &str = "wit/kitchen.wit";
/// What every build writes, in the scratch folder.
const OUTPUT: &str = "out.wasm";

/// Builds what is missing or out of date, and returns where each guest is.
///
/// # Errors
///
/// When a source cannot be read or a tool fails.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
    GUESTS
        .iter()
        .map(|guest| guest.find_or_build(toolchain))
        .collect()
}

/// Copies the guest in C to its place in the repository and writes the sums.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(crate) fn check_in(built: &Path) -> Result<()> {
    let root = step::root();
    let (name, place) = CHECKED_IN;
    fs::create_dir_all(root.join("tests/guests/built"))?;
    fs::copy(built.join(name), root.join(place)).context("cannot copy the guest in C")?;
    write(&root.join(SUMS), &sums()?)
}

/// Fails unless the checked-in guest in C is the one just built, and the sums are those of the sources.
///
/// # Errors
///
/// When they are not, or a file cannot be read.
pub(crate) fn verify(built: &Path) -> Result<()> {
    let root = step::root();
    let (name, place) = CHECKED_IN;
    let is_same = fs::read(built.join(name))? == fs::read(root.join(place)).unwrap_or_default();
    ensure!(
        is_same,
        "`{place}` is not what its sources build: run `cargo xtask guests` and commit"
    );
    ensure!(
        read(&root.join(SUMS))? == sums()?,
        "`{SUMS}` is out of date: run `cargo xtask guests` and commit"
    );
    Ok(())
}

/// The digests of the checked-in guest and its sources, in the form of `sha256sum`, relative to `SUMS`.
fn sums() -> Result<String> {
    let mut lines = Vec::new();
    for path in CHECKED_IN_SOURCES.iter().chain([&CHECKED_IN.1]) {
        let bytes = fs::read(step::root().join(path)).with_context(|| format!("cannot read `{path}`"))?;
        let below = path.strip_prefix("tests/guests/").unwrap_or(path);
        let name = below
            .strip_prefix("c/")
            .map_or_else(|| format!("../{below}"), ToOwned::to_owned);
        lines.push(format!("{}  {name}\n", digest(&bytes)));
    }
    Ok(lines.concat())
}

impl Guest {
    fn find_or_build(&self, toolchain: &Toolchain) -> Result<PathBuf> {
        let sources = self.sources()?;
        let digest = self.digest(&sources)?;
        let built = toolchain.built();
        let guest = built.join(format!("{}.wasm", self.name));
        let stamp = guest.with_extension("stamp");
        if guest.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == digest) {
            return Ok(guest);
        }
        println!("    {}", self.name);
        let scratch = built.join(format!("build-{}-{}", self.name, std::process::id()));
        for (name, text) in &sources {
            write(&scratch.join(name), text)?;
        }
        (self.build)(toolchain, &scratch)
            .with_context(|| format!("cannot build the guest `{}`", self.name))?;
        // The stamp last: a build that was interrupted is done again.
        fs::rename(scratch.join(OUTPUT), &guest).context("the tools wrote no component")?;
        write(&stamp, &digest)?;
        fs::remove_dir_all(&scratch).context("cannot remove a scratch folder")?;
        Ok(guest)
    }

    /// The guest's sources and the WIT, as pairs of path in the scratch folder and text, in order.
    fn sources(&self) -> Result<Vec<(PathBuf, String)>> {
        let guests = step::root().join("tests").join("guests");
        let mut sources = Vec::new();
        collect(&guests.join(self.sources), Path::new(""), &mut sources)?;
        for (name, path) in self.world {
            sources.push((name.into(), read(&step::root().join(path))?));
        }
        sources.sort();
        Ok(sources)
    }

    fn digest(&self, sources: &[(PathBuf, String)]) -> Result<String> {
        let tools: Vec<String> = self
            .tools
            .iter()
            .map(|path| read(&step::root().join(path)))
            .collect::<Result<_>>()?;
        let names: Vec<String> = sources
            .iter()
            .map(|(name, _)| name.display().to_string())
            .collect();
        let mut parts = vec![include_str!("foreign.rs")];
        parts.extend(tools.iter().map(String::as_str));
        parts.extend(names.iter().map(String::as_str));
        parts.extend(sources.iter().map(|(_, text)| text.as_str()));
        Ok(fingerprint(&parts))
    }
}

fn quickjs(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    componentize_js(toolchain, scratch, ("kitchen", "quickjs"))
}

fn notes_in_javascript(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    componentize_js(toolchain, scratch, ("notes", "quickjs"))
}

fn starlingmonkey(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    componentize_js(toolchain, scratch, ("kitchen", "starlingmonkey"))
}

fn componentize_js(toolchain: &Toolchain, scratch: &Path, (world, engine): (&str, &str)) -> Result<()> {
    let source = format!("{world}.js");
    let arguments = [
        "componentize",
        &source,
        "--wit",
        "wit",
        "--world-name",
        world,
        "--out",
        OUTPUT,
    ];
    run(
        toolchain
            .npm_program("jco")
            .args(arguments)
            .args(["--backend", engine]),
        scratch,
    )
}

fn python(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    componentize_py(toolchain, scratch, "kitchen")
}

fn notes_in_python(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    componentize_py(toolchain, scratch, "notes")
}

fn componentize_py(toolchain: &Toolchain, scratch: &Path, world: &str) -> Result<()> {
    let arguments = ["-d", "wit", "-w", world, "componentize", "app", "-o", OUTPUT];
    run(
        toolchain.python_program("componentize-py").args(arguments),
        scratch,
    )
}

fn c(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    run(&mut wit_tool(toolchain, &["c", WIT, "gen"]), scratch)?;
    // `_GNU_SOURCE` for `asprintf`.
    let flags = [
        "-target",
        "wasm32-wasi",
        "-mexec-model=reactor",
        "-std=c11",
        "-Os",
        "-s",
        "-D_GNU_SOURCE",
        "-Igen",
    ];
    let inputs = ["kitchen.c", "gen/kitchen.c", "gen/kitchen_component_type.o"];
    run(
        toolchain
            .zig()
            .arg("cc")
            .args(flags)
            .args(inputs)
            .args(["-o", "core.wasm"]),
        scratch,
    )?;
    run(
        &mut wit_tool(toolchain, &["component", "core.wasm", OUTPUT]),
        scratch,
    )
}

fn go(toolchain: &Toolchain, scratch: &Path) -> Result<()> {
    run(&mut wit_tool(toolchain, &["go", WIT, "."]), scratch)?;
    mend_go_bindings(&scratch.join("wit_exports.go"))?;
    let runtime = format!("-replace=go.bytecodealliance.org/pkg={}", go_runtime()?.display());
    run(toolchain.go().args(["mod", "edit", &runtime]), scratch)?;
    // The bindings' runtime takes functions of Go's own runtime by name, which the linker refuses unless told.
    let flags = [
        "-trimpath",
        "-buildmode=c-shared",
        "-ldflags=-checklinkname=0 -s -w",
        "-o",
        "core.wasm",
        ".",
    ];
    let mut build = toolchain.go();
    build
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm")])
        .arg("build")
        .args(flags);
    run(&mut build, scratch)?;
    run(
        &mut wit_tool(toolchain, &["component", "core.wasm", OUTPUT, WIT]),
        scratch,
    )
}

/// Corrects one cast that `wit-bindgen-go` 0.63 gets wrong: the length of a text that shares its place in a
/// variant with a signed integer becomes `uint32`, which Go does not take for an `int32`.
fn mend_go_bindings(bindings: &Path) -> Result<()> {
    const WRONG: &str = "Point{X: int32(arg1), Y: uint32(arg2)}";
    const RIGHT: &str = "Point{X: int32(arg1), Y: int32(arg2)}";
    let text = read(bindings)?;
    ensure!(
        text.contains(WRONG),
        "the bindings for Go have changed: see whether `mend_go_bindings` is still needed"
    );
    write(bindings, &text.replace(WRONG, RIGHT))
}

/// The Go packages the bindings import: no module proxy is asked, as they come with the generator's crate.
fn go_runtime() -> Result<PathBuf> {
    let mut metadata = step::cargo();
    metadata
        .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
        .arg(wit_tool_manifest());
    let output = metadata
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run `cargo metadata`")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` failed")?;
    let packages = metadata.get("packages").and_then(|packages| packages.as_array());
    let generator = packages
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "wit-bindgen-go");
    let manifest = generator.and_then(|package| package["manifest_path"].as_str());
    let folder = manifest.and_then(|path| Path::new(path).parent());
    folder
        .map(|folder| folder.join("src").join("pkg"))
        .context("`wit-tool` does not depend on `wit-bindgen-go`")
}

fn wit_tool_manifest() -> PathBuf {
    step::root()
        .join("tests")
        .join("guests")
        .join("wit-tool")
        .join("Cargo.toml")
}

/// The writer of bindings and components, built when it is first needed.
pub(crate) fn wit_tool(toolchain: &Toolchain, arguments: &[&str]) -> Command {
    let mut command = step::cargo();
    command.env(
        "CARGO_TARGET_DIR",
        toolchain.cache().join("target").join("wit-tool"),
    );
    command
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(wit_tool_manifest());
    command.arg("--").args(arguments);
    command
}

fn run(command: &mut Command, folder: &Path) -> Result<()> {
    step::exec(command.current_dir(folder))
}

/// Reads the files of a folder and of the folders below it; `prefix` is where in the sources they are.
fn collect(folder: &Path, prefix: &Path, sources: &mut Vec<(PathBuf, String)>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = prefix.join(entry.file_name());
        // What Python and editors leave behind is no source, nor is what `check_in` writes.
        let text = name.to_string_lossy();
        if text.contains("__pycache__") || text.starts_with('.') || text == "SHA256SUMS" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, sources)?;
        } else {
            sources.push((name, read(&entry.path())?));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
