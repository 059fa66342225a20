//! A folder of the system was granted by mistake, and this is the guest that has waited for it.
use attack::files::{folder, peek};

attack::attack!(|input, journal| {
    let root = folder("/");
    for path in input {
        journal.none(path, peek(&root, path));
    }
});
