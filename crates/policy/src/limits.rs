//! How much one call may use. Every limit always exists; there is no "unlimited".

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The bounds of one call of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, summed over all memories of the call.
    pub memory_bytes: u64,
    /// Table elements, summed over all tables of the call.
    pub table_elements: u64,
    /// Wall-clock time from instantiation to result.
    pub time: Duration,
    /// Time the guest itself runs; time inside host calls does not count.
    pub cpu: Duration,
    /// Bytes the guest may hand to the host in one host call, and in its result before it is converted.
    pub host_call_bytes: u64,
    /// Live component-model handles.
    pub handles: u32,
    /// Live entries of the host's resource table.
    pub resources: u32,
    /// Bytes kept of standard output and of standard error, each; what follows is counted and dropped.
    pub stdio_bytes: u64,
    /// Bytes of the result, measured as strings and numbers before they become JSON.
    pub output_bytes: u64,
    /// Bytes of the arguments as JSON.
    pub input_bytes: u64,
    /// Bytes of one request for random numbers.
    pub random_bytes: u64,
}

impl Limits {
    /// What applies where nothing else is said.
    ///
    /// The figures are argued in SPECIFICATION.md, "Limits": they let a Python interpreter run and stop
    /// a runaway guest before the machine feels it.
    pub const DEFAULT: Self = Self {
        memory_bytes: 128 * MIB,
        table_elements: 200_000,
        time: Duration::from_secs(60),
        cpu: Duration::from_secs(30),
        host_call_bytes: 16 * MIB,
        handles: 4_096,
        resources: 4_096,
        stdio_bytes: 256 * KIB,
        output_bytes: MIB,
        input_bytes: MIB,
        random_bytes: MIB,
    };
}
