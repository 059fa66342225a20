//! Requests: what is allowed, what is sent, what comes back.

use crate::guest::{Guest, decisions, request, with};
use crate::server::{Server, Step, answer, send};
use serde_json::{Value as Json, json};
use std::time::Duration;
use wassette_policy::Limits;
use wassette_sandbox::{CallError, Limit, TrapClass};

const DENIED: &str = "ErrorCode::HttpRequestDenied";
const PROHIBITED: &str = "ErrorCode::DestinationIpProhibited";

/// A rule for plain HTTP to a host.
fn plain(host: &str) -> String {
    format!("      - {{host: \"{host}\", schemes: [http]}}")
}

fn local(server: &Server) -> String {
    plain(&server.address.to_string())
}

fn url(server: &Server) -> String {
    format!("http://{}/", server.address)
}

#[track_caller]
fn refused(outcome: Result<(u64, String), String>, error: &str) {
    assert_eq!(outcome, Err(error.to_owned()));
}

fn fine(body: &str) -> Result<(u64, String), String> {
    Ok((200, body.to_owned()))
}

#[tokio::test]
async fn a_granted_host_answers_and_no_other_is_reached() {
    let (granted, other) = (
        Server::start(answer("hello")).await,
        Server::start(answer("no")).await,
    );
    let guest = Guest::new(&local(&granted));
    let (report, outcome) = guest.get(&url(&granted)).await;
    assert_eq!(outcome, fine("hello"));
    assert_eq!(
        decisions(&report),
        [
            format!("+ GET `{}`", url(&granted)),
            format!("+ dial 127.0.0.1 for `http://{}`", granted.address),
        ]
    );
    let (report, outcome) = guest.get(&url(&other)).await;
    refused(outcome, DENIED);
    assert_eq!(decisions(&report), [format!("- GET `{}`", url(&other))]);
    assert_eq!((granted.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn methods_paths_schemes_and_ports_are_those_of_the_rule() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&format!(
        "      - {{host: \"{}\", schemes: [http], methods: [GET], paths: [\"/v1/**\"]}}",
        server.address
    ));
    let base = format!("http://{}", server.address);
    assert_eq!(guest.get(&format!("{base}/v1/a?q=../..")).await.1, fine("ok"));
    refused(guest.get(&format!("{base}/v2/a")).await.1, DENIED);
    refused(guest.get(&format!("{base}/v1/../v2")).await.1, DENIED);
    refused(guest.get(&format!("{base}/v1/%2e%2e/v2")).await.1, DENIED);
    refused(guest.get(&format!("{base}/v1%2f..%2fv2")).await.1, DENIED);
    let post = with(request(&format!("{base}/v1/a")), json!({ "method": "POST" }));
    refused(guest.send(post).await.1, DENIED);
    refused(
        guest.get(&format!("https://{}/v1/a", server.address)).await.1,
        DENIED,
    );
    refused(guest.get("http://127.0.0.1:1/v1/a").await.1, DENIED);
    assert_eq!(server.connections(), 1);
    // Sent as it was decided: servers take `get` for another method.
    let small = with(request(&format!("{base}/v1/b")), json!({ "method": "gEt" }));
    assert_eq!(guest.send(small).await.1, fine("ok"));
    let sent = server.requests().pop().unwrap();
    assert!(sent.starts_with("GET /v1/b HTTP/1.1"), "{sent}");
}

#[tokio::test]
async fn a_deny_rule_wins_and_so_does_the_ceiling() {
    let server = Server::start(answer("ok")).await;
    let mut guest = Guest::new(&format!(
        "{}\n    deny:\n      - {{cidr: \"127.0.0.0/8\"}}",
        local(&server)
    ));
    refused(guest.get(&url(&server)).await.1, DENIED);
    guest = Guest::new(&local(&server));
    guest.ceiling = Some(crate::guest::document(&plain("127.0.0.2:80")));
    refused(guest.get(&url(&server)).await.1, DENIED);
    guest.ceiling = Some(crate::guest::document(&local(&server)));
    assert_eq!(guest.get(&url(&server)).await.1, fine("ok"));
}

#[tokio::test]
async fn what_is_sent_is_written_from_what_was_decided() {
    let server = Server::start(answer("ok")).await;
    let port = server.port();
    let guest = Guest::with(
        &format!(
            "{}\n      - {{cidr: \"127.0.0.0/8\"}}",
            plain(&format!("api.test:{port}"))
        ),
        &[("api.test", &["127.0.0.1"])],
        Vec::new(),
    );
    let url = format!("http://API.test.:{port}/a%7eb/%C3%a4?q=%7e");
    assert_eq!(guest.get(&url).await.1, fine("ok"));
    assert_eq!(
        server.requests(),
        [format!(
            "GET /a~b/%C3%A4?q=%7e HTTP/1.1\r\nhost: api.test:{port}\r\n\r\n"
        )]
    );
}

#[tokio::test]
async fn odd_spellings_of_an_address_are_that_address() {
    let server = Server::start(answer("ok")).await;
    let port = server.port();
    let named = Guest::new(&local(&server));
    let other = Guest::with(&plain(&format!("*.example.com:{port}")), &[], Vec::new());
    for host in [
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/");
        refused(other.get(&url).await.1, DENIED);
        assert_eq!(named.get(&url).await.1, fine("ok"), "{host}");
    }
}

#[tokio::test]
async fn user_information_and_other_tricks_name_no_host() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&local(&server));
    for authority in [
        format!("good@{}", server.address),
        format!("{}@evil.test", server.address),
        format!("{}:0", server.address.ip()),
    ] {
        let (report, outcome) = guest
            .send(with(request(&url(&server)), json!({ "authority": authority })))
            .await;
        refused(outcome, DENIED);
        assert!(
            decisions(&report)[0].starts_with("- reach `http://"),
            "{:?}",
            decisions(&report)
        );
    }
    for (part, value) in [
        ("path", "http://evil.test/"),
        ("authority", "a b"),
        ("path", "/\r\nx: y"),
    ] {
        let (_, outcome) = guest
            .send(with(request(&url(&server)), json!({ part: value })))
            .await;
        refused(outcome, "unsayable");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn connect_trace_and_upgrades_are_refused() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&local(&server));
    for method in ["CONNECT", "TRACE", "TRACK", "trace"] {
        let (_, outcome) = guest
            .send(with(request(&url(&server)), json!({ "method": method })))
            .await;
        refused(outcome, DENIED);
    }
    for header in [
        "upgrade",
        "connection",
        "host",
        "transfer-encoding",
        "proxy-authorization",
    ] {
        let headers = json!({ "headers": [[header, "x"]] });
        let (_, outcome) = guest.send(with(request(&url(&server)), headers)).await;
        refused(outcome, "HeaderError::Forbidden");
    }
    assert_eq!(server.connections(), 0);
    let switches = Server::start(vec![
        Step::Read,
        send("HTTP/1.1 101 Switching Protocols\nupgrade: x\nconnection: upgrade\n\n"),
        Step::Hold,
    ])
    .await;
    let guest = Guest::new(&local(&switches));
    refused(guest.get(&url(&switches)).await.1, "ErrorCode::HttpUpgradeFailed");
}

