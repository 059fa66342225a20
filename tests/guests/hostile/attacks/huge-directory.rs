//! A folder with very many names, listed many times at once.
use attack::files::{cage, enter};

attack::attack!(|_, journal| {
    let cage = cage();
    let folder = journal.works("enter", enter(&cage, "many")).unwrap();
    let streams: Vec<_> = (0..64).filter_map(|_| folder.read_directory().ok()).collect();
    journal.saw("listings", &streams.len().to_string());
    let mut count = 0_u32;
    for stream in &streams {
        while let Ok(Some(_)) = stream.read_directory_entry() {
            count += 1;
        }
    }
    journal.saw("names", &count.to_string());
});
