//! Waits for the same thing very many times at once, over and over.
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;

attack::attack!(|_, _| {
    let soon = monotonic_clock::subscribe_duration(0);
    let list = vec![&soon; 100_000];
    loop {
        std::hint::black_box(poll(&list));
    }
});
