//! Is denied something for ever, by another name each time: what is recorded of it must stay small.
use attack::files::{folder, open};

attack::attack!(|_, _| {
    let root = folder("/");
    for index in 0_u64.. {
        let _ = open(&root, &format!("{index}/{}", "x".repeat(200)));
    }
});
