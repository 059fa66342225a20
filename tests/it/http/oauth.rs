//! Tokens of an authorization server: ours is one that the test makes, with keys of its own.

use super::server::{
    Answer, Server, eventually, free_address, initialize, modern, modern_headers, read, wait_for,
};
use crate::support::Home;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const RESOURCE: &str = "https://mcp.example/mcp";

/// An authorization server: its metadata and its keys, which a test can exchange.
pub(super) struct Issuer {
    url: String,
    key: KeyPair,
    keys: Arc<Mutex<Json>>,
}

impl Issuer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = KeyPair::generate().unwrap();
        let keys = Arc::new(Mutex::new(json!({"keys": [public(&key, "first")]})));
        let (own, served) = (url.clone(), Arc::clone(&keys));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines
                    .next()
                    .and_then(Result::ok)
                    .is_some_and(|line| !line.is_empty())
                {}
                let (status, body) = match first.split(' ').nth(1) {
                    Some("/.well-known/openid-configuration") => (
                        "200 OK",
                        json!({"issuer": own, "jwks_uri": format!("{own}/keys")}),
                    ),
                    Some("/keys") => ("200 OK", served.lock().unwrap().clone()),
                    _ => ("404 Not Found", json!({})),
                };
                let body = body.to_string();
                let length = body.len();
                let _sent = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, key, keys }
    }

    pub(super) fn claims(&self, subject: &str) -> Json {
        json!({"iss": self.url, "aud": RESOURCE, "sub": subject, "exp": now() + 600, "scope": "openid tools:call"})
    }

    pub(super) fn token(&self, claims: &Json) -> String {
        signed(&self.key, Some("first"), claims)
    }

    pub(super) fn serve(&self, home: &Home) -> Server {
        self.serve_with(home, &["--enable-builtin-tools", "--tool-search"])
    }

    fn serve_with(&self, home: &Home, arguments: &[&str]) -> Server {
        self.serve_as(RESOURCE, home, arguments)
    }

    /// A server that clients know by this address.
    fn serve_as(&self, resource: &str, home: &Home, arguments: &[&str]) -> Server {
        let ours = ["--oauth-issuer", &self.url, "--oauth-resource", resource];
        Server::start(home, &[&ours[..], arguments].concat())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn public(key: &KeyPair, id: &str) -> Json {
    // An uncompressed point: a byte, and two coordinates.
    let point = key.der_bytes();
    let part = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(&point[range]);
    json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": part(1..33), "y": part(33..65)})
}

fn signed(key: &KeyPair, id: Option<&str>, claims: &Json) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, &EncodingKey::from_ec_der(&key.serialize_der())).unwrap()
}

fn post(server: &Server, token: &str, method: &str, params: Json) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = modern_headers(method, &params);
    headers.push(("Authorization", &bearer));
    let message = modern(method, params.clone());
    server.post(&headers, &message)
}

fn lists(server: &Server, token: &str) -> Answer {
    post(server, token, "tools/list", json!({}))
}

