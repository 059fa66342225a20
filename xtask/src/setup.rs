//! Installs what tests and guests need beyond Rust, into the cache folder.
//!
//! Every part has a stamp, a file whose text names all that decides what was installed (versions, lock
//! file, platform): the same text means there is nothing to do, so that a second run takes no time and a
//! changed lock file installs anew. Nothing is installed outside the cache folder, except the system
//! packages a Debian or Ubuntu lacks, and the targets `rustup` adds to its own toolchain.
//!
//! Long because each part of the set-up is a step of one list, which is read from top to bottom.

mod debian;

use crate::step::{self, Steps};
use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the Rust guests are compiled for.
pub(crate) const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-unknown-unknown"];

/// The version `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

const PACKAGE: &str = include_str!("../toolchain/package.json");
const PACKAGE_LOCK: &str = include_str!("../toolchain/package-lock.json");
const REQUIREMENTS: &str = include_str!("../toolchain/requirements.txt");

/// Installs everything, and says what to do where it cannot.
pub(crate) fn run() -> Result<()> {
    let cache = step::cache()?;
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot make the cache folder `{}`", cache.display()))?;
    // Two set-ups at once would install into the same folders.
    let lock = File::create(cache.join("setup.lock"))?;
    lock.lock().context("cannot lock the cache folder")?;
    let mut steps = Steps::default();
    println!("installing into {}", cache.display());
    // The longest part by far, and it needs one core at a time from the others at most.
    let deny = Deny::start(&cache)?;
    steps.run("system packages", system)?;
    steps.run("wasm targets", || wasm_targets(&cache))?;
    steps.run("JavaScript tools", || javascript(&cache))?;
    steps.run("Python tools", || python(&cache))?;
    steps.run("client of the Rust SDK", || rust_client(&cache))?;
    steps.run("cargo-deny", || deny.finish(&cache))?;
    steps.summary();
    Ok(())
}

/// The tools `run` installed, as commands ready to be given arguments.
#[derive(Debug)]
pub(crate) struct Toolchain {
    cache: PathBuf,
    /// The compiler that has the wasm targets; none when the toolchain's own has them.
    rustc: Option<PathBuf>,
}

impl Toolchain {
    /// Finds what `cargo xtask setup` installed.
    ///
    /// # Errors
    ///
    /// When a part is missing or out of date; the text says which.
    pub(crate) fn open() -> Result<Self> {
        let cache = step::cache()?;
        for part in [Part::javascript(), Part::python()?] {
            ensure!(
                part.is_done(&cache),
                "{} are missing or out of date: run `cargo xtask setup`",
                part.title
            );
        }
        let rustc = if has_targets()? {
            None
        } else {
            Some(debian::rustc(&cache)?)
        };
        Ok(Self { cache, rustc })
    }

    /// The cache folder itself.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The folder for built guests, `<name>.wasm` each; the tests read it as `WASSETTE_GUESTS`.
    pub(crate) fn built(&self) -> PathBuf {
        self.cache.join("guests")
    }

    /// Cargo with a compiler that knows the wasm targets, and a target folder of its own.
    ///
    /// The folder is named after the compiler, because cargo does not notice another standard library
    /// under the same path.
    pub(crate) fn cargo(&self) -> Result<Command> {
        let mut command = step::cargo();
        let compiler = self.rustc.clone().unwrap_or_else(|| rustc().into());
        let version = output(Command::new(&compiler).arg("--version").arg("--verbose"))?;
        let target = self
            .cache
            .join("target")
            .join(fingerprint(&[&version]).get(..12).unwrap_or_default());
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        // Flags and wrappers meant for the workspace would end up in the guests.
        for name in ["RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER"] {
            command.env_remove(name);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.remapped()?.join("\u{1f}"));
        command.env("CARGO_TARGET_DIR", target);
        Ok(command)
    }

