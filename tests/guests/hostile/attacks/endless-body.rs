//! A server that never stops sending, read without keeping anything.
use attack::http::Ask;

attack::attack!(|input, journal| {
    let response = journal
        .works("an answer", Ask::get(input[0], "/endless").send(None))
        .unwrap();
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = 0_u64;
    while let Ok(chunk) = stream.blocking_read(1 << 20) {
        bytes += chunk.len() as u64;
    }
    journal.saw("bytes", &bytes.to_string());
});