#[test]
fn only_tokens_that_the_issuer_made_for_us_let_in() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&home.wat("add"));
    let server = issuer.serve(&home);
    let good = issuer.claims("alice");
    let answer = lists(&server, &issuer.token(&good));
    assert_eq!(answer.status, 200, "{answer:?}");
    let with = |change: &dyn Fn(&mut Json)| {
        let mut claims = good.clone();
        change(&mut claims);
        claims
    };
    let stranger = KeyPair::generate().unwrap();
    let unsigned = format!(
        "{}.{}.",
        BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(good.to_string())
    );
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid = Some("first".to_owned());
    let public_as_secret = encode(
        &symmetric,
        &good,
        &EncodingKey::from_secret(issuer.key.der_bytes()),
    )
    .unwrap();
    let mut pointed = Header::new(Algorithm::ES256);
    pointed.jku = Some("https://evil.example/keys".to_owned());
    pointed.jwk = serde_json::from_value(public(&stranger, "first")).ok();
    let own_key_inside = encode(
        &pointed,
        &good,
        &EncodingKey::from_ec_der(&stranger.serialize_der()),
    )
    .unwrap();
    let critical = |names: &[&str]| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("first".to_owned());
        header.crit = Some(names.iter().map(|name| (*name).to_owned()).collect());
        encode(
            &header,
            &good,
            &EncodingKey::from_ec_der(&issuer.key.serialize_der()),
        )
        .unwrap()
    };
    for (what, token) in [
        ("with an extension that must be known", critical(&["b64"])),
        ("with a list of no extensions", critical(&[])),
        (
            "expired",
            issuer.token(&with(&|claims| claims["exp"] = json!(now() - 120))),
        ),
        (
            "without end",
            issuer.token(&with(&|claims| {
                drop(claims.as_object_mut().unwrap().remove("exp"))
            })),
        ),
        (
            "not yet",
            issuer.token(&with(&|claims| claims["nbf"] = json!(now() + 600))),
        ),
        (
            "for another",
            issuer.token(&with(&|claims| {
                claims["aud"] = json!("https://other.example/mcp")
            })),
        ),
        (
            "for nobody",
            issuer.token(&with(&|claims| {
                drop(claims.as_object_mut().unwrap().remove("aud"))
            })),
        ),
        (
            "of another issuer",
            issuer.token(&with(&|claims| claims["iss"] = json!("https://evil.example"))),
        ),
        (
            "of nobody",
            issuer.token(&with(&|claims| {
                drop(claims.as_object_mut().unwrap().remove("sub"))
            })),
        ),
        ("of a stranger's key", signed(&stranger, Some("first"), &good)),
        ("of an unknown key", signed(&stranger, Some("second"), &good)),
        ("unsigned", unsigned),
        ("with the public key as a secret", public_as_secret),
        ("with a key inside", own_key_inside),
        ("no token at all", "a.b.c".to_owned()),
    ] {
        let answer = lists(&server, &token);
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{what}: {challenge}");
        assert!(
            challenge.contains(
                "resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\""
            ),
            "{challenge}"
        );
    }
    // Several audiences, of which one is ours.
    let several = issuer.token(&with(&|claims| {
        claims["aud"] = json!(["https://other.example", RESOURCE])
    }));
    assert_eq!(lists(&server, &several).status, 200);
    assert!(!home.path().join(".config/wassette/http-token").exists());
}

#[test]
fn scopes_say_what_a_token_is_good_for() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&home.wat("add"));
    let server = issuer.serve(&home);
    let claimed = |key: &str, scopes: Json| {
        let mut claims = issuer.claims("bob");
        claims.as_object_mut().unwrap().remove("scope");
        claims[key] = scopes;
        issuer.token(&claims)
    };
    let with = |scopes: Json| claimed("scope", scopes);
    let call = |token: &str| {
        post(
            &server,
            token,
            "tools/call",
            json!({"name": "add_add", "arguments": {"a": 1, "b": 1}}),
        )
    };
    let load = |token: &str| {
        post(
            &server,
            token,
            "tools/call",
            json!({"name": "load-component", "arguments": {"path": "starter:time"}}),
        )
    };
    let caller = with(json!("tools:call"));
    assert_eq!((call(&caller).status, load(&caller).status), (200, 403));
    let challenge = load(&caller);
    let challenge = challenge.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("insufficient_scope")
            && challenge.contains("scope=\"tools:call components:manage\""),
        "{challenge}"
    );
    let manager = with(json!(["components:manage", "other"]));
    assert_eq!((call(&manager).status, load(&manager).status), (403, 200));
    // Another name of the same call.
    let invoke = |token: &str| {
        let called = json!({"name": "add_add", "arguments": {"a": 1, "b": 1}});
        let params = json!({"name": "invoke-tool", "arguments": called});
        post(&server, token, "tools/call", params).status
    };
    assert_eq!((invoke(&caller), invoke(&manager)), (200, 403));
    for key in ["scope", "scp"] {
        for (scopes, expected) in [
            (json!("openid tools:call"), 200),
            (json!(["openid", "tools:call"]), 200),
            (json!(["openid", 7, "tools:call"]), 200),
            (json!(["tools:call other"]), 403),
            (json!([]), 403),
            (json!({"tools:call": true}), 403),
            (json!(7), 403),
            (Json::Null, 403),
        ] {
            let status = call(&claimed(key, scopes.clone())).status;
            assert_eq!(status, expected, "{key}: {scopes}");
        }
    }
    let nothing = with(json!("openid"));
    assert_eq!((call(&nothing).status, load(&nothing).status), (403, 403));
    let entries = home.audit();
    assert!(
        entries
            .iter()
            .any(|entry| entry.to_string().contains("agent:oauth:bob")),
        "{entries:?}"
    );
}

