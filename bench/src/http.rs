//! Calls over HTTP: an echo through the sandbox, beside a native tool of the same endpoint and a server on the official
//! SDK, with few and with many connections. The client writes requests as they are and reads answers to their end.

use crate::client::command;
use crate::report::{Sample, quantile};
use crate::targets::Bench;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How long each target is called in one round.
const CALLS_TIME: Duration = Duration::from_millis(500);

/// Calls before the first round.
const WARM_UP_TIME: Duration = Duration::from_secs(1);

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

const JSON: [(usize, &str); 4] = [
    (1, "HTTP, JSON, 1 connection"),
    (16, "HTTP, JSON, 16 connections"),
    (64, "HTTP, JSON, 64 connections"),
    (256, "HTTP, JSON, 256 connections"),
];

const STREAMS: [(usize, &str); 4] = [
    (1, "HTTP, SSE, 1 connection"),
    (16, "HTTP, SSE, 16 connections"),
    (64, "HTTP, SSE, 64 connections"),
    (256, "HTTP, SSE, 256 connections"),
];

/// A server that listens, and what each call sends to it.
pub(crate) struct Target {
    name: &'static str,
    address: String,
    request: Arc<[u8]>,
}

/// A process that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Bench<'_> {
    /// Calls over HTTP with 1, 16, 64 and 256 connections.
    pub(crate) fn http(&mut self) -> Result<()> {
        if !self.wants("http") {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (_wassette, address) = self.endpoint(&self.plan.wassette)?;
        let native = self.plan.wassette_native.as_deref();
        let (_native, native_address) = self.endpoint(native.context("no `--wassette-native`")?)?;
        let (_node, node_json) = self.node_server(&[])?;
        let (_streaming, node_sse) = self.node_server(&["--sse"])?;
        let function = self.guests.first().context("no guest")?.function.clone();
        let id = self.guests.first().context("no guest")?.name();
        let echo = json!({ "name": format!("{id}_{function}"), "arguments": { "v": "hello" } });
        let native = json!({ "name": "native-echo", "arguments": { "v": "hello" } });
        let node = json!({ "name": "echo", "arguments": { "v": "hello" } });
        let targets = [
            Target::new("wassette", &address, stateless(&echo)),
            Target::new("wassette, native tool", &native_address, stateless(&native)),
            Target::new("node-sdk", &node_json, before(&node, None)),
        ];
        self.http_rounds(&runtime, &targets, &JSON)?;
        let session_id = runtime.block_on(session(&address))?;
        let native_session = runtime.block_on(session(&native_address))?;
        let targets = [
            Target::new("wassette", &address, before(&echo, Some(&session_id))),
            Target::new(
                "wassette, native tool",
                &native_address,
                before(&native, Some(&native_session)),
            ),
            Target::new("node-sdk", &node_sse, before(&node, None)),
        ];
        self.http_rounds(&runtime, &targets, &STREAMS)
    }

    fn http_rounds(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        targets: &[Target],
        scenarios: &[(usize, &'static str)],
    ) -> Result<()> {
        for (connections, scenario) in scenarios {
            eprintln!("measuring {scenario}");
            for target in targets {
                runtime.block_on(target.load(*connections, WARM_UP_TIME))?;
            }
            for round in 0..self.plan.rounds {
                for target in targets {
                    let mut times = runtime.block_on(target.load(*connections, CALLS_TIME))?;
                    let per_second = times.len() as f64 / CALLS_TIME.as_secs_f64();
                    times.sort_by(f64::total_cmp);
                    let figures = vec![
                        ("calls/s", per_second),
                        ("p50 µs", quantile(&times, 50)),
                        ("p99 µs", quantile(&times, 99)),
                    ];
                    self.samples
                        .push(Sample::new(scenario, target.name, round, figures));
                }
            }
        }
        Ok(())
    }

    /// Without a limit on the rate: one client stands for many here.
    fn endpoint(&self, program: &Path) -> Result<(Running, String)> {
        let address = free_address()?;
        let words: Vec<OsString> = vec![
            program.into(),
            "--component-dir".into(),
            self.one.clone().into(),
            "serve".into(),
            "--no-auth".into(),
            "--requests-per-second".into(),
            "1000000".into(),
            "--bind-address".into(),
            address.clone().into(),
        ];
        start(self.scratch.path(), &words, address)
    }

    fn node_server(&self, more: &[&str]) -> Result<(Running, String)> {
        let address = free_address()?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let script = self
            .plan
            .node_http_server
            .clone()
            .context("no `--node-http-server`")?;
        let mut words: Vec<OsString> = vec![self.plan.node.clone().into(), script.into(), port.into()];
        words.extend(more.iter().map(OsString::from));
        start(self.scratch.path(), &words, address)
    }
}

pub(crate) fn start(folder: &Path, words: &[OsString], address: String) -> Result<(Running, String)> {
    let child = command(words, folder)?
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {words:?}"))?;
    let running = Running(child);
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(&address).is_err() {
        ensure!(Instant::now() < until, "{words:?} does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((running, address))
}

/// Free a moment ago, and nobody else takes ports here.
pub(crate) fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn message(headers: &str, body: &Json) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A call of 2026-07-28.
pub(crate) fn stateless(call: &Json) -> Vec<u8> {
    let mut params = call.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = call["name"].as_str().unwrap_or_default();
    let headers =
        format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    message(&headers, &body)
}

/// A call of the revisions with a handshake.
pub(crate) fn before(call: &Json, session: Option<&str>) -> Vec<u8> {
    let session = session.map_or_else(String::new, |id| format!("Mcp-Session-Id: {id}\r\n"));
    let body = json!({ "jsonrpc": "2.0", "id": ID, "method": "tools/call", "params": call });
    message(&format!("MCP-Protocol-Version: 2025-06-18\r\n{session}"), &body)
}

/// Stands for the id of a request: ids of one session must differ while they run.
const ID: u64 = 1_000_000_000;

/// Shakes hands, and gives the session.
pub(crate) async fn session(address: &str) -> Result<String> {
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "bench", "version": "0" },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let mut connection = BufReader::new(TcpStream::connect(address).await?);
    connection.write_all(&message("", &body)).await?;
    let head = answer(&mut connection).await?;
    let id = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("mcp-session-id")
            .then(|| value.trim().to_owned())
    });
    let id = id.context("no session")?;
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let headers = format!("Mcp-Session-Id: {id}\r\n");
    connection.write_all(&message(&headers, &body)).await?;
    answer(&mut connection).await?;
    Ok(id)
}

/// Says that a session is over.
pub(crate) async fn end_session(address: &str, id: &str) -> Result<()> {
    let request = format!("DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nMcp-Session-Id: {id}\r\n\r\n");
    let mut connection = BufReader::new(TcpStream::connect(address).await?);
    connection.write_all(request.as_bytes()).await?;
    answer(&mut connection).await?;
    Ok(())
}

impl Target {
    pub(crate) fn new(name: &'static str, address: &str, request: Vec<u8>) -> Self {
        Self {
            name,
            address: address.to_owned(),
            request: request.into(),
        }
    }

    /// Calls on so many connections for a while; gives the microseconds of each call.
    pub(crate) async fn load(&self, connections: usize, time: Duration) -> Result<Vec<f64>> {
        self.paced_load(connections, time, None).await
    }

    /// The same with so long from the begin of a call to that of the next on its connection. What comes late is made up
    /// for, so that the rate holds.
    pub(crate) async fn paced_load(
        &self,
        connections: usize,
        time: Duration,
        every: Option<Duration>,
    ) -> Result<Vec<f64>> {
        let mut open = Vec::with_capacity(connections);
        for number in 0..connections {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            // As long as the id it stands for.
            let id = (ID + 1 + number as u64).to_string();
            let request = replaced(&self.request, ID.to_string().as_bytes(), id.as_bytes());
            open.push((BufReader::new(stream), request));
        }
        let until = Instant::now() + time;
        let calls = open.into_iter().map(|(mut connection, request)| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut ticks = every.map(tokio::time::interval);
                while Instant::now() < until {
                    if let Some(ticks) = &mut ticks {
                        ticks.tick().await;
                    }
                    let begin = Instant::now();
                    connection.write_all(&request).await?;
                    answer(&mut connection).await?;
                    times.push(begin.elapsed().as_secs_f64() * 1e6);
                }
                anyhow::Ok(times)
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut all = Vec::new();
        for call in calls {
            all.extend(call.await??);
        }
        Ok(all)
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = bytes.windows(from.len()).position(|window| window == from)
        && let Some(place) = bytes.get_mut(at..at + to.len())
    {
        place.copy_from_slice(to);
    }
    bytes
}

/// Reads one answer to its end, and gives its head. One that is no success ends the measurement.
async fn answer(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        ensure!(
            connection.read_line(&mut head).await? > 0,
            "the server closed the connection"
        );
        if head.get(before..) == Some("\r\n") {
            break;
        }
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut size = String::new();
            connection.read_line(&mut size).await?;
            let size = usize::from_str_radix(size.trim(), 16).context("a chunk without a size")?;
            let begin = body.len();
            body.resize(begin + size + 2, 0);
            connection
                .read_exact(body.get_mut(begin..).unwrap_or_default())
                .await?;
            body.truncate(begin + size);
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(header("content-length").unwrap_or("0").parse()?, 0);
        connection.read_exact(&mut body).await?;
    }
    let text = String::from_utf8_lossy(&body);
    if !head.starts_with("HTTP/1.1 2") || text.contains("\"error\"") || text.contains("\"isError\":true") {
        bail!("a call failed: {head}{text}");
    }
    Ok(head)
}
