//! Reads a secret back: from its own request, from a server that returns what it got, in pieces, and in its headers.
use attack::http::{Ask, OutgoingBody, get, handle, read, wait};

attack::attack!(|input, journal| {
    let request = Ask::get(input[0], "/echo").request().unwrap();
    let headers = request.headers();
    let body = request.body().unwrap();
    let future = handle(request, None).unwrap();
    let _ = OutgoingBody::finish(body, None);
    for (name, value) in headers.entries() {
        journal.saw(
            "own header",
            &format!("{name}: {}", String::from_utf8_lossy(&value)),
        );
    }
    let answer = read(journal.works("an answer", wait(&future)).unwrap(), 64 << 10);
    for (name, value) in &answer.headers {
        journal.saw("header", &format!("{name}: {}", String::from_utf8_lossy(value)));
    }
    journal.saw("body", &answer.text().replace('\n', " | "));
    for path in [
        "/echo-slowly",
        "/echo-twice",
        "/echo-header",
        "/echo-status",
        "/echo-chunks",
    ] {
        match get(input[0], path) {
            Ok(answer) => {
                journal.saw(path, &answer.text().replace('\n', " | "));
                for (name, value) in &answer.headers {
                    journal.saw(path, &format!("{name}: {}", String::from_utf8_lossy(value)));
                }
            }
            Err(error) => journal.held(path, Err::<(), _>(error)),
        }
    }
});
