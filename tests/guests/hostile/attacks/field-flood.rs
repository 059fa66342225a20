//! Headers without end in one request.
use attack::http::Fields;

attack::attack!(|_, journal| {
    let fields = Fields::new();
    let value = vec![b'x'; 4096];
    let mut count = 0_u32;
    while count < 1_000_000 && fields.append(&format!("x-{count}"), &value).is_ok() {
        count += 1;
    }
    journal.saw("headers", &count.to_string());
    journal.holds("they are bounded", count < 10_000);
});
