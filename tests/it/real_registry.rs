//! A real registry (Debian's `docker-registry`, started by the test on loopback) and another program that speaks to it
//! (`skopeo`): what we push is what it pulls, and what it pushes is what we load; with a password, and over TLS.

use crate::support::{Home, Ran, guest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// `me` and `secret` as `htpasswd -B` writes them.
const HTPASSWD: &str = "me:$2a$05$oTaf.n.Te73OldwkRLMTHejUptAG1q5Im46vWcqnn0fTJ7gYKWc32\n";

/// How long a registry may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the registry is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setup {
    Plain,
    Password,
    Token,
    Tls,
}

struct Registry {
    child: Child,
    folder: TempDir,
    host: String,
}

impl Registry {
    fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: \
             127.0.0.1:{port}\n",
            at("storage")
        );
        if setup == Setup::Tls {
            certificates(folder.path());
            config.push_str(&format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                at("server.pem"),
                at("server.key")
            ));
        }
        if setup == Setup::Password {
            std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
            config.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                at("htpasswd")
            ));
        }
        if setup == Setup::Token {
            let realm = issue_tokens(folder.path());
            config.push_str(&format!(
                "auth:\n  token:\n    realm: {realm}\n    service: test\n    issuer: {ISSUER}\n    rootcertbundle: {}\n",
                at("authority.pem")
            ));
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, which `cargo xtask setup` installs");
        let registry = Self {
            child,
            folder,
            host: format!("127.0.0.1:{port}"),
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&registry.host).is_err() {
            assert!(Instant::now() < until, "the registry does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    fn reference(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.host)
    }

    fn image(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.host)
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Who issues tokens for the registry.
const ISSUER: &str = "test-issuer";

/// Starts a token server as the distribution project describes it; its address. It knows one user, `me` with `secret`,
/// and gives whoever that is what is asked for.
fn issue_tokens(folder: &Path) -> String {
    let (key, certificate) = certificates(folder);
    let certificate = BASE64_STANDARD.encode(certificate);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut head = Vec::new();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                match line {
                    Ok(line) if !line.is_empty() => head.push(line),
                    Ok(_) | Err(_) => break,
                }
            }
            let wanted = format!("Basic {}", BASE64_STANDARD.encode("me:secret"));
            let is_known = head.iter().any(|line| {
                line.split_once(": ").is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("authorization") && value == wanted
                })
            });
            let path = head
                .first()
                .and_then(|line| line.split(' ').nth(1))
                .unwrap_or_default();
            let (status, body) = if is_known {
                let token = token(&key, &certificate, path);
                ("200 OK", json!({"token": token, "expires_in": 300}))
            } else {
                ("401 Unauthorized", json!({"errors": [{"code": "UNAUTHORIZED"}]}))
            };
            let body = body.to_string();
            let length = body.len();
            let _sent = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    realm
}

/// A token for every `scope=repository:NAME:ACTIONS` of the address.
fn token(key: &KeyPair, certificate: &str, path: &str) -> String {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<Json> = scopes
        .filter_map(|scope| {
            let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
            let mut parts = scope.split(':').map(str::to_owned);
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let actions: Vec<_> = actions.split(',').collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": ISSUER, "sub": "me", "aud": "test", "exp": now + 300, "nbf": now - 30, "iat": now - 30, "jti": "1",
        "access": access,
    });
    let mut header = Header::new(Algorithm::ES256);
    header.x5c = Some(vec![certificate.to_owned()]);
    encode(&header, &claims, &EncodingKey::from_ec_der(&key.serialize_der())).unwrap()
}

/// An authority, and a certificate of it for loopback with its key.
fn certificates(folder: &Path) -> (KeyPair, Vec<u8>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let signed = authority.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("authority.pem"), signed.pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    (key, server.der().to_vec())
}

/// Runs the other program, which must succeed.
#[track_caller]
fn skopeo(arguments: &[&str]) -> String {
    let ran = Ran::of(
        Command::new("skopeo")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("skopeo, which `cargo xtask setup` installs"),
    );
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    ran.stdout
}

fn push(home: &Home, to: &str, more: &[&str]) -> Json {
    let kitchen = guest("kitchen");
    home.json(&[&["registry", "push", kitchen.to_str().unwrap(), to], more].concat())
}

#[test]
fn what_we_push_another_program_pulls_and_the_other_way_round() {
    let (home, registry) = (Home::new(), Registry::start(Setup::Plain));
    let pushed = push(
        &home,
        &registry.reference("org/kitchen:1"),
        &["--description", "Echoes"],
    );
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &registry.image("org/kitchen:1"),
    ]);
    let manifest: Json = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], pushed["digest"]);
    // Copied by the other program, byte for byte, and loaded from there.
    let copy = registry.image("other/kitchen:2");
    let from = registry.image("org/kitchen:1");
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--preserve-digests",
        &from,
        &copy,
    ]);
    let loaded = home.json(&["component", "load", &registry.reference("other/kitchen:2")]);
    assert_eq!(
        (&loaded["digest"], &loaded["manifest"]),
        (&pushed["digest"], &pushed["manifest"])
    );
    let sum = home.json(&[
        "tool",
        "invoke",
        "kitchen_divide",
        "--args",
        r#"{"a": 7, "b": 2}"#,
    ]);
    assert!(sum["result"].is_object() || sum["result"].is_number(), "{sum}");
    // A tag that another program moves is noticed.
    let other = home.file("other.wasm", &std::fs::read(guest("needy")).unwrap());
    home.json(&[
        "registry",
        "push",
        other.to_str().unwrap(),
        &registry.reference("org/needy:1"),
    ]);
    let from = registry.image("org/needy:1");
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--preserve-digests",
        &from,
        &copy,
    ]);
    assert_eq!(
        home.run(&["component", "load", &registry.reference("other/kitchen:2")])
            .code,
        3
    );
    assert_eq!(
        home.json(&["component", "update", "--check"])["components"][0]["state"],
        "newer"
    );
}

