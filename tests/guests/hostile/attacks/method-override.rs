//! Another method or path than that of the request, in headers that servers know.
use attack::http::{Ask, Method};

attack::attack!(|input, journal| {
    let ask = |headers: &[(&str, &[u8])], path: &str| {
        Ask {
            method: Method::Post,
            headers,
            ..Ask::get(input[0], path)
        }
        .answer(100)
    };
    journal.works("what was granted", ask(&[], "/items/7"));
    for (name, value) in [
        ("X-HTTP-Method-Override", "DELETE"),
        ("x-http-method-override", "PUT"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("X_Method_Override", "DELETE"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-Rewrite-Url", "/items/7"),
    ] {
        journal.held(name, ask(&[(name, value.as_bytes())], "/items/7"));
    }
    let harmless: [(&str, &[u8]); 2] = [("X-Request-Id", b"7"), ("X-Method", b"DELETE")];
    journal.works("other headers", ask(&harmless, "/items/7"));
});
