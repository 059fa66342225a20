//! Servers on loopback that behave as they are told, and remember what they were sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a server does with a connection, one after the other, and closes it then.
#[derive(Clone)]
pub(crate) enum Step {
    /// Reads a request to its end.
    Read,
    /// Reads the head of a request, and leaves its body.
    ReadHead,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends the request back, as it came.
    Echo,
    Wait(Duration),
    /// Sends the same bytes until nobody takes them any more.
    Flood(Vec<u8>),
    /// Does nothing for ever.
    Hold,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `text` with the line ends of HTTP.
pub(crate) fn send(text: &str) -> Step {
    Step::Send(text.replace('\n', "\r\n").into_bytes())
}

/// An answer with this body.
pub(crate) fn answer(body: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\ncontent-length: {}\n\n", body.len());
    vec![Step::Read, send(&head), Step::Send(body.as_bytes().to_vec())]
}

impl Server {
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        Self::serve(steps, None).await
    }

    /// Speaks TLS first, with this certificate.
    pub(crate) async fn start_tls(steps: Vec<Step>, tls: TlsAcceptor) -> Self {
        Self::serve(steps, Some(tls)).await
    }

    async fn serve(steps: Vec<Step>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::default()));
        let (counted, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((tcp, _peer)) = listener.accept().await {
                counted.fetch_add(1, Relaxed);
                let (steps, seen, tls) = (steps.clone(), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => play(tcp, &steps, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                play(stream, &steps, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
            requests,
            task,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections it had.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Requests it read, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, steps: &[Step], seen: &Mutex<Vec<String>>) {
    let mut request = String::new();
    for step in steps {
        let done = match step {
            Step::Read => {
                request = read(&mut stream, is_whole).await;
                seen.lock().unwrap().push(request.clone());
                Ok(())
            }
            Step::ReadHead => {
                request = read(&mut stream, has_head).await;
                seen.lock().unwrap().push(request.clone());
                Ok(())
            }
            Step::Send(bytes) => stream.write_all(bytes).await,
            Step::Echo => stream.write_all(request.as_bytes()).await,
            Step::Wait(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Step::Flood(bytes) => loop {
                if let Err(error) = stream.write_all(bytes).await {
                    break Err(error);
                }
            },
            Step::Hold => std::future::pending().await,
        };
        if done.is_err() {
            return;
        }
    }
    let _gone = stream.shutdown().await;
}

/// Reads until there is enough of a request.
async fn read(stream: &mut (impl AsyncRead + Unpin), is_enough: fn(&str) -> bool) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if is_enough(&text) {
            return text;
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn has_head(request: &str) -> bool {
    request.contains("\r\n\r\n")
}

/// Has a head, and the body it announces.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => !head.contains("chunked") || body.ends_with("0\r\n\r\n"),
    }
}
