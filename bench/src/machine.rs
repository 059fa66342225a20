//! What the kernel knows: processor time and memory of a process, and on what machine this runs.
//!
//! Linux only, through `/proc`; elsewhere the figures are zero and the report says so by showing none.

use anyhow::{Context as _, Result, ensure};
use std::process::{Command, Stdio};

/// Length of the kernel's clock tick in `/proc`, the same on all Linux systems.
const TICK_MS: f64 = 10.0;

/// Processor time of all live threads of a process, in milliseconds.
pub(crate) fn cpu_ms(pid: u32) -> f64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e6
}

/// Processor time of this process's children that have ended, in milliseconds, to 10 ms.
pub(crate) fn ended_children_cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold spaces.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 * TICK_MS
}

/// A figure of `/proc/<pid>/status` in megabytes (10⁶ bytes): `VmRSS` now, `VmHWM` at most so far.
pub(crate) fn memory_mb(pid: u32, key: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes = field(&text, key).and_then(|value| value.split(' ').next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) * 1024.0 / 1e6
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// Processor, cores, memory and kernel, as one line.
pub(crate) fn describe() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field(&meminfo, "MemTotal").unwrap_or("unknown");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}, {cores} cores, {memory} of memory, {} {}",
        std::env::consts::OS,
        kernel.trim()
    )
}

/// The load averages, so that a reader sees what else was running.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// This process on one processor, and with it every server it starts, until the value is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: String,
}

impl Pinned {
    /// # Errors
    ///
    /// Where there is no `taskset`.
    pub(crate) fn new() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("no `/proc`")?;
        let before = field(&status, "Cpus_allowed_list")
            .context("no list of processors")?
            .to_owned();
        // The last one: the first takes most interrupts.
        let last = before.rsplit(['-', ',']).next().context("no processor")?;
        pin(last)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = pin(&self.before) {
            eprintln!("the measurement stays on one processor: {error:#}");
        }
    }
}

fn pin(processors: &str) -> Result<()> {
    let own = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", processors, &own])
        .stdout(Stdio::null())
        .status()
        .context("cannot run `taskset`")?;
    ensure!(status.success(), "`taskset` ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmRSSX:\t1 kB\nVmRSS:\t  20 kB\n";
        assert_eq!(field(text, "VmRSS"), Some("20 kB"));
        assert_eq!(field(text, "VmR"), None);
    }
}
