//! Offsets and lengths at the edge of their types.
use attack::files::{cage, open};
use wasip2::filesystem::types::Advice;

attack::attack!(|_, journal| {
    let cage = cage();
    let file = journal.works("open", open(&cage, "inside.txt")).unwrap();
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 40] {
        let _ = file.advise(offset, u64::MAX, Advice::WillNeed);
        let read = file.read(u64::MAX, offset);
        journal.holds(
            &format!("nothing is read at {offset}"),
            read.map_or(true, |(bytes, _)| bytes.is_empty()),
        );
        let _ = file.read_via_stream(offset).map(|stream| {
            stream
                .blocking_read(u64::MAX)
                .map(|bytes| journal.holds("no bytes", bytes.is_empty()))
        });
        journal.held(
            "write there",
            file.write(b"x", offset).map_err(|error| error.name()),
        );
    }
    journal.works("a read of all there is", file.read(u64::MAX, 0));
});
