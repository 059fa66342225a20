//! A denied folder is renamed to where it is not denied, or what holds it is.
use attack::files::{cage, read, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    journal.works("rename a file", cage.rename_at("own.txt", &cage, "renamed.txt"));
    let moves = [
        ("private", "public"),
        ("private/secret.txt", "secret.txt"),
        ("holder", "held"),
        ("holder/private", "public2"),
        ("renamed.txt", "private/secret.txt"),
        ("sub", "private"),
        ("private", "sub/private"),
    ];
    for (from, to) in moves {
        let moved = cage.rename_at(from, &cage, to);
        journal.held(
            &format!("rename {from} to {to}"),
            moved.map_err(|error| error.name()),
        );
    }
    for path in [
        "public/secret.txt",
        "secret.txt",
        "held/private/secret.txt",
        "public2/secret.txt",
    ] {
        journal.held(
            &format!("read {path}"),
            read(&cage, path).map_err(|error| error.name()),
        );
    }
});
