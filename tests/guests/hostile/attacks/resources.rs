//! Entries of the host's table without end, of the sort that is largest there.
use attack::http::Fields;

attack::attack!(|_, journal| {
    let mut held = Vec::new();
    for _ in 0..10_000_000 {
        let fields = Fields::new();
        let _ = fields.append("x", &[b'x'; 1024]);
        held.push(fields);
    }
    journal.saw("fields", &held.len().to_string());
});
