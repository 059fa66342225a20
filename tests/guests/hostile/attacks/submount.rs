//! Another file system that is mounted inside the granted folder.
use attack::files::{cage, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "mount/hidden.txt",
        "mount/../mount/hidden.txt",
        "./mount//hidden.txt",
    ] {
        journal.none(path, peek(&cage, path));
        journal.none(path, spoil(&cage, path));
    }
});
