//! A glob was granted: what only looks like it was not.
use attack::files::{cage, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read what fits", read(&cage, "one.log"));
    for path in [
        "inside.txt",
        "one.log.txt",
        "sub/inner.log",
        "one.log/../inside.txt",
        "one.LOG",
        "log",
        "link.log",
        "sub/../inside.txt",
    ] {
        journal.none(
            path,
            peek(&cage, path)
                .into_iter()
                .filter(|(what, _)| !(path == "link.log" && *what == "open without following"))
                .collect(),
        );
    }
    for path in ["one.log", "new.log"] {
        journal.none(path, spoil(&cage, path));
    }
});
