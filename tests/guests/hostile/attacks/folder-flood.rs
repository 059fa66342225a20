//! Folders within folders, and links, without end.
use attack::files::cage;

attack::attack!(|_, journal| {
    let cage = cage();
    for index in 0_u64.. {
        let made = cage.create_directory_at(&format!("d{index}"));
        let linked = cage.symlink_at("inside.txt", &format!("l{index}"));
        if made.is_err() || linked.is_err() {
            journal.saw("folders", &index.to_string());
            break;
        }
    }
});