#[test]
fn whatever_runs_a_component_needs_the_scope_for_calls() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&crate::support::guest("conformance"));
    let server = issuer.serve(&home);
    let mut claims = issuer.claims("bob");
    claims["scope"] = json!("components:manage");
    let (manager, caller) = (issuer.token(&claims), issuer.token(&issuer.claims("ann")));
    let reference = json!({"type": "ref/prompt", "name": "test_prompt_with_arguments"});
    for (method, params) in [
        ("tools/call", json!({"name": "test_simple_text"})),
        ("prompts/get", json!({"name": "test_simple_prompt"})),
        ("resources/read", json!({"uri": "test://static-text"})),
        (
            "completion/complete",
            json!({"ref": reference, "argument": {"name": "arg1", "value": "p"}}),
        ),
        ("tasks/get", json!({"taskId": "a"})),
        ("tasks/update", json!({"taskId": "a", "inputResponses": {}})),
        ("tasks/cancel", json!({"taskId": "a"})),
    ] {
        let refused = post(&server, &manager, method, params.clone());
        assert_eq!(refused.status, 403, "{method}: {refused:?}");
        let answered = post(&server, &caller, method, params);
        assert_ne!(answered.status, 403, "{method}: {answered:?}");
    }
    let begins = home
        .audit()
        .iter()
        .filter(|line| line["event"] == "call.begin")
        .count();
    assert_eq!(begins, 4, "those of ann alone");
}

#[test]
fn a_task_and_a_state_are_of_whom_they_were_made_for() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&crate::support::guest("conformance"));
    let server = issuer.serve(&home);
    let token = |subject: &str| issuer.token(&issuer.claims(subject));
    let (alice, mallory) = (token("alice"), token("mallory"));
    let ask = |token: &str, method: &str, params: Json| {
        let bearer = format!("Bearer {token}");
        let mut headers = modern_headers(method, &params);
        headers.push(("Authorization", &bearer));
        let mut message = modern(method, params.clone());
        message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}});
        server.post(&headers, &message).message()
    };
    let begun = ask(
        &alice,
        "tools/call",
        json!({"name": "slow_compute", "arguments": {"seconds": 5}}),
    );
    let id = begun["result"]["taskId"].clone();
    assert!(id.is_string(), "{begun}");
    for (method, params) in [
        ("tasks/get", json!({"taskId": id})),
        ("tasks/update", json!({"taskId": id, "inputResponses": {}})),
        ("tasks/cancel", json!({"taskId": id})),
    ] {
        let refused = ask(&mallory, method, params);
        assert_eq!(refused["error"]["code"], -32602, "{method}: {refused}");
    }
    let own = ask(&alice, "tasks/get", json!({"taskId": id}));
    assert_eq!(
        own["result"]["status"], "working",
        "nobody else cancelled it: {own}"
    );
    ask(&alice, "tasks/cancel", json!({"taskId": id}));
    let mut params = json!({"name": "test_input_required_result_request_state", "arguments": {}});
    let asked = ask(&alice, "tools/call", params.clone());
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let refused = ask(&mallory, "tools/call", params.clone());
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let done = ask(&alice, "tools/call", params);
    assert_eq!(
        done["result"]["content"][0]["text"], "Confirmed: state-ok",
        "{done}"
    );
}

