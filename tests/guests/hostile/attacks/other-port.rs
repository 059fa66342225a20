//! Another port of a granted host.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted port", get(input[0], "/"));
    let (host, _) = input[0].split_once(':').unwrap();
    for authority in [
        input[1].to_owned(),
        host.to_owned(),
        format!("{host}:80"),
        format!("{host}:443"),
        format!("{host}:0"),
        format!("{host}:"),
        format!("{host}:65536"),
        format!("{host}:{}x", &input[1][host.len() + 1..]),
    ] {
        journal.held(&authority, get(&authority, "/"));
    }
});
