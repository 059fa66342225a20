//! How much one call, and one component, may use. Every limit always exists; there is no "unlimited".

use crate::document::shown;
use crate::error::ParseLimitError;
use crate::quantity;
use crate::rate::Rate;
use std::collections::BTreeMap;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Half an hour, in milliseconds.
const TIME_MS_MAX: u64 = 30 * 60 * 1_000;

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

impl Limits {
    /// What applies where nothing else is said.
    ///
    /// The figures are argued in SPECIFICATION.md, "Limits": they let a Python interpreter run and stop
    /// a runaway guest before the machine feels it.
    pub const DEFAULT: Self = Self {
        memory_bytes: 128 * MIB,
        table_elements: 100_000,
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

/// One limit that a policy can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKey {
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::table_elements`].
    Tables,
    /// [`Limits::cpu`].
    Cpu,
    /// [`Limits::cpu_share_millicores`]; written under the same key as [`LimitKey::Cpu`].
    CpuShare,
    /// [`Limits::time`].
    Time,
    /// [`Limits::output_bytes`].
    Output,
    /// [`Limits::stdio_bytes`].
    Stdio,
    /// [`Limits::requests`].
    Requests,
    /// [`Limits::egress_bytes`].
    Egress,
    /// [`Limits::ingress_bytes`].
    Ingress,
    /// [`Limits::file_read_bytes`].
    FileRead,
    /// [`Limits::file_write_bytes`].
    FileWrite,
    /// [`Limits::files`].
    Files,
    /// [`Limits::concurrency`].
    Concurrency,
    /// [`Limits::rate`].
    Rate,
}

/// How a limit is written and compared.
enum Unit {
    Bytes,
    Count,
    Milliseconds,
    Millicores,
    Rate,
}

impl LimitKey {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Self; 15] = [
        Self::Memory,
        Self::Tables,
        Self::Cpu,
        Self::CpuShare,
        Self::Time,
        Self::Output,
        Self::Stdio,
        Self::Requests,
        Self::Egress,
        Self::Ingress,
        Self::FileRead,
        Self::FileWrite,
        Self::Files,
        Self::Concurrency,
        Self::Rate,
    ];

    /// The key in a policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Cpu | Self::CpuShare => "cpu",
            Self::Time => "time",
            Self::Output => "output",
            Self::Stdio => "stdio",
            Self::Requests => "requests",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
            Self::FileRead => "file-read",
            Self::FileWrite => "file-write",
            Self::Files => "files",
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
        }
    }

    /// The limit with this key; for `cpu` the one on time.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    fn unit(self) -> Unit {
        match self {
            Self::Memory
            | Self::Output
            | Self::Stdio
            | Self::Egress
            | Self::Ingress
            | Self::FileRead
            | Self::FileWrite => Unit::Bytes,
            Self::Tables | Self::Requests | Self::Files | Self::Concurrency => Unit::Count,
            Self::Cpu | Self::Time => Unit::Milliseconds,
            Self::CpuShare => Unit::Millicores,
            Self::Rate => Unit::Rate,
        }
    }

    /// What could be written, for whoever wrote something else.
    pub(crate) fn example(self) -> &'static str {
        match self.unit() {
            Unit::Bytes => "write for example `512Mi` or `64k`",
            Unit::Count => "write a number, for example `100`",
            Unit::Rate => "write for example `60/min`",
            Unit::Milliseconds if self == Self::Time => "write for example `30s` or `500ms`",
            Unit::Milliseconds | Unit::Millicores => {
                "write time, a share, or both: `2s`, `500m`, `\"2s 500m\"`"
            }
        }
    }

    /// The smallest amount that is not surely a mistake; a Wasm page for memory.
    fn min(self) -> Amount {
        match self {
            Self::Memory => Amount::Number(64 * KIB),
            Self::Rate => Amount::Rate(Rate {
                calls: 1,
                per: Duration::from_secs(3_600),
            }),
            Self::Tables
            | Self::Cpu
            | Self::CpuShare
            | Self::Time
            | Self::Output
            | Self::Stdio
            | Self::Requests
            | Self::Egress
            | Self::Ingress
            | Self::FileRead
            | Self::FileWrite
            | Self::Files
            | Self::Concurrency => Amount::Number(1),
        }
    }

    /// The largest amount any policy can ask for, whatever the ceiling says.
    fn max(self) -> Amount {
        Amount::Number(match self {
            Self::Memory => 4 * GIB,
            // What the pool of the engine has room for.
            Self::Tables => 200_000,
            Self::Files => 10_000_000,
            Self::Cpu | Self::Time => TIME_MS_MAX,
            Self::CpuShare => 1_024_000,
            Self::Output => 16 * MIB,
            Self::Stdio => 4 * MIB,
            Self::Requests => 1_000_000,
            Self::Egress | Self::Ingress | Self::FileRead | Self::FileWrite => TIB,
            Self::Concurrency => 256,
            Self::Rate => {
                return Amount::Rate(Rate {
                    calls: 1_000_000,
                    per: Duration::from_secs(1),
                });
            }
        })
    }

    fn text(self, amount: Amount) -> String {
        match amount {
            Amount::Rate(rate) => quantity::rate_text(rate),
            Amount::Number(number) => match self.unit() {
                Unit::Bytes => quantity::bytes_text(number),
                Unit::Milliseconds => quantity::milliseconds_text(number),
                Unit::Millicores => format!("{number}m"),
                Unit::Count | Unit::Rate => number.to_string(),
            },
        }
    }
}

