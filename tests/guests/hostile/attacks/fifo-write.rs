//! A pipe with no reader: opening it for writing would wait for ever.
use attack::files::{DescriptorFlags, OpenFlags, PathFlags, cage, create, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    for _ in 0..8 {
        journal.held(
            "open the pipe",
            create(&cage, "pipe").map_err(|error| error.name()),
        );
        let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
        journal.held(
            "open it truncated",
            cage.open_at(PathFlags::empty(), "pipe", OpenFlags::TRUNCATE, both)
                .map_err(|error| error.name()),
        );
    }
});
