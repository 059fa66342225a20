//! Connections: from a listener to requests, bounded in number and in patience.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::CLOSE_TIME;
use super::metrics::Metrics;
use super::unread::{self, Late, Lingering};

/// Connections that wait to be accepted, if the system allows as many. The library asks for 128, and whoever comes when
/// they are all taken comes again a second later.
const WAITING_MAX: u32 = 4096;

/// How long a client may take to agree on a key.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long a client may take for the head of a request, and between two requests.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How long a client may take nothing of what is sent to it.
const UNREAD_TIME: Duration = Duration::from_secs(60);

/// Bytes of a request's head, and of what is read ahead.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long to wait when the system has no descriptors left.
const EXHAUSTED_TIME: Duration = Duration::from_millis(100);

/// Where connections come from.
#[derive(Debug)]
pub struct Listener(Source);

#[derive(Debug)]
enum Source {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<rustls::ServerConfig>),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain is none.
    #[error("no certificate in PEM")]
    Chain(#[source] rustls::pki_types::pem::Error),
    /// The key is none.
    #[error("no private key in PEM")]
    Key(#[source] rustls::pki_types::pem::Error),
    /// They do not belong together, or are of no use.
    #[error("the certificate and its key cannot be used")]
    Use(#[source] rustls::Error),
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// When the address is in use or not of this machine.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A server that is started again takes its address back; on Windows it would take another's.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self(Source::Tcp(socket.listen(WAITING_MAX)?)))
    }

    /// Takes connections of a socket that was made for it.
    ///
    /// # Errors
    ///
    /// When the runtime cannot wait for it.
    #[cfg(unix)]
    pub fn unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok(Self(Source::Unix(listener)))
    }

    /// Puts TLS around a listener on an address. Anything else stays as it is.
    ///
    /// # Errors
    ///
    /// [`TlsError`] for certificates that cannot be used.
    pub fn with_tls(self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(TlsError::Chain)?;
        if chain.is_empty() {
            return Err(TlsError::Chain(rustls::pki_types::pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Use)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(match self.0 {
            Source::Tcp(listener) => Self(Source::Tls(listener, Arc::new(config))),
            other @ Source::Tls(..) => Self(other),
            #[cfg(unix)]
            other @ Source::Unix(_) => Self(other),
        })
    }

    /// The address, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Source::Tcp(listener) | Source::Tls(listener, _) => listener.local_addr().ok(),
            #[cfg(unix)]
            Source::Unix(_) => None,
        }
    }
}

/// How many connections, and where they are counted.
#[derive(Debug)]
pub(super) struct Limits {
    places: Arc<Semaphore>,
    open: Gauge,
    refused: Counter,
}

impl Limits {
    pub(super) fn new(most: usize, metrics: &Metrics) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            open: metrics.connections().clone(),
            refused: metrics.refused_connections().clone(),
        }
    }

    /// For connections that are none of clients'; they are counted there.
    pub(super) fn of_others(most: usize, open: Gauge) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            open,
            refused: Counter::default(),
        }
    }

    /// A place for one connection. Beyond the limit it is closed at once: what waits would wait unseen.
    fn place(&self) -> Option<Open> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let Ok(permit) = permit else {
            self.refused.inc();
            return None;
        };
        self.open.inc();
        Some(Open {
            _permit: permit,
            open: self.open.clone(),
        })
    }
}

/// An open connection, while it lives.
struct Open {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// Serves connections until `closed`, then lets those that are open end.
pub(super) async fn serve(
    listener: Listener,
    router: Router,
    limits: Limits,
    closed: CancellationToken,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closed.cancelled() => break,
            accepted = accept(&listener.0) => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if is_of_connection(&error) => continue,
            // Without descriptors the next attempt fails as well; some connection will end.
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(EXHAUSTED_TIME).await;
                continue;
            }
        };
        let Some(open) = limits.place() else { continue };
        let (router, watcher) = (router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _open = open;
            match stream {
                Stream::Tcp(stream) => connection(stream, router, watcher).await,
                Stream::Tls(stream, config) => {
                    let handshake = TlsAcceptor::from(config).accept(stream);
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, handshake).await {
                        connection(stream, router, watcher).await;
                    }
                }
                #[cfg(unix)]
                Stream::Unix(stream) => connection(stream, router, watcher).await,
            }
        });
    }
    drop(listener);
    if timeout(CLOSE_TIME, graceful.shutdown()).await.is_err() {
        tracing::debug!("connections are cut off");
    }
    Ok(())
}

enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, Arc<rustls::ServerConfig>),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

async fn accept(source: &Source) -> io::Result<Stream> {
    match source {
        Source::Tcp(listener) => tcp(listener).await.map(Stream::Tcp),
        Source::Tls(listener, config) => Ok(Stream::Tls(tcp(listener).await?, Arc::clone(config))),
        #[cfg(unix)]
        Source::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
    }
}

async fn tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    // A head and an event are two writes; without this the second waits for an acknowledgement (40 ms).
    // Who is gone already shows at the first read.
    drop(stream.set_nodelay(true));
    unread_ends(&stream);
    Ok(stream)
}

/// Ends a connection whose other end takes nothing any more, or is gone without a word.
fn unread_ends(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        let milliseconds = u32::try_from(UNREAD_TIME.as_millis()).unwrap_or(u32::MAX);
        let _set = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds);
    }
    #[cfg(unix)]
    let _set = rustix::net::sockopt::set_socket_keepalive(stream, true);
    #[cfg(not(unix))]
    let _no_way = stream;
}

/// Whether an error is about one connection that is gone already.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn connection<S>(stream: S, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (service, late) = (TowerToHyperService::new(router), Late::default());
    let stream = Lingering::new(stream, late.clone());
    let service = service_fn(move |request| unread::answered(service.clone(), request, late.clone()));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection broke off");
    }
}
