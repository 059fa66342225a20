//! Calls itself for ever.
use std::hint::black_box;

fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    black_box(deeper(black_box(depth + 1))).wrapping_add(black_box(depth))
}

attack::attack!(|_, journal| journal.saw("depth", &deeper(0).to_string()));
