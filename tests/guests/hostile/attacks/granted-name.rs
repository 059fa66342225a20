//! A granted name whose addresses are not what they should be.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted host", get(input[0], "/"));
    for authority in &input[1..] {
        for _ in 0..4 {
            journal.held(authority, get(authority, "/"));
        }
    }
});
