//! Other people's agents with the program as their server: entered by `wassette client add`, driven by a model that calls
//! one tool and reads its result (`clients/model.mjs`).

use crate::http::Server;
use crate::real_clients::{clean, node, node_tools, script};
use crate::support::{Home, Ran};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The slowest needs some twenty seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is asked, and what has to come back: SHA-256 of `hello`.
const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Each agent, over each transport.
macro_rules! agents {
    ($($name:ident: $agent:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn calls_a_tool_over_pipes() {
                calls_a_tool($agent, false);
            }

            #[test]
            fn calls_a_tool_over_http() {
                calls_a_tool($agent, true);
            }

            #[test]
            fn grants_nothing_without_a_person() {
                grants_nothing($agent);
            }
        })*
    };
}

agents! {
    claude_code: Agent::ClaudeCode;
    codex: Agent::Codex;
    gemini_cli: Agent::Gemini;
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
agents! {
    opencode: Agent::Opencode;
}

#[derive(Clone, Copy, Debug)]
enum Agent {
    ClaudeCode,
    Codex,
    Gemini,
    Opencode,
}

/// A model on this machine, and what it was told: for each request the tools and the results of calls.
struct Model {
    child: Child,
    address: String,
    told: Arc<Mutex<Vec<Json>>>,
}

impl Model {
    /// One that calls this tool with these arguments.
    fn start(tool: &str, arguments: &Json) -> Self {
        let mut child = node()
            .arg(script("model.mjs"))
            .env("TOOL", tool)
            .env("ARGUMENTS", arguments.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            child,
            address: format!("http://127.0.0.1:{port}"),
            told,
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Agent {
    /// As `wassette client` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
        }
    }

    /// Says in its settings where the model is, beside what was entered there.
    fn knows(self, home: &Home, model: &Model) {
        let path = |file: &str| home.path().join(file);
        let url = format!("{}/v1", model.address);
        let merge = |file: &str, more: Json| {
            let text = std::fs::read_to_string(path(file)).unwrap();
            let mut settings: Json = serde_json::from_str(&text).unwrap();
            settings
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            std::fs::write(path(file), settings.to_string()).unwrap();
        };
        match self {
            Self::ClaudeCode => {}
            Self::Codex => {
                let file = path(".codex/config.toml");
                let entered = std::fs::read_to_string(&file).unwrap();
                let settings = format!(
                    "model = \"mock\"\nmodel_provider = \"mock\"\napproval_policy = \"never\"\n\
                     [model_providers.mock]\nname = \"mock\"\nbase_url = \"{url}\"\nwire_api = \"responses\"\n{entered}"
                );
                std::fs::write(file, settings).unwrap();
            }
            Self::Gemini => merge(
                ".gemini/settings.json",
                json!({
                    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
                    "privacy": {"usageStatisticsEnabled": false},
                    "general": {"disableAutoUpdate": true, "enableAutoUpdate": false},
                }),
            ),
            Self::Opencode => merge(
                ".config/opencode/opencode.json",
                json!({
                    "provider": {"mock": {
                        "npm": "@ai-sdk/openai-compatible", "name": "mock",
                        "options": {"baseURL": url, "apiKey": "none"}, "models": {"mock": {"name": "mock"}},
                    }},
                    "model": "mock/mock", "small_model": "mock/mock", "autoupdate": false, "share": "disabled",
                }),
            ),
        }
    }

    /// The command that has it do one thing and end.
    fn command(self, model: &Model, tool: &str) -> Command {
        let programs = node_tools().join(".bin");
        let program = |name: &str| clean(&programs.join(name));
        let task = "What is the SHA-256 of hello?";
        let mut command = match self {
            Self::ClaudeCode => {
                let mut command = program("claude");
                command
                    .args(["-p", task, "--allowedTools", &format!("mcp__wassette__{tool}")])
                    .env("ANTHROPIC_BASE_URL", &model.address)
                    .env("ANTHROPIC_API_KEY", "none")
                    // Our model calls what it is shown; it does not search.
                    .env("ENABLE_TOOL_SEARCH", "false")
                    .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
                command
            }
            Self::Codex => {
                let mut command = program("codex");
                command.args(["exec", "--skip-git-repo-check", task]);
                command
            }
            Self::Gemini => {
                let mut command = program("gemini");
                command
                    .args(["-m", "gemini-2.5-flash", "--yolo", "-p", task])
                    .env("GEMINI_API_KEY", "none")
                    .env("GOOGLE_GEMINI_BASE_URL", &model.address)
                    .env("GEMINI_CLI_TRUST_WORKSPACE", "true");
                command
            }
            Self::Opencode => {
                // The package that chooses among these names some for other systems that not every registry has.
                let mut command = clean(&node_tools().join("opencode-linux-x64-baseline/bin/opencode"));
                command
                    .args(["run", task])
                    .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
                    .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
                    .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1");
                command
            }
        };
        // Some are scripts for Node.js, and look for it.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [node_tools().join("node/bin"), programs];
        let folders = folders.into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).unwrap());
        command
    }
}

