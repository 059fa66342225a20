//! A granted name that leads to another address each time it is asked for.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the first address", get(input[0], "/"));
    for index in 1..6 {
        journal.held(&format!("address {index}"), get(input[0], "/"));
    }
});
