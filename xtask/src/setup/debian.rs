//! The wasm targets from Debian's packages, for machines on which `rustup target add` reaches nothing.
//!
//! Debian ships a compiler for its browsers, `rustc-web`, whose LLVM knows WebAssembly, and the source of
//! its standard library. The packages are unpacked into the cache folder, not installed, and the
//! standard library is compiled from that source. The linkers come from the Rust toolchain at hand. The
//! rustup toolchain stays as it is: `RUSTC=<prefix>/rustc cargo build` is all there is to it.

use super::{TARGETS, fingerprint, output, rustc as toolchain_rustc, sysroot};
use crate::step;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NETSTUB: &str = include_str!("../../toolchain/netstub.rs");
const CRT1: &str = include_str!("../../toolchain/crt1.rs");

/// Raised when this module would build something else from the same packages.
const RECIPE: &str = "1";

/// The compiler `install` made.
///
/// # Errors
///
/// When there is none, or another version of this recipe or of the toolchain's linkers made it.
pub(super) fn rustc(cache: &Path) -> Result<PathBuf> {
    let prefix = Prefix::new(cache);
    let stamp = fs::read_to_string(prefix.stamp()).unwrap_or_default();
    ensure!(
        stamp == key()?,
        "the wasm targets are missing or out of date: run `cargo xtask setup`"
    );
    Ok(prefix.rustc())
}

/// Downloads the packages and compiles the standard library for [`TARGETS`].
pub(super) fn install(cache: &Path) -> Result<()> {
    let key = key()?;
    let prefix = Prefix::new(cache);
    // Nothing of an earlier or an interrupted attempt may be mixed in.
    if prefix.0.exists() {
        fs::remove_dir_all(&prefix.0).with_context(|| format!("cannot empty `{}`", prefix.0.display()))?;
    }
    let version = candidate()?;
    prefix.unpack(&version)?;
    prefix.wrap()?;
    prefix.link()?;
    let library = prefix.library(&version)?;
    for target in TARGETS {
        println!("    compiling the standard library for {target}");
        prefix.compile(&library, target)?;
    }
    prefix.mend_wasip2()?;
    for left in ["packages", "build", "library", "root/usr/src", "root/usr/share"] {
        fs::remove_dir_all(prefix.0.join(left)).ok();
    }
    fs::write(prefix.stamp(), key).context("cannot write the stamp of the wasm targets")
}

/// What decides what `install` makes, without asking the network.
fn key() -> Result<String> {
    let linkers = sysroot()?;
    Ok(fingerprint(&[RECIPE, NETSTUB, CRT1, &linkers.to_string_lossy()]))
}

/// The version of `rustc-web` that apt would install, as `1.96`.
fn candidate() -> Result<String> {
    // Without root the lists at hand have to do.
    if let Err(error) = step::exec(&mut super::apt_get(&["update", "-qq"])) {
        println!("    {error:#}; going on with the package lists at hand");
    }
    let text = output(Command::new("apt-cache").args(["show", "--no-all-versions", "rustc-web"]))
        .context("this needs Debian 12 or newer, with its security updates")?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .context("apt names no version")?;
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => anyhow::bail!("apt names the version `{version}`"),
    }
}

/// The folder everything here lies in.
struct Prefix(PathBuf);

impl Prefix {
    fn new(cache: &Path) -> Self {
        Self(cache.join("rust"))
    }

    fn stamp(&self) -> PathBuf {
        self.0.join("stamp")
    }

    fn rustc(&self) -> PathBuf {
        self.0.join("rustc")
    }

    fn usr(&self) -> PathBuf {
        self.0.join("root").join("usr")
    }

    fn target_libraries(&self, target: &str) -> PathBuf {
        self.usr().join("lib/rustlib").join(target).join("lib")
    }

    /// Downloads the packages and unpacks them; none is installed.
    fn unpack(&self, version: &str) -> Result<()> {
        let folder = self.0.join("packages");
        fs::create_dir_all(&folder)?;
        let library = format!("libstd-rust-web-{version}");
        println!("    downloading rustc-web {version} and its parts (137 MB)");
        step::exec(
            Command::new("apt-get")
                .args([
                    "download",
                    "-qq",
                    "rustc-web",
                    "rust-web-src",
                    &library,
                    "libstd-rust-web-dev",
                ])
                .args(["wasi-libc", &llvm(&library)?])
                // apt would warn that its own user cannot write here.
                .args(["-o", "APT::Sandbox::User=root"])
                .current_dir(&folder),
        )?;
        for package in fs::read_dir(&folder)? {
            step::exec(
                Command::new("dpkg")
                    .arg("-x")
                    .arg(package?.path())
                    .arg(self.0.join("root")),
            )?;
        }
        Ok(())
    }

