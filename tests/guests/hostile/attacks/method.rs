//! Methods that were not granted. Another case of a granted one counts as that one.
use attack::http::{Ask, Method};

attack::attack!(|input, journal| {
    journal.works("the granted method", Ask::get(input[0], "/").answer(100));
    let other = |text: &str| Method::Other(text.to_owned());
    for method in [
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Patch,
        Method::Options,
        Method::Head,
        Method::Connect,
        Method::Trace,
        other("POST"),
        other("GETX"),
        other("GE T"),
        other(""),
        other("GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST"),
        other("PROPFIND"),
        other("CONNECT"),
        other("TRACE"),
    ] {
        let what = format!("{method:?}");
        journal.held(
            &what,
            Ask {
                method,
                ..Ask::get(input[0], "/")
            }
            .answer(100),
        );
    }
});