/// An amount of one limit: bytes, a number, milliseconds or thousandths of a core, as its key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Amount {
    Number(u64),
    Rate(Rate),
}

impl Amount {
    /// Whether it lets anything through that the other does not.
    fn exceeds(self, most: Self) -> bool {
        match (self, most) {
            (Self::Rate(own), Self::Rate(most)) => own > most || own.calls > most.calls,
            (own, most) => own > most,
        }
    }

    /// The largest amount that lets nothing through which either does not.
    fn below(self, most: Self) -> Self {
        match (self, most) {
            (Self::Rate(own), Self::Rate(most)) => Self::Rate(own.below(most)),
            (own, most) => own.min(most),
        }
    }
}

/// What one policy says about limits. What it leaves out is up to the defaults and the ceiling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings(BTreeMap<LimitKey, Amount>);

impl LimitSettings {
    /// No limit set.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets one limit as a policy writes it, for example `512Mi`.
    ///
    /// For both cpu keys the text holds processor time (`2s`), a share (`500m`), or both with a space between;
    /// each sets its own limit.
    ///
    /// # Errors
    ///
    /// When the text is not an amount of this limit, is zero, or is beyond what any policy may ask for.
    pub fn set(&mut self, key: LimitKey, text: &str) -> Result<(), ParseLimitError> {
        match key.unit() {
            Unit::Bytes => self.put(key, Amount::Number(quantity::bytes(text)?), text),
            Unit::Count => self.put(key, Amount::Number(quantity::count(text)?), text),
            Unit::Rate => self.put(key, Amount::Rate(quantity::rate(text)?), text),
            Unit::Milliseconds if key == LimitKey::Time => {
                self.put(key, Amount::Number(quantity::milliseconds(text)?), text)
            }
            Unit::Milliseconds | Unit::Millicores => self.set_cpu(text),
        }
    }

    fn set_cpu(&mut self, text: &str) -> Result<(), ParseLimitError> {
        let mut read = Self::new();
        for word in text.split(' ') {
            let (key, number) = match quantity::cpu(word)? {
                quantity::Cpu::Time(number) => (LimitKey::Cpu, number),
                quantity::Cpu::Share(number) => (LimitKey::CpuShare, number),
            };
            if read.is_set(key) {
                return Err(ParseLimitError {
                    message: format!("`{}` says the same thing twice", shown(text)),
                    hint: "write time, a share, or one of each: `2s 500m`",
                });
            }
            read.put(key, Amount::Number(number), word)?;
        }
        self.0.extend(read.0);
        Ok(())
    }

    /// Sets the share of processor time in percent of one core, as older policies write it.
    pub(crate) fn set_cpu_percent(&mut self, text: &str) -> Result<(), ParseLimitError> {
        self.put(LimitKey::CpuShare, Amount::Number(quantity::percent(text)?), text)
    }

    /// Sets the memory in mebibytes, as older policies write it.
    pub(crate) fn set_memory_mebibytes(&mut self, text: &str) -> Result<(), ParseLimitError> {
        self.put(LimitKey::Memory, Amount::Number(quantity::mebibytes(text)?), text)
    }

    fn put(&mut self, key: LimitKey, amount: Amount, text: &str) -> Result<(), ParseLimitError> {
        let zero = match amount {
            Amount::Number(number) => number == 0,
            Amount::Rate(rate) => rate.calls == 0,
        };
        if zero {
            return Err(ParseLimitError {
                message: format!("`{}` cannot be zero", key.name()),
                hint: "a limit of zero would end every call; to forbid something, do not grant it",
            });
        }
        if amount < key.min() {
            return Err(ParseLimitError {
                message: format!("`{}` is less than {}", shown(text), key.text(key.min())),
                // Of the other limits nothing can be written that is less and not zero.
                hint: if text.bytes().all(|b| b.is_ascii_digit()) {
                    "a plain number means bytes; for mebibytes write `Mi`"
                } else {
                    "with less than a page of 64 KiB nothing runs"
                },
            });
        }
        if amount > key.max() {
            return Err(ParseLimitError {
                message: format!("`{}` is more than {}", shown(text), key.text(key.max())),
                hint: "no policy can ask for more than that",
            });
        }
        self.0.insert(key, amount);
        Ok(())
    }

