//! A device that never ends, by a link in the folder and by its own name.
use attack::files::{cage, folder, peek, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in ["zero", "dev/zero", "dev/random", "dev/null", "tty", "node"] {
        journal.none(
            path,
            peek(&cage, path)
                .into_iter()
                .filter(|(what, _)| *what != "open without following" && !(path == "node" && *what != "open"))
                .collect(),
        );
    }
    let root = folder("/");
    for path in ["dev/zero", "dev/stdin", "dev/tty"] {
        journal.none(path, peek(&root, path));
    }
});
