//! Times that no system can have, on a file that may be written: a host that converts them carelessly panics.
use attack::files::{NewTimestamp, cage, create};
use wasip2::filesystem::types::Datetime;

attack::attack!(|_, journal| {
    let cage = cage();
    let file = journal.works("write a file", create(&cage, "own.txt")).unwrap();
    for (seconds, nanoseconds) in [
        (1, 1_000_000_000),
        (u64::MAX, 0),
        (u64::MAX, u32::MAX),
        (i64::MAX as u64, 999_999_999),
        (1 << 63, 0),
    ] {
        let time = NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
        let result = file.set_times(time, time).map_err(|error| error.name());
        journal.saw("times", if result.is_ok() { "taken" } else { "refused" });
    }
    journal.holds("the host still answers", file.stat().is_ok());
});
