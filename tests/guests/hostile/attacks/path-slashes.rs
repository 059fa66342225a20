//! Slashes and dots at the end, in the middle, and twice.
use attack::files::{cage, open, peek, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "sub/inner.txt"));
    journal.works("read through dots", read(&cage, "./sub//./inner.txt"));
    for path in [
        "inside.txt/",
        "inside.txt/.",
        "inside.txt//",
        "inside.txt/./",
        "inside.txt/..",
    ] {
        let result = open(&cage, path).map_err(|error| error.name());
        journal.held(&format!("a file as a folder {path:?}"), result);
    }
    for path in [
        "out/",
        "out/.",
        "out//",
        "out/./",
        "out/outside.txt",
        "out//outside.txt",
        "./out/./outside.txt",
        "sub/../out/",
        "file-out/",
        "file-out/.",
        "file-out//",
        ".//..//outside.txt",
        "sub//..//..//outside.txt",
    ] {
        journal.none(path, peek(&cage, path));
    }
});
