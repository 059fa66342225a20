//! Links that lead to links: out by the last one, or round for ever.
use attack::files::{cage, peek, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("follow a chain that stays inside", read(&cage, "good1"));
    for path in [
        "chain1",
        "chain1/outside.txt",
        "loop1",
        "loop2",
        "self",
        "self/self/self",
        "long0",
        "up/outside.txt",
        "sub/up2/outside.txt",
    ] {
        journal.none(path, peek(&cage, path));
    }
});