    /// Flags that keep this machine's folders out of the guests' panic messages, so that the same source and
    /// compiler give the same bytes everywhere.
    fn remapped(&self) -> Result<Vec<String>> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home
            .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
            .context("no home folder is known")?;
        let mut folders = vec![
            (step::root().to_owned(), "wassette"),
            (self.cache.clone(), "cache"),
            (home.clone(), "cargo"),
        ];
        // These are named after the registry this machine uses; the last prefix that fits is taken.
        if let Ok(registries) = fs::read_dir(home.join("registry").join("src")) {
            for registry in registries {
                folders.push((registry?.path(), "registry"));
            }
        }
        Ok(folders
            .iter()
            .map(|(from, to)| format!("--remap-path-prefix={}=/{to}", from.display()))
            .collect())
    }

    /// A program of an npm package (`jco`, `mcp-inspector`, and `node` itself), run by Node 22, which the MCP
    /// Inspector needs and few systems have.
    pub(crate) fn npm_program(&self, name: &str) -> Command {
        let bin = self.node_modules().join(".bin");
        let file = if cfg!(windows) {
            format!("{name}.cmd")
        } else {
            name.to_owned()
        };
        let mut command = Command::new(bin.join(file));
        prepend_path(&mut command, &bin);
        command
    }

    /// Where the npm packages are.
    pub(crate) fn node_modules(&self) -> PathBuf {
        self.cache.join("npm").join("node_modules")
    }

    /// A program of the Python environment (`python`, `componentize-py`).
    pub(crate) fn python_program(&self, name: &str) -> Command {
        let bin = venv_bin(&self.cache);
        let mut command = Command::new(bin.join(name));
        prepend_path(&mut command, &bin);
        command.env_remove("PYTHONHOME").env_remove("PYTHONPATH");
        command
    }

    /// The MCP client that is made of the official Rust SDK.
    pub(crate) fn rust_client(&self) -> PathBuf {
        let name = format!("rust-client{}", std::env::consts::EXE_SUFFIX);
        rust_client_target(&self.cache).join("debug").join(name)
    }

    /// The Zig compiler, for `zig cc`; its own cache lies in the cache folder.
    pub(crate) fn zig(&self) -> Command {
        let mut command = self.python_program("python");
        command.args(["-m", "ziglang"]);
        command.env("ZIG_GLOBAL_CACHE_DIR", self.cache.join("zig"));
        command.env("ZIG_LOCAL_CACHE_DIR", self.cache.join("zig"));
        command
    }

    /// Go, which neither asks a module proxy nor fetches another Go.
    pub(crate) fn go(&self) -> Command {
        let mut command = self.python_program("go");
        command.envs([
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", "-mod=mod"),
            ("GOENV", "off"),
        ]);
        command.env("GOCACHE", self.cache.join("go").join("build"));
        command.env("GOPATH", self.cache.join("go"));
        command
    }
}

/// One installed part: what it is called, where its stamp lies, and what the stamp must say.
struct Part {
    title: &'static str,
    stamp: &'static str,
    key: String,
}

impl Part {
    fn javascript() -> Self {
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        Self {
            title: "the JavaScript tools",
            stamp: "npm.stamp",
            key: fingerprint(&[PACKAGE, PACKAGE_LOCK, &platform]),
        }
    }

    fn python() -> Result<Self> {
        let version = output(Command::new(python3()).arg("--version")).context(PYTHON_HINT)?;
        Ok(Self {
            title: "the Python tools",
            stamp: "venv.stamp",
            key: fingerprint(&[REQUIREMENTS, &version]),
        })
    }

    fn is_done(&self, cache: &Path) -> bool {
        fs::read_to_string(cache.join(self.stamp)).is_ok_and(|text| text == self.key)
    }

    /// Runs `install` unless the stamp says that it was done, and writes the stamp after it.
    fn install(&self, cache: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.is_done(cache) {
            println!("    already there");
            return Ok(());
        }
        install()?;
        fs::write(cache.join(self.stamp), &self.key)
            .with_context(|| format!("cannot write `{}`", cache.join(self.stamp).display()))
    }
}