    /// Leaves one limit to the defaults again.
    pub fn clear(&mut self, key: LimitKey) {
        self.0.remove(&key);
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it sets this limit.
    #[must_use]
    pub fn is_set(&self, key: LimitKey) -> bool {
        self.0.contains_key(&key)
    }

    /// The limits it sets.
    pub fn keys(&self) -> impl Iterator<Item = LimitKey> + '_ {
        self.0.keys().copied()
    }

    /// One limit as the printed policy has it; [`LimitSettings::set`] reads it.
    #[must_use]
    pub fn text(&self, key: LimitKey) -> Option<String> {
        self.0.get(&key).map(|amount| key.text(*amount))
    }

    /// The larger of each limit; one that only one of them sets is taken as it is. Of two rates it is the one
    /// that accepts more calls in the long run, though it may accept fewer at once.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut joined = self.0.clone();
        for (key, amount) in &other.0 {
            let larger = joined.get(key).map_or(*amount, |own| *own.max(amount));
            joined.insert(*key, larger);
        }
        Self(joined)
    }

    /// Those of these limits that allow more than what `own` and the defaults allow together.
    #[must_use]
    pub fn beyond(&self, own: &Self, defaults: &Limits) -> Self {
        let now = own.effective(defaults, None);
        let more = self.0.iter().filter(|(key, wanted)| {
            // Without an amount there is no bound.
            now.amount(**key).is_some_and(|now| wanted.exceeds(now))
        });
        Self(more.map(|(key, wanted)| (*key, *wanted)).collect())
    }

    /// The limits that are set higher than in the ceiling. A rate is higher when it accepts more calls in the
    /// long run, and also when it accepts more at once.
    pub fn exceeding<'a>(&'a self, ceiling: &'a Self) -> impl Iterator<Item = LimitKey> + 'a {
        let is_higher =
            |key: &LimitKey, own: &Amount| ceiling.0.get(key).is_some_and(|most| own.exceeds(*most));
        let limits = self.0.iter();
        limits.filter_map(move |(key, own)| is_higher(key, own).then_some(*key))
    }

    /// What holds for a call: what is set here, else the default, and never more than the ceiling sets. Of two
    /// rates that is one that accepts no more than either, neither at once nor in the long run.
    #[must_use]
    pub fn effective(&self, defaults: &Limits, ceiling: Option<&Self>) -> Limits {
        let mut limits = defaults.clone();
        for (key, amount) in &self.0 {
            limits.replace(*key, *amount);
        }
        for (key, most) in ceiling.iter().flat_map(|ceiling| &ceiling.0) {
            let amount = limits.amount(*key).map_or(*most, |amount| amount.below(*most));
            limits.replace(*key, amount);
        }
        limits
    }
}

impl Limits {
    fn amount(&self, key: LimitKey) -> Option<Amount> {
        Some(Amount::Number(match key {
            LimitKey::Memory => self.memory_bytes,
            LimitKey::Tables => self.table_elements,
            LimitKey::Cpu => whole_milliseconds(self.cpu),
            LimitKey::CpuShare => self.cpu_share_millicores?.into(),
            LimitKey::Time => whole_milliseconds(self.time),
            LimitKey::Output => self.output_bytes,
            LimitKey::Stdio => self.stdio_bytes,
            LimitKey::Requests => self.requests,
            LimitKey::Egress => self.egress_bytes,
            LimitKey::Ingress => self.ingress_bytes,
            LimitKey::FileRead => self.file_read_bytes,
            LimitKey::FileWrite => self.file_write_bytes,
            LimitKey::Files => self.files,
            LimitKey::Concurrency => self.concurrency.into(),
            LimitKey::Rate => return self.rate.map(Amount::Rate),
        }))
    }

    fn replace(&mut self, key: LimitKey, amount: Amount) {
        let number = match amount {
            Amount::Rate(rate) => {
                self.rate = Some(rate);
                return;
            }
            Amount::Number(number) => number,
        };
        let short = u32::try_from(number).unwrap_or(u32::MAX);
        match key {
            LimitKey::Memory => self.memory_bytes = number,
            LimitKey::Tables => self.table_elements = number,
            LimitKey::Cpu => self.cpu = Duration::from_millis(number),
            LimitKey::CpuShare => self.cpu_share_millicores = Some(short),
            LimitKey::Time => self.time = Duration::from_millis(number),
            LimitKey::Output => self.output_bytes = number,
            LimitKey::Stdio => self.stdio_bytes = number,
            LimitKey::Requests => self.requests = number,
            LimitKey::Egress => self.egress_bytes = number,
            LimitKey::Ingress => self.ingress_bytes = number,
            LimitKey::FileRead => self.file_read_bytes = number,
            LimitKey::FileWrite => self.file_write_bytes = number,
            LimitKey::Files => self.files = number,
            LimitKey::Concurrency => self.concurrency = short,
            // Only a rate is an amount of this limit, and it was taken above.
            LimitKey::Rate => {}
        }
    }
}

/// Rounded up, so that a default between two milliseconds is not taken for less than it is.
fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
