//! The store, the secrets and the audit file of the server that runs this.
use attack::files::{cage, folder, peek, read, spoil};

attack::attack!(|input, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let root = folder("/");
    let store = input[0].trim_start_matches('/');
    for below in [
        "",
        "/state.db",
        "/audit.jsonl",
        "/keys/compiled",
        "/blobs/sha256",
        "/compiled",
    ] {
        let path = format!("{store}{below}");
        journal.none(&path, peek(&root, &path));
        journal.none(&path, spoil(&root, &path));
    }
    journal.none("store", peek(&cage, "store/state.db"));
    journal.none("store", spoil(&cage, "store/audit.jsonl"));
});
