//! The settings files of MCP clients: where each is, and what an entry for a server looks like in it.
//!
//! Files that people wrote are changed at one place and stay as they are elsewhere, comments included. What cannot be
//! read is not changed. Sources: each client's documentation of November 2026 (docs/clients.md).

mod entry;
mod jsonc;
mod toml;

use clap::ValueEnum;
pub(crate) use entry::without_secrets;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// What the tokens of `wassette serve` begin with.
const TOKEN_PREFIX: &str = "wst_";

/// Begins a file on Windows now and then. It is no part of JSON, and stays where it was.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Where an entry is in a file: the key below which servers are, and the name of one.
type Place<'a> = (&'a str, &'a str);

/// A client whose settings we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Codex,
    Cursor,
    Gemini,
    Opencode,
    Vscode,
    Windsurf,
}

/// A server, as a client is to reach it.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// A program that the client starts.
    Program { command: String, args: Vec<String> },
    /// An address, and the token for it.
    Address { url: String, token: Option<String> },
}

/// Where the folders of a user are.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) home: PathBuf,
    pub(crate) config: PathBuf,
    /// `CODEX_HOME` and `CLAUDE_CONFIG_DIR`, where they are set.
    pub(crate) codex: Option<PathBuf>,
    pub(crate) claude: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, where it is set, on every system: opencode asks for it on Windows, too.
    pub(crate) xdg: Option<PathBuf>,
}

/// Why a file is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    #[error("it cannot be read: {0}")]
    Syntax(String),
    #[error("`{0}` in it is something else than expected")]
    Shape(String),
    /// Which of the two counts is different from program to program.
    #[error("`{key}` is there twice, in line {line} and in line {again}")]
    Twice { key: String, line: usize, again: usize },
    #[error("this client takes no servers with an address")]
    NoAddress,
}

