//! Sends out more than it may.
use attack::http::{Ask, Method, handle};

attack::attack!(|input, journal| {
    let ask = Ask {
        method: Method::Post,
        ..Ask::get(input[0], "/swallow")
    };
    let request = ask.request().unwrap();
    let body = request.body().unwrap();
    let _future = handle(request, None);
    let stream = body.write().unwrap();
    let chunk = vec![b'x'; 4096];
    for index in 0_u64.. {
        if stream.blocking_write_and_flush(&chunk).is_err() {
            journal.saw("chunks", &index.to_string());
            break;
        }
    }
});
