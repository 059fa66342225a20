//! The limits that the compiler's process puts on itself before it reads a byte.
//!
//! In the child and not between `fork` and `exec`, where only `unsafe` code can run. What the parent does not need to
//! set thus cannot be forgotten by a caller either.

use std::ffi::OsString;
use std::io;

/// Threads that compile. Each takes some memory of its own, so a machine with many processors must not mean that less
/// can be compiled.
const THREADS_MAX: usize = 8;

/// Seconds between the signal at the end of the processor time and the end without a signal.
#[cfg(unix)]
const CPU_GRACE_SECONDS: u64 = 5;

/// Address space beyond the memory that may be used: the program itself, and what allocators reserve for each thread.
#[cfg(target_os = "linux")]
const ADDRESS_SPACE_EXTRA_BYTES: u64 = 1 << 30;

/// Descriptors: standard input, output and errors. Nothing can be opened beside them.
#[cfg(unix)]
const DESCRIPTORS_MAX: u64 = 3;

/// What the child is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: u64,
}

impl Bounds {
    pub(super) fn arguments(self) -> [String; 2] {
        [self.memory_bytes.to_string(), self.cpu_seconds.to_string()]
    }

    pub(super) fn parse(arguments: &[OsString]) -> Option<Self> {
        let [memory_bytes, cpu_seconds] = arguments else {
            return None;
        };
        let number = |text: &OsString| text.to_str()?.parse().ok();
        Some(Self {
            memory_bytes: number(memory_bytes)?,
            cpu_seconds: number(cpu_seconds)?,
        })
    }
}

/// Limits this process, for good. What it inherits of the file system and the network is taken as far as the kernel
/// can take it.
pub(super) fn confine(bounds: &Bounds) -> io::Result<()> {
    // Asked first: it reads what a container may use from files.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_os = "linux")]
    linux::detach()?;
    #[cfg(unix)]
    limit(bounds)?;
    #[cfg(not(unix))]
    let _not_enforced = bounds;
    // After the limits, which each thread inherits from the one that starts it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.min(THREADS_MAX));
    pool.build_global().map_err(io::Error::other)
}

#[cfg(unix)]
fn limit(bounds: &Bounds) -> io::Result<()> {
    use rustix::process::Resource;
    let hard_cpu = bounds.cpu_seconds.saturating_add(CPU_GRACE_SECONDS);
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Cpu, bounds.cpu_seconds, hard_cpu)?;
    set(Resource::Data, bounds.memory_bytes, bounds.memory_bytes)?;
    #[cfg(target_os = "linux")]
    {
        let space = bounds.memory_bytes.saturating_add(ADDRESS_SPACE_EXTRA_BYTES);
        set(Resource::As, space, space)?;
    }
    set(Resource::Nofile, DESCRIPTORS_MAX, DESCRIPTORS_MAX)
}

/// A limit that is lower already stays.
#[cfg(unix)]
fn set(resource: rustix::process::Resource, soft: u64, hard: u64) -> io::Result<()> {
    use rustix::process::{Rlimit, getrlimit, setrlimit};
    let now = getrlimit(resource);
    let lower = |limit: u64, now: Option<u64>| Some(now.map_or(limit, |now| now.min(limit)));
    let maximum = lower(hard, now.maximum);
    let current = lower(soft, now.current);
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}

#[cfg(target_os = "linux")]
mod linux {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetError, Scope,
    };
    use rustix::fs::{Mode, OFlags};
    use rustix::process::{Signal, set_parent_process_death_signal};
    use std::io;

    /// What the kernel may know of Landlock; an older kernel denies what it knows.
    const LANDLOCK: ABI = ABI::V6;

    /// Ends with the parent, gains no privileges, is the first to go when the machine is out of memory, and gives up
    /// the file system, the network, and signals to others.
    pub(super) fn detach() -> io::Result<()> {
        // A parent that ended before this line has closed the pipe, so that there is nothing to read.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        go_first();
        let restricted = restrict().map_err(io::Error::other)?;
        if restricted.no_new_privs {
            return Ok(());
        }
        Err(io::Error::other("privileges can be gained"))
    }

    /// Where `/proc` is missing the kernel chooses by itself.
    fn go_first() {
        let path = "/proc/self/oom_score_adj";
        if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _is_best_effort = rustix::io::write(file, b"1000");
        }
    }

    /// A kernel without Landlock, or with it switched off, is no error: it is the second wall.
    fn restrict() -> Result<RestrictionStatus, RulesetError> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?;
        rules.create()?.restrict_self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_they_are_written() {
        let bounds = Bounds {
            memory_bytes: 1 << 31,
            cpu_seconds: 120,
        };
        let arguments = bounds.arguments().map(OsString::from);
        assert_eq!(Bounds::parse(&arguments), Some(bounds));
        for wrong in [
            &["1"][..],
            &["1", "2", "3"],
            &["a", "1"],
            &["-1", "1"],
            &["--help"],
            &[],
        ] {
            let wrong: Vec<_> = wrong.iter().map(OsString::from).collect();
            assert_eq!(Bounds::parse(&wrong), None, "{wrong:?}");
        }
    }
}
