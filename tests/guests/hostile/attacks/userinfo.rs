//! Something before an `@`, and other ways to write two hosts in one.
use attack::http::get;

attack::attack!(|input, journal| {
    let (granted, canary) = (input[0], input[1]);
    journal.works("the granted host", get(granted, "/"));
    for authority in [
        format!("{granted}@{canary}"),
        format!("user:pw@{canary}"),
        format!("{granted}%40{canary}"),
        format!("{granted}#@{canary}"),
        format!("{granted}\\@{canary}"),
        format!("{granted}/@{canary}"),
        format!("{granted}?@{canary}"),
        format!("{granted} {canary}"),
        format!("{granted},{canary}"),
        format!("user@{granted}"),
        format!("@{granted}"),
        format!("{granted}\t{canary}"),
        format!("//{canary}"),
        String::new(),
    ] {
        journal.held(&authority, get(&authority, "/"));
    }
});