/// SECURITY: a token that several programs share says nothing of a person, nor does one without the scope.
#[test]
fn only_a_token_with_the_scope_approves_what_is_asked_for() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&crate::support::guest("needy"));
    let server = issuer.serve(&home);
    let token = |scopes: &str| {
        let mut claims = issuer.claims("alice");
        claims["scope"] = json!(scopes);
        issuer.token(&claims)
    };
    let ask = |token: &str, more: &Json| {
        let arguments =
            json!({"component_id": "needy", "permission_type": "environment-variable", "value": "LANG"});
        let mut params = json!({"name": "request-permission", "arguments": arguments});
        let fields = params.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let bearer = format!("Bearer {token}");
        let mut headers = modern_headers("tools/call", &params);
        headers.push(("Authorization", &bearer));
        let mut message = modern("tools/call", params.clone());
        message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
        server.post(&headers, &message).message()
    };
    let (caller, approver) = (token("tools:call"), token("tools:call permissions:approve"));
    let waits = |answer: &Json| {
        let status = &answer["result"]["structuredContent"]["status"];
        assert_eq!(status, "permission requested", "{answer}");
    };
    let yes = |asked: &Json| {
        assert!(asked["result"]["inputRequests"].is_object(), "{asked}");
        json!({
            "requestState": asked["result"]["requestState"],
            "inputResponses": {"decision": {"action": "accept", "content": {"decision": "allow"}}},
        })
    };
    waits(&ask(&caller, &json!({})));
    let answer = yes(&ask(&approver, &json!({})));
    // The same person with a token that says less.
    waits(&ask(&caller, &answer));
    assert_eq!(home.json(&["policy", "get", "needy"])["rules"], json!([]));
    let granted = ask(&approver, &answer);
    assert_eq!(
        granted["result"]["structuredContent"]["status"], "permission granted",
        "{granted}"
    );
    let audit = home.audit();
    let mut approved = audit
        .iter()
        .filter(|line| line["command"] == "permission.approve");
    assert_eq!(approved.next().unwrap()["actor"], "person:oauth:alice");
}

/// SECURITY: the library does not say with which token an answer came.
#[test]
fn in_a_session_an_answer_needs_the_scope_that_its_question_was_asked_with() {
    let (home, issuer) = (Home::new(), Issuer::start());
    home.load(&crate::support::guest("needy"));
    let server = issuer.serve(&home);
    let bearer = |scopes: &str| {
        let mut claims = issuer.claims("alice");
        claims["scope"] = json!(scopes);
        format!("Bearer {}", issuer.token(&claims))
    };
    let (caller, approver) = (bearer("tools:call"), bearer("tools:call permissions:approve"));
    let mut hello = initialize();
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let begun = server.post(&[("Authorization", &approver)], &hello);
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let post = |bearer: &str, message: &Json| {
        let headers = [("Authorization", bearer), ("Mcp-Session-Id", session.as_str())];
        server.post(&headers, message).status
    };
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(post(&approver, &initialized), 202);
    let arguments =
        json!({"component_id": "needy", "permission_type": "environment-variable", "value": "LANG"});
    let params = json!({"name": "request-permission", "arguments": arguments});
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let headers = [
        ("Authorization", approver.as_str()),
        ("Mcp-Session-Id", session.as_str()),
    ];
    let stream = server.send("POST /mcp", &headers, call.to_string().as_bytes());
    let mut stream = BufReader::new(stream);
    let question = wait_for(&mut stream, "elicitation/create");
    let question: Json = serde_json::from_str(question.trim_start_matches("data:").trim()).unwrap();
    let result = json!({"action": "accept", "content": {"decision": "allow"}});
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
    assert_eq!(post(&caller, &answer), 403);
    // What is no answer approves nothing.
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}});
    assert_eq!(post(&caller, &cancelled), 202);
    assert_eq!(home.json(&["policy", "get", "needy"])["rules"], json!([]));
    assert_eq!(post(&approver, &answer), 202);
    wait_for(&mut stream, "permission granted");
    assert_eq!(
        home.json(&["policy", "get", "needy"])["rules"],
        json!(["environment allow \"LANG\""])
    );
}

