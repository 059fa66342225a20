//! A transfer encoding of the guest's own, beside the one the host uses.
use attack::http::{Ask, Fields, Method};

const SMUGGLED: &[u8] = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn post<'a>(authority: &'a str, headers: &'a [(&'a str, &'a [u8])]) -> Ask<'a> {
    Ask {
        method: Method::Post,
        headers,
        body: SMUGGLED,
        ..Ask::get(authority, "/")
    }
}

attack::attack!(|input, journal| {
    journal.works("without", post(input[0], &[]).answer(100));
    for name in ["transfer-encoding", "Transfer-Encoding", "TRANSFER-ENCODING"] {
        for value in ["chunked", "identity", "gzip, chunked", "xchunked"] {
            journal.held(name, post(input[0], &[(name, value.as_bytes())]).answer(100));
        }
    }
    for name in ["transfer-encoding ", "transfer_encoding\0", "te\r\n"] {
        journal.held(name, Fields::new().append(name, b"chunked"));
    }
});
