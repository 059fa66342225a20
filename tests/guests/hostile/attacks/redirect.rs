//! A granted host sends the guest elsewhere, and the guest goes.
use attack::http::get;

attack::attack!(|input, journal| {
    let mut next = (input[0].to_owned(), "/redirect".to_owned());
    let mut hops = 0;
    loop {
        match get(&next.0, &next.1) {
            Ok(answer) if (300..400).contains(&answer.status) => {
                journal.saw("redirect", &answer.status.to_string());
                let location = answer.header("location").unwrap_or_default();
                let rest = location.trim_start_matches("http://").to_owned();
                let (authority, path) = rest.split_once('/').unwrap_or((&rest, ""));
                next = (authority.to_owned(), format!("/{path}"));
                hops += 1;
            }
            other => {
                journal.held("where it was sent", other.map(drop));
                break;
            }
        }
        if hops > 20 {
            break;
        }
    }
    for address in &input[1..] {
        journal.held(address, get(address, "/"));
    }
});