#[test]
fn a_session_is_of_whom_it_was_made_for() {
    let (home, issuer) = (Home::new(), Issuer::start());
    let server = issuer.serve(&home);
    let bearer = |subject: &str| format!("Bearer {}", issuer.token(&issuer.claims(subject)));
    let (alice, mallory) = (bearer("alice"), bearer("mallory"));
    let session = server.session(&[("Authorization", &alice)]);
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
    let status = |bearer: &str| {
        server
            .post(&[("Authorization", bearer), ("Mcp-Session-Id", &session)], &ping)
            .status
    };
    assert_eq!((status(&alice), status(&mallory)), (200, 404));
    let headers = [
        ("Authorization", mallory.as_str()),
        ("Mcp-Session-Id", session.as_str()),
    ];
    assert_eq!(server.ask("DELETE /mcp", &headers, b"").status, 404);
    assert_eq!(server.ask("GET /mcp", &headers, b"").status, 404);
    assert_eq!(status(&alice), 200);
}

#[test]
fn one_principal_does_not_take_the_sessions_of_all() {
    let (home, issuer) = (Home::new(), Issuer::start());
    let server = issuer.serve(&home);
    let bearer = |subject: &str| format!("Bearer {}", issuer.token(&issuer.claims(subject)));
    let made = |bearer: &str, count: usize| {
        let begun = (0..count).map(|_| server.post(&[("Authorization", bearer)], &initialize()));
        begun.filter(|answer| answer.status == 200).count()
    };
    // A share, and no more.
    assert_eq!(made(&bearer("ann"), 260), 250);
    for other in ["bob", "carol", "dan"] {
        assert_eq!(made(&bearer(other), 250), 250);
    }
    // There is no place left, and none was idle for long.
    assert_eq!(made(&bearer("eve"), 5), 5);
}

#[test]
fn a_session_is_not_of_somebody_with_nearly_the_same_name() {
    let (home, issuer) = (Home::new(), Issuer::start());
    let server = issuer.serve(&home);
    let named = |claim: &str, name: &str| {
        let mut claims = issuer.claims("");
        claims.as_object_mut().unwrap().remove("sub");
        claims[claim] = json!(name);
        format!("Bearer {}", issuer.token(&claims))
    };
    let long = "c".repeat(250);
    for ((claim, name), (other_claim, other)) in [
        (("sub", "a b"), ("sub", "a_b")),
        (("sub", "a b"), ("sub", "a\tb")),
        (("sub", &*format!("{long}1")), ("sub", &*format!("{long}2"))),
        (("sub", "app"), ("client_id", "app")),
        (("client_id", "app"), ("azp", "app")),
    ] {
        let (owner, another) = (named(claim, name), named(other_claim, other));
        let session = server.session(&[("Authorization", &owner)]);
        let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
        let status = |bearer: &str| {
            let headers = [("Authorization", bearer), ("Mcp-Session-Id", session.as_str())];
            server.post(&headers, &ping).status
        };
        assert_eq!(
            (status(&owner), status(&another)),
            (200, 404),
            "{name:?} {other:?}"
        );
    }
    let longest = named("sub", &"c".repeat(1_025));
    assert_eq!(
        server.post(&[("Authorization", &longest)], &initialize()).status,
        401
    );
}

