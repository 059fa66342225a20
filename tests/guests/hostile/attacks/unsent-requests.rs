//! Requests that are never sent.
use attack::http::Ask;

attack::attack!(|_, journal| {
    let mut held = Vec::new();
    while let Ok(request) = Ask::get("granted.example", "/").request() {
        let body = request.body();
        held.push((request, body));
        if held.len() > 1_000_000 {
            break;
        }
    }
    journal.saw("requests", &held.len().to_string());
});
