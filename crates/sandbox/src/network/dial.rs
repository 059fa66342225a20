//! Connections for requests: TCP to an address that was decided, TLS above it, every byte that comes counted.
//!
//! The only place that connects for HTTP. It takes a permit for each address, and knows no names but the one
//! that goes into TLS.

use crate::gate::{Gate, OverLimit};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error as HttpError;
use wassette_policy::{Host, HttpTarget, Permit, Scheme};

/// An address and the permit to dial it.
pub(super) struct Dialable {
    pub(super) address: SocketAddr,
    pub(super) permit: Permit,
}

/// Makes TLS connections. Nothing is kept from one to the next: a resumed session would tell a server that two
/// calls come from the same machine.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the roots of browsers (`webpki-roots`) and these, in DER.
    pub(super) fn new(extra_roots: &[Vec<u8>]) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for root in extra_roots {
            roots.add(CertificateDer::from_slice(root))?;
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

/// Connects to the first of these addresses that answers, for HTTP with this target.
pub(super) async fn dial(
    addresses: Vec<Dialable>,
    target: &HttpTarget,
    tls: &Tls,
    time_max: Duration,
) -> Result<Stream, HttpError> {
    let deadline = Instant::now() + time_max;
    let tcp = connect(addresses, deadline).await?;
    // Small requests go out at once; hyper writes whole messages.
    let _a_slower_connection_is_one_too = tcp.set_nodelay(true);
    match target.scheme() {
        Scheme::Http => Ok(Stream::Plain(tcp)),
        Scheme::Https => {
            let connected = timeout_at(deadline, tls.0.connect(server_name(target)?, tcp)).await;
            match connected.map_err(|_elapsed| HttpError::ConnectionTimeout)? {
                Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
                Err(error) => Err(tls_error(&error)),
            }
        }
    }
}

async fn connect(addresses: Vec<Dialable>, deadline: Instant) -> Result<TcpStream, HttpError> {
    let mut failed = HttpError::DestinationNotFound;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for Dialable { address, permit } in addresses {
        // An address that never answers must leave time for the others.
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let connected = timeout_at(Instant::now() + share, TcpStream::connect(address)).await;
        // The permit was for this attempt.
        drop(permit);
        match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = connect_error(&error),
            Err(_elapsed) => failed = HttpError::ConnectionTimeout,
        }
    }
    Err(failed)
}

fn server_name(target: &HttpTarget) -> Result<ServerName<'static>, HttpError> {
    match target.host() {
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_invalid| HttpError::HttpRequestUriInvalid)
        }
        Host::Address(address) => Ok(ServerName::from(*address)),
    }
}

fn connect_error(error: &io::Error) -> HttpError {
    use io::ErrorKind;
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        HttpError::ConnectionRefused
    } else if kind == ErrorKind::TimedOut {
        HttpError::ConnectionTimeout
    } else if matches!(kind, ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) {
        HttpError::DestinationIpUnroutable
    } else if kind == ErrorKind::ConnectionReset {
        HttpError::ConnectionTerminated
    } else {
        HttpError::DestinationUnavailable
    }
}

fn tls_error(error: &io::Error) -> HttpError {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => HttpError::TlsCertificateError,
        Some(rustls::Error::AlertReceived(alert)) => HttpError::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: None,
        },
        Some(_) => HttpError::TlsProtocolError,
        None => HttpError::ConnectionTerminated,
    }
}

/// A connection, in the clear or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection whose incoming bytes are counted as they are read from it: heads, interim answers, framing
/// and bodies alike, so that no part of an answer is for nothing.
///
/// What goes out is counted before it is handed to the connection, see `body.rs`.
pub(super) struct Counted {
    stream: Stream,
    gate: Gate,
}

impl Counted {
    pub(super) fn new(stream: Stream, gate: Gate) -> Self {
        Self { stream, gate }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        })?;
        let came = buffer.filled().len().saturating_sub(before);
        let counted = self.gate.spend(|m| &m.ingress, came as u64);
        Poll::Ready(counted.map_err(|over @ OverLimit| io::Error::other(over)))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
