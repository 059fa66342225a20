//! Why a call did not end with a value.
//!
//! The texts are for agents as well as for operators: they name the limit or the class of trap, and never
//! a path of this machine.

use std::fmt;
use std::time::Duration;
use wasmtime::Trap;

/// A limit that ended a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The sum over all linear memories.
    Memory {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// The sum over all tables.
    Table {
        /// The most that was allowed.
        elements_max: u64,
    },
    /// Wall-clock time.
    Time {
        /// The most that was allowed.
        max: Duration,
    },
    /// Time the guest itself ran.
    Cpu {
        /// The most that was allowed.
        max: Duration,
    },
    /// The wasm stack: recursion without end.
    Stack,
    /// Bytes handed to the host in one call.
    HostCall {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Live handles.
    Handles {
        /// The most that was allowed.
        max: u32,
    },
    /// Live entries of the host's resource table.
    Resources {
        /// The most that was allowed.
        max: u32,
    },
    /// The result.
    Output {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// One request for random numbers.
    Random {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Core instances of one call.
    Instances {
        /// The most that was allowed.
        max: usize,
    },
    /// Calls that run at the same time, or memory set aside for them.
    Calls,
    /// HTTP requests of one call.
    Requests {
        /// The most that was allowed.
        max: u64,
    },
    /// Bytes sent out in one call.
    Egress {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Bytes received in one call.
    Ingress {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Bytes read from files in one call.
    FileRead {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Bytes written to files in one call.
    FileWrite {
        /// The most that was allowed.
        bytes_max: u64,
    },
    /// Files, folders and links made in one call.
    Files {
        /// The most that was allowed.
        max: u64,
    },
    /// Files, folders and listings that are open at the same time.
    OpenFiles {
        /// The most that was allowed.
        max: usize,
    },
    /// What all calls together may have open, or the threads that open it.
    FilesBusy,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { bytes_max } => write!(f, "memory limit of {} reached", Bytes(*bytes_max)),
            Self::Table { elements_max } => write!(f, "limit of {elements_max} table elements reached"),
            Self::Time { max } => write!(f, "time limit of {max:?} reached"),
            Self::Cpu { max } => write!(f, "cpu limit of {max:?} reached"),
            Self::Stack => f.write_str("stack limit reached (recursion without end?)"),
            Self::HostCall { bytes_max } => {
                write!(f, "limit of {} in one host call reached", Bytes(*bytes_max))
            }
            Self::Handles { max } => write!(f, "limit of {max} live handles reached"),
            Self::Resources { max } => write!(f, "limit of {max} live resources reached"),
            Self::Output { bytes_max } => {
                write!(f, "result is larger than the limit of {}", Bytes(*bytes_max))
            }
            Self::Random { bytes_max } => {
                write!(
                    f,
                    "a request for random numbers exceeded the limit of {}",
                    Bytes(*bytes_max)
                )
            }
            Self::Instances { max } => write!(f, "limit of {max} core instances reached"),
            Self::Calls => f.write_str("too many calls are running; try again"),
            Self::Requests { max } => write!(f, "limit of {max} request{} in one call reached", plural(*max)),
            Self::Egress { bytes_max } => {
                write!(f, "limit of {} sent in one call reached", Bytes(*bytes_max))
            }
            Self::Ingress { bytes_max } => {
                write!(f, "limit of {} received in one call reached", Bytes(*bytes_max))
            }
            Self::FileRead { bytes_max } => {
                write!(
                    f,
                    "limit of {} read from files in one call reached",
                    Bytes(*bytes_max)
                )
            }
            Self::FileWrite { bytes_max } => {
                write!(
                    f,
                    "limit of {} written to files in one call reached",
                    Bytes(*bytes_max)
                )
            }
            Self::Files { max } => write!(f, "limit of {max} file{} made in one call reached", plural(*max)),
            Self::OpenFiles { max } => write!(f, "limit of {max} files open at a time reached"),
            Self::FilesBusy => f.write_str("too many files are in use by all calls; try again"),
        }
    }
}

fn plural(count: impl Into<u64>) -> &'static str {
    if count.into() == 1 { "" } else { "s" }
}

/// Bytes in the largest binary unit that divides them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// What kind of instruction ended the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapClass {
    /// `unreachable`: how most languages end after a panic or a failed assertion.
    Unreachable,
    /// An access outside memory or a table.
    OutOfBounds,
    /// A division by zero, an overflow, or a float that is no integer.
    Arithmetic,
    /// A call through a null or wrongly typed function reference.
    IndirectCall,
    /// The component broke the rules of the component model, for example with text that is not UTF-8.
    ComponentModel,
}

impl TrapClass {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an open enum, most of it for proposals that are off"
    )]
    pub(crate) fn of(trap: Trap) -> Option<Self> {
        match trap {
            Trap::UnreachableCodeReached => Some(Self::Unreachable),
            Trap::MemoryOutOfBounds
            | Trap::HeapMisaligned
            | Trap::TableOutOfBounds
            | Trap::ArrayOutOfBounds => Some(Self::OutOfBounds),
            Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
                Some(Self::Arithmetic)
            }
            Trap::IndirectCallToNull | Trap::BadSignature | Trap::NullReference => Some(Self::IndirectCall),
            // The rest belongs to limits, to proposals that are switched off, or to the component model.
            _ => None,
        }
    }
}

impl fmt::Display for TrapClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable code (a panic or failed assertion in the component)",
            Self::OutOfBounds => "out of bounds memory access",
            Self::Arithmetic => "arithmetic error (division by zero or overflow)",
            Self::IndirectCall => "call through an invalid function reference",
            Self::ComponentModel => "the component broke the rules of the component model",
        })
    }
}

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest ended itself by an instruction that traps.
    #[error("the component trapped: {class}")]
    Trap {
        /// The class of instruction.
        class: TrapClass,
    },
    /// A limit ended the guest.
    #[error("{limit}")]
    Limit {
        /// Which one.
        limit: Limit,
    },
    /// The guest called `exit`.
    #[error("the component exited with code {code} instead of returning")]
    Exit {
        /// The code it gave.
        code: i32,
    },
    /// The function is not among the component's exports: the contract and the component disagree.
    #[error("the component does not export `{function}`")]
    NoSuchFunction {
        /// The function asked for.
        function: String,
    },
    /// What the call had used was revoked while it ran.
    #[error("the call was ended: its permission to {access} was revoked")]
    Revoked {
        /// The access that is no longer allowed.
        access: String,
    },
    /// A host function panicked. Our fault, confined to this call.
    #[error("an internal error ended the call")]
    Panic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_say_what_was_reached_in_round_units() {
        let texts = [
            (
                Limit::Memory { bytes_max: 128 << 20 },
                "memory limit of 128 MiB reached",
            ),
            (
                Limit::Output { bytes_max: 1500 },
                "result is larger than the limit of 1500 bytes",
            ),
            (
                Limit::HostCall { bytes_max: 3 << 10 },
                "limit of 3 KiB in one host call reached",
            ),
            (
                Limit::Cpu {
                    max: Duration::from_millis(1500),
                },
                "cpu limit of 1.5s reached",
            ),
        ];
        for (limit, text) in texts {
            assert_eq!(limit.to_string(), text);
        }
    }
}
