//! Opening for reading, and cutting the file on the way.
use attack::files::{DescriptorFlags, OpenFlags, PathFlags, cage, open, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for (what, flags) in [
        ("nothing", DescriptorFlags::empty()),
        ("reading", DescriptorFlags::READ),
        ("writing", DescriptorFlags::WRITE),
        ("both", DescriptorFlags::READ | DescriptorFlags::WRITE),
    ] {
        for open_flags in [OpenFlags::TRUNCATE, OpenFlags::TRUNCATE | OpenFlags::CREATE] {
            for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
                let opened = cage.open_at(follow, "inside.txt", open_flags, flags);
                journal.held(
                    &format!("truncate while opening for {what}"),
                    opened.map_err(|error| error.name()),
                );
            }
        }
    }
    let file = open(&cage, "inside.txt").unwrap();
    journal.held("set the size", file.set_size(0).map_err(|error| error.name()));
    journal.held("write", file.write(b"spoiled", 0).map_err(|error| error.name()));
    journal.held(
        "write by a stream",
        file.write_via_stream(0)
            .map_err(|error| error.name())
            .and_then(|stream| stream.blocking_write_and_flush(b"spoiled").map_err(|_| "stream")),
    );
    journal.held(
        "append by a stream",
        file.append_via_stream()
            .map_err(|error| error.name())
            .and_then(|stream| stream.blocking_write_and_flush(b"spoiled").map_err(|_| "stream")),
    );
});
