//! A pipe with no writer: opening it for reading would wait for ever.
use attack::files::{cage, open, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for _ in 0..8 {
        journal.held("open the pipe", open(&cage, "pipe").map_err(|error| error.name()));
    }
});
