//! Very many requests at once.
use attack::http::{Ask, OutgoingBody, handle};

attack::attack!(|input, journal| {
    let mut waiting = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let request = Ask::get(input[0], "/silent").request().unwrap();
        let body = request.body().unwrap();
        match handle(request, None) {
            Ok(future) => waiting.push(future),
            Err(_) => refused += 1,
        }
        let _ = OutgoingBody::finish(body, None);
    }
    let mut ended = 0;
    for future in &waiting {
        if future.subscribe().ready() {
            ended += 1;
        }
    }
    journal.saw("refused", &(refused + ended).to_string());
    waiting[0].subscribe().block();
});
