//! Paths longer than any system takes.
use attack::files::{cage, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let paths = [
        "x".repeat(256),
        "x".repeat(5_000),
        "x".repeat(1 << 20),
        "x/".repeat(5_000),
        "../".repeat(5_000) + "nobody-has-this-file",
        "sub/../".repeat(1_000) + "../outside.txt",
        "./".repeat(100_000) + "../outside.txt",
    ];
    for path in &paths {
        journal.none(path, peek(&cage, path));
        journal.none(path, spoil(&cage, path));
    }
});
