//! Servers that take their time, in each phase of a request, and guests that have none.

use crate::guest::{Guest, outcome, request, with};
use crate::server::{Server, Step, answer, send};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use wassette_policy::Limits;
use wassette_sandbox::{CallError, Limit};

const A_WHILE: Duration = Duration::from_millis(400);

fn rules(server: &Server) -> String {
    format!("      - {{host: \"{}\", schemes: [http, https]}}", server.address)
}

/// Sends a request with these timeouts, and returns how it failed and after how long.
async fn fails(server: &Server, scheme: &str, timeouts: Json) -> (String, Duration) {
    let guest = Guest::new(&rules(server));
    let begin = Instant::now();
    let url = format!("{scheme}://{}/", server.address);
    let (_, outcome) = guest.send(with(request(&url), timeouts)).await;
    (outcome.expect_err("must fail"), begin.elapsed())
}

#[track_caller]
fn check((error, elapsed): (String, Duration), expected: &str) {
    assert_eq!(error, format!("ErrorCode::{expected}"));
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[tokio::test]
async fn a_connection_that_is_not_answered_times_out() {
    // The listen queue is full: the kernel drops what else would connect.
    let listener = tokio::net::TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..8 {
        let filled = tokio::time::timeout(
            Duration::from_millis(100),
            tokio::net::TcpStream::connect(address),
        );
        filling.push(filled.await);
    }
    let guest = Guest::new(&format!("      - {{host: \"{address}\", schemes: [http]}}"));
    let begin = Instant::now();
    let patient = with(
        request(&format!("http://{address}/")),
        json!({ "connect-ms": 300 }),
    );
    let (_, outcome) = guest.send(patient).await;
    check(
        (outcome.expect_err("must fail"), begin.elapsed()),
        "ConnectionTimeout",
    );
}

#[tokio::test]
async fn tls_is_inside_the_time_for_the_connection() {
    let server = Server::start(vec![Step::Hold]).await;
    check(
        fails(&server, "https", json!({ "connect-ms": 300 })).await,
        "ConnectionTimeout",
    );
}

#[tokio::test]
async fn a_head_that_does_not_come_or_drips_times_out() {
    let silent = Server::start(vec![Step::Read, Step::Hold]).await;
    check(
        fails(&silent, "http", json!({ "first-byte-ms": 300 })).await,
        "ConnectionReadTimeout",
    );
    let mut steps = vec![Step::Read];
    for byte in b"HTTP/1.1 200 OK\r\n" {
        steps.extend([Step::Send(vec![*byte]), Step::Wait(Duration::from_millis(100))]);
    }
    let dripping = Server::start(steps).await;
    check(
        fails(&dripping, "http", json!({ "first-byte-ms": 300 })).await,
        "ConnectionReadTimeout",
    );
}

#[tokio::test]
async fn a_body_that_stops_times_out_and_one_that_goes_on_does_not() {
    let stops = Server::start(vec![Step::Read, send("HTTP/1.1 200 OK\n\nabc"), Step::Hold]).await;
    let (error, elapsed) = fails(&stops, "http", json!({ "between-bytes-ms": 300 })).await;
    assert_eq!(error, "connection read timeout");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    let mut steps = vec![Step::Read, send("HTTP/1.1 200 OK\n\n")];
    for _ in 0..3 {
        steps.extend([Step::Wait(A_WHILE), send("abc")]);
    }
    let slow = Server::start(steps).await;
    let guest = Guest::new(&rules(&slow));
    let url = format!("http://{}/", slow.address);
    let (_, outcome) = guest
        .send(with(request(&url), json!({ "between-bytes-ms": 3_000 })))
        .await;
    assert_eq!(outcome, Ok((200, "abcabcabc".to_owned())));
}

#[tokio::test]
async fn no_time_at_all_is_an_error_and_not_a_panic() {
    let server = Server::start(answer("ok")).await;
    for timeout in ["connect-ms", "first-byte-ms", "between-bytes-ms"] {
        let guest = Guest::new(&rules(&server));
        let url = format!("http://{}/", server.address);
        let (report, value) = guest
            .call_with(
                "send",
                json!({ "request": with(request(&url), json!({ timeout: 0 })) }),
                guest.control(),
            )
            .await;
        assert!(report.result.is_ok(), "{timeout}: {:?}", report.result);
        // What is there already may be taken. A timeout is spelled in two ways: for a head and for a body.
        let value = value.unwrap();
        let timed_out = |error: &str| error.contains("Timeout") || error == "connection read timeout";
        assert!(
            value.get("ok").is_some() || value["err"].as_str().is_some_and(timed_out),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_guest_cannot_be_more_patient_than_its_call() {
    let server = Server::start(vec![Step::Read, Step::Hold]).await;
    let mut guest = Guest::new(&rules(&server));
    let time = Duration::from_millis(500);
    guest.limits = Limits {
        time,
        ..Limits::DEFAULT
    };
    let url = format!("http://{}/", server.address);
    let patient = with(
        request(&url),
        json!({ "first-byte-ms": u64::MAX / 1_000_000, "connect-ms": u64::MAX / 1_000_000 }),
    );
    let begin = Instant::now();
    let (report, _) = guest
        .call_with("send", json!({ "request": patient }), guest.control())
        .await;
    assert_eq!(
        report.result,
        Err(CallError::Limit {
            limit: Limit::Time { max: time }
        })
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn an_upload_that_makes_progress_is_not_cut_by_the_wait_for_the_answer() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&rules(&server));
    let url = format!("http://{}/", server.address);
    let pieces: Vec<String> = (0..50).map(|n| format!("{n:04}").repeat(1_000)).collect();
    let upload = json!({ "method": "POST", "body": pieces, "first-byte-ms": 1_000 });
    assert_eq!(
        guest.send(with(request(&url), upload)).await.1,
        Ok((200, "ok".to_owned()))
    );
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_the_answer() {
    let early = "HTTP/1.1 413 Content Too Large\ncontent-length: 5\nconnection: close\n\nlarge";
    let server = Server::start(vec![Step::ReadHead, send(early)]).await;
    let guest = Guest::new(&rules(&server));
    let upload = json!({ "method": "POST", "body": ["abc"] });
    let upload = with(request(&format!("http://{}/", server.address)), upload);
    // Whether the answer, the end of the connection or both are there when we look is chance.
    for _ in 0..50 {
        let (_, answer) = guest.call("send-slowly", json!({ "request": upload })).await;
        assert_eq!(outcome(&answer), Ok((413, "large".to_owned())));
    }
}
