//! Streams of one file without end.
use attack::files::{cage, open};

attack::attack!(|_, journal| {
    let cage = cage();
    let file = open(&cage, "inside.txt").unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = file.read_via_stream(0) {
        held.push(stream);
    }
    journal.saw("streams", &held.len().to_string());
});