const NODE_HINT: &str = "`npm` is needed: install Node.js 20 or newer (Debian and Ubuntu: `apt-get install nodejs npm`; \
                         macOS: `brew install node`; Windows: `winget install OpenJS.NodeJS.LTS`)";
const PYTHON_HINT: &str = "Python 3.11 or newer with `venv` is needed (Debian and Ubuntu: `apt-get install python3-venv`; \
                           macOS: `brew install python`; Windows: `winget install Python.Python.3.13`)";

const REGISTRY_HINT: &str = "A registry and a program that copies between registries are needed (Debian and Ubuntu: `apt-get install \
                             docker-registry skopeo`)";

/// Installs the system packages the other steps need, where `apt-get` may be used.
fn system() -> Result<()> {
    let mut missing = Vec::new();
    if !works(Command::new(npm()).arg("--version")) {
        missing.push((vec!["nodejs", "npm"], NODE_HINT));
    }
    if !works(Command::new(python3()).args(["-c", "import venv, ensurepip"])) {
        missing.push((vec!["python3", "python3-venv"], PYTHON_HINT));
    }
    for program in ["docker-registry", "skopeo"] {
        if !works(Command::new(program).arg("--version")) {
            missing.push((vec![program], REGISTRY_HINT));
        }
    }
    let Some((_, hint)) = missing.first() else {
        println!("    already there");
        return Ok(());
    };
    if !works(Command::new("apt-get").arg("--version")) {
        bail!("{hint}");
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|(packages, _)| packages.clone())
        .collect();
    println!("    apt-get install {}", packages.join(" "));
    let install = step::exec(&mut apt_get(&["update", "-qq"])).and_then(|()| {
        step::exec(apt_get(&["install", "-y", "-qq", "--no-install-recommends"]).args(&packages))
    });
    install.with_context(|| format!("run `sudo apt-get install {}` yourself", packages.join(" ")))
}

/// `apt-get`, through `sudo` (which must not ask for a password) for those who are not root.
fn apt_get(arguments: &[&str]) -> Command {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = if is_root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    };
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Makes sure that a compiler for the wasm targets is there.
fn wasm_targets(cache: &Path) -> Result<()> {
    if has_targets()? || debian::rustc(cache).is_ok() {
        println!("    already there");
        return Ok(());
    }
    println!("    rustup target add {}", TARGETS.join(" "));
    let added = Command::new("rustup")
        .args(["target", "add"])
        .args(TARGETS)
        .current_dir(step::root())
        .output();
    if added.is_ok_and(|output| output.status.success()) && has_targets()? {
        return Ok(());
    }
    println!("    not to be had from rustup here; building them with Debian's compiler (2 to 4 minutes)");
    debian::install(cache).with_context(|| {
        format!(
            "cannot build the wasm targets from Debian's packages either: on another system, or with network access, \
             run `rustup target add {}`",
            TARGETS.join(" ")
        )
    })
}

/// Whether the toolchain's own compiler has the wasm targets.
fn has_targets() -> Result<bool> {
    let sysroot = sysroot()?;
    Ok(TARGETS
        .iter()
        .all(|target| sysroot.join("lib/rustlib").join(target).join("lib").is_dir()))
}

/// The folder of the toolchain that builds this workspace.
fn sysroot() -> Result<PathBuf> {
    let text = output(
        Command::new(rustc())
            .args(["--print", "sysroot"])
            .current_dir(step::root()),
    )
    .context("cannot ask `rustc` where its toolchain is")?;
    Ok(PathBuf::from(text.trim()))
}

