//! Making something in a folder that is only for reading.
use attack::files::{cage, enter, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in ["new.txt", "sub/new.txt", "inside.txt", "sub"] {
        journal.none(path, spoil(&cage, path));
    }
    let sub = enter(&cage, "sub").unwrap();
    journal.none("new.txt", spoil(&sub, "new.txt"));
    for (from, to) in [
        ("inside.txt", "other.txt"),
        ("sub", "bus"),
        ("inside.txt", "sub/inside.txt"),
    ] {
        journal.held(
            "rename",
            cage.rename_at(from, &cage, to).map_err(|error| error.name()),
        );
    }
});
