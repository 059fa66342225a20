//! Another protocol over a granted connection.
use attack::http::Ask;

attack::attack!(|input, journal| {
    journal.works("the granted host", Ask::get(input[0], "/").answer(100));
    for (name, value) in [
        ("upgrade", "websocket"),
        ("Upgrade", "h2c"),
        ("connection", "upgrade"),
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=999"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("host", "x"),
    ] {
        journal.held(
            name,
            Ask {
                headers: &[(name, value.as_bytes())],
                ..Ask::get(input[0], "/")
            }
            .answer(100),
        );
    }
});
