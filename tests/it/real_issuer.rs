//! A real authorization server (`oidc-provider`, certified for OpenID Connect), and the official SDK's client, which finds
//! it by what our server says, registers, sends its user there, and comes back with a token.

use crate::http::Server;
use crate::real_clients::{node, script};
use crate::support::Home;
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::TcpListener;
use std::process::{ChildStdout, Stdio};

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Json {
    let line = lines.next().expect("the client said no more").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// An address that is free. The issuer must know our address before we listen there.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_client_gets_its_token_from_an_issuer_that_it_found_by_us() {
    for algorithm in ["RS256", "ES256", "PS256", "EdDSA"] {
        let home = Home::new();
        home.json(&["component", "load", "starter:text"]);
        let mut client = node()
            .arg(script("oauth.mjs"))
            .arg(algorithm)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
        let issuer = next(&mut lines)["issuer"].as_str().unwrap().to_owned();
        let address = free_address();
        let url = format!("http://{address}/mcp");
        let _server = Server::at(
            &address,
            &home,
            &["--oauth-issuer", &issuer, "--oauth-resource", &url],
        );
        client
            .stdin
            .take()
            .unwrap()
            .write_all(format!("{url}\n").as_bytes())
            .unwrap();
        let may_call = next(&mut lines);
        assert_eq!(
            (&may_call["asked"], &may_call["resource"]),
            (&json!("tools:call"), &json!(url)),
            "{algorithm}"
        );
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for era in ["2026-07-28", "legacy"] {
            assert_eq!(may_call[era], json!(hash), "{algorithm}, {era}: {may_call}");
        }
        // Another user agreed to less: the token is good, and not enough.
        let may_not = next(&mut lines);
        for era in ["2026-07-28", "legacy"] {
            let refused = may_not[era].as_str().unwrap();
            assert!(refused.starts_with("refused"), "{algorithm}, {era}: {may_not}");
        }
        assert!(client.wait().unwrap().success());
    }
}
