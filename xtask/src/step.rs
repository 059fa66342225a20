//! Named steps: runs one after another, says which one is running, and sums up the times at the end.
//!
//! Also the two questions every task asks: where the repository is, and where the cache folder is.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The times of a task's steps.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step and keeps its time; the first failure ends the task.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let start = Instant::now();
        let result = step().with_context(|| format!("step `{name}` failed"));
        self.done.push((name.to_owned(), start.elapsed()));
        if result.is_err() {
            self.summary();
        }
        result
    }

    /// Prints the time of each step.
    pub(crate) fn summary(&self) {
        println!("\n{:>8}  step", "seconds");
        for (name, time) in &self.done {
            println!("{:>8.1}  {name}", time.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, time)| *time).sum();
        println!("{:>8.1}  together", total.as_secs_f64());
    }
}

/// The repository this xtask was built from.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The folder for tools and large guests, outside the repository so that a fresh clone finds them again.
///
/// `XTASK_CACHE` moves it.
///
/// # Errors
///
/// When neither that variable, nor the platform's cache folder, nor a home is known.
pub(crate) fn cache() -> Result<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("XTASK_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|base| base.join("wassette-dev")))
        .or_else(|| from("LOCALAPPDATA").map(|base| base.join("wassette-dev")))
        .or_else(|| from("HOME").map(|home| home.join(".cache").join("wassette-dev")))
        .context("no cache folder: set `HOME` or `XTASK_CACHE`")
}

/// The cargo that started this task.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end.
///
/// # Errors
///
/// When it cannot start or does not succeed.
pub(crate) fn exec(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a script of this repository.
///
/// # Errors
///
/// When it cannot start or does not succeed.
pub(crate) fn script(path: &str) -> Result<()> {
    exec(Command::new("bash").arg(root().join(path)).current_dir(root()))
}
