//! `..` in every place a path can have it.
use attack::files::{cage, enter, peek, read, spoil};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let paths = [
        "..",
        "../",
        "../.",
        "../outside.txt",
        "./../outside.txt",
        "sub/../../outside.txt",
        "sub/../sub/../../outside.txt",
        ".././outside.txt",
        "../cage/../outside.txt",
        "sub/..//../outside.txt",
        "missing/../../outside.txt",
        "inside.txt/../../outside.txt",
    ];
    journal.none("passwd", peek(&cage, "../../../../../../../../etc/passwd"));
    for path in paths {
        journal.none(path, peek(&cage, path));
        journal.none(path, spoil(&cage, path));
    }
    if let Some(sub) = journal.works("enter a folder", enter(&cage, "sub")) {
        for path in ["..", "../inside.txt", "../../outside.txt", "../sub/../inside.txt"] {
            journal.none(path, peek(&sub, path));
        }
    }
});
