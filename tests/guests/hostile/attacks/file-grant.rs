//! One file was granted: its neighbors and its folder were not.
use attack::files::{folder, list, peek, read, spoil};

attack::attack!(|_, journal| {
    let root = folder("/");
    journal.works("read the file", read(&root, "cage/inside.txt"));
    for path in [
        "cage/other.txt",
        "cage/sub",
        "cage/sub/inner.txt",
        "cage/inside.txt/..",
        "cage/inside.txt/../other.txt",
        "cage/../outside.txt",
        "cage/inside.txt.bak",
    ] {
        journal.none(path, peek(&root, path));
    }
    for path in ["cage/inside.txt", "cage/new.txt", "cage"] {
        journal.none(path, spoil(&root, path));
    }
    if let Ok(cage) = attack::files::enter(&root, "cage") {
        if let Ok(names) = list(&cage) {
            journal.holds("the folder shows nothing else", names == ["inside.txt"]);
        }
    }
});
