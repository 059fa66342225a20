//! A server that sends less, more, or something else than it announced.
use attack::http::get;

attack::attack!(|input, journal| {
    for path in [
        "/short",
        "/negative",
        "/two-lengths",
        "/garbage",
        "/bad-chunks",
        "/reset",
    ] {
        let answer = get(input[0], path);
        journal.holds(path, answer.map_or(true, |answer| !answer.is_whole));
    }
    journal.works("the granted host", get(input[0], "/"));
});
