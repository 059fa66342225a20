//! A link is planted that leads out, and then followed.
use attack::files::{cage, peek, spoil, write};

attack::attack!(|input, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    let targets = [
        "../outside.txt",
        "..",
        "sub/../../outside.txt",
        "./../outside.txt",
        "/etc/passwd",
        "/",
        "/proc/self/environ",
        input[0],
    ];
    for (index, target) in targets.iter().enumerate() {
        let name = format!("plant{index}");
        let made = cage.symlink_at(target, &name);
        journal.held(
            &format!("plant a link to {target:?}"),
            made.map_err(|error| error.name()),
        );
        journal.none(&name, peek(&cage, &name));
        let below = format!("{name}/outside.txt");
        journal.none(&below, peek(&cage, &below));
    }
    // Legal where it is made, and leads out from where it is moved to.
    let _ = cage.create_directory_at("deep");
    let _ = cage.create_directory_at("deep/er");
    let _ = cage.symlink_at("../../outside.txt", "deep/er/late");
    let _ = cage.rename_at("deep/er/late", &cage, "late");
    journal.none("late", peek(&cage, "late"));
    let _ = cage.symlink_at("deep/er", "short");
    journal.none(
        "short/../../../outside.txt",
        peek(&cage, "short/../../../outside.txt"),
    );
    journal.none(
        "short/../../../outside.txt",
        spoil(&cage, "short/../../../outside.txt"),
    );
});
