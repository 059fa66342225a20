//! Asks for times at the edge of their types.
use wasip2::clocks::{monotonic_clock, wall_clock};

attack::attack!(|_, journal| {
    let now = monotonic_clock::now();
    journal.holds(
        "the clock does not tell when the machine started",
        now < 600_000_000_000,
    );
    let kept: Vec<_> = [0, 1, now, u64::MAX - 1, u64::MAX, 1 << 63]
        .map(monotonic_clock::subscribe_instant)
        .into();
    let more: Vec<_> = [0, 1, u64::MAX - 1, u64::MAX, 1 << 63]
        .map(monotonic_clock::subscribe_duration)
        .into();
    kept[0].block();
    kept[2].block();
    more[0].block();
    journal.holds("what is over is not waited for", true);
    journal.holds(
        "what never comes does not come",
        !kept[4].ready() && !more[3].ready(),
    );
    journal.saw("resolution", &wall_clock::resolution().nanoseconds.to_string());
});
