//! Writing to the server's memory through /proc.
use attack::files::{cage, folder, spoil, write};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("write a file", write(&cage, "own.txt", "own"));
    for path in [
        "mem",
        "proc/self/mem",
        "proc/self/oom_score_adj",
    ] {
        journal.none(
            path,
            spoil(&cage, path)
                .into_iter()
                .filter(|(what, _)| !(path == "mem" && what.starts_with("remove")))
                .collect(),
        );
    }
    let root = folder("/");
    journal.none("proc", spoil(&root, "proc/self/mem"));
});
