//! Components that could not be compiled: remembered, so that the second try costs nothing.
//!
//! A note lies where the compiled code would be, under the name of component and engine, and says what compiling broke
//! on and under which limits. It is believed for a day, and only as long as the limits are no higher. Like compiled code
//! it may be lost at any time; unlike it, it is not sealed: who can write it can keep a component from being compiled
//! for a day, and could as well remove the component.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wassette_sandbox::{CompileFault, CompilerLimits};

/// How long a note is believed.
const BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);

/// What is remembered of a component that could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// Seconds since 1970.
    at: u64,
    fault: Fault,
    limits: Limits,
}

/// [`CompileFault`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fault {
    Time,
    Cpu,
    Memory,
    Code,
    Crash,
}

/// [`CompilerLimits`], as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    time_ms: u64,
    cpu_ms: u64,
    memory_bytes: u64,
    code_bytes: u64,
}

impl Limits {
    fn of(limits: &CompilerLimits) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            time_ms: ms(limits.time),
            cpu_ms: ms(limits.cpu),
            memory_bytes: limits.memory_bytes,
            code_bytes: limits.code_bytes,
        }
    }

    fn has_more_than(&self, other: &Self) -> bool {
        self.time_ms > other.time_ms
            || self.cpu_ms > other.cpu_ms
            || self.memory_bytes > other.memory_bytes
            || self.code_bytes > other.code_bytes
    }
}

impl Note {
    pub(crate) fn new(fault: &CompileFault, limits: &CompilerLimits, now: SystemTime) -> Self {
        Self {
            at: seconds(now),
            fault: match fault {
                CompileFault::Time { .. } => Fault::Time,
                CompileFault::Cpu { .. } => Fault::Cpu,
                CompileFault::Memory { .. } => Fault::Memory,
                CompileFault::Code { .. } => Fault::Code,
                CompileFault::Crash => Fault::Crash,
            },
            limits: Limits::of(limits),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Numbers and words always can be written; an empty note is read as none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a note; what is not understood is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What compiling would break on now, as far as this note is to be believed.
    pub(crate) fn fault(&self, limits: &CompilerLimits, now: SystemTime) -> Option<CompileFault> {
        // What was written in the future was written by a clock that was wrong.
        let age = seconds(now).checked_sub(self.at)?;
        if age >= BELIEVED.as_secs() || Limits::of(limits).has_more_than(&self.limits) {
            return None;
        }
        Some(match self.fault {
            Fault::Time => CompileFault::Time {
                seconds: self.limits.time_ms / 1000,
            },
            Fault::Cpu => CompileFault::Cpu {
                seconds: self.limits.cpu_ms / 1000,
            },
            Fault::Memory => CompileFault::Memory {
                bytes: self.limits.memory_bytes,
            },
            Fault::Code => CompileFault::Code {
                bytes: self.limits.code_bytes,
            },
            Fault::Crash => CompileFault::Crash,
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CompilerLimits = CompilerLimits::DEFAULT;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn each_fault_is_remembered_as_it_was() {
        let faults = [
            CompileFault::Time { seconds: 60 },
            CompileFault::Cpu { seconds: 120 },
            CompileFault::Memory { bytes: 2 << 30 },
            CompileFault::Code { bytes: 256 << 20 },
            CompileFault::Crash,
        ];
        for fault in faults {
            let note = Note::new(&fault, &LIMITS, at(1_000));
            let read = Note::read(&note.to_bytes()).expect("a note");
            assert_eq!(read.fault(&LIMITS, at(1_001)), Some(fault));
        }
        assert_eq!(Note::read(b""), None);
        assert_eq!(Note::read(b"{\"at\":1}"), None);
    }

    #[test]
    fn it_is_believed_for_a_day_and_while_no_limit_is_higher() {
        let fault = CompileFault::Crash;
        let note = Note::new(&fault, &LIMITS, at(100_000));
        let day = 24 * 60 * 60;
        for (seconds, expected) in [
            (99_999, None),
            (100_000, Some(CompileFault::Crash)),
            (100_000 + day - 1, Some(CompileFault::Crash)),
            (100_000 + day, None),
        ] {
            assert_eq!(note.fault(&LIMITS, at(seconds)), expected, "{seconds}");
        }
        let second = Duration::from_secs(1);
        let higher = [
            CompilerLimits {
                time: LIMITS.time + second,
                ..LIMITS
            },
            CompilerLimits {
                cpu: LIMITS.cpu + second,
                ..LIMITS
            },
            CompilerLimits {
                memory_bytes: LIMITS.memory_bytes + 1,
                ..LIMITS
            },
            CompilerLimits {
                code_bytes: LIMITS.code_bytes + 1,
                ..LIMITS
            },
        ];
        for limits in higher {
            assert_eq!(note.fault(&limits, at(100_001)), None, "{limits:?}");
        }
        let lower = CompilerLimits {
            memory_bytes: 1,
            ..LIMITS
        };
        assert_eq!(note.fault(&lower, at(100_001)), Some(CompileFault::Crash));
    }
}
