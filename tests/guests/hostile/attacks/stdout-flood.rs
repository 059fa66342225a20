//! Prints without end.
use wasip2::cli::{stderr::get_stderr, stdout::get_stdout};

attack::attack!(|_, journal| {
    let (out, err) = (get_stdout(), get_stderr());
    let chunk = [b'x'; 4096];
    for _ in 0..1 << 10 {
        let _ = out.blocking_write_and_flush(&chunk);
        let _ = err.blocking_write_and_flush(&chunk);
        let _ = out.write(&[]);
    }
    journal.saw("printed", "all of it");
});
