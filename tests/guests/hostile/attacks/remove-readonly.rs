//! Removing what is only for reading.
use attack::files::{PathFlags, cage, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let name = |error: attack::files::ErrorCode| error.name();
    for path in ["inside.txt", "sub/inner.txt", "./inside.txt"] {
        journal.held("remove a file", cage.unlink_file_at(path).map_err(name));
    }
    for path in ["empty", "sub", "empty/", "."] {
        journal.held("remove a folder", cage.remove_directory_at(path).map_err(name));
    }
    journal.held(
        "rename over a file",
        cage.rename_at("sub/inner.txt", &cage, "inside.txt").map_err(name),
    );
    journal.held(
        "link",
        cage.link_at(PathFlags::empty(), "inside.txt", &cage, "twin.txt")
            .map_err(name),
    );
});
