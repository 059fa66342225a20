//! `wassette client add|remove|list`: the entry for this program in the settings of MCP clients.

mod file;

use crate::cli::{ClientAddArgs, ClientChangeArgs, ClientCommand};
use crate::clients::{Client, EditError, Folders, Server, without_secrets};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, note, shown, table};
use file::{Change, read, target, write};
use serde::Serialize;
use serde_json::Value as Json;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// One client in a list.
#[derive(Debug, Serialize)]
struct Listed {
    client: &'static str,
    file: PathBuf,
    /// `added`, `absent`, `no-file` or `unreadable`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Json>,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Changed {
    client: &'static str,
    file: PathBuf,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<PathBuf>,
    /// Whether others could read the file and cannot any more, because of the token in it.
    #[serde(skip_serializing_if = "is_not")]
    closed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_not(said: &bool) -> bool {
    !said
}

pub(crate) fn run(config: &Config, command: ClientCommand, output: Output) -> Result<(), Exit> {
    let folders = &config.client_folders;
    match command {
        ClientCommand::List => {
            let all: Vec<_> = Client::ALL
                .iter()
                .map(|client| listed(*client, folders))
                .collect();
            output.print(&all, |all| {
                let rows = all.iter().map(|one| {
                    [
                        one.client.to_owned(),
                        one.state.to_owned(),
                        one.file.display().to_string(),
                    ]
                });
                table(["client", "state", "file"], rows)
            })
        }
        ClientCommand::Add(args) => {
            let server = server(config, &args)?;
            change(&args.change, folders, Some(&server), output)
        }
        ClientCommand::Remove(args) => change(&args, folders, None, output),
    }
}

/// How a client is to reach this program.
fn server(config: &Config, args: &ClientAddArgs) -> Result<Server, Exit> {
    if let Some(url) = &args.url {
        let parsed = url::Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed =
            parsed.ok_or_else(|| Exit::usage(format!("`{}` is no address of a server", shown(url))))?;
        // Our own token, and only for this machine: it must not be sent to somebody else.
        let is_here = parsed
            .host_str()
            .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        let token = if is_here { token(config)? } else { None };
        return Ok(Server::Address {
            url: url.clone(),
            token,
        });
    }
    let program = std::env::current_exe().map_err(Exit::failed)?;
    let command = program
        .to_str()
        .ok_or_else(|| Exit::failed(anyhow::anyhow!("the path of this program is no text")))?;
    let mut words = vec!["run".to_owned()];
    words.extend(args.args.iter().cloned());
    Ok(Server::Program {
        command: command.to_owned(),
        args: words,
    })
}

/// The token of `wassette serve`, if there is one. A client without it would only say that it is refused.
fn token(config: &Config) -> Result<Option<String>, Exit> {
    let path = config.http_token();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Exit::unreadable(&path, error)),
    };
    let token = text.trim();
    if token.is_empty() {
        note(&format!(
            "warning: no token is entered, since there is none in {}; `wassette serve` makes one when it first starts: add the client \
             again after that. A server with `--no-auth` or `--oauth-issuer` needs none; for one with `--token-file`, enter its token \
             yourself",
            shown(&path.display().to_string())
        ));
        return Ok(None);
    }
    Ok(Some(token.to_owned()))
}

fn listed(client: Client, folders: &Folders) -> Listed {
    let file = client.file(folders);
    let (state, entry) = match read(&file) {
        Ok(None) => ("no-file", None),
        Ok(Some(text)) => match client.found(&text, NAME) {
            Ok(Some(entry)) => ("added", Some(without_secrets(entry))),
            Ok(None) => ("absent", None),
            Err(_) => ("unreadable", None),
        },
        Err(_) => ("unreadable", None),
    };
    Listed {
        client: client.name(),
        file,
        state,
        entry,
    }
}

/// Under which name this program is entered.
const NAME: &str = "wassette";

/// Shows the change, asks, keeps a copy, and makes it.
fn change(
    args: &ClientChangeArgs,
    folders: &Folders,
    server: Option<&Server>,
    output: Output,
) -> Result<(), Exit> {
    let client = args.client;
    let file = target(&client.file(folders))?;
    let before = read(&file)?;
    let text = before.as_deref().unwrap_or_default();
    let edit = || {
        let entry = server
            .map(|server| client.entry(text, NAME, server))
            .transpose()?;
        let is_known = client.found(text, NAME)?.is_some();
        let after = client.edited(text, NAME, entry.as_ref())?;
        let is_same = after == text || (entry.is_none() && !is_known);
        Ok((after, is_same))
    };
    let (after, is_same) = edit().map_err(|error| refused(client, &file, &error))?;
    let mut changed = Changed {
        client: client.name(),
        file: file.clone(),
        changed: !is_same && !args.dry_run,
        backup: None,
        closed: false,
    };
    if !is_same {
        show(client, &file, (text, &after)).map_err(|error| refused(client, &file, &error))?;
        if !args.dry_run {
            confirm(args.yes)?;
            if read(&file)? != before {
                return Err(Exit::failed(anyhow::anyhow!(
                    "the file was changed meanwhile; nothing is written"
                )));
            }
            let written = write(
                &file,
                &Change {
                    before: before.as_deref(),
                    after: &after,
                    is_secret: [text, &after].iter().any(|text| client.holds_token(text, NAME)),
                },
            )?;
            (changed.backup, changed.closed) = (written.backup, written.is_closed);
        }
    }
    output.print(&changed, told)
}

fn told(changed: &Changed) -> String {
    let mut text = match (&changed.backup, changed.changed) {
        (Some(backup), _) => format!("{} is changed; as it was: {}", changed.client, backup.display()),
        (None, true) => format!("{} is changed", changed.client),
        (None, false) => format!("{} stays as it is", changed.client),
    };
    if changed.closed {
        text.push_str("\nboth files are for you alone now: there is a token in them, and others could read the settings");
    }
    text
}

fn refused(client: Client, file: &Path, error: &EditError) -> Exit {
    match error {
        EditError::NoAddress => Exit::usage(format!("{}: {error}", client.name())),
        EditError::Syntax(_) | EditError::Shape(_) | EditError::Twice { .. } => {
            let file = shown(&file.display().to_string());
            Exit::failed(anyhow::anyhow!("{file} is not changed: {error}"))
                .with_hint("docs/clients.md has what to write into it")
        }
    }
}

/// The lines of our entry that go and come. Others' are none of ours to show.
fn show(client: Client, file: &Path, (before, after): (&str, &str)) -> Result<(), EditError> {
    let (before, after) = (client.excerpt(before, NAME)?, client.excerpt(after, NAME)?);
    let difference = similar::TextDiff::from_lines(&before, &after);
    let lines = difference.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            similar::ChangeTag::Equal => return None,
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
        };
        let line = change.value().trim_end();
        let text = line.trim_start();
        let space = line.strip_suffix(text).unwrap_or_default();
        Some(format!("\n{sign}{space}{}", shown(text)))
    });
    let mut lines = lines.collect::<String>();
    if lines.is_empty() {
        lines.push_str("\nonly what is not shown changes");
    }
    let file = shown(&file.display().to_string());
    note(&format!("{file}, `{}`:{lines}", client.path(NAME)));
    Ok(())
}

fn confirm(is_sure: bool) -> Result<(), Exit> {
    if is_sure {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Exit::usage("nobody can be asked whether this is meant")
            .with_hint("`--yes` means it, `--dry-run` only shows it"));
    }
    note("write this? [y/N]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Exit::failed)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Exit::denied("nothing is changed"))
    }
}
