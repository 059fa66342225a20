//! Asks the server for its own request in an encoding that hides what it says.
use attack::http::Ask;

attack::attack!(|input, journal| {
    journal.works("plain", Ask::get(input[0], "/echo").answer(4096));
    for (name, value) in [
        ("accept-encoding", "gzip"),
        ("te", "gzip"),
        ("range", "bytes=20-"),
    ] {
        let answer = Ask {
            headers: &[(name, value.as_bytes())],
            ..Ask::get(input[0], "/echo-encoded")
        }
        .answer(4096);
        journal.held(name, answer.map(drop));
    }
});
