//! Random numbers without end, in pieces that are allowed.
attack::attack!(|_, _| {
    loop {
        std::hint::black_box(wasip2::random::random::get_random_bytes(1 << 20));
        std::hint::black_box(wasip2::random::insecure::get_insecure_random_bytes(1 << 20));
    }
});
