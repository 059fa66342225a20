//! The loopback address in every spelling a careless comparison does not know.
use attack::http::get;

attack::attack!(|input, journal| {
    let (granted, port) = (input[0], input[1]);
    journal.works("the granted host", get(granted, "/"));
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:0:0:1]",
        "[::1%25lo]",
        "0",
        "0.0.0.0",
        "[::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "loc%61lhost",
        "127.0.0.1%00.granted.example",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "\u{2460}27.0.0.1",
        "ip6-localhost",
    ] {
        journal.held(host, get(&format!("{host}:{port}"), "/"));
    }
});
