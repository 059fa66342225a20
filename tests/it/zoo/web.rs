//! Servers on loopback: one that is granted and behaves as badly as its paths say, and one nobody may reach.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server that counts who comes.
pub(crate) struct Canary {
    port: u16,
    visits: Arc<AtomicUsize>,
    udp: UdpSocket,
}

impl Canary {
    pub(crate) fn start() -> Self {
        // The same port for TCP and UDP, so that one address names both; another process may hold the other one.
        loop {
            if let Some(canary) = Self::at("127.0.0.1:0") {
                return canary;
            }
        }
    }

    /// At one address, if it can be had.
    pub(crate) fn at(address: &str) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let udp = UdpSocket::bind(listener.local_addr().unwrap()).ok()?;
        udp.set_nonblocking(true).unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let port = listener.local_addr().unwrap().port();
        let count = Arc::clone(&visits);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, SeqCst);
                drop(stream);
            }
        });
        Some(Self { port, visits, udp })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many came, over TCP or UDP.
    pub(crate) fn visits(&self) -> usize {
        // What was sent on loopback is there at once, but the thread that counts may not have run.
        thread::sleep(Duration::from_millis(50));
        let mut datagrams = 0;
        while self.udp.recv_from(&mut [0; 64]).is_ok() {
            datagrams += 1;
        }
        self.visits.load(SeqCst) + datagrams
    }

    #[track_caller]
    pub(crate) fn alone(&self) {
        assert_eq!(self.visits(), 0, "the canary was reached");
    }
}

/// A server over HTTP.
pub(crate) struct Web {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
    busy: Arc<Busy>,
}

#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
    /// Bytes of bodies that were swallowed.
    swallowed: AtomicUsize,
}

impl Web {
    pub(crate) fn start() -> Self {
        Self::redirecting("")
    }

    /// A server whose `/redirect` leads there.
    pub(crate) fn redirecting(location: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, busy) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Busy::default()));
        let (kept, count, location) = (Arc::clone(&log), Arc::clone(&busy), location.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, busy, location) = (Arc::clone(&kept), Arc::clone(&count), location.clone());
                thread::spawn(move || {
                    busy.most.fetch_max(busy.now.fetch_add(1, SeqCst) + 1, SeqCst);
                    // A client that goes away is what most attacks come to.
                    drop(serve(&stream, &log, &busy, &location));
                    busy.now.fetch_sub(1, SeqCst);
                    drop(linger(&stream));
                });
            }
        });
        Self { port, log, busy }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        thread::sleep(Duration::from_millis(50));
        self.log.lock().unwrap().clone()
    }

    /// The most connections at a time.
    pub(crate) fn most(&self) -> usize {
        self.busy.most.load(SeqCst)
    }

    pub(crate) fn swallowed(&self) -> usize {
        self.busy.swallowed.load(SeqCst)
    }

    /// No head of a request holds this.
    #[track_caller]
    pub(crate) fn never(&self, text: &str) {
        let heads = self.heads();
        assert!(
            heads
                .iter()
                .all(|head| !head.to_lowercase().contains(&text.to_lowercase())),
            "{text:?} in {heads:#?}"
        );
    }
}

/// Ends a connection without losing the answer: a socket that is closed with bytes it did not read, like the end of
/// a body in chunks, is reset, and what the client has not read yet is gone.
fn linger(stream: &TcpStream) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    std::io::copy(&mut stream.take(16 << 20), &mut std::io::sink())?;
    Ok(())
}

fn serve(mut out: &TcpStream, log: &Mutex<Vec<String>>, busy: &Busy, location: &str) -> std::io::Result<()> {
    out.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(out);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    log.lock().unwrap().push(head.clone());
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let plain = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let secret = header(&head, "authorization");
    match path.as_str() {
        "/redirect" => out.write_all(
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
        ),
        "/admin" => out.write_all(plain("the admin page").as_bytes()),
        "/silent" => pause(20),
        "/drip" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
            loop {
                out.write_all(b"x")?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        "/endless" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                out.write_all(&[b'x'; 64 << 10])?;
            }
        }
        "/swallow" => {
            let mut chunk = vec![0; 64 << 10];
            loop {
                let count = reader.read(&mut chunk)?;
                if count == 0 {
                    return Ok(());
                }
                busy.swallowed.fetch_add(count, SeqCst);
            }
        }
        "/long-header" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
            for _ in 0..1024 {
                out.write_all(&[b'x'; 16 << 10])?;
            }
            out.write_all(b"\r\ncontent-length: 0\r\n\r\n")
        }
        "/many-headers" => {
            out.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for index in 0..100_000 {
                out.write_all(format!("x-{index}: 1\r\n").as_bytes())?;
            }
            out.write_all(b"content-length: 0\r\n\r\n")
        }
        "/long-status" => {
            out.write_all(b"HTTP/1.1 200 ")?;
            for _ in 0..1024 {
                out.write_all(&[b'x'; 16 << 10])?;
            }
            Ok(())
        }
        "/short" => out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"),
        "/negative" => out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nshort"),
        "/two-lengths" => out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nshort"),
        "/garbage" => out.write_all(b"\0\x01\x02 this is not HTTP\r\n\r\n"),
        "/bad-chunks" => out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n"),
        "/reset" => Ok(()),
        "/echo" => out.write_all(plain(&head).as_bytes()),
        "/echo-slowly" => {
            out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            out.set_nodelay(true)?;
            for byte in secret.bytes() {
                out.write_all(&[byte])?;
                thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
        "/echo-twice" => out.write_all(plain(&format!("{secret}{secret}x{secret}")).as_bytes()),
        "/echo-header" => out.write_all(
            format!("HTTP/1.1 200 OK\r\nx-echo: {secret}\r\nset-cookie: {secret}; path=/\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").as_bytes(),
        ),
        "/echo-status" => {
            out.write_all(format!("HTTP/1.1 200 {secret}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").as_bytes())
        }
        "/echo-chunks" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")?;
            for byte in secret.bytes() {
                out.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])?;
            }
            out.write_all(b"0\r\n\r\n")
        }
        "/echo-encoded" => out.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\x1f\x8b\x08\x00",
        ),
        "/count" => {
            let lines = head.lines().filter(|line| line.to_lowercase().starts_with("authorization:"));
            let all: Vec<_> = lines.map(|line| line.contains("forged").to_string()).collect();
            out.write_all(plain(&all.join(",")).as_bytes())
        }
        _ => {
            let length = header(&head, "content-length").trim().parse().unwrap_or(0);
            drop(reader.by_ref().take(length).read_to_end(&mut Vec::new()));
            out.write_all(plain("hello").as_bytes())
        }
    }
}

fn pause(seconds: u64) -> std::io::Result<()> {
    thread::sleep(Duration::from_secs(seconds));
    Ok(())
}

fn header(head: &str, name: &str) -> String {
    let found = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = found.filter(|(given, _)| given.eq_ignore_ascii_case(name));
    found
        .next()
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}