#[test]
fn a_signature_lies_beside_what_it_signs_and_is_found() {
    let (home, registry) = (Home::new(), Registry::start(Setup::Plain));
    home.json(&["registry", "keygen"]);
    let reference = registry.reference("org/kitchen:1");
    let pushed = push(&home, &reference, &["--sign", "wassette.key"]);
    let hex = pushed["manifest"].as_str().unwrap().replace(':', "-");
    let image = registry.image(&format!("org/kitchen:{hex}.sig"));
    let signature: Json =
        serde_json::from_str(&skopeo(&["inspect", "--raw", "--tls-verify=false", &image])).unwrap();
    assert_eq!(
        signature["layers"][0]["mediaType"],
        "application/vnd.dev.cosign.simplesigning.v1+json"
    );
    let public = std::fs::read_to_string(home.path().join("wassette.key.pub")).unwrap();
    let key: String = public.lines().map(|line| format!("          {line}\n")).collect();
    let ceiling = format!(
        "version: \"1.0\"\nsignatures:\n  - source: {:?}\n    signers:\n      - key: |\n{key}",
        registry.reference("org/*")
    );
    let ceiling = home.file("ceiling.yaml", ceiling.as_bytes());
    let with = ["--ceiling", ceiling.to_str().unwrap()];
    let verified = home.json(&[&with[..], &["component", "verify", &reference]].concat());
    assert_eq!(
        (&verified["accepted"], &verified["rule"]),
        (&true.into(), &"require".into())
    );
    home.json(&[&with[..], &["component", "load", &reference]].concat());
    // The same bytes without their signature are refused.
    let bare = registry.reference("org/bare:1");
    push(&home, &bare, &[]);
    assert_eq!(
        home.run(&[&with[..], &["component", "load", &bare, "--name", "bare"]].concat())
            .code,
        3
    );
}

fn login(home: &Home, registry: &Registry, password: &str) -> Ran {
    let arguments = [
        "registry",
        "login",
        &registry.host,
        "--username",
        "me",
        "--password-stdin",
    ];
    let mut child = home
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(password.as_bytes()).unwrap();
    drop(stdin);
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn a_registry_that_wants_tokens_is_used_with_those_of_its_token_server() {
    let (home, registry) = (Home::new(), Registry::start(Setup::Token));
    let reference = registry.reference("org/kitchen:1");
    let kitchen = guest("kitchen");
    let refused = home.run(&["registry", "push", kitchen.to_str().unwrap(), &reference]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert_eq!(login(&home, &registry, "wrong").code, 3);
    let done = login(&home, &registry, "secret");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let pushed = push(&home, &reference, &[]);
    let image = registry.image("org/kitchen:1");
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        "--creds",
        "me:secret",
        &image,
    ]);
    let manifest: Json = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], pushed["digest"]);
    let loaded = home.json(&["component", "load", &reference]);
    assert_eq!(loaded["manifest"], pushed["manifest"]);
    // Who has no account gets nothing.
    let other = Home::new();
    assert_eq!(other.run(&["component", "load", &reference]).code, 3);
}

#[test]
fn a_registry_with_a_password_is_used_after_a_login() {
    let (home, registry) = (Home::new(), Registry::start(Setup::Password));
    let reference = registry.reference("org/kitchen:1");
    let kitchen = guest("kitchen");
    let refused = home.run(&["registry", "push", kitchen.to_str().unwrap(), &reference]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert_eq!(login(&home, &registry, "wrong").code, 3);
    let done = login(&home, &registry, "secret");
    assert_eq!(done.code, 0, "{}", done.stderr);
    push(&home, &reference, &[]);
    home.json(&["component", "load", &reference]);
}

#[test]
fn a_registry_with_a_certificate_of_an_own_authority_is_used_when_that_is_trusted() {
    let (home, registry) = (Home::new(), Registry::start(Setup::Tls));
    let reference = registry.reference("org/kitchen:1");
    let kitchen = guest("kitchen");
    let refused = home.run(&["registry", "push", kitchen.to_str().unwrap(), &reference]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("an authority that is not trusted here"),
        "{}",
        refused.stderr
    );
    let folder = home.path().join(".config/wassette");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = format!("registry_ca = [{:?}]\n", registry.authority());
    std::fs::write(folder.join("config.toml"), settings).unwrap();
    push(&home, &reference, &[]);
    home.json(&["component", "load", &reference]);
}