impl Client {
    pub(crate) const ALL: [Self; 8] = [
        Self::ClaudeCode,
        Self::ClaudeDesktop,
        Self::Codex,
        Self::Cursor,
        Self::Gemini,
        Self::Opencode,
        Self::Vscode,
        Self::Windsurf,
    ];

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Codex => "codex",
            Self::Cursor => "cursor",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Vscode => "vscode",
            Self::Windsurf => "windsurf",
        }
    }

    /// The user's own settings of this client.
    pub(crate) fn file(self, folders: &Folders) -> PathBuf {
        let Folders { home, config, .. } = folders;
        match self {
            Self::ClaudeCode => folders.claude.as_ref().unwrap_or(home).join(".claude.json"),
            Self::ClaudeDesktop => config.join("Claude/claude_desktop_config.json"),
            Self::Codex => match &folders.codex {
                Some(codex) => codex.join("config.toml"),
                None => home.join(".codex/config.toml"),
            },
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Gemini => home.join(".gemini/settings.json"),
            Self::Opencode => match &folders.xdg {
                Some(xdg) => xdg.join("opencode/opencode.json"),
                None => home.join(".config/opencode/opencode.json"),
            },
            Self::Vscode => config.join("Code/User/mcp.json"),
            Self::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
        }
    }

    /// The key of the file below which servers are.
    fn key(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor | Self::Gemini | Self::Windsurf => {
                "mcpServers"
            }
            Self::Codex => "mcp_servers",
            Self::Opencode => "mcp",
            Self::Vscode => "servers",
        }
    }

    /// What stands for a server in a file that has none yet.
    fn fresh(self, server: &Server) -> Result<Json, EditError> {
        Ok(match server {
            Server::Program { command, args } => match self {
                Self::Opencode => {
                    let words: Vec<_> = std::iter::once(command).chain(args).collect();
                    json!({"type": "local", "command": words, "enabled": true})
                }
                Self::ClaudeCode | Self::Vscode => json!({"type": "stdio", "command": command, "args": args}),
                Self::ClaudeDesktop | Self::Codex | Self::Cursor | Self::Gemini | Self::Windsurf => {
                    json!({"command": command, "args": args})
                }
            },
            Server::Address { url, token } => {
                let mut entry = match self {
                    Self::ClaudeCode | Self::Vscode => json!({"type": "http", "url": url}),
                    Self::Codex | Self::Cursor => json!({"url": url}),
                    Self::Gemini => json!({"httpUrl": url}),
                    Self::Opencode => json!({"type": "remote", "url": url, "enabled": true}),
                    Self::Windsurf => json!({"serverUrl": url}),
                    Self::ClaudeDesktop => return Err(EditError::NoAddress),
                };
                let headers = if self == Self::Codex {
                    "http_headers"
                } else {
                    "headers"
                };
                if let (Some(token), Some(entry)) = (token, entry.as_object_mut()) {
                    entry.insert(
                        headers.to_owned(),
                        json!({"Authorization": format!("Bearer {token}")}),
                    );
                }
                entry
            }
        })
    }

    /// What is to stand for a server in the file, where a person may have put something into the entry.
    pub(crate) fn entry(self, text: &str, name: &str, server: &Server) -> Result<Json, EditError> {
        let fresh = self.fresh(server)?;
        Ok(match self.found(text, name)? {
            Some(known) => entry::merged(known, fresh),
            None => fresh,
        })
    }

    /// The text of the file with this entry of this name, or without one.
    pub(crate) fn edited(self, text: &str, name: &str, entry: Option<&Json>) -> Result<String, EditError> {
        let (mark, text) = parted(text);
        let place = (self.key(), name);
        let edited = if self == Self::Codex {
            toml::edited(text, place, entry)
        } else {
            jsonc::edited(text, place, entry)
        };
        Ok(mark.to_owned() + &edited?)
    }

    /// The entry of this name.
    pub(crate) fn found(self, text: &str, name: &str) -> Result<Option<Json>, EditError> {
        let (_, text) = parted(text);
        let place = (self.key(), name);
        if self == Self::Codex {
            toml::found(text, place)
        } else {
            jsonc::found(text, place)
        }
    }

    /// The lines of the entry of this name as they are in the file, to be shown: nothing of others, and no secret.
    pub(crate) fn excerpt(self, text: &str, name: &str) -> Result<String, EditError> {
        let (_, text) = parted(text);
        let place = (self.key(), name);
        if self == Self::Codex {
            toml::excerpt(text, place)
        } else {
            jsonc::excerpt(text, place)
        }
    }

    /// Where in the file the entry of this name is.
    pub(crate) fn path(self, name: &str) -> String {
        format!("{}.{name}", self.key())
    }

    /// Whether a token of a server of ours is in the text: in the entry of this name whatever it looks like, elsewhere by
    /// its form.
    pub(crate) fn holds_token(self, text: &str, name: &str) -> bool {
        let found = self.found(text, name).ok().flatten();
        text.contains(TOKEN_PREFIX) || found.is_some_and(|entry| entry::has_headers(&entry))
    }
}

/// The byte order mark of a text, if it has one, and the rest.
fn parted(text: &str) -> (&str, &str) {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (BYTE_ORDER_MARK, rest),
        None => ("", text),
    }
}