#[test]
fn clients_find_the_issuer_and_new_keys_are_found() {
    let (home, issuer) = (Home::new(), Issuer::start());
    let server = issuer.serve(&home);
    let answer = server.post(&[], &initialize());
    assert_eq!(answer.status, 401);
    assert!(
        !answer.header("www-authenticate").unwrap().contains("error="),
        "{answer:?}"
    );
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let metadata: Json =
            serde_json::from_str(&server.ask(&format!("GET {path}"), &[], b"").body).unwrap();
        assert_eq!(metadata["resource"], json!(RESOURCE));
        assert_eq!(metadata["authorization_servers"], json!([issuer.url]));
        assert_eq!(
            metadata["scopes_supported"],
            json!(["tools:call", "components:manage", "permissions:approve"])
        );
    }
    // The first token makes us ask; an unknown key only some time later, so that nobody can make us ask at will.
    let second = KeyPair::generate().unwrap();
    *issuer.keys.lock().unwrap() = json!({"keys": [public(&issuer.key, "first"), public(&second, "second")]});
    let claims = issuer.claims("alice");
    assert_eq!(
        lists(&server, &signed(&second, Some("second"), &claims)).status,
        200
    );
    assert_eq!(lists(&server, &issuer.token(&claims)).status, 200);
    let third = KeyPair::generate().unwrap();
    *issuer.keys.lock().unwrap() = json!({"keys": [public(&third, "third")]});
    assert_eq!(
        lists(&server, &signed(&third, Some("third"), &claims)).status,
        401
    );
    assert_eq!(lists(&server, &issuer.token(&claims)).status, 200);
}

/// RFC 7517, section 5: what is not understood is ignored.
#[test]
fn keys_that_are_not_for_tokens_are_as_if_they_were_not_there() {
    let mut encryption = public(&KeyPair::generate().unwrap(), "encryption");
    encryption["use"] = json!("enc");
    encryption.as_object_mut().unwrap().remove("alg");
    let mut derivation = encryption.clone();
    derivation.as_object_mut().unwrap().remove("use");
    derivation["key_ops"] = json!(["deriveKey"]);
    let mut other_curve = encryption.clone();
    (other_curve["use"], other_curve["crv"]) = (json!("sig"), json!("P-384"));
    for odd in [
        json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "agreement", "x": "AA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"}),
        json!({"kty": "RSA", "kid": "incomplete", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}),
        json!({"kid": "nothing"}),
        json!({"kty": 7}),
        json!("no key"),
        encryption,
        derivation,
        other_curve,
    ] {
        let (home, issuer) = (Home::new(), Issuer::start());
        let mut key = public(&issuer.key, "first");
        key.as_object_mut().unwrap().remove("alg");
        *issuer.keys.lock().unwrap() = json!({"keys": [odd, key]});
        let server = issuer.serve_with(&home, &[]);
        for id in [Some("first"), None] {
            let answer = lists(&server, &signed(&issuer.key, id, &issuer.claims("ann")));
            assert_eq!(answer.status, 200, "{id:?} {odd}: {answer:?}");
        }
    }
    // Of two that fit none is taken for the one that is meant.
    let (home, issuer) = (Home::new(), Issuer::start());
    let second = public(&KeyPair::generate().unwrap(), "second");
    *issuer.keys.lock().unwrap() = json!({"keys": [public(&issuer.key, "first"), second]});
    let server = issuer.serve_with(&home, &[]);
    let claims = issuer.claims("ann");
    assert_eq!(lists(&server, &signed(&issuer.key, None, &claims)).status, 401);
    assert_eq!(lists(&server, &issuer.token(&claims)).status, 200);
}

