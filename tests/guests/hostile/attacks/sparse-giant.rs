//! A file of a terabyte that costs the guest nothing.
use attack::files::{cage, create};

attack::attack!(|_, journal| {
    let cage = cage();
    let file = journal.works("write a file", create(&cage, "giant")).unwrap();
    journal.held("a terabyte", file.set_size(1 << 40).map_err(|error| error.name()));
    journal.held(
        "far away",
        file.write(b"x", 1 << 40).map_err(|error| error.name()),
    );
    journal.held(
        "beyond any file",
        file.set_size(u64::MAX).map_err(|error| error.name()),
    );
});
