//! Servers that cannot start say what is wrong, with the option and the file.

use crate::support::Home;
use rcgen::{CertificateParams, KeyPair};
use std::net::TcpListener;

/// What a server says that does not start, with its exit code.
fn said(home: &Home, arguments: &[&str]) -> (i32, String) {
    let mut all = vec!["serve", "--bind-address", "127.0.0.1:0"];
    all.extend(arguments);
    let ran = home.run(&all);
    (ran.code, ran.stderr)
}

#[test]
fn a_file_of_keys_that_is_not_there_is_missed_at_the_start() {
    let home = Home::new();
    let issuer = ["--oauth-issuer", "https://issuer.example"];
    let resource = ["--oauth-resource", "https://mcp.example/mcp"];
    let arguments = [&issuer[..], &resource, &["--oauth-keys", "nofile.json"]].concat();
    let (code, stderr) = said(&home, &arguments);
    assert!(code == 4 && stderr.contains("nofile.json`"), "{code} {stderr}");
}

#[test]
fn an_address_that_is_taken_is_said_with_its_option() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = said(&home, &["--no-auth", "--admin-address", &address]);
    assert!(
        code == 1 && stderr.contains("`--admin-address` chooses another"),
        "{stderr}"
    );
    let ran = home.run(&["serve", "--no-auth", "--bind-address", &address]);
    assert!(ran.stderr.contains("`--bind-address` chooses another"), "{ran:?}");
}

#[test]
fn a_certificate_or_key_of_another_form_is_said_with_its_file() {
    let home = Home::new();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = named.self_signed(&key).unwrap();
    home.file("chain.pem", certificate.pem().as_bytes());
    home.file("chain.der", certificate.der());
    home.file("key.pem", key.serialize_pem().as_bytes());
    home.file("key.der", &key.serialize_der());
    home.file("other.pem", other.serialize_pem().as_bytes());
    for (chain, key, expected) in [
        (
            "chain.der",
            "key.pem",
            ["`chain.der`: no certificate", "BEGIN CERTIFICATE"],
        ),
        (
            "key.pem",
            "key.pem",
            ["`key.pem`: no certificate", "BEGIN CERTIFICATE"],
        ),
        (
            "chain.pem",
            "key.der",
            ["`key.der`: no private key", "BEGIN PRIVATE KEY"],
        ),
        (
            "chain.pem",
            "chain.pem",
            ["`chain.pem`: no private key", "BEGIN PRIVATE KEY"],
        ),
        (
            "chain.pem",
            "other.pem",
            [
                "`chain.pem`: the certificate and its key",
                "`--tls-key` is the key of",
            ],
        ),
    ] {
        let arguments = ["--no-auth", "--tls-certificate", chain, "--tls-key", key];
        let (code, stderr) = said(&home, &arguments);
        assert!(
            code == 1 && expected.iter().all(|words| stderr.contains(words)),
            "{chain} {key}: {stderr}"
        );
    }
}
