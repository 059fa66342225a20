//! Local addresses nobody granted.
use attack::net::{connect, listen, udp};

attack::attack!(|input, journal| {
    journal.works("what was granted", connect(input[0]).map(drop));
    for address in [
        "0.0.0.0:80",
        "127.0.0.1:80",
        "127.0.0.1:22",
        "0.0.0.0:0",
        "127.0.0.1:0",
        "169.254.169.254:80",
        "224.0.0.1:5353",
        "255.255.255.255:1",
    ] {
        journal.held(address, listen(address).map(drop));
        journal.held(address, udp(address).map(drop));
    }
});
