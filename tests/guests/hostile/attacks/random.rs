//! A gigabyte of random numbers at once.
attack::attack!(|_, journal| {
    let bytes = wasip2::random::random::get_random_bytes(1 << 30);
    journal.saw("bytes", &bytes.len().to_string());
});
