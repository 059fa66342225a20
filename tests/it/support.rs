//! What the end-to-end tests share: a program in a home of its own, and an MCP client that speaks lines.

use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for any answer. Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A component built by `cargo xtask guests`: this run's own build where there is one, else the checked-in one.
pub(crate) fn guest(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    let own = std::env::var_os("WASSETTE_GUESTS").map(|folder| PathBuf::from(folder).join(&file));
    own.filter(|path| path.exists())
        .unwrap_or_else(|| root().join("tests/guests/built").join(&file))
}

/// An empty home with a store in it.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join(".local/share/wassette/components")
    }

    /// Writes a component from `tests/components` as binary, and says where it is.
    pub(crate) fn wat(&self, name: &str) -> PathBuf {
        let text = root().join("tests/components").join(name).with_extension("wat");
        self.file(&format!("{name}.wasm"), &wat::parse_file(text).unwrap())
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program, with nothing of our environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wassette"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("WASSETTE_KEY_PASSPHRASE", "a test's passphrase")
            .current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs a command that must succeed, and reads what it prints as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Json {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Loads a component that must load.
    #[track_caller]
    pub(crate) fn load(&self, path: &Path) -> Json {
        self.json(&["component", "load", path.to_str().unwrap()])
    }

    /// The lines of the audit file; of one that is just being written there is a part, which is none.
    pub(crate) fn audit(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.store().join("audit.jsonl")).unwrap();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Client {
        let arguments: Vec<_> = ["run"].iter().chain(arguments).copied().collect();
        Client::start(self.command(&arguments))
    }
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// An MCP client with nothing between the test and the wire.
pub(crate) struct Client {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Notifications and questions that came while an answer was waited for.
    pub(crate) notifications: Vec<Json>,
    next_id: u64,
}

impl Client {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            notifications: Vec::new(),
            next_id: 1,
        }
    }

    /// A client that has shaken hands, of the revisions that do.
    pub(crate) fn initialized(home: &Home, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = ["run"].iter().chain(arguments).copied().collect();
        Self::shaken(home.command(&arguments))
    }

    /// As [`Client::initialized`], for a server that is started as the caller says.
    pub(crate) fn shaken(command: Command) -> Self {
        Self::able(command, json!({}))
    }

    /// As [`Client::shaken`], of a client that can do something.
    pub(crate) fn able(command: Command, capabilities: Json) -> Self {
        let mut client = Self::start(command);
        let answer = client.request(
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "it", "version": "0" } }),
        );
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.notify("notifications/initialized", json!({}));
        client
    }

    pub(crate) fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin
            .write_all(line.as_bytes())
            .and_then(|()| stdin.write_all(b"\n"))
            .and_then(|()| stdin.flush())
            .unwrap();
    }

    pub(crate) fn notify(&mut self, method: &str, params: Json) {
        self.send_line(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Sends a request and gives its id.
    pub(crate) fn send(&mut self, method: &str, params: Json) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_line(
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        );
        id
    }

    pub(crate) fn request(&mut self, method: &str, params: Json) -> Json {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Waits for the answer to one request.
    pub(crate) fn answer(&mut self, id: u64) -> Json {
        loop {
            let message = self
                .message(PATIENCE)
                .unwrap_or_else(|| panic!("no answer to request {id}"));
            // A question of the server has ids of its own.
            if message["id"] == id && message["method"].is_null() {
                return message;
            }
            self.notifications.push(message);
        }
    }

    /// The next message, if one comes in time.
    pub(crate) fn message(&mut self, patience: Duration) -> Option<Json> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}")))
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the server closed its output"),
        }
    }

    /// Waits until a notification or a question of this method has come.
    #[track_caller]
    pub(crate) fn notified(&mut self, method: &str) -> Json {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self
                .notifications
                .iter()
                .position(|message| message["method"] == method)
            {
                return self.notifications.remove(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.message(left).unwrap_or_else(|| panic!("no {method}"));
            self.notifications.push(message);
        }
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Json) -> Json {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// The names of the tools that are listed.
    pub(crate) fn tools(&mut self) -> Vec<String> {
        let answer = self.request("tools/list", json!({}));
        let tools = answer["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Closes the input and waits for the end; gives the exit code.
    pub(crate) fn close(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.ended()
    }

    /// Sends a signal to the server: `-TERM`, `-INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end; gives the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
