//! The settings files of MCP clients: where each is, and what an entry for a server looks like in it.
//!
//! Files that people wrote are changed at one place and stay as they are elsewhere, comments included. What cannot be
//! read is not changed. Sources: each client's documentation of November 2026 (docs/clients.md).

use clap::ValueEnum;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table};

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

    /// What stands for a server in the file.
    pub(crate) fn entry(self, server: &Server) -> Result<Json, EditError> {
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

    /// The text of the file with an entry of this name, or without one.
    pub(crate) fn edited(self, text: &str, name: &str, entry: Option<&Json>) -> Result<String, EditError> {
        if self == Self::Codex {
            edited_toml(text, (self.key(), name), entry)
        } else {
            edited_json(text, (self.key(), name), entry)
        }
    }

    /// The entry of this name.
    pub(crate) fn found(self, text: &str, name: &str) -> Result<Option<Json>, EditError> {
        let servers = if self == Self::Codex {
            let file: Json = toml::from_str(text).map_err(|error| EditError::Syntax(error.to_string()))?;
            file.get(self.key()).cloned()
        } else {
            parsed(text)?
                .object_value()
                .and_then(|file| plain(&file.to_string(), self.key()))
        };
        Ok(servers.and_then(|servers| servers.get(name).cloned()))
    }

    /// Whether a token of a server of ours is in the text: in the entry of this name whatever it looks like, elsewhere by
    /// its form.
    pub(crate) fn holds_token(self, text: &str, name: &str) -> bool {
        let has_headers = |entry: Json| {
            ["headers", "http_headers"]
                .iter()
                .any(|key| entry.get(key).is_some())
        };
        text.contains(TOKEN_PREFIX) || self.found(text, name).ok().flatten().is_some_and(has_headers)
    }
}

/// What the tokens of `wassette serve` begin with.
const TOKEN_PREFIX: &str = "wst_";

/// The value of a key in the text of an object with comments.
fn plain(text: &str, key: &str) -> Option<Json> {
    let options = ParseOptions::default();
    let value = jsonc_parser::parse_to_value(text, &options).ok()??;
    let jsonc_parser::JsonValue::Object(object) = value else {
        return None;
    };
    object.get(key).map(of_value)
}

fn of_value(value: &jsonc_parser::JsonValue<'_>) -> Json {
    use jsonc_parser::JsonValue;
    match value {
        JsonValue::Null => Json::Null,
        JsonValue::Boolean(value) => Json::Bool(*value),
        JsonValue::Number(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        JsonValue::String(text) => Json::String(text.to_string()),
        JsonValue::Array(items) => items.iter().map(of_value).collect(),
        JsonValue::Object(object) => {
            let entries = object.clone().into_iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key.to_string(), of_value(&value)))
                    .collect(),
            )
        }
    }
}

fn parsed(text: &str) -> Result<CstRootNode, EditError> {
    let options = ParseOptions {
        allow_missing_commas: false,
        ..ParseOptions::default()
    };
    CstRootNode::parse(text, &options).map_err(|error| EditError::Syntax(error.to_string()))
}

fn edited_json(text: &str, (key, name): (&str, &str), entry: Option<&Json>) -> Result<String, EditError> {
    let root = parsed(text)?;
    let shape = |key: &str| EditError::Shape(key.to_owned());
    let file = root.object_value_or_create().ok_or_else(|| shape("the whole"))?;
    match entry {
        Some(entry) => {
            let servers = file.object_value_or_create(key).ok_or_else(|| shape(key))?;
            match servers.get(name) {
                Some(known) => known.set_value(input(entry)),
                None => drop(servers.append(name, input(entry))),
            }
        }
        None => {
            if let Some(known) = file.object_value(key).and_then(|servers| servers.get(name)) {
                known.remove();
            }
        }
    }
    let text = root.to_string();
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn input(value: &Json) -> CstInputValue {
    match value {
        Json::Null => CstInputValue::Null,
        Json::Bool(value) => CstInputValue::Bool(*value),
        Json::Number(number) => CstInputValue::Number(number.to_string()),
        Json::String(text) => CstInputValue::String(text.clone()),
        Json::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Json::Object(fields) => CstInputValue::Object(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}

fn edited_toml(text: &str, (key, name): (&str, &str), entry: Option<&Json>) -> Result<String, EditError> {
    let mut file: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::Syntax(error.to_string()))?;
    let Some(entry) = entry else {
        if let Some(servers) = file.get_mut(key).and_then(Item::as_table_like_mut) {
            servers.remove(name);
        }
        return Ok(file.to_string());
    };
    let servers = file.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        // No line of its own: only `[mcp_servers.wassette]`.
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = servers
        .as_table_like_mut()
        .ok_or_else(|| EditError::Shape(key.to_owned()))?;
    let mut table = Table::new();
    for (field, value) in entry.as_object().into_iter().flatten() {
        table.insert(field, Item::Value(toml_value(value)));
    }
    servers.insert(name, Item::Table(table));
    Ok(file.to_string())
}

fn toml_value(value: &Json) -> toml_edit::Value {
    match value {
        Json::Bool(value) => (*value).into(),
        Json::Array(items) => items.iter().map(toml_value).collect::<toml_edit::Array>().into(),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (key.as_str(), toml_value(value)));
            fields.collect::<toml_edit::InlineTable>().into()
        }
        // Entries have no other things in them than these and texts.
        Json::Null | Json::Number(_) => value.to_string().into(),
        Json::String(text) => text.as_str().into(),
    }
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
            let entry = client.entry(&program()).unwrap();
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
            let other = client.entry(&other).unwrap();
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
            match client.entry(&server) {
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
        let entry = Client::Gemini.entry(&program()).unwrap();
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
        let entry = Client::Codex.entry(&program()).unwrap();
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
}
