//! A server whose head is larger than any.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted host", get(input[0], "/"));
    for path in ["/long-header", "/many-headers", "/long-status"] {
        journal.held(path, get(input[0], path).map(drop));
    }
});