#[tokio::test]
async fn a_name_is_resolved_once_and_each_of_its_addresses_is_decided() {
    let server = Server::start(answer("ok")).await;
    let port = server.port();
    let rule = plain(&format!("api.test:{port}"));
    // A private address among public ones, whatever their order.
    for addresses in [
        &["198.51.100.1", "127.0.0.1"],
        &["127.0.0.1", "93.184.216.34"],
        &["93.184.216.34", "::1"],
    ] {
        let guest = Guest::with(&rule, &[("api.test", addresses)], Vec::new());
        refused(guest.get(&format!("http://api.test:{port}/")).await.1, PROHIBITED);
    }
    // A resolver that changes its mind: the second answer is never asked for.
    let named = format!("{rule}\n      - {{cidr: \"127.0.0.1/32\"}}");
    let guest = Guest::with(
        &named,
        &[("api.test", &["127.0.0.1"]), ("api.test", &["10.0.0.1"])],
        Vec::new(),
    );
    assert_eq!(guest.get(&format!("http://api.test:{port}/")).await.1, fine("ok"));
    let (report, outcome) = guest.get(&format!("http://api.test:{port}/")).await;
    refused(outcome, PROHIBITED);
    assert_eq!(
        decisions(&report),
        [
            format!("+ GET `http://api.test:{port}/`"),
            format!("- dial 10.0.0.1 for `http://api.test:{port}`"),
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn private_ranges_must_be_named() {
    let server = Server::start(answer("ok")).await;
    let port = server.port();
    let (rule, names) = (
        plain(&format!("api.test:{port}")),
        [("api.test", &["127.0.0.1"] as &[&str])],
    );
    let url = format!("http://api.test:{port}/");
    for (range, expected) in [
        ("127.0.0.0/8", fine("ok")),
        ("10.0.0.0/8", Err(PROHIBITED.to_owned())),
    ] {
        let guest = Guest::with(
            &format!("{rule}\n      - {{cidr: \"{range}\"}}"),
            &names,
            Vec::new(),
        );
        assert_eq!(guest.get(&url).await.1, expected, "{range}");
    }
    let guest = Guest::with(&rule, &names, Vec::new());
    refused(guest.get(&url).await.1, PROHIBITED);
    // `localhost` is loopback by its name, and asks nobody.
    let guest = Guest::with(
        &plain(&format!("localhost:{port}")),
        &[("localhost", &["10.0.0.1"])],
        Vec::new(),
    );
    assert_eq!(
        guest.get(&format!("http://localhost:{port}/")).await.1,
        fine("ok")
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_range_allows_addresses_as_they_are_written() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&format!(
        "      - {{cidr: \"127.0.0.0/30\", schemes: [http], ports: [{}]}}",
        server.port()
    ));
    assert_eq!(guest.get(&url(&server)).await.1, fine("ok"));
    refused(
        guest.get(&format!("http://127.0.0.4:{}/", server.port())).await.1,
        DENIED,
    );
    refused(guest.get("http://127.0.0.1:1/").await.1, DENIED);
}

#[tokio::test]
async fn unknown_names_and_closed_ports_are_told_apart() {
    let guest = Guest::with(
        "      - {host: \"gone.test\", schemes: [http]}\n      - {host: \"127.0.0.1:1\", schemes: [http]}",
        &[],
        Vec::new(),
    );
    let (_, outcome) = guest.get("http://gone.test/").await;
    assert!(
        outcome.as_ref().is_err_and(|e| e.contains("DnsError")),
        "{outcome:?}"
    );
    refused(
        guest.get("http://127.0.0.1:1/").await.1,
        "ErrorCode::ConnectionRefused",
    );
}

#[tokio::test]
async fn each_hop_of_a_redirect_is_the_guests_and_is_decided() {
    let inside = Server::start(answer("inside")).await;
    let outside = Server::start(vec![
        Step::Read,
        send(&format!(
            "HTTP/1.1 302 Found\nlocation: {}\ncontent-length: 0\n\n",
            url(&inside)
        )),
    ])
    .await;
    let guest = Guest::new(&local(&outside));
    let (_, value) = guest
        .call("send", json!({ "request": request(&url(&outside)) }))
        .await;
    assert_eq!(value["ok"]["status"], json!(302));
    let headers = value["ok"]["headers"].as_array().unwrap();
    let location = headers.iter().find(|header| header[0] == "location").unwrap()[1].as_str();
    refused(guest.get(location.unwrap()).await.1, DENIED);
    assert_eq!((outside.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn a_body_is_sent_whole_and_empty_writes_are_nothing() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&local(&server));
    let body = json!({ "method": "POST", "body": ["ab", "cde"], "empty-writes": 3 });
    assert_eq!(guest.send(with(request(&url(&server)), body)).await.1, fine("ok"));
    let length = json!({ "method": "POST", "body": ["abcde"], "headers": [["content-length", "5"]] });
    assert_eq!(
        guest.send(with(request(&url(&server)), length)).await.1,
        fine("ok")
    );
    let requests = server.requests();
    assert!(
        requests[0].ends_with("\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
        "{}",
        requests[0]
    );
    assert!(requests[1].ends_with("\r\n\r\nabcde"), "{}", requests[1]);
    assert!(!requests[1].contains("chunked"), "{}", requests[1]);
}

#[tokio::test]
async fn a_length_that_lies_is_refused_and_smuggles_nothing() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&local(&server));
    let smuggled = "xGET /admin HTTP/1.1\r\n\r\n";
    for (headers, body) in [
        (json!([["content-length", "1"]]), smuggled),
        (json!([["content-length", "4"]]), "abc"),
        (
            json!([["content-length", "1"], ["content-length", "24"]]),
            smuggled,
        ),
        (json!([["content-length", "+1"]]), "x"),
        (json!([["content-length", "1, 24"]]), smuggled),
        (json!([["content-length", "0x1"]]), "x"),
    ] {
        let more = json!({ "method": "POST", "body": [body], "headers": headers });
        let (_, outcome) = guest.send(with(request(&url(&server)), more)).await;
        assert!(outcome.is_err(), "{headers}: {outcome:?}");
    }
    let unfinished = json!({ "method": "POST", "body": ["ab"], "unfinished": true });
    let (_, outcome) = guest.send(with(request(&url(&server)), unfinished)).await;
    assert!(outcome.is_err(), "{outcome:?}");
    let without_body = json!({ "headers": [["content-length", "5"]] });
    let (_, outcome) = guest.send(with(request(&url(&server)), without_body)).await;
    assert!(outcome.is_err(), "{outcome:?}");
    for request in server.requests() {
        assert!(!request.contains("/admin"), "{request}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_stay_with_us() {
    let head = "HTTP/1.1 200 OK\nconnection: x-hop, close\nx-hop: 1\nkeep-alive: 2\nproxy-authenticate: 3\n\
                upgrade: 4\nx-end: 5\ncontent-length: 0\n\n";
    let server = Server::start(vec![Step::Read, send(head)]).await;
    let (_, value) = Guest::new(&local(&server))
        .call("send", json!({ "request": request(&url(&server)) }))
        .await;
    assert_eq!(
        value["ok"]["headers"],
        json!([["x-end", "5"], ["content-length", "0"]])
    );
}

#[tokio::test]
async fn answers_that_lie_or_burst_are_errors() {
    let many = format!("HTTP/1.1 200 OK\n{}\n\n", vec!["x: y"; 101].join("\n"));
    let long = format!("HTTP/1.1 200 OK\nx: {}\n\n", "y".repeat(70_000));
    for (head, error) in [
        (
            "HTTP/1.1 200 OK\ncontent-length: 5\n\nabc".to_owned(),
            "incomplete HTTP response",
        ),
        (
            "HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 6\n\nabcdef".to_owned(),
            "HttpProtocolError",
        ),
        (
            "HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n0\n\n".to_owned(),
            "HttpResponseTransferCoding",
        ),
        (
            "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\nxyz\nabc".to_owned(),
            "HTTP protocol error",
        ),
        ("garbage\n\n".to_owned(), "HttpProtocolError"),
        (String::new(), "HttpResponseIncomplete"),
        (many, "HttpResponseHeaderSectionSize"),
        (long, "HttpResponseHeaderSectionSize"),
    ] {
        let server = Server::start(vec![Step::Read, send(&head)]).await;
        let (_, outcome) = Guest::new(&local(&server)).get(&url(&server)).await;
        let shown = head.get(..60).unwrap_or(&head);
        assert!(
            outcome.as_ref().is_err_and(|e| e.contains(error)),
            "{shown:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn trailers_and_chunks_arrive() {
    let text = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntrailer: x-t\n\n3\nabc\n2\nde\n0\nx-t: 1\n\n";
    let server = Server::start(vec![Step::Read, send(text)]).await;
    assert_eq!(
        Guest::new(&local(&server)).get(&url(&server)).await.1,
        fine("abcde")
    );
}

#[tokio::test]
async fn at_most_eight_requests_run_at_a_time() {
    let slow = Server::start(vec![
        Step::Read,
        Step::Wait(Duration::from_millis(700)),
        send("HTTP/1.1 200 OK\ncontent-length: 0\n\n"),
    ])
    .await;
    let guest = Guest::new(&local(&slow));
    let together = |times: u32| json!({ "request": request(&url(&slow)), "times": times });
    let (_, eight) = guest.call("send-together", together(8)).await;
    assert_eq!(eight, json!(vec!["200"; 8]));
    let (_, nine) = guest.call("send-together", together(9)).await;
    let mut nine: Vec<&str> = nine.as_array().unwrap().iter().filter_map(Json::as_str).collect();
    nine.sort_unstable();
    let mut expected = vec!["200"; 8];
    expected.push("ErrorCode::ConnectionLimitReached");
    assert_eq!(nine, expected);
}

#[tokio::test]
async fn answers_that_are_dropped_make_room() {
    let server = Server::start(vec![
        Step::Read,
        send("HTTP/1.1 200 OK\n\n"),
        Step::Flood(vec![b'x'; 4096]),
    ])
    .await;
    let guest = Guest::new(&local(&server));
    let many = json!({ "request": request(&url(&server)), "times": 40 });
    assert_eq!(guest.call("send-and-drop", many).await.1, json!(vec!["200"; 40]));
}

async fn over(guest: &Guest, function: &str, request: Json) -> CallError {
    let arguments = match function {
        "send-and-drop" => json!({ "request": request, "times": 10 }),
        _ => json!({ "request": request }),
    };
    let (report, _) = guest.call_with(function, arguments, guest.control()).await;
    report.result.expect_err("the call must end")
}

#[tokio::test]
async fn requests_are_counted_up_to_the_limit() {
    let server = Server::start(answer("ok")).await;
    let mut guest = Guest::new(&local(&server));
    guest.limits = Limits {
        requests: 10,
        ..Limits::DEFAULT
    };
    let ten = json!({ "request": request(&url(&server)), "times": 10 });
    assert_eq!(guest.call("send-and-drop", ten).await.1, json!(vec!["200"; 10]));
    guest.limits = Limits {
        requests: 9,
        ..Limits::DEFAULT
    };
    assert_eq!(
        over(&guest, "send-and-drop", request(&url(&server))).await,
        CallError::Limit {
            limit: Limit::Requests { max: 9 }
        }
    );
}

#[tokio::test]
async fn an_endless_answer_ends_the_call_at_its_limit() {
    let head = "HTTP/1.1 200 OK\n\n";
    let endless = Server::start(vec![Step::Read, send(head), Step::Flood(vec![b'x'; 8192])]).await;
    let finite = Server::start(vec![Step::Read, send(head), Step::Send(vec![b'x'; 90_000])]).await;
    let rules = format!("{}\n{}", local(&endless), local(&finite));
    let mut guest = Guest::new(&rules);
    guest.limits = Limits {
        ingress_bytes: 100_000,
        ..Limits::DEFAULT
    };
    let whole = json!({ "request": request(&url(&finite)) });
    assert_eq!(guest.call("measure", whole).await.1, json!({ "ok": 90_000 }));
    assert_eq!(
        over(&guest, "measure", request(&url(&endless))).await,
        CallError::Limit {
            limit: Limit::Ingress { bytes_max: 100_000 }
        }
    );
    // Interim answers are no way around.
    let interim = Server::start(vec![
        Step::Read,
        Step::Flood(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".to_vec()),
    ])
    .await;
    guest.policy = crate::guest::document(&local(&interim));
    assert_eq!(
        over(&guest, "measure", request(&url(&interim))).await,
        CallError::Limit {
            limit: Limit::Ingress { bytes_max: 100_000 }
        }
    );
}

#[tokio::test]
async fn what_goes_out_is_counted_before_it_goes() {
    let server = Server::start(answer("ok")).await;
    let mut guest = Guest::new(&local(&server));
    guest.limits = Limits {
        egress_bytes: 20_000,
        ..Limits::DEFAULT
    };
    let post = |bytes: usize| {
        with(
            request(&url(&server)),
            json!({ "method": "POST", "body": ["x".repeat(bytes)] }),
        )
    };
    assert_eq!(guest.send(post(19_000)).await.1, fine("ok"));
    let limit = CallError::Limit {
        limit: Limit::Egress { bytes_max: 20_000 },
    };
    assert_eq!(over(&guest, "send", post(21_000)).await, limit);
    let headers = json!({ "headers": [["x-long", "y".repeat(21_000)]] });
    assert_eq!(
        over(&guest, "send", with(request(&url(&server)), headers)).await,
        limit
    );
}

#[tokio::test]
async fn the_headers_of_a_request_are_bounded() {
    let server = Server::start(answer("ok")).await;
    let guest = Guest::new(&local(&server));
    let long = |bytes: usize| {
        with(
            request(&url(&server)),
            json!({ "headers": [["x-long", "y".repeat(bytes)]] }),
        )
    };
    assert_eq!(guest.send(long(32_000)).await.1, fine("ok"));
    // WASI has no word for it: wasmtime ends the guest.
    let class = TrapClass::ComponentModel;
    assert_eq!(
        over(&guest, "send", long(33_000)).await,
        CallError::Trap { class }
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_revoked_host_ends_the_call_that_used_it() {
    let server = Server::start(vec![Step::Read, send("HTTP/1.1 200 OK\n\nabc"), Step::Hold]).await;
    let guest = Guest::new(&local(&server));
    let control = guest.control();
    let narrowed = Guest::new("").authority();
    let (running, ()) = tokio::join!(
        guest.call_with(
            "measure",
            json!({ "request": request(&url(&server)) }),
            control.clone()
        ),
        async {
            while server.requests().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            control.replace(narrowed);
        }
    );
    let ended = running.0.result.expect_err("the call must end");
    assert!(matches!(ended, CallError::Revoked { .. }), "{ended:?}");
}
