//! Timeouts of nothing, which a careless timer takes for a bug of its own.
use attack::http::{Ask, RequestOptions};

attack::attack!(|input, journal| {
    journal.works("without", Ask::get(input[0], "/").send(None).map(drop));
    for connect in [0, 1, u64::MAX] {
        for first in [0, 1, u64::MAX] {
            for between in [0, 1, u64::MAX] {
                let options = RequestOptions::new();
                let _ = options.set_connect_timeout(Some(connect));
                let _ = options.set_first_byte_timeout(Some(first));
                let _ = options.set_between_bytes_timeout(Some(between));
                let sent = Ask::get(input[0], "/").send(Some(options));
                journal.saw("answer", if sent.is_ok() { "some" } else { "none" });
            }
        }
    }
    journal.works("and afterwards", Ask::get(input[0], "/").send(None).map(drop));
});
