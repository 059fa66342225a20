//! Open files without end.
use attack::files::{cage, open};

attack::attack!(|_, journal| {
    let cage = cage();
    let mut held = Vec::new();
    while let Ok(file) = open(&cage, "inside.txt") {
        held.push(file);
    }
    journal.saw("files", &held.len().to_string());
});
