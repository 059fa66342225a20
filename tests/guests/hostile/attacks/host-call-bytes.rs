//! Hands the host as much as it has in one call.
use attack::files::{cage, create};

attack::attack!(|_, journal| {
    let cage = cage();
    let file = create(&cage, "own.txt").unwrap();
    let bytes = vec![b'x'; 48 << 20];
    journal.held(
        "48 MiB at once",
        file.write(&bytes, 0).map_err(|error| error.name()),
    );
});
