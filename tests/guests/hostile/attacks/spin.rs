//! Computes for ever.
attack::attack!(|_, _| {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
});
