//! Raw connections of a component that was granted HTTP only.
use attack::http::get;
use attack::net::{connect, listen, udp};

attack::attack!(|input, journal| {
    journal.works("HTTP", get(input[0], "/"));
    for address in &input[1..] {
        journal.held("connect", connect(address).map(drop));
    }
    journal.held("listen", listen("127.0.0.1:0").map(drop));
    journal.held("listen everywhere", listen("0.0.0.0:0").map(drop));
    journal.held("udp", udp("127.0.0.1:0").map(drop));
});
