//! A tunnel through a granted host, and the answer of one that reflects.
use attack::http::{Ask, Method};

attack::attack!(|input, journal| {
    journal.works("the granted host", Ask::get(input[0], "/").answer(100));
    for method in [
        Method::Connect,
        Method::Trace,
        Method::Other("CONNECT".into()),
        Method::Other("TRACE".into()),
        Method::Other("connect".into()),
    ] {
        for path in ["/", "internal.example:443", ""] {
            let what = format!("{method:?} {path}");
            journal.held(
                &what,
                Ask {
                    method: method.clone(),
                    ..Ask::get(input[0], path)
                }
                .answer(100),
            );
        }
    }
});
