//! Short parts that the host must look at one by one, in paths of fifteen million bytes.
use attack::files::{get_directories, peek, spoil};

attack::attack!(|_, journal| {
    let at = get_directories().pop().expect("a folder").0;
    // Up again from a long name, each time: what is left costs a copy of all of it.
    for part in ["/a/..", "/..", "/a", "/./"] {
        let mut path = String::with_capacity(15 << 20);
        path.push_str(&"x".repeat(4_000));
        while path.len() + part.len() <= path.capacity() {
            path.push_str(part);
        }
        journal.none(&path, peek(&at, &path));
        journal.none(&path, spoil(&at, &path));
        let link = at.symlink_at(&path, "link").map_err(|error| error.name());
        journal.held(&format!("a link to many {part}"), link);
    }
});
