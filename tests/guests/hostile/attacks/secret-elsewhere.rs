//! Has a secret sent to a host it is not for.
use attack::http::{Ask, get};

attack::attack!(|input, journal| {
    journal.works("the host it is for", get(input[0], "/echo"));
    let other = journal.works(
        "another granted host",
        Ask {
            headers: &[("authorization", b"Bearer {secret}")],
            ..Ask::get(input[1], "/echo")
        }
        .answer(4096),
    );
    if let Some(answer) = other {
        journal.saw("other", &answer.text().replace('\n', " | "));
    }
    journal.held("one that is not granted", get(input[2], "/echo").map(drop));
});
