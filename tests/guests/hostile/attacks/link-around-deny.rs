//! A denied file gets a second name where it is not denied.
use attack::files::{PathFlags, cage, read, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    journal.works(
        "link a file",
        cage.link_at(PathFlags::empty(), "own.txt", &cage, "twin.txt"),
    );
    for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
        for (from, to) in [
            ("private/secret.txt", "mine.txt"),
            ("by-file", "mine2.txt"),
            ("own.txt", "private/planted.txt"),
            ("private", "mine"),
        ] {
            let linked = cage.link_at(follow, from, &cage, to);
            // A second name of the link itself is a link that does not lead in either.
            if !(from == "by-file" && follow.is_empty()) {
                journal.held(
                    &format!("link {from} as {to}"),
                    linked.map_err(|error| error.name()),
                );
            }
        }
    }
    for path in ["mine.txt", "mine2.txt", "mine/secret.txt"] {
        journal.held(
            &format!("read {path}"),
            read(&cage, path).map_err(|error| error.name()),
        );
    }
});
