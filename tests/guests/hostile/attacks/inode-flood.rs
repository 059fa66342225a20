//! Files without end.
use attack::files::{cage, create};

attack::attack!(|_, journal| {
    let cage = cage();
    for index in 0_u64.. {
        if create(&cage, &format!("f{index}")).is_err() {
            journal.saw("files", &index.to_string());
            break;
        }
    }
});
