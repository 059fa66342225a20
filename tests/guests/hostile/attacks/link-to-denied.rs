//! A way into a denied folder through a link that lies in an allowed one.
use attack::files::{cage, peek, read, spoil, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "private/secret.txt",
        "sub/../private/secret.txt",
        "by-folder/secret.txt",
        "by-file",
        "sub/by-parent/secret.txt",
    ] {
        journal.none(
            path,
            peek(&cage, path)
                .into_iter()
                .filter(|(what, _)| *what != "open without following")
                .collect(),
        );
    }
    for path in [
        "private/secret.txt",
        "private/new.txt",
        "by-folder/secret.txt",
        "by-folder/new.txt",
    ] {
        journal.none(path, spoil(&cage, path));
    }
    let _ = cage.symlink_at("private", "mine");
    journal.held(
        "follow a link of my own",
        read(&cage, "mine/secret.txt").map_err(|error| error.name()),
    );
});
