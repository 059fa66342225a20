//! Opens the same paths over and over while another process exchanges what lies there.
use attack::files::{DescriptorFlags, OpenFlags, PathFlags, cage, open, read};
use wasip2::clocks::monotonic_clock;

attack::attack!(|input, journal| {
    let cage = cage();
    let until = monotonic_clock::now() + input[0].parse::<u64>().unwrap() * 1_000_000;
    let (mut tries, mut inside, mut escaped) = (0_u32, 0_u32, 0_u32);
    while monotonic_clock::now() < until {
        tries += 1;
        for path in ["door/secret.txt", "file.txt", "door/../door/secret.txt"] {
            match read(&cage, path) {
                Ok(text) if text.starts_with("inside") || text.is_empty() => inside += 1,
                Ok(text) if text.starts_with("outside") => escaped += 1,
                Ok(_) | Err(_) => {}
            }
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        if let Ok(file) = cage.open_at(PathFlags::SYMLINK_FOLLOW, "file.txt", OpenFlags::empty(), flags) {
            let _ = file.write(b"inside", 0);
        }
        if let Ok(file) = cage.open_at(
            PathFlags::SYMLINK_FOLLOW,
            "door/new.txt",
            OpenFlags::CREATE,
            flags,
        ) {
            let _ = file.write(b"inside", 0);
        }
        if let Ok(folder) = open(&cage, "door") {
            let _ = folder.unlink_file_at("victim.txt");
        }
        let _ = cage.unlink_file_at("door/victim.txt");
    }
    journal.saw("tries", &tries.to_string());
    journal.saw("inside", &inside.to_string());
    journal.holds("nothing outside was read", escaped == 0);
});
