//! The server's own environment and memory, by links that lie in the folder.
use attack::files::{cage, folder, peek, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "environ",
        "proc/self/environ",
        "proc/self/root/etc/passwd",
        "proc/self/cwd",
        "proc/self/fd/0",
        "proc/1/environ",
        "fd/0",
        "fd/3",
        "fd/4",
        "exe",
    ] {
        journal.none(
            path,
            peek(&cage, path)
                .into_iter()
                .filter(|(what, _)| *what != "open without following")
                .collect(),
        );
    }
    let root = folder("/");
    for path in [
        "proc",
        "proc/self",
        "proc/self/environ",
        "proc/self/maps",
        "proc/self/fd",
    ] {
        journal.none(path, peek(&root, path));
    }
});
