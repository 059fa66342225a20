//! How much one call, and one component, may use. Every limit always exists; there is no "unlimited".

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The bounds of one call of one component, and of the component's calls together.
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
    /// Thousandths of one core that all calls of the component together may use over any second; `None`: no
    /// share is set and only `cpu` bounds them.
    pub cpu_share_millicores: Option<u32>,
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
    /// HTTP requests of one call.
    pub requests: u64,
    /// Bytes sent out in one call, over HTTP and sockets.
    pub egress_bytes: u64,
    /// Bytes received in one call, over HTTP and sockets.
    pub ingress_bytes: u64,
    /// Bytes read from files in one call.
    pub file_read_bytes: u64,
    /// Bytes written to files in one call; making a file longer counts as writing.
    pub file_write_bytes: u64,
    /// Files, folders and links made in one call.
    pub files: u64,
    /// Calls of the component at a time; more wait for their turn.
    pub concurrency: u32,
    /// Calls accepted over time; `None`: as many as come.
    pub rate: Option<Rate>,
}

/// A number of calls in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls; at least 1.
    pub calls: u32,
    /// In how long.
    pub per: Duration,
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
        cpu_share_millicores: None,
        host_call_bytes: 16 * MIB,
        handles: 4_096,
        resources: 4_096,
        stdio_bytes: 256 * KIB,
        output_bytes: MIB,
        input_bytes: MIB,
        random_bytes: MIB,
        requests: 1_000,
        egress_bytes: 10 * MIB,
        ingress_bytes: 100 * MIB,
        file_read_bytes: 1024 * MIB,
        file_write_bytes: 100 * MIB,
        files: 10_000,
        concurrency: 16,
        rate: None,
    };
}
