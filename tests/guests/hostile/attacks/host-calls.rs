//! Calls the host for ever.
attack::attack!(|_, _| {
    loop {
        std::hint::black_box(wasip2::clocks::monotonic_clock::now());
    }
});
