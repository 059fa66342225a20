//! `wassette demo`: the main job in one command, offline, in a temporary store.
//!
//! Nothing here is staged: the components are real, the calls are those of any client, and what is printed
//! is what the host reported. If a component gets what it must not get, the demo fails.

use crate::config::Config;
use crate::exit::Exit;
use crate::output::{line, shown};
use crate::starters::DEMO;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wassette_host::{
    Actor, CallReport, CallResult, Command, Failure, FailureKind, Host, HostConfig, Limits, LoadRequest,
    ParseOptions, Policy, Reference, Silent,
};

/// Guest time of one call in the demo: long enough to see that a loop is stopped, short enough to wait for.
const DEMO_CPU: Duration = Duration::from_secs(1);

pub(crate) async fn run(config: &Config) -> Result<(), Exit> {
    let folder = tempfile::tempdir().map_err(Exit::failed)?;
    let mut demo = HostConfig::new(&folder.path().join("components"));
    demo.starters = DEMO;
    demo.limits = Limits {
        cpu: DEMO_CPU,
        ..Limits::DEFAULT
    };
    let usual = config.host()?;
    demo.sandbox = usual.sandbox;
    demo.compiler = usual.compiler;
    let host = Host::open(demo).await?;
    let stage = Stage { host };
    let granted = Granted::make(folder.path())?;
    stage.load().await?;
    stage.call().await?;
    stage.deny().await?;
    // Elsewhere no folder can be granted, because it could not be enforced.
    if cfg!(unix) {
        stage.grant(&granted).await?;
    }
    stage.contain().await?;
    connect()?;
    stage.host.close().await;
    folder.close().map_err(Exit::failed)
}

/// A folder that is granted, and what lies in it and beside it.
struct Granted {
    folder: String,
    inside: String,
    outside: String,
    /// In the folder, and leads out of it.
    link: String,
}

impl Granted {
    fn make(stage: &Path) -> Result<Self, Exit> {
        let stage = stage.canonicalize().map_err(Exit::failed)?;
        let folder = stage.join("notes");
        let (inside, outside, link) = (
            folder.join("note.txt"),
            stage.join("diary.txt"),
            folder.join("link.txt"),
        );
        fs::create_dir(&folder).map_err(Exit::failed)?;
        fs::write(&inside, "buy milk").map_err(Exit::failed)?;
        fs::write(&outside, "secret").map_err(Exit::failed)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(&outside, &link).map_err(Exit::failed)?;
        let text = |path: PathBuf| path.display().to_string();
        Ok(Self {
            folder: text(folder),
            inside: text(inside),
            outside: text(outside),
            link: text(link),
        })
    }
}

/// The host the demo plays on.
struct Stage {
    host: Host,
}

impl Stage {
    async fn load(&self) -> Result<(), Exit> {
        title("1. Untrusted components become tools")?;
        line(
            "Names, descriptions and schemas are made from the components' types; nothing in them knows MCP.\n",
        )?;
        for starter in DEMO {
            let reference = Reference::Starter(starter.name.into());
            let request = LoadRequest {
                reference,
                name: None,
                replace: false,
                wit: Vec::new(),
                locked: None,
                digest: None,
            };
            self.host
                .execute(Command::Load(request), &Actor::Operator, &Silent)
                .await?;
        }
        let catalog = self.host.catalog();
        for component in catalog
            .components()
            .filter(|c| !["needy", "hostile"].contains(&c.id.as_str()))
        {
            line(&format!("  {}", component.id))?;
            for tool in &component.tools {
                let parameters: Vec<_> = tool.tool.params.iter().map(|param| param.name.as_str()).collect();
                let description = summary(&tool.tool.description);
                line(&format!(
                    "    {}({})  {description}",
                    tool.tool.name,
                    parameters.join(", ")
                ))?;
            }
        }
        line("  needy, hostile: made to misbehave below")
    }

