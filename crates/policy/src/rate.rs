//! How many calls are accepted over time: so many at once, and so many in the long run.

use std::cmp::Ordering;
use std::time::Duration;

/// A number of calls in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls; at least 1.
    pub calls: u32,
    /// In how long.
    pub per: Duration,
}

impl Ord for Rate {
    /// The one that accepts fewer calls in the long run is less; of equals, the one that accepts fewer at once.
    fn cmp(&self, other: &Self) -> Ordering {
        let crossed = |calls: u32, per: Duration| u128::from(calls) * per.as_nanos();
        crossed(self.calls, other.per)
            .cmp(&crossed(other.calls, self.per))
            .then(self.calls.cmp(&other.calls))
            .then(self.per.cmp(&other.per))
    }
}

impl Rate {
    /// As many calls at once as the one that accepts fewer, at the pace of the slower.
    pub(crate) fn below(self, other: Self) -> Self {
        let slower = self.min(other);
        let calls = self.calls.min(other.calls);
        // Rounded up, so that it is not faster.
        let nanoseconds =
            (u128::from(calls) * slower.per.as_nanos()).div_ceil(u128::from(slower.calls.max(1)));
        let per = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        Self { calls, per }
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
