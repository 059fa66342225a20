//! A way out of the granted path: dots, slashes, and both encoded.
use attack::http::get;

attack::attack!(|input, journal| {
    journal.works("the granted path", get(input[0], "/v1/thing"));
    for path in [
        "/admin",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2E/admin",
        "/v1/.%2e/admin",
        "/v1/..%2fadmin",
        "/v1/%2e%2e%2fadmin",
        "/v1%2f..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/..\\admin",
        "//admin",
        "/v1//../admin",
        "/v1/./../admin",
        "/v1/%252e%252e/admin/..",
        "/v1/..;/admin",
        "/V1/thing",
        "/v1x",
        "/v1/%00/../../admin",
        "/v1/x/../../admin",
        "admin",
        "*",
        "http://granted.example/admin",
        "/v1/thing#/../admin",
        "",
    ] {
        let answer = get(input[0], path);
        // What is inside the granted path after all may be answered, but never by what is outside.
        match answer {
            Ok(answer) => journal.holds(
                &format!("{path:?} is not answered by /admin"),
                !answer.text().contains("admin"),
            ),
            Err(error) => journal.held(&format!("{path:?}"), Err::<(), _>(error)),
        }
    }
});
