//! A file of a folder that is only for reading is brought into one for writing.
use attack::files::{PathFlags, cage, folder, read, write};

attack::attack!(|_, journal| {
    let (readonly, writable) = (folder("/readonly"), cage());
    journal.works("write where it is allowed", write(&writable, "own.txt", "own"));
    journal.works("read where it is allowed", read(&readonly, "kept.txt"));
    let name = |error: attack::files::ErrorCode| error.name();
    for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
        journal.held(
            "link out of it",
            readonly
                .link_at(follow, "kept.txt", &writable, "taken.txt")
                .map_err(name),
        );
        journal.held(
            "link into it",
            writable
                .link_at(follow, "own.txt", &readonly, "put.txt")
                .map_err(name),
        );
    }
    journal.held(
        "rename out of it",
        readonly
            .rename_at("kept.txt", &writable, "taken.txt")
            .map_err(name),
    );
    journal.held(
        "rename over it",
        writable.rename_at("own.txt", &readonly, "kept.txt").map_err(name),
    );
    journal.held(
        "rename a folder out of it",
        readonly.rename_at("folder", &writable, "folder").map_err(name),
    );
    let _ = writable.symlink_at("../readonly/kept.txt", "by-link");
    journal.held(
        "write through a link",
        writable
            .open_at(
                PathFlags::SYMLINK_FOLLOW,
                "by-link",
                attack::files::OpenFlags::empty(),
                attack::files::DescriptorFlags::WRITE,
            )
            .map_err(name),
    );
    journal.held(
        "write what was taken",
        attack::files::open(&writable, "taken.txt").map_err(name),
    );
});
