//! Names that look like a granted one, begin or end like it, or are below or above what a wildcard means.
use attack::http::get;

attack::attack!(|input, journal| {
    let port = input[1];
    let at = |host: &str| get(&format!("{host}:{port}"), "/");
    for host in [
        "granted.example",
        "GRANTED.Example",
        "granted.example.",
        "a.wild.example",
        "a.b.WILD.example.",
    ] {
        journal.works(host, at(host));
    }
    for host in [
        "evilgranted.example",
        "granted.example.evil.example",
        "a.granted.example",
        "granted.exampleevil",
        "example",
        "gr\u{430}nted.example",
        "xn--grnted-3nf.example",
        "granted.example..",
        "granted.example%2e",
        "granted.example%00.evil.example",
        "evil.example\\.granted.example",
        "granted.example:80@evil.example",
        "granted.example@evil.example",
        "evil.example#granted.example",
        "evil.example?granted.example",
        "evil.example/granted.example",
        "wild.example",
        ".wild.example",
        "a..wild.example",
        "*.wild.example",
        "evilwild.example",
        "a.wild.example.evil.example",
        "a.wild.examplE\u{301}",
        "127.0.0.1",
    ] {
        journal.held(host, at(host));
    }
});