    async fn call(&self) -> Result<(), Exit> {
        title("2. A call succeeds")?;
        let value = self
            .succeed("text_hash", json!({ "text": "hello", "algorithm": "sha256" }))
            .await?;
        line(&format!("    {value}"))?;
        let value = self
            .succeed("time_now", json!({ "zone": "Europe/Zurich" }))
            .await?;
        line(&format!("    {value}"))
    }

    async fn deny(&self) -> Result<(), Exit> {
        title("3. What nobody granted is denied, and named")?;
        for (tool, arguments) in [
            ("needy_read-file", json!({ "path": "/etc/passwd" })),
            ("needy_get-url", json!({ "url": "https://example.com/" })),
            ("needy_read-env", json!({ "name": "HOME" })),
        ] {
            let report = self.called(tool, &arguments).await?;
            let failure = failed(tool, &report)?;
            line(&format!("    the component got: {}", shown(&failure.message)))?;
            let denied: Vec<_> = report.accesses.iter().filter(|access| !access.allowed).collect();
            if denied.is_empty() || denied.len() < report.accesses.len() {
                return Err(broken(tool, "an access was allowed, or none was seen"));
            }
            for access in denied {
                line(&format!("    denied: {}; {}", access.access, access.why()))?;
            }
        }
        Ok(())
    }

    /// What a person grants works, and what lies beside it does not.
    async fn grant(&self, granted: &Granted) -> Result<(), Exit> {
        title("4. A person grants one folder, and nothing more is allowed")?;
        let text = format!(
            "version: \"1.0\"\npermissions:\n  storage:\n    allow:\n      - {{uri: \"fs://{}\", access: [read]}}\n",
            granted.folder
        );
        let policy = Policy::parse(&text, &ParseOptions::default()).map_err(Exit::failed)?;
        for line_of_policy in text.lines() {
            line(&format!("    {line_of_policy}"))?;
        }
        let attach = Command::Attach("needy".parse().map_err(Exit::failed)?, Box::new(policy));
        self.host.execute(attach, &Actor::Operator, &Silent).await?;
        let value = self
            .succeed("needy_read-file", json!({ "path": granted.inside }))
            .await?;
        line(&format!("    {value}"))?;
        for (tool, arguments) in [
            ("needy_read-file", json!({ "path": granted.outside })),
            ("needy_read-file", json!({ "path": granted.link })),
            (
                "needy_write-file",
                json!({ "path": granted.inside, "text": "changed" }),
            ),
        ] {
            let report = self.called(tool, &arguments).await?;
            let failure = failed(tool, &report)?;
            line(&format!("    the component got: {}", shown(&failure.message)))?;
            let denied = report.accesses.iter().find(|access| !access.allowed);
            let denied = denied.ok_or_else(|| broken(tool, "nothing was denied"))?;
            line(&format!("    denied: {}; {}", denied.access, denied.why()))?;
        }
        Ok(())
    }

    async fn contain(&self) -> Result<(), Exit> {
        title("5. What misbehaves is stopped or contained")?;
        for (tool, arguments) in [
            ("hostile_spin", json!({})),
            ("hostile_recurse", json!({ "depth": 0 })),
        ] {
            let report = self.called(tool, &arguments).await?;
            let failure = failed(tool, &report)?;
            if failure.kind != FailureKind::Limit {
                return Err(broken(tool, "it ended in another way than by its limit"));
            }
            line(&format!(
                "    stopped after {}: {}",
                rounded(report.usage.elapsed),
                shown(&failure.message)
            ))?;
        }
        self.starve().await?;
        self.listen().await?;
        let value = self.succeed("text_hash", json!({ "text": "still here" })).await?;
        line(&format!("    {value}"))
    }

