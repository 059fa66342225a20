//! TLS: whom it trusts, what it names, what it speaks.

use crate::guest::Guest;
use crate::server::{Server, Step, answer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate for a name, and a server's end of TLS with it.
pub(crate) fn certificate(name: &str) -> (Vec<u8>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (certificate.to_vec(), TlsAcceptor::from(Arc::new(config)))
}

fn guest(port: u16, roots: Vec<Vec<u8>>) -> Guest {
    let rules = format!("      - {{host: \"api.test:{port}\"}}\n      - {{cidr: \"127.0.0.0/8\"}}");
    Guest::with(&rules, &[("api.test", &["127.0.0.1"])], roots)
}

#[tokio::test]
async fn a_trusted_certificate_for_the_name_is_accepted() {
    let (root, tls) = certificate("api.test");
    let server = Server::start_tls(answer("secure"), tls).await;
    let url = format!("https://api.test:{}/", server.port());
    let (_, outcome) = guest(server.port(), vec![root]).get(&url).await;
    assert_eq!(outcome, Ok((200, "secure".to_owned())));
}

#[tokio::test]
async fn other_names_and_unknown_issuers_are_refused() {
    let (_, unknown) = certificate("api.test");
    let (root, other_name) = certificate("other.test");
    for (tls, roots) in [(unknown, Vec::new()), (other_name, vec![root])] {
        let server = Server::start_tls(answer("secure"), tls).await;
        let url = format!("https://api.test:{}/", server.port());
        let (_, outcome) = guest(server.port(), roots).get(&url).await;
        assert_eq!(outcome, Err("ErrorCode::TlsCertificateError".to_owned()));
        assert_eq!(server.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_server_without_tls_is_an_error() {
    let server = Server::start(vec![Step::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())]).await;
    let url = format!("https://api.test:{}/", server.port());
    let (_, outcome) = guest(server.port(), Vec::new()).get(&url).await;
    assert_eq!(outcome, Err("ErrorCode::TlsProtocolError".to_owned()));
}

#[tokio::test]
async fn plain_http_needs_a_rule_of_its_own() {
    let server = Server::start(answer("clear")).await;
    let url = format!("http://api.test:{}/", server.port());
    let (_, outcome) = guest(server.port(), Vec::new()).get(&url).await;
    assert_eq!(outcome, Err("ErrorCode::HttpRequestDenied".to_owned()));
    assert_eq!(server.connections(), 0);
}
