//! Waits for something that never comes.
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;

attack::attack!(|_, _| {
    loop {
        let never = monotonic_clock::subscribe_duration(u64::MAX);
        poll(&[&never]);
    }
});
