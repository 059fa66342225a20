//! Absolute paths, and the way from the root that the host shows.
use attack::files::{cage, folder, peek, read, spoil};

attack::attack!(|input, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let outside = input[0];
    for path in [
        "/",
        "//",
        "/etc/passwd",
        "//etc//passwd",
        "/cage/inside.txt",
        "/cage/../outside.txt",
        outside,
    ] {
        journal.none(path, peek(&cage, path));
    }
    for path in ["/cage/../outside.txt", "/cage/new.txt", outside] {
        journal.none(path, spoil(&cage, path));
    }
    let root = folder("/");
    let below = outside.trim_start_matches('/');
    for path in [
        "etc/passwd",
        "etc",
        "proc/self/environ",
        "dev/zero",
        "tmp",
        below,
        "cage/../etc/passwd",
    ] {
        journal.none(path, peek(&root, path));
    }
    for path in [below, "cage/../outside.txt"] {
        journal.none(path, spoil(&root, path));
    }
});
