//! One request and one answer over a connection of our own.
//!
//! Written on `hyper` because whoever connects decides where to: the name is resolved once, every address is
//! checked, and the connection goes to what was checked. There is no proxy, no redirect and no decompression
//! here, and nothing is read that has no limit. Connections are kept for a short while, because one artifact
//! takes several requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri, response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use wassette_store::{Digest, DigestBuilder};

use super::reach::{self, Reach};
use super::{NetworkError, Progress};

/// Longest time for a name, a connection and TLS together.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Most bytes of the head of an answer; the buffer for reading is as large.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Most fields in the head of an answer.
const FIELDS_MAX: usize = 100;

/// How long a connection without a request is kept.
const KEEP_TIME_MAX: Duration = Duration::from_secs(15);

/// Most connections without a request.
const KEPT_MAX: usize = 16;

/// Bytes that are sent in the time in which an answer must begin; more bytes get as many times longer.
const SEND_BYTES_PER_IDLE: u64 = 4 << 20;

/// A request, whole.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The head of an answer, and the connection on which the rest comes.
pub(crate) struct Reply {
    pub(crate) head: response::Parts,
    host: String,
    body: Incoming,
    connection: Kept,
}

/// How much of an answer is taken.
pub(crate) struct Take<'a> {
    /// What is fetched, for messages.
    pub(crate) what: &'a str,
    pub(crate) bytes_max: u64,
    pub(crate) progress: Option<&'a Progress<'a>>,
}

/// The rest of an answer.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

pub(crate) struct Transport {
    tls: TlsConnector,
    kept: Mutex<Vec<Kept>>,
    idle_max: Duration,
}