/// Installs the npm packages exactly as the lock file names them.
fn javascript(cache: &Path) -> Result<()> {
    Part::javascript().install(cache, || {
        let folder = cache.join("npm");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), PACKAGE)?;
        fs::write(folder.join("package-lock.json"), PACKAGE_LOCK)?;
        step::exec(
            Command::new(npm())
                .args([
                    "ci",
                    "--no-audit",
                    "--no-fund",
                    "--no-update-notifier",
                    "--loglevel=error",
                ])
                .current_dir(&folder),
        )
        .context(
            "the npm registry must be reachable; behind a proxy set `npm config set proxy`, or `registry`",
        )
    })
}

/// Makes a fresh virtual environment with the pinned packages.
fn python(cache: &Path) -> Result<()> {
    Part::python()?.install(cache, || {
        let folder = cache.join("venv");
        step::exec(
            Command::new(python3())
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )
        .context(PYTHON_HINT)?;
        let requirements = cache.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS)?;
        step::exec(
            Command::new(venv_bin(cache).join("python"))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--only-binary=:all:",
                ])
                .arg("--requirement")
                .arg(&requirements),
        )
        .context(
            "the Python package index must be reachable; behind a proxy set `HTTPS_PROXY` or `PIP_INDEX_URL`",
        )
    })
}

/// Builds the MCP client that is made of the official Rust SDK. It has no stamp: cargo sees by itself that nothing has changed.
fn rust_client(cache: &Path) -> Result<()> {
    step::exec(
        step::cargo()
            .args(["build", "--quiet", "--locked", "--manifest-path"])
            .arg(step::root().join("tests/it/clients/rust/Cargo.toml"))
            .env("CARGO_TARGET_DIR", rust_client_target(cache)),
    )
}

fn rust_client_target(cache: &Path) -> PathBuf {
    cache.join("target").join("rust-client")
}

/// `cargo-deny`, built beside the other steps because it takes minutes.
enum Deny {
    There,
    Building(Child),
}

impl Deny {
    fn start(cache: &Path) -> Result<Self> {
        let wanted = format!("cargo-deny {CARGO_DENY}");
        let is_there =
            |mut program: Command| output(program.arg("--version")).is_ok_and(|text| text.trim() == wanted);
        if is_there(Command::new("cargo-deny"))
            || is_there(Command::new(cache.join("bin").join("cargo-deny")))
        {
            return Ok(Self::There);
        }
        let log = File::create(cache.join("cargo-deny.log"))?;
        let child = step::cargo()
            .args(["install", "--locked", "--force", "--root"])
            .arg(cache)
            .arg(format!("cargo-deny@{CARGO_DENY}"))
            .current_dir(cache)
            .env("CARGO_TARGET_DIR", cache.join("target").join("cargo-deny"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start cargo")?;
        Ok(Self::Building(child))
    }

    fn finish(self, cache: &Path) -> Result<()> {
        let Self::Building(mut child) = self else {
            println!("    already there");
            return Ok(());
        };
        let log = cache.join("cargo-deny.log");
        println!("    building; the log is {}", log.display());
        let status = child.wait()?;
        if !status.success() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(15).collect();
            bail!(
                "cargo-deny {CARGO_DENY} does not build:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        // The program is copied; half a gigabyte of its objects is of no more use.
        fs::remove_dir_all(cache.join("target").join("cargo-deny")).ok();
        Ok(())
    }
}

/// The compiler cargo would use for this workspace.
fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

fn python3() -> &'static str {
    if cfg!(windows) { "python" } else { "python3" }
}

fn venv_bin(cache: &Path) -> PathBuf {
    cache
        .join("venv")
        .join(if cfg!(windows) { "Scripts" } else { "bin" })
}

/// Puts a folder before the others in which the command looks for programs.
fn prepend_path(command: &mut Command, folder: &Path) {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&rest));
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
}

/// Whether the command can be started and succeeds; what it prints is dropped.
fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs a command and returns what it printed.
fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!(
            "`{shown}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// One name for several texts, each of which decides it.
pub(crate) fn fingerprint(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
