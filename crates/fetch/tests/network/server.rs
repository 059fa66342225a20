//! A server on loopback that answers byte by byte as a test says, and remembers what it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer with its true length.
    Full(u16, Vec<(String, String)>, Vec<u8>),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, then nothing for ever.
    Stall(Vec<u8>),
    /// These bytes, then a chunk again and again until nobody reads.
    Endless(Vec<u8>),
}

impl Reply {
    pub(crate) fn of(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::Full(status, headers.collect(), body.as_ref().to_vec())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::of(status, &[], "")
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::of(307, &[("location", location)], "")
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A server that runs as long as the test does.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Request>>>,
    /// Bytes that were taken by clients of [`Reply::Endless`].
    pub(crate) sent: Arc<Mutex<u64>>,
    connections: Arc<Mutex<usize>>,
}

/// A certificate for a name or address, in DER, and a server's end of TLS with it.
pub(crate) fn certificate(name: &str) -> (Vec<u8>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate.to_vec(), TlsAcceptor::from(Arc::new(config)))
}

impl Server {
    /// Plain HTTP.
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, Arc::new(handler)).await
    }

    /// HTTP over TLS.
    pub(crate) async fn tls(
        tls: TlsAcceptor,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(Some(tls), Arc::new(handler)).await
    }

    async fn with(tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            log: Arc::default(),
            sent: Arc::default(),
            connections: Arc::default(),
        };
        let running = server.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                *running.connections.lock().unwrap() += 1;
                tokio::spawn(running.clone().connection(tcp, tls.clone(), Arc::clone(&handler)));
            }
        });
        server
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Method and path of all requests so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        let requests = self.requests();
        requests
            .iter()
            .map(|one| format!("{} {}", one.method, one.path))
            .collect()
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    fn connection(
        self,
        tcp: TcpStream,
        tls: Option<TlsAcceptor>,
        handler: Handler,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            match tls {
                None => self.serve(tcp, handler).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        self.serve(stream, handler).await;
                    }
                }
            }
        })
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, handler: Handler) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            self.log.lock().unwrap().push(request.clone());
            let is_head = request.method == "HEAD";
            match handler(&request) {
                Reply::Full(status, headers, body) => {
                    let mut answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
                    for (name, value) in headers {
                        answer.push_str(&format!("{name}: {value}\r\n"));
                    }
                    let mut answer = format!("{answer}\r\n").into_bytes();
                    answer.extend(if is_head { Vec::new() } else { body });
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                    drop(stream.flush().await);
                }
                Reply::Raw(bytes) => {
                    drop(stream.write_all(&bytes).await);
                    drop(stream.shutdown().await);
                    return;
                }
                Reply::Stall(bytes) => {
                    drop(stream.write_all(&bytes).await);
                    drop(stream.flush().await);
                    tokio::time::sleep(Duration::from_secs(600)).await;
                }
                Reply::Endless(head) => {
                    drop(stream.write_all(&head).await);
                    let chunk = vec![b' '; 64 << 10];
                    while stream.write_all(&chunk).await.is_ok() {
                        *self.sent.lock().unwrap() += 64 << 10;
                    }
                    return;
                }
            }
        }
    }
}

/// Reads a request; what is no HTTP gets an answer in plain text, as of every web server.
async fn read(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head[0] == 0x16 {
            drop(
                stream
                    .write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
                    .await,
            );
            drop(stream.shutdown().await);
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}
