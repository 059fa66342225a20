//! In the clear, or by another protocol, where https was granted.
use attack::http::{Ask, Scheme};

attack::attack!(|input, journal| {
    for scheme in [
        Scheme::Http,
        Scheme::Other("HTTP".into()),
        Scheme::Other("ftp".into()),
        Scheme::Other("file".into()),
        Scheme::Other("gopher".into()),
        Scheme::Other("http".into()),
        Scheme::Other("unix".into()),
    ] {
        let what = format!("{scheme:?}");
        let ask = Ask {
            scheme,
            ..Ask::get(input[0], "/")
        };
        journal.held(&what, ask.answer(100));
    }
});
