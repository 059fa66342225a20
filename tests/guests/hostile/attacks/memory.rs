//! Takes memory until there is no more, and touches all of it.
attack::attack!(|_, journal| {
    let mut held = Vec::new();
    for size in [64 << 20, 1 << 20, 64 << 10] {
        loop {
            let mut block = Vec::<u8>::new();
            if block.try_reserve_exact(size).is_err() {
                break;
            }
            block.resize(size, 1);
            held.push(std::hint::black_box(block));
        }
    }
    let bytes: usize = held.iter().map(Vec::len).sum();
    drop(held);
    journal.saw("bytes", &bytes.to_string());
    journal.holds("not more than the limit", bytes <= 128 << 20);
});
