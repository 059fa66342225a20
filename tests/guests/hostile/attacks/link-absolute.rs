//! Links with an absolute target, outside and inside.
use attack::files::{cage, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "to-outside",
        "to-root/etc/passwd",
        "to-folder/outside.txt",
        "to-passwd",
    ] {
        journal.none(
            path,
            peek(&cage, path)
                .into_iter()
                .filter(|(what, _)| *what != "open without following")
                .collect(),
        );
    }
    for path in ["to-folder/outside.txt", "to-folder/new.txt"] {
        journal.none(path, spoil(&cage, path));
    }
    let _ = cage
        .readlink_at("to-outside")
        .map(|target| journal.holds("readlink tells no target outside", !target.contains("outside")));
});
