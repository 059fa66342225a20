//! A link to a file outside that does not exist yet, to make it through the link.
use attack::files::{cage, create, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    for path in ["dangling", "dangling-absolute", "dangling-folder/new.txt"] {
        journal.held(
            &format!("create through {path}"),
            create(&cage, path).map_err(|error| error.name()),
        );
    }
    journal.held(
        "make a folder through a link",
        cage.create_directory_at("dangling-folder/x")
            .map_err(|error| error.name()),
    );
    journal.held(
        "rename to a place outside",
        cage.rename_at("own.txt", &cage, "dangling-folder/own.txt")
            .map_err(|error| error.name()),
    );
});