#[test]
fn behind_a_proxy_that_changes_the_path_clients_find_the_issuer_where_the_challenge_says() {
    let (home, issuer) = (Home::new(), Issuer::start());
    for (resource, described) in [
        ("https://mcp.example/tools/mcp", "/tools/mcp"),
        ("https://mcp.example/a%20b/%7Bc%7D/", "/a%20b/%7Bc%7D"),
        ("https://mcp.example", ""),
        ("https://mcp.example/mcp", "/mcp"),
    ] {
        let server = issuer.serve_as(resource, &home, &[]);
        let answer = server.post(&[], &initialize());
        let challenge = answer.header("www-authenticate").unwrap();
        let path = format!("/.well-known/oauth-protected-resource{described}");
        let named = format!("resource_metadata=\"https://mcp.example{path}\"");
        assert!(challenge.contains(&named), "{challenge}");
        for path in [&*path, "/.well-known/oauth-protected-resource"] {
            let answer = server.ask(&format!("GET {path}"), &[], b"");
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let metadata: Json = serde_json::from_str(&answer.body).unwrap();
            let expected = url::Url::parse(resource).unwrap();
            assert_eq!(metadata["resource"], json!(expected.as_str()));
        }
        for path in ["/other", "/tools", "/mcp/mcp"] {
            let asked = format!("GET /.well-known/oauth-protected-resource{path}");
            assert_eq!(server.ask(&asked, &[], b"").status, 404, "{path}");
        }
    }
}

/// What is said of an issuer whose keys cannot be had.
fn said_of(issuer: &str) -> String {
    let home = Home::new();
    let address = free_address();
    let mut child = home
        .command(&[
            "serve",
            "--bind-address",
            &address,
            "--oauth-issuer",
            issuer,
            "--oauth-resource",
            RESOURCE,
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it listens", || TcpStream::connect(&address).is_ok());
    let key = KeyPair::generate().unwrap();
    let token = signed(&key, Some("first"), &json!({}));
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read(stream).status, 503);
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let line = said.lines().find(|line| line.contains("no keys of the"));
    line.unwrap().to_owned()
}

#[test]
fn why_there_are_no_keys_is_said() {
    let said = said_of("http://127.0.0.1:1");
    assert!(
        said.contains("cannot get the document: cannot connect to `127.0.0.1:1`")
            && !said.contains("component"),
        "{said}"
    );
    // The same address, and another name.
    let issuer = Issuer::start();
    let said = said_of(&format!("{}/", issuer.url));
    assert!(
        said.contains(&format!("`{}`", issuer.url)) && said.contains(&format!("`{}/`", issuer.url)),
        "{said}"
    );
}

#[test]
fn a_page_that_may_send_requests_finds_the_issuer() {
    let (home, issuer) = (Home::new(), Issuer::start());
    let server = issuer.serve_with(&home, &["--allowed-origin", "https://app.example"]);
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        for origin in ["https://app.example", "https://evil.example"] {
            let is_allowed = origin == "https://app.example";
            let preflight = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "GET"),
                ("Access-Control-Request-Headers", "mcp-protocol-version"),
            ];
            let asked = server.ask(&format!("OPTIONS {path}"), &preflight, b"");
            let read = server.ask(&format!("GET {path}"), &[("Origin", origin)], b"");
            let expected = if is_allowed { (204, 200) } else { (403, 403) };
            assert_eq!((asked.status, read.status), expected, "{asked:?} {read:?}");
            for answer in [asked, read] {
                let admitted = answer.header("access-control-allow-origin");
                assert_eq!(admitted, is_allowed.then_some(origin), "{answer:?}");
            }
        }
    }
}

#[test]
fn without_keys_nobody_is_let_in() {
    let home = Home::new();
    home.file("keys.json", b"{\"keys\": []}");
    let server = Server::start(
        &home,
        &[
            "--oauth-issuer",
            "https://issuer.example",
            "--oauth-resource",
            RESOURCE,
            "--oauth-keys",
            "keys.json",
        ],
    );
    let key = KeyPair::generate().unwrap();
    let claims = json!({"iss": "https://issuer.example", "aud": RESOURCE, "sub": "a", "exp": now() + 60, "scope": "tools:call"});
    let answer = lists(&server, &signed(&key, None, &claims));
    assert_eq!(answer.status, 503, "{answer:?}");
}
