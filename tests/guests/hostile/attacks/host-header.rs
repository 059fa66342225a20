//! Another host in the header than in the address.
use attack::http::{Ask, Fields};

attack::attack!(|input, journal| {
    journal.works("the granted host", Ask::get(input[0], "/").answer(100));
    for name in ["Host", "host", "HOST", "hOsT"] {
        let ask = Ask {
            headers: &[(name, b"internal.example")],
            ..Ask::get(input[0], "/")
        };
        journal.held(name, ask.answer(100));
        let fields = Fields::new();
        journal.held("set it", fields.set(name, &[b"internal.example".to_vec()]));
    }
    for name in ["Host ", "Host\0", ":authority", " Host", "Host:"] {
        journal.held(name, Fields::new().append(name, b"internal.example"));
    }
    let more: [(&str, &[u8]); 3] = [
        ("X-Forwarded-Host", b"internal.example"),
        ("Forwarded", b"host=internal.example"),
        ("X-Host", b"internal.example"),
    ];
    journal.works(
        "headers that only look like it",
        Ask {
            headers: &more,
            ..Ask::get(input[0], "/")
        }
        .answer(100),
    );
});
