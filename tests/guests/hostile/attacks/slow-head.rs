//! A server that takes the request and says nothing, and a guest that waits as long as it may.
use attack::http::{Ask, RequestOptions};

attack::attack!(|input, journal| {
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(Some(u64::MAX));
    let _ = options.set_first_byte_timeout(Some(u64::MAX));
    let _ = options.set_between_bytes_timeout(Some(u64::MAX));
    journal.held(
        "an answer",
        Ask::get(input[0], "/silent").send(Some(options)).map(drop),
    );
});
