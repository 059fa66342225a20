//! Live handles without end.
use wasip2::clocks::monotonic_clock;

attack::attack!(|_, journal| {
    let mut held = Vec::new();
    for _ in 0..10_000_000 {
        held.push(monotonic_clock::subscribe_duration(u64::MAX));
    }
    journal.saw("handles", &held.len().to_string());
});