/// Runs an agent to its end, which is brought about when it does not come.
fn ended(home: &Home, command: &mut Command) -> Ran {
    let file = |name: &str| std::fs::File::create(home.path().join(name)).unwrap();
    let (stdout, stderr) = (file("stdout"), file("stderr"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            break child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
    Ran::of(Output {
        status,
        stdout: read("stdout"),
        stderr: read("stderr"),
    })
}

/// SECURITY: an agent that runs without a person closes or declines the form, or has none. It answers for nobody.
#[track_caller]
fn grants_nothing(agent: Agent) {
    let home = Home::new();
    home.json(&["component", "load", "starter:fetch"]);
    home.json(&["client", "add", agent.name(), "--yes"]);
    let arguments =
        json!({"component_id": "fetch", "permission_type": "network", "value": "api.example.com"});
    let model = Model::start("request-permission", &arguments);
    let ran = driven(&home, agent, (&model, "request-permission"));
    let told = model.told.lock().unwrap();
    assert!(
        told.iter()
            .any(|told| told["results"].to_string().contains("request 2")),
        "{told:?}\n{ran:?}"
    );
    assert_eq!(home.json(&["policy", "get", "fetch"])["rules"], json!([]));
    let pending = home.json(&["permission", "pending"]);
    assert_eq!(pending["requests"][0]["number"], 2, "it waits: {pending}");
}

/// Has an agent do its one thing.
#[track_caller]
fn driven(home: &Home, agent: Agent, (model, tool): (&Model, &str)) -> Ran {
    agent.knows(home, model);
    let folder = home.path().join("project");
    std::fs::create_dir(&folder).unwrap();
    let mut command = agent.command(model, tool);
    let command = command.env("HOME", home.path()).current_dir(&folder);
    let ran = ended(home, command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("the tool was called"), "{ran:?}");
    ran
}

/// Enters the program in the agent's settings, has it call a tool, and looks at what its model was told.
#[track_caller]
fn calls_a_tool(agent: Agent, over_http: bool) {
    let home = Home::new();
    home.json(&["component", "load", "starter:text"]);
    let server = over_http.then(|| Server::start(&home, &[]));
    let url = server
        .as_ref()
        .map(|server| format!("http://{}/mcp", server.address));
    let mut add = vec!["client", "add", agent.name(), "--yes"];
    add.extend(url.iter().flat_map(|url| ["--url", url.as_str()]));
    home.json(&add);
    let model = Model::start("text_hash", &json!({"text": "hello"}));
    let ran = driven(&home, agent, (&model, "text_hash"));
    let told = model.told.lock().unwrap();
    let results: Vec<String> = told.iter().map(|told| told["results"].to_string()).collect();
    assert!(
        results.iter().any(|results| results.contains(DIGEST)),
        "{told:?}\n{ran:?}"
    );
    let defined = told.iter().find(|told| told["definition"].is_object());
    let definition = defined.unwrap()["definition"].to_string();
    assert!(
        definition.contains("Calculates the digest") && definition.contains("\"text\""),
        "{definition}"
    );
    let is_call = |line: &&Json| line["event"] == "call.begin" && line["tool"] == "text_hash";
    assert_eq!(home.audit().iter().filter(is_call).count(), 1, "{ran:?}");
}
