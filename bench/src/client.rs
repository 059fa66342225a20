//! A client that costs a few microseconds: JSON lines over pipes, time taken before an answer is parsed.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The revision every target speaks.
pub(crate) const PROTOCOL: &str = "2025-06-18";

/// What every echo is sent and must return.
const TEXT: &str = "hello world";

/// How long a server may take to end after its input is closed.
const STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// A server to measure.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) command: Vec<OsString>,
    /// The function to call; its tool is the one whose name ends with it.
    pub(crate) function: Option<String>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

/// An answer and when it had arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) bytes: usize,
    pub(crate) result: Json,
    id: u64,
}

/// All pages of a tool list.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) tools: Vec<Json>,
    pub(crate) bytes: usize,
    /// Between each request and its answer; what this client does with a page does not count.
    pub(crate) time: Duration,
}

/// Latencies in microseconds of calls made one after another or several at a time.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) latencies_us: Vec<f64>,
    pub(crate) elapsed: Duration,
}

impl Server {
    /// Starts a server with nothing in its environment but `PATH` and a home that is `folder`.
    pub(crate) fn start(target: &Target, folder: &Path) -> Result<Self> {
        let mut child = command(&target.command, folder)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {:?}", target.command))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no pipe")?;
        Ok(Self {
            child,
            input,
            output: BufReader::with_capacity(1 << 20, output),
            next_id: 1,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says hello, and returns when the answer had arrived.
    pub(crate) fn initialize(&mut self) -> Result<Instant> {
        let hello = json!({
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": { "name": "bench", "version": "0" },
        });
        let answer = self.request("initialize", &hello.to_string())?;
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(answer.at)
    }

    /// Sends one request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, params: &str) -> Result<Answer> {
        let id = self.post(method, params)?;
        let answer = self.receive()?;
        ensure!(answer.id == id, "answer {} came for request {id}", answer.id);
        Ok(answer)
    }

    /// All pages of the tool list.
    pub(crate) fn list(&mut self) -> Result<List> {
        let mut list = List::default();
        let mut params = "{}".to_owned();
        loop {
            let start = Instant::now();
            let mut answer = self.request("tools/list", &params)?;
            list.time += answer.at - start;
            list.bytes += answer.bytes;
            let page = answer.result["tools"].as_array_mut();
            list.tools.append(page.context("`tools/list` answered no tools")?);
            let Some(cursor) = answer.result["nextCursor"].as_str() else {
                return Ok(list);
            };
            params = json!({ "cursor": cursor }).to_string();
        }
    }

    /// The parameters of a call of `function` with its one string, tried once.
    pub(crate) fn find_call(&mut self, function: &str) -> Result<String> {
        let tools = self.list()?.tools;
        let call = call_of(&tools, function).with_context(|| format!("no tool `{function}`"))?;
        let answer = self.request("tools/call", &call)?;
        ensure!(
            answer.result.to_string().contains(TEXT),
            "`{function}` answered {}",
            answer.result
        );
        Ok(call)
    }

    /// Calls for `time`, with `in_flight` requests at a time.
    pub(crate) fn calls(&mut self, call: &str, in_flight: usize, time: Duration) -> Result<Calls> {
        let mut latencies_us = Vec::new();
        let mut sent: HashMap<u64, Instant> = HashMap::with_capacity(in_flight);
        let start = Instant::now();
        loop {
            while sent.len() < in_flight && start.elapsed() < time {
                let now = Instant::now();
                sent.insert(self.post("tools/call", call)?, now);
            }
            if sent.is_empty() {
                break;
            }
            let answer = self.receive()?;
            let begun = sent.remove(&answer.id).context("an answer to no request")?;
            latencies_us.push((answer.at - begun).as_nanos() as f64 / 1e3);
        }
        let elapsed = start.elapsed();
        Ok(Calls {
            latencies_us,
            elapsed,
        })
    }

    fn post(&mut self, method: &str, params: &str) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ))?;
        Ok(id)
    }

    fn send(&mut self, message: &str) -> Result<()> {
        let mut line = String::with_capacity(message.len() + 1);
        line.push_str(message);
        line.push('\n');
        let input = self.input.as_mut().context("the server's input is closed")?;
        input
            .write_all(line.as_bytes())
            .context("the server reads no more")
    }

    /// The next answer; notifications are skipped.
    fn receive(&mut self) -> Result<Answer> {
        let mut line = String::new();
        loop {
            line.clear();
            let bytes = self.output.read_line(&mut line)?;
            let at = Instant::now();
            ensure!(bytes > 0, "the server closed its output");
            let mut message: Json = serde_json::from_str(&line)?;
            let Some(id) = message["id"].as_u64() else {
                continue;
            };
            let result = message["result"].take();
            ensure!(
                result.is_object() && result["isError"] != true,
                "the server answered {}",
                line.trim()
            );
            return Ok(Answer {
                at,
                bytes,
                result,
                id,
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let start = Instant::now();
        while start.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // It may have ended meanwhile; then there is nothing to kill.
        let _ignored = self.child.kill();
        let _ignored = self.child.wait();
    }
}

/// A command with nothing in its environment but `PATH` and a home.
pub(crate) fn command(words: &[OsString], folder: &Path) -> Result<Command> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .current_dir(folder);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    Ok(command)
}

fn call_of(tools: &[Json], function: &str) -> Option<String> {
    let is_its = |tool: &&Json| {
        let name = tool["name"].as_str().unwrap_or_default();
        name == function || name.ends_with(&format!("_{function}"))
    };
    let tool = tools.iter().find(is_its)?;
    let (parameter, _) = tool["inputSchema"]["properties"].as_object()?.iter().next()?;
    Some(json!({ "name": tool["name"], "arguments": { parameter: TEXT } }).to_string())
}

/// Where a scenario may write; removed with the value.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder `name` below `parent`.
    pub(crate) fn new(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is below the system's folder for temporary files.
        let _ignored = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_behind_the_component_id() {
        let tool = |name: &str| json!({ "name": name, "inputSchema": { "properties": { "v": {} } } });
        let tools = [tool("kitchen_echo-strings"), tool("kitchen_echo-string")];
        let call = r#"{"name":"kitchen_echo-string","arguments":{"v":"hello world"}}"#;
        assert_eq!(call_of(&tools, "echo-string").as_deref(), Some(call));
        assert_eq!(call_of(&tools, "string"), None);
    }
}
