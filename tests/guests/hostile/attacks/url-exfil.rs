//! Carries data out in what a log or a decision may show: the query and the fragment.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted host", get(input[0], "/?q=TOPSECRETQUERY"));
    journal.held("a host that is not granted", get(input[1], "/x?q=TOPSECRETQUERY"));
});
