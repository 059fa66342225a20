//! Lengths that contradict the body or each other, so that two readers cut the stream differently.
use attack::http::{Ask, Method};

attack::attack!(|input, journal| {
    let ask = |headers, body| Ask {
        method: Method::Post,
        headers,
        body,
        ..Ask::get(input[0], "/")
    };
    journal.works(
        "the right length",
        ask(&[("content-length", b"4")], b"body").answer(100),
    );
    let smuggled = b"bodyGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    journal.held(
        "more than was said",
        ask(&[("content-length", b"4")], smuggled).answer(100),
    );
    journal.held(
        "less than was said",
        ask(&[("content-length", b"400")], b"body").answer(100),
    );
    journal.held(
        "two lengths",
        ask(&[("content-length", b"4"), ("content-length", b"0")], b"body").answer(100),
    );
    journal.held(
        "two in one",
        ask(&[("content-length", b"4, 0")], b"body").answer(100),
    );
    for value in ["+4", "-4", "0x4", "4 4", "four", "99999999999999999999", "4;"] {
        let headers: [(&str, &[u8]); 1] = [("content-length", value.as_bytes())];
        let ask = Ask {
            method: Method::Post,
            headers: &headers,
            body: b"body",
            ..Ask::get(input[0], "/")
        };
        journal.held(value, ask.answer(100));
    }
});
