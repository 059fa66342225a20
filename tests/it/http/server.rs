//! A server over HTTP, and a client with nothing between the test and the wire.

use crate::support::Home;
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and how to reach it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: Option<String>,
    /// What it said before it served.
    pub(crate) said: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The message, whether it came alone or as the last event of a stream.
    #[track_caller]
    pub(crate) fn message(&self) -> Json {
        let events = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let text = events
            .map(str::trim)
            .rfind(|data| !data.is_empty())
            .unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Server {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", home, arguments)
    }

    /// At an address that something else has to know before.
    pub(crate) fn at(address: &str, home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<_> = ["serve", "--bind-address", address]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let mut child = home
            .command(&all)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut address) = (String::new(), None);
        while address.is_none() {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the server ended: {said}");
            address = line
                .split_once("://")
                .map(|(_, rest)| rest.trim_end().trim_end_matches("/mcp").to_owned());
            said.push_str(&line);
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::stderr()));
        let token = std::fs::read_to_string(home.path().join(".config/wassette/http-token"));
        Self {
            child,
            address: address.unwrap(),
            token: token.ok().map(|text| text.trim().to_owned()),
            said,
        }
    }

    pub(crate) fn open(home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<_> = ["--no-auth"].iter().chain(arguments).copied().collect();
        Self::start(home, &all)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as it is; what is usual and not said is added.
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        let mut add = |name: &str, value: &str| {
            if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        add("Host", &self.address);
        add("Accept", "application/json, text/event-stream");
        add("Content-Type", "application/json");
        add("Content-Length", &body.len().to_string());
        if let Some(token) = &self.token {
            add("Authorization", &format!("Bearer {token}"));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = self.connect();
        // A server that refuses early may close before everything is sent.
        let _cut = stream.write_all(&[text.as_bytes(), b"\r\n", body].concat());
        stream
    }

    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        read(self.send(line, headers, body))
    }

    /// Posts a message.
    pub(crate) fn post(&self, headers: &[(&str, &str)], message: &Json) -> Answer {
        self.ask("POST /mcp", headers, message.to_string().as_bytes())
    }

    /// A session of a client with a handshake.
    #[track_caller]
    pub(crate) fn session(&self, headers: &[(&str, &str)]) -> String {
        let answer = self.post(headers, &initialize());
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.header("mcp-session-id").unwrap().to_owned();
        let all: Vec<_> = headers
            .iter()
            .copied()
            .chain([("Mcp-Session-Id", session.as_str())])
            .collect();
        let answer = self.post(
            &all,
            &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        );
        assert_eq!(answer.status, 202, "{answer:?}");
        session
    }

    /// A stateless request with the headers that belong to it.
    pub(crate) fn modern(&self, method: &str, params: Json) -> Answer {
        self.post(&modern_headers(method, &params), &modern(method, params.clone()))
    }

    pub(crate) fn call(&self, tool: &str, arguments: Json) -> Json {
        let answer = self.modern("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.message()["result"].clone()
    }

    pub(crate) fn tools(&self) -> Vec<String> {
        let listed = self.modern("tools/list", json!({})).message();
        let tools = listed["result"]["tools"].as_array().unwrap();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = std::process::Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the process to end; how long that took.
    pub(crate) fn ended(&mut self) -> Duration {
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        begin.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn initialize() -> Json {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }})
}

pub(crate) fn modern(method: &str, mut params: Json) -> Json {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

pub(crate) fn modern_headers<'a>(method: &'a str, params: &'a Json) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
    let named = ["name", "uri", "taskId"]
        .iter()
        .find_map(|key| params[key].as_str());
    headers.extend(named.map(|name| ("Mcp-Name", name)));
    headers
}

/// Reads an answer to the end of the connection.
pub(crate) fn read(stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut stream = stream;
    // A connection that was refused early may be reset after the answer.
    let _end = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
        headers,
        body: if is_chunked {
            unchunked(body)
        } else {
            body.to_owned()
        },
    }
}

pub(crate) fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&after[..size]);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

/// Reads a stream until a line contains this, and gives the line.
pub(crate) fn wait_for(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    let begin = Instant::now();
    loop {
        let mut line = String::new();
        let count = stream.read_line(&mut line).unwrap();
        if line.contains(text) {
            return line;
        }
        assert!(count > 0 && begin.elapsed() < PATIENCE, "no `{text}`");
    }
}

/// Asks again until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn metric(admin: &str, name: &str) -> f64 {
    let mut stream = TcpStream::connect(admin).unwrap();
    let _sent = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = read(stream);
    let line = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name}: {}", answer.body))
        .parse()
        .unwrap()
}

/// How many lines of the audit file say this.
pub(crate) fn told(home: &Home, word: &str) -> usize {
    let text = std::fs::read_to_string(home.store().join("audit.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.contains(word)).count()
}

/// A port that is free now.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
