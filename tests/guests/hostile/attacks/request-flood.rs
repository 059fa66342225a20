//! One request after the other without end.
use attack::http::get;

attack::attack!(|input, journal| {
    for index in 0_u64.. {
        if get(input[0], "/").is_err() {
            journal.saw("requests", &index.to_string());
            break;
        }
    }
});
