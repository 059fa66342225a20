//! Sleeps longer than it may run, in one sleep and in many.
use wasip2::clocks::monotonic_clock;

attack::attack!(|_, _| {
    for _ in 0..100 {
        monotonic_clock::subscribe_duration(1_000_000).block();
    }
    monotonic_clock::subscribe_instant(u64::MAX).block();
    monotonic_clock::subscribe_duration(u64::MAX).block();
});
