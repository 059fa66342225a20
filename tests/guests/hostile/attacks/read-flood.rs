//! Reads a file over and over.
use attack::files::{cage, drain, open};

attack::attack!(|_, journal| {
    let cage = cage();
    let file = open(&cage, "large").unwrap();
    for index in 0_u64.. {
        match drain(&file) {
            Ok(bytes) if bytes > 0 => {}
            Ok(_) | Err(_) => {
                journal.saw("rounds", &index.to_string());
                break;
            }
        }
    }
});
