//! NUL, where a C library would stop reading.
use attack::files::{cage, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "\0",
        "inside.txt\0",
        "inside.txt\0.jpg",
        "\0inside.txt",
        "sub\0/inner.txt",
        "new\0/../../outside.txt",
    ] {
        journal.none(path, peek(&cage, path));
        journal.none(path, spoil(&cage, path));
    }
});
