//! Line breaks in everything that ends up in the head of a request.
use attack::http::{Ask, Fields, Method};

attack::attack!(|input, journal| {
    journal.works("the granted host", Ask::get(input[0], "/").answer(100));
    for value in [
        "a\r\nInjected: yes",
        "a\nInjected: yes",
        "a\rInjected: yes",
        "a\0b",
        "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        journal.held("value", Fields::new().append("x-plain", value.as_bytes()));
        journal.held(
            "set value",
            Fields::new().set("x-plain", &[value.as_bytes().to_vec()]),
        );
        journal.held(
            "list",
            Fields::from_list(&[("x-plain".to_owned(), value.as_bytes().to_vec())]),
        );
    }
    for name in ["a\r\nInjected", "a b", "a:b", "", "a\0", "\u{e4}"] {
        journal.held("name", Fields::new().append(name, b"yes"));
    }
    for path in [
        "/ HTTP/1.1\r\nInjected: yes\r\n\r\n",
        "/\r\nInjected: yes",
        "/\n",
        "/ x",
        "/\0",
    ] {
        journal.held("path", Ask::get(input[0], path).answer(100));
    }
    let host = format!("{}\r\nInjected: yes", input[0]);
    journal.held("authority", Ask::get(&host, "/").answer(100));
    let method = Method::Other("GET / HTTP/1.1\r\nInjected: yes\r\n\r\nGET".to_owned());
    journal.held(
        "method",
        Ask {
            method,
            ..Ask::get(input[0], "/")
        }
        .answer(100),
    );
});