struct Kept {
    origin: (bool, String),
    peer: IpAddr,
    sender: http1::SendRequest<Full<Bytes>>,
    since: Instant,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Transport {
    /// Trusts the roots of browsers (`webpki-roots`) and these, in DER.
    pub(crate) fn new(extra_roots: &[Vec<u8>], idle_max: Duration) -> Result<Self, rustls::Error> {
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
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            kept: Mutex::new(Vec::new()),
            idle_max,
        })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&self, message: &Message, reach: &Reach) -> Result<Reply, NetworkError> {
        reach.check_scheme(&message.url)?;
        let host = reach::host(&message.url);
        // What may not be sent twice is not sent on a connection that the other side may have closed.
        if matches!(message.method, Method::GET | Method::HEAD)
            && let Some(kept) = self.kept(&message.url, reach)
            && let Ok(reply) = self.send_on(kept, message, &host).await
        {
            return Ok(reply);
        }
        let connection = self.connect(&message.url, reach).await?;
        self.send_on(connection, message, &host).await
    }

    async fn send_on(&self, mut kept: Kept, message: &Message, host: &str) -> Result<Reply, NetworkError> {
        let broken = |source| NetworkError::Broken {
            host: host.to_owned(),
            source,
        };
        let request = request(message, host)?;
        let bytes = u64::try_from(message.body.len()).unwrap_or(u64::MAX);
        let times = u32::try_from(1 + bytes / SEND_BYTES_PER_IDLE).unwrap_or(u32::MAX);
        let time_max = self.idle_max.saturating_mul(times);
        let answered = timeout(time_max, async {
            kept.sender.ready().await?;
            kept.sender.send_request(request).await
        });
        let response = answered
            .await
            .map_err(|_elapsed| NetworkError::Idle {
                host: host.to_owned(),
                time_max,
            })?
            .map_err(broken)?;
        let (head, body) = response.into_parts();
        Ok(Reply {
            head,
            host: host.to_owned(),
            body,
            connection: kept,
        })
    }

    /// Reads the rest of an answer, and an error beyond the limit.
    pub(crate) async fn read(&self, mut reply: Reply, take: &Take<'_>) -> Result<Body, NetworkError> {
        let too_large = || NetworkError::TooLarge {
            what: take.what.to_owned(),
            bytes_max: take.bytes_max,
        };
        let total = reply.body.size_hint().exact();
        if total.is_some_and(|total| total > take.bytes_max) {
            return Err(too_large());
        }
        // Not reserved by what the other side says: it costs nothing to say it.
        let (mut bytes, mut digest) = (Vec::new(), DigestBuilder::new());
        while let Some(piece) = self.piece(&mut reply).await? {
            digest.update(&piece);
            bytes.extend_from_slice(&piece);
            let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if received > take.bytes_max {
                return Err(too_large());
            }
            if let Some(progress) = take.progress {
                progress(super::Received { received, total });
            }
        }
        self.keep(reply.connection);
        Ok(Body {
            bytes,
            digest: digest.finish(),
        })
    }

    /// Reads at most this many bytes of an answer, and leaves the rest.
    pub(crate) async fn read_start(
        &self,
        mut reply: Reply,
        bytes_max: usize,
    ) -> Result<Vec<u8>, NetworkError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut reply).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() >= bytes_max {
                bytes.truncate(bytes_max);
                return Ok(bytes);
            }
        }
        self.keep(reply.connection);
        Ok(bytes)
    }

    async fn piece(&self, reply: &mut Reply) -> Result<Option<Bytes>, NetworkError> {
        loop {
            let frame = timeout(self.idle_max, reply.body.frame()).await;
            let frame = frame.map_err(|_elapsed| NetworkError::Idle {
                host: reply.host.clone(),
                time_max: self.idle_max,
            })?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|source| NetworkError::Broken {
                host: reply.host.clone(),
                source,
            })?;
            // Fields after the body are of no use here.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// A connection to this server that is still open, to an address that may be reached.
    fn kept(&self, url: &Url, reach: &Reach) -> Option<Kept> {
        let mut kept = self.lock();
        kept.retain(|one| !one.sender.is_closed() && one.since.elapsed() < KEEP_TIME_MAX);
        let origin = origin(url);
        let index = kept
            .iter()
            .rposition(|one| one.origin == origin && reach.permits(one.peer))?;
        Some(kept.swap_remove(index))
    }

    fn keep(&self, connection: Kept) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(Kept {
                since: Instant::now(),
                ..connection
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, url: &Url, reach: &Reach) -> Result<Kept, NetworkError> {
        let host = reach::host(url);
        let late = || NetworkError::ConnectTime {
            host: host.clone(),
            time_max: CONNECT_TIME_MAX,
        };
        let deadline = Instant::now() + CONNECT_TIME_MAX;
        let addresses = timeout_at(deadline, addresses(url))
            .await
            .map_err(|_elapsed| late())??;
        check_addresses(url, &addresses, reach)?;
        let tcp = timeout_at(deadline, TcpStream::connect(addresses.as_slice())).await;
        let failed = |source| NetworkError::Connect {
            host: host.clone(),
            source,
        };
        let tcp = tcp.map_err(|_elapsed| late())?.map_err(failed)?;
        // hyper writes whole messages; without this, small ones wait for nothing.
        drop(tcp.set_nodelay(true));
        let peer = tcp.peer_addr().map_err(failed)?.ip();
        let stream: Box<dyn Stream> = if url.scheme() == "https" {
            let connected = timeout_at(deadline, self.tls.connect(server_name(url)?, tcp)).await;
            Box::new(
                connected
                    .map_err(|_elapsed| late())?
                    .map_err(|error| tls_error(&host, error))?,
            )
        } else {
            Box::new(tcp)
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(FIELDS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| NetworkError::Broken {
                host: host.clone(),
                source,
            })?;
        // Ends when the sender and the body it serves are gone; what fails there is reported by them.
        drop(tokio::spawn(connection));
        Ok(Kept {
            origin: origin(url),
            peer,
            sender,
            since: Instant::now(),
        })
    }
}

fn request(message: &Message, host: &str) -> Result<Request<Full<Bytes>>, NetworkError> {
    let wrong = NetworkError::Protocol {
        host: host.to_owned(),
        reason: "a URL that cannot be asked for",
    };
    let path = match message.url.query() {
        Some(query) => format!("{}?{query}", message.url.path()),
        None => message.url.path().to_owned(),
    };
    let (Ok(uri), Ok(host)) = (Uri::try_from(path), HeaderValue::from_str(host)) else {
        return Err(wrong);
    };
    let mut request = Request::new(Full::new(message.body.clone()));
    *request.method_mut() = message.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = message.headers.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    let agent = concat!("wassette/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    // A digest is of what is stored; and what is not unpacked cannot burst.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(request)
}

fn origin(url: &Url) -> (bool, String) {
    (url.scheme() == "https", reach::host(url))
}

async fn addresses(url: &Url) -> Result<Vec<SocketAddr>, NetworkError> {
    let port = url.port_or_known_default().unwrap_or_default();
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, port)).await {
            Ok(found) => Ok(found.collect()),
            Err(source) => Err(NetworkError::Connect {
                host: reach::host(url),
                source,
            }),
        },
        None => Ok(Vec::new()),
    }
}

/// SECURITY: one forbidden address among others is enough to refuse: a name that leads to both is made for that.
fn check_addresses(url: &Url, addresses: &[SocketAddr], reach: &Reach) -> Result<(), NetworkError> {
    let is_plain = url.scheme() != "https";
    let may = |address: &SocketAddr| {
        reach.permits(address.ip()) && (!is_plain || address.ip().to_canonical().is_loopback())
    };
    if addresses.iter().all(may) {
        return Ok(());
    }
    Err(NetworkError::Address {
        host: reach::host(url),
    })
}

fn server_name(url: &Url) -> Result<ServerName<'static>, NetworkError> {
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::from(IpAddr::V4(address))),
        Some(Host::Ipv6(address)) => Some(ServerName::from(IpAddr::V6(address))),
        None => None,
    };
    name.ok_or_else(|| NetworkError::Protocol {
        host: reach::host(url),
        reason: "a host that no certificate can name",
    })
}

fn tls_error(host: &str, error: std::io::Error) -> NetworkError {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let host = host.to_owned();
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            NetworkError::UnknownIssuer { host }
        }
        Some(rustls::Error::InvalidMessage(_)) => NetworkError::NotTls { host },
        None if matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        ) =>
        {
            NetworkError::NotTls { host }
        }
        Some(_) | None => NetworkError::Tls { host, source: error },
    }
}
