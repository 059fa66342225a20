//! Bytes without end, over and over to the same place.
use attack::files::{cage, create};

attack::attack!(|_, journal| {
    let cage = cage();
    let file = create(&cage, "flood").unwrap();
    let chunk = vec![b'x'; 64 << 10];
    for index in 0_u64.. {
        if file.write(&chunk, 0).is_err() {
            journal.saw("chunks", &index.to_string());
            break;
        }
    }
});
