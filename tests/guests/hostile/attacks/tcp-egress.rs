//! Sends out more over a raw connection than it may, also in pieces of nothing.
use attack::net::connect;

attack::attack!(|input, journal| {
    let connection = journal.works("the granted port", connect(input[0])).unwrap();
    for _ in 0..10_000 {
        let _ = connection.output.write(&[]);
    }
    let chunk = vec![b'x'; 4096];
    for index in 0_u64.. {
        if connection.output.blocking_write_and_flush(&chunk).is_err() {
            journal.saw("chunks", &index.to_string());
            break;
        }
    }
});
