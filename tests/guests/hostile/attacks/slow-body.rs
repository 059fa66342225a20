//! A server that sends a byte now and then.
use attack::http::get;

attack::attack!(|input, journal| {
    let answer = journal.works("an answer", get(input[0], "/drip"));
    journal.holds(
        "the body did not end",
        answer.is_none_or(|answer| !answer.is_whole),
    );
});
