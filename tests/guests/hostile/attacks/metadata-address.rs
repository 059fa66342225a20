//! The address at which clouds hand out credentials.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted host", get(input[0], "/"));
    for authority in [
        "169.254.169.254",
        "169.254.169.254:80",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "169.254.170.2",
        "100.100.100.200",
        "metadata.example",
    ] {
        journal.held(
            authority,
            get(authority, "/latest/meta-data/iam/security-credentials/"),
        );
    }
});