    /// A guest that eats memory is refused more at its limit.
    async fn starve(&self) -> Result<(), Exit> {
        let report = self.called("hostile_eat-memory", &json!({})).await?;
        let (got, limit) = (report.usage.memory_bytes, Limits::DEFAULT.memory_bytes);
        if got > limit {
            return Err(broken("hostile_eat-memory", "it got more than its limit"));
        }
        line(&format!(
            "    refused more than its limit of {} MiB; it had taken {} MiB",
            limit >> 20,
            got >> 20
        ))
    }

    /// A guest that prints a protocol message prints it into a buffer.
    async fn listen(&self) -> Result<(), Exit> {
        let report = self.called("hostile_print-json-rpc", &json!({})).await?;
        if report.output.stdout.is_empty() {
            return Err(broken("hostile_print-json-rpc", "nothing was captured"));
        }
        let printed = cut(&shown(report.output.stdout.trim()), 70);
        line(&format!(
            "    it forged a protocol message, which was kept apart: {printed}"
        ))
    }

    /// Calls a tool and shows the call as a client would make it.
    async fn called(&self, tool: &str, arguments: &Json) -> Result<CallReport, Exit> {
        line(&format!("\n  {tool} {arguments}"))?;
        Ok(self.host.call(tool, arguments, &Actor::Operator).await?)
    }

    async fn succeed(&self, tool: &str, arguments: Json) -> Result<Json, Exit> {
        match self.called(tool, &arguments).await?.result {
            CallResult::Value(value) => Ok(value),
            CallResult::Done => Ok(Json::Null),
            CallResult::Failed(failure) => Err(broken(tool, &failure.message)),
            CallResult::Answer(_) | CallResult::Refused(_) => Err(broken(tool, "it is of the rich world")),
        }
    }
}

fn failed<'a>(tool: &str, report: &'a CallReport) -> Result<&'a Failure, Exit> {
    match &report.result {
        CallResult::Failed(failure) => Ok(failure),
        CallResult::Done | CallResult::Value(_) | CallResult::Answer(_) | CallResult::Refused(_) => {
            Err(broken(tool, "it succeeded, which it must not"))
        }
    }
}

/// The demo is also a test: what does not go as it must is a failure.
fn broken(tool: &str, why: &str) -> Exit {
    Exit::failed(anyhow::anyhow!("the demo is broken: `{tool}`: {why}"))
}

fn title(text: &str) -> Result<(), Exit> {
    line(&format!("\n{text}\n{}", "-".repeat(text.len())))
}

/// The first sentence of a description, without the words that mark it as the component's.
fn summary(description: &str) -> String {
    let text = shown(description);
    let text = text.split_once("`: ").map_or(text.as_str(), |(_marked, own)| own);
    let sentence = text.split_once(". ").map_or(text, |(first, _)| first);
    cut(sentence, 90)
}

/// At most `chars_max` characters of a text; a text that was cut shows it.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn rounded(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// A path as a shell takes it for one word.
fn quoted(path: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "/\\:._-+".contains(c);
    if path.chars().all(is_plain) {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("'{}'", path.replace('\'', r"'\''")))
    }
}

/// The lines to paste into clients.
fn connect() -> Result<(), Exit> {
    title("6. Add it to your agent")?;
    let program = std::env::current_exe().map_err(Exit::failed)?;
    let command = program.display().to_string();
    let program = quoted(&command);
    let server = json!({ "command": command, "args": ["run"] });
    line(&format!(
        "  Load something first:  {program} component load starter:time\n\n\
         \x20 Claude Code:  claude mcp add wassette -- {program} run\n\
         \x20 Codex:        codex mcp add wassette -- {program} run\n\
         \x20 VS Code:      code --add-mcp '{}'\n\
         \x20 Gemini CLI:   gemini mcp add wassette {program} run",
        json!({ "name": "wassette", "command": command, "args": ["run"] })
    ))?;
    line(&format!(
        "  any other:    {}",
        json!({ "mcpServers": { "wassette": server } })
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("/usr/bin/wassette-0.1"), "/usr/bin/wassette-0.1");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn a_text_that_was_cut_shows_it() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äöü…");
    }
}
