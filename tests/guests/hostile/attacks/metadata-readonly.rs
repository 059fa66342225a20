//! Times of files that are only for reading, also impossible ones.
use attack::files::{NewTimestamp, PathFlags, cage, open, read};
use wasip2::filesystem::types::Datetime;

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    let file = open(&cage, "inside.txt").unwrap();
    for (seconds, nanoseconds) in [(0, 0), (1, 1_000_000_000), (u64::MAX, u32::MAX), (1 << 63, 0)] {
        let time = NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
        let name = |error: attack::files::ErrorCode| error.name();
        journal.held("times of a file", file.set_times(time, time).map_err(name));
        journal.held(
            "times of the folder",
            cage.set_times(time, NewTimestamp::NoChange).map_err(name),
        );
        for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
            journal.held(
                "times by path",
                cage.set_times_at(follow, "inside.txt", NewTimestamp::NoChange, time)
                    .map_err(name),
            );
        }
    }
});