/// The line of a place in a text, counted from one.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// A name for the copy of a file beside it that nothing has yet.
pub(crate) fn backup_path(path: &Path) -> PathBuf {
    let named = |number: usize| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(if number == 0 {
            ".bak".to_owned()
        } else {
            format!(".bak.{number}")
        });
        path.with_file_name(name)
    };
    let mut number = 0;
    while named(number).exists() {
        number += 1;
    }
    named(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Server {
        Server::Program {
            command: "/opt/wassette".to_owned(),
            args: vec!["run".to_owned()],
        }
    }

    #[test]
    fn an_entry_comes_exchanges_and_goes_in_each_client() {
        for client in Client::ALL {
            let entry = client.fresh(&program()).unwrap();
            let with = client.edited("", "wassette", Some(&entry)).unwrap();
            assert_eq!(
                client.found(&with, "wassette").unwrap(),
                Some(entry.clone()),
                "{with}"
            );
            assert_eq!(
                client.edited(&with, "wassette", Some(&entry)).unwrap(),
                with,
                "{client:?}"
            );
            let other = Server::Program {
                command: "/usr/bin/wassette".to_owned(),
                args: Vec::new(),
            };
            let other = client.fresh(&other).unwrap();
            let changed = client.edited(&with, "wassette", Some(&other)).unwrap();
            assert_eq!(
                client.found(&changed, "wassette").unwrap(),
                Some(other),
                "{changed}"
            );
            let without = client.edited(&changed, "wassette", None).unwrap();
            assert_eq!(client.found(&without, "wassette").unwrap(), None, "{without}");
            assert_eq!(client.edited(&without, "wassette", None).unwrap(), without);
        }
    }

    #[test]
    fn addresses_come_with_their_token() {
        let server = Server::Address {
            url: "http://127.0.0.1:9001/mcp".to_owned(),
            token: Some("wst_x".to_owned()),
        };
        for client in Client::ALL {
            match client.fresh(&server) {
                Ok(entry) => {
                    let text = client.edited("", "w", Some(&entry)).unwrap();
                    assert!(
                        text.contains("Bearer wst_x") && text.contains("9001/mcp"),
                        "{text}"
                    );
                }
                Err(error) => {
                    assert!(client == Client::ClaudeDesktop && matches!(error, EditError::NoAddress))
                }
            }
        }
    }

    #[test]
    fn what_people_wrote_stays() {
        let text = "{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    /* other */ \"x\": {\"command\": \"x\"},\n  },\n}\n";
        let entry = Client::Gemini.fresh(&program()).unwrap();
        let with = Client::Gemini.edited(text, "wassette", Some(&entry)).unwrap();
        assert!(
            with.contains("// mine") && with.contains("/* other */ \"x\": {\"command\": \"x\"}"),
            "{with}"
        );
        let without = Client::Gemini.edited(&with, "wassette", None).unwrap();
        assert!(
            without.contains("// mine") && !without.contains("wassette"),
            "{without}"
        );
        let text = "# mine\nmodel = \"o\" # why\n\n[mcp_servers.x]\ncommand = \"x\"\n";
        let entry = Client::Codex.fresh(&program()).unwrap();
        let with = Client::Codex.edited(text, "wassette", Some(&entry)).unwrap();
        assert_eq!(
            with,
            format!("{text}\n[mcp_servers.wassette]\ncommand = \"/opt/wassette\"\nargs = [\"run\"]\n")
        );
        assert_eq!(Client::Codex.edited(&with, "wassette", None).unwrap(), text);
    }

    #[test]
    fn what_is_not_understood_is_not_changed() {
        let entry = json!({});
        for (client, text) in [
            (Client::Cursor, "{"),
            (Client::Cursor, "[]"),
            (Client::Cursor, "{\"mcpServers\": []}"),
            (Client::Vscode, "{\"servers\": null}"),
            (Client::Codex, "a = "),
            (Client::Codex, "mcp_servers = 1"),
        ] {
            assert!(client.edited(text, "wassette", Some(&entry)).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_person_put_into_our_entry_stays() {
        let server = program();
        let text = r#"{"mcpServers": {"wassette": {
  "command": "old", // where it was
  "args": ["run"],
  /* long */ "timeout": 0x20, "env": {"A": "1"},
}}}
"#;
        let entry = Client::Cursor.entry(text, "wassette", &server).unwrap();
        assert_eq!(
            Client::Cursor.edited(text, "wassette", Some(&entry)).unwrap(),
            text.replace("old", "/opt/wassette")
        );
        let text = "[mcp_servers.wassette]\ncommand = \"old\" # mine\nargs = [ \"run\" ]\nstartup_timeout_sec = 9\n\n[mcp_servers.wassette.env]\nA = \"1\"\n";
        let entry = Client::Codex.entry(text, "wassette", &server).unwrap();
        assert_eq!(
            Client::Codex.edited(text, "wassette", Some(&entry)).unwrap(),
            text.replace("old", "/opt/wassette")
        );
        let address = Server::Address {
            url: "http://localhost/".to_owned(),
            token: None,
        };
        let entry = Client::Codex.entry(text, "wassette", &address).unwrap();
        assert_eq!(
            Client::Codex.edited(text, "wassette", Some(&entry)).unwrap(),
            "[mcp_servers.wassette]\nstartup_timeout_sec = 9\nurl = \"http://localhost/\"\n"
        );
    }

    #[test]
    fn a_byte_order_mark_stays() {
        for client in Client::ALL {
            let entry = client.fresh(&program()).unwrap();
            let with = client.edited("", "wassette", Some(&entry)).unwrap();
            let marked = client.edited("\u{feff}", "wassette", Some(&entry)).unwrap();
            assert_eq!(marked, format!("\u{feff}{with}"), "{client:?}");
            assert_eq!(client.found(&marked, "wassette").unwrap(), Some(entry));
        }
    }

    #[test]
    fn what_is_there_twice_is_not_changed() {
        let twice = "{\n\"mcpServers\": {\"x\": 1},\n\"mcp\\u0053ervers\": {}}";
        let own = "{\"mcpServers\": {\n\"wassette\": {},\n\n\"wassette\": {}}}";
        let field = "{\"mcpServers\": {\"wassette\": {\n\"env\": {},\n\"env\": {}}}}";
        for (text, key, line, again) in [
            (twice, "mcpServers", 2, 3),
            (own, "wassette", 2, 4),
            (field, "env", 2, 3),
        ] {
            for entry in [Some(&json!({})), None] {
                let error = Client::Cursor.edited(text, "wassette", entry).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("`{key}` is there twice, in line {line} and in line {again}")
                );
            }
        }
        let error = Client::Codex
            .edited("[a]\nb = \"secret\"\n[a]\n", "wassette", None)
            .unwrap_err();
        assert_eq!(error.to_string(), "it cannot be read: duplicate key in line 3");
    }

    #[test]
    fn nothing_but_our_entry_is_shown() {
        let text = "{\"mcpServers\": {\"x\": {\"env\": {\"KEY\": \"sk-1\"}},\n\t\"wassette\": {\n\t\t\"url\": \"u\", // wst_old\n\t\t\"headers\": {\"Authorization\": \"Bearer \\u0077st_new\", \"K\": \"k\"}\n\t}, \"y\": 1}}";
        assert_eq!(
            Client::Cursor.excerpt(text, "wassette").unwrap(),
            "\t\"wassette\": {\n\t\t\"url\": \"u\", // wst_…\n\t\t\"headers\": {\"Authorization\": \"Bearer wst_…\", \"K\": \"…\"}\n\t}"
        );
        assert_eq!(Client::Cursor.excerpt(text, "z").unwrap(), "");
        let text = "a = 1\n[mcp_servers.x.env]\nKEY = \"sk-1\"\n# of x: sk-2\n\n[mcp_servers.wassette]\n# wst_old\nurl = \"u\" # mine\nhttp_headers = { Authorization = \"Bearer wst_new\" }\n\n[mcp_servers.wassette.env]\nKEY = \"sk-3\" # hm\n\n[mcp_servers.y]\n";
        assert_eq!(
            Client::Codex.excerpt(text, "wassette").unwrap(),
            "[mcp_servers.wassette]\n# wst_…\nurl = \"u\" # mine\nhttp_headers = { Authorization = \"Bearer wst_…\" }\n\n[mcp_servers.wassette.env]\nKEY = \"…\" # hm\n"
        );
    }
}
