//! Secrets: put on the requests they are for, on no other, and never seen by the guest.

use crate::guest::{Guest, decisions, document, request, with};
use crate::server::{Server, Step, answer, send};
use serde_json::json;
use std::time::Duration;
use wassette_sandbox::{CallReport, Surroundings};

const SECRET: &str = "s3cr3t-t0k3n";
const BLANK: &str = "************";
const DENIED: &str = "ErrorCode::HttpRequestDenied";

fn rules(server: &Server, header: &str, format: &str) -> String {
    let host = format!("http://{}", server.address);
    format!(
        "version: \"1.0\"
permissions:
  network:
    allow:
      - {{host: \"{host}\"}}
  secrets:
    allow:
      - {{name: token, host: \"{host}/api/\", header: \"{header}\", format: \"{format}\"}}
"
    )
}

fn guest(server: &Server) -> Guest {
    let mut guest = Guest::new(&rules(server, "Authorization", "Bearer {secret}"));
    set(&mut guest, SECRET);
    guest
}

fn set(guest: &mut Guest, value: &str) {
    guest.surroundings = Surroundings {
        secrets: [("token".to_owned(), value.into())].into(),
        ..Surroundings::default()
    };
}

/// The request comes back as the body of the answer.
fn echo() -> Vec<Step> {
    vec![Step::Read, send("HTTP/1.1 200 OK\n\n"), Step::Echo]
}

#[track_caller]
fn tells_nothing(report: &CallReport) {
    assert!(!format!("{report:?}").contains(SECRET), "{report:?}");
}

#[tokio::test]
async fn a_secret_is_put_on_its_requests_and_the_guest_sees_stars() {
    let server = Server::start(echo()).await;
    let guest = guest(&server);
    let own = json!({ "headers": [["authorization", "Bearer guess"], ["accept-encoding", "gzip"]] });
    let url = format!("http://{}/api/x", server.address);
    let (report, outcome) = guest.send(with(request(&url), own)).await;
    let sent = &server.requests()[0];
    assert!(
        sent.contains(&format!("\r\nauthorization: Bearer {SECRET}\r\n")),
        "{sent}"
    );
    assert!(sent.contains("\r\naccept-encoding: identity\r\n"), "{sent}");
    assert!(!sent.contains("guess") && !sent.contains("gzip"), "{sent}");
    assert_eq!(outcome, Ok((200, sent.replace(SECRET, BLANK))));
    assert!(
        decisions(&report).contains(&format!("+ use secret `token` for `http://{}`", server.address)),
        "{:?}",
        decisions(&report)
    );
    tells_nothing(&report);
}

#[tokio::test]
async fn a_secret_goes_to_its_host_and_path_only() {
    let (server, other) = (Server::start(echo()).await, Server::start(echo()).await);
    let mut guest = guest(&server);
    let more = format!("    allow:\n      - {{host: \"http://{}\"}}", other.address);
    guest.policy = guest.policy.replacen("    allow:", &more, 1);
    for url in [
        format!("http://{}/", server.address),
        format!("http://{}/apix", server.address),
        format!("http://{}/api/", other.address),
    ] {
        let (_, outcome) = guest.get(&url).await;
        assert_eq!(outcome.as_ref().map(|answer| answer.0), Ok(200), "{url}");
        assert!(!outcome.unwrap().1.contains("authorization"), "{url}");
    }
}

#[tokio::test]
async fn a_secret_that_another_answer_repeats_is_blanked_out_too() {
    // What one request brought stands in the answer to a later one, of another server too.
    let head = format!(
        "HTTP/1.1 200 OK\nx-last: {SECRET}\ncontent-length: {}\n\n",
        SECRET.len()
    );
    let later = Server::start(vec![
        Step::Read,
        send(&head),
        Step::Send(SECRET.as_bytes().to_vec()),
    ])
    .await;
    let mut guest = guest(&Server::start(echo()).await);
    let more = format!("    allow:\n      - {{host: \"http://{}\"}}", later.address);
    guest.policy = guest.policy.replacen("    allow:", &more, 1);
    let url = format!("http://{}/last", later.address);
    let (report, value) = guest.call("send", json!({ "request": request(&url) })).await;
    assert_eq!(value["ok"]["body"], json!(BLANK));
    assert_eq!(value["ok"]["headers"][0], json!(["x-last", BLANK]));
    assert!(!later.requests()[0].contains("accept-encoding"));
    tells_nothing(&report);
    // A few letters are in every text.
    let few = Server::start(answer("few")).await;
    guest.policy = guest
        .policy
        .replacen(&later.address.to_string(), &few.address.to_string(), 1);
    guest
        .surroundings
        .secrets
        .insert("token".to_owned(), "few".into());
    let (_, outcome) = guest.get(&format!("http://{}/", few.address)).await;
    assert_eq!(outcome, Ok((200, "few".to_owned())));
}

#[tokio::test]
async fn a_secret_torn_apart_and_in_headers_is_blanked_out_too() {
    let (one, two) = SECRET.split_at(5);
    let head = format!("HTTP/1.1 200 OK\nx-echo: <{SECRET}>\nx-{SECRET}: 1\n\n");
    let server = Server::start(vec![
        Step::Read,
        send(&head),
        send(&format!("a{SECRET}b{one}")),
        Step::Wait(Duration::from_millis(200)),
        send(&format!("{two}c{one}")),
    ])
    .await;
    let guest = guest(&server);
    let url = format!("http://{}/api/", server.address);
    let (report, value) = guest.call("send", json!({ "request": request(&url) })).await;
    assert_eq!(value["ok"]["headers"], json!([["x-echo", format!("<{BLANK}>")]]));
    assert_eq!(value["ok"]["body"], json!(format!("a{BLANK}b{BLANK}c{one}")));
    tells_nothing(&report);
}

#[tokio::test]
async fn an_answer_that_cannot_be_looked_through_is_refused() {
    let server = Server::start(vec![
        Step::Read,
        send("HTTP/1.1 200 OK\ncontent-encoding: gzip\ncontent-length: 3\n\nabc"),
    ])
    .await;
    let guest = guest(&server);
    let (_, outcome) = guest.get(&format!("http://{}/api/", server.address)).await;
    assert!(
        outcome
            .as_ref()
            .is_err_and(|e| e.contains("HttpResponseContentCoding")),
        "{outcome:?}"
    );
    // Without a secret it is the guest's business.
    let (_, outcome) = guest.get(&format!("http://{}/", server.address)).await;
    assert_eq!(outcome, Ok((200, "abc".to_owned())));
}

#[tokio::test]
async fn secrets_that_cannot_be_read_are_told_from_one_that_is_not_set() {
    let server = Server::start(answer("ok")).await;
    let mut guest = guest(&server);
    guest.surroundings.secrets.clear();
    guest.surroundings.is_missing_secrets = true;
    let (report, outcome) = guest.get(&format!("http://{}/api/", server.address)).await;
    assert_eq!(outcome, Err(DENIED.to_owned()));
    let denied = report.accesses.iter().find(|d| !d.allowed).unwrap();
    assert_eq!(
        denied.lacks,
        "a value: the secrets of the component cannot be read"
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_secret_that_is_missing_or_unfit_denies_the_request() {
    let server = Server::start(answer("ok")).await;
    let url = format!("http://{}/api/", server.address);
    for (value, lacks) in [
        (None, "a value: the secret is not set"),
        (Some(""), "a value: the secret is empty"),
        (Some("two\nlines"), "a value that can stand in a header"),
    ] {
        let mut guest = guest(&server);
        match value {
            Some(value) => set(&mut guest, value),
            None => guest.surroundings.secrets.clear(),
        }
        let (report, outcome) = guest.get(&url).await;
        assert_eq!(outcome, Err(DENIED.to_owned()));
        let denied = report.accesses.iter().find(|d| !d.allowed).unwrap();
        assert_eq!(denied.lacks, lacks);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_ceiling_without_the_secret_denies_the_request() {
    let server = Server::start(answer("ok")).await;
    let mut guest = guest(&server);
    guest.ceiling = Some(document(&format!(
        "      - {{host: \"http://{}\"}}",
        server.address
    )));
    let (_, outcome) = guest.get(&format!("http://{}/api/", server.address)).await;
    assert_eq!(outcome, Err(DENIED.to_owned()));
    let (_, outcome) = guest.get(&format!("http://{}/", server.address)).await;
    assert_eq!(outcome, Ok((200, "ok".to_owned())));
}