    /// Writes the compiler's front: it finds its driver and LLVM in the system's library folder only.
    fn wrap(&self) -> Result<()> {
        let libraries = output(Command::new("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH"))
            .map(|text| self.usr().join("lib").join(text.trim()))
            .unwrap_or_else(|_| self.usr().join("lib/x86_64-linux-gnu"));
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
            libraries.display(),
            self.usr().join("bin/rustc").display()
        );
        fs::write(self.rustc(), script)?;
        // A child process, because this file is compiled on systems without such a thing, too.
        step::exec(Command::new("chmod").arg("755").arg(self.rustc()))
    }

    /// Lends it the linkers of the Rust toolchain; `wasm-component-ld` has the adapters inside.
    fn link(&self) -> Result<()> {
        let host = host()?;
        let (from, to) = (
            sysroot()?.join("lib/rustlib").join(&host).join("bin"),
            self.usr().join("lib/rustlib").join(&host).join("bin"),
        );
        fs::create_dir_all(&to)?;
        for name in ["rust-lld", "gcc-ld", "wasm-component-ld"] {
            ensure!(
                from.join(name).exists(),
                "the Rust toolchain has no `{name}`: install it with rustup"
            );
            step::exec(
                Command::new("ln")
                    .arg("-sfn")
                    .arg(from.join(name))
                    .arg(to.join(name)),
            )?;
        }
        Ok(())
    }

    /// Copies the standard library's source, without the crates Debian vendored into it.
    fn library(&self, version: &str) -> Result<PathBuf> {
        let sources = self.usr().join("src");
        let source = fs::read_dir(&sources)?
            .filter_map(Result::ok)
            .find(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with(&format!("rustc-{version}."))
            })
            .with_context(|| format!("no source of the standard library in `{}`", sources.display()))?;
        let library = self.0.join("library");
        step::exec(
            Command::new("cp")
                .arg("-r")
                .arg(source.path().join("library"))
                .arg(&library),
        )?;
        fs::remove_dir_all(library.join("vendor")).ok();
        Ok(library)
    }

    /// Compiles the standard library for one target and puts it where the compiler looks.
    fn compile(&self, library: &Path, target: &str) -> Result<()> {
        let build = self.0.join("build");
        // The source's folder would be seen in every guest's panic messages.
        let remap = format!("--remap-path-prefix={}=/rustc/library", library.display());
        let flags = format!("-Zforce-unstable-if-unmarked -Cembed-bitcode=yes {remap}");
        step::exec(
            step::cargo()
                .args([
                    "build",
                    "--quiet",
                    "--release",
                    "--features",
                    "compiler-builtins-mem",
                    "--target",
                    target,
                ])
                .arg("--manifest-path")
                .arg(library.join("sysroot/Cargo.toml"))
                .current_dir(library)
                .env("RUSTC", self.rustc())
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", flags)
                .env("CARGO_TARGET_DIR", &build)
                .env_remove("CARGO_ENCODED_RUSTFLAGS"),
        )?;
        let to = self.target_libraries(target);
        fs::create_dir_all(to.join("self-contained"))?;
        for file in fs::read_dir(build.join(target).join("release/deps"))? {
            let file = file?;
            if file
                .path()
                .extension()
                .is_some_and(|extension| extension == "rlib")
            {
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
        if target.contains("wasi") {
            for name in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
                fs::copy(
                    self.usr().join("lib/wasm32-wasi").join(name),
                    to.join("self-contained").join(name),
                )?;
            }
        }
        Ok(())
    }

    /// Adds to Debian's old libc what `std` for wasip2 expects of a newer one; the two sources say what.
    fn mend_wasip2(&self) -> Result<()> {
        let libc = self.target_libraries("wasm32-wasip2").join("self-contained");
        let netstub = self.object("netstub", NETSTUB)?;
        step::exec(Command::new("ar").arg("r").arg(libc.join("libc.a")).arg(netstub))
            .context("`ar` is of binutils")?;
        fs::copy(self.object("crt1", CRT1)?, libc.join("crt1-command.o"))?;
        Ok(())
    }

    fn object(&self, name: &str, source: &str) -> Result<PathBuf> {
        let (from, to) = (
            self.0.join(format!("{name}.rs")),
            self.0.join(format!("{name}.o")),
        );
        fs::write(&from, source)?;
        step::exec(
            Command::new(self.rustc())
                .args([
                    "--target",
                    "wasm32-wasip2",
                    "--edition",
                    "2024",
                    "--crate-type",
                    "lib",
                    "--emit",
                    "obj",
                ])
                .args(["-Cpanic=abort", "-Copt-level=s", "-o"])
                .arg(&to)
                .arg(&from)
                .env("RUSTC_BOOTSTRAP", "1"),
        )?;
        Ok(to)
    }
}

/// The package with the LLVM that the compiler's library was linked with.
fn llvm(library: &str) -> Result<String> {
    let text = output(Command::new("apt-cache").args(["depends", library]))?;
    let mut packages = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let llvm = packages.find(|name| name.starts_with("libllvm"));
    llvm.map(str::to_owned)
        .with_context(|| format!("`{library}` depends on no `libllvm`"))
}

/// The platform of the compiler itself, as `x86_64-unknown-linux-gnu`.
fn host() -> Result<String> {
    let text = output(
        Command::new(toolchain_rustc())
            .arg("-vV")
            .current_dir(step::root()),
    )?;
    let host = text
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    Ok(host.to_owned())
}
