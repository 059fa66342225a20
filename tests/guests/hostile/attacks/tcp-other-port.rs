//! Raw connections to another port and another address than was granted.
use attack::net::{connect, listen};

attack::attack!(|input, journal| {
    journal.works("the granted port", connect(input[0]).map(drop));
    for address in &input[1..] {
        journal.held(address, connect(address).map(drop));
    }
    journal.held("listen at the granted port", listen(input[0]).map(drop));
    journal.held("listen", listen("0.0.0.0:0").map(drop));
});
