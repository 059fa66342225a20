//! The socket of some other server on this machine, which lies in the folder.
use attack::files::{cage, create, open, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    journal.held(
        "open the socket",
        open(&cage, "socket").map_err(|error| error.name()),
    );
    journal.held(
        "open it for writing",
        create(&cage, "socket").map_err(|error| error.name()),
    );
});
