//! `wassette secret`: what components use and never see.

use super::hidden::hidden;
use super::{component_id, open};
use crate::cli::SecretCommand;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, note, shown, table};
use serde_json::json;
use std::collections::HashSet;
use std::io::{IsTerminal, Read};
use wassette_host::{Actor, Command, ComponentId, Host, Outcome, SecretName, SecretString, Silent};

/// More than any secret has. What is longer is refused by its length, not cut.
const VALUE_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(config: &Config, command: SecretCommand, output: Output) -> Result<(), Exit> {
    match command {
        SecretCommand::List { id } => list(&open(config).await?, &component_id(&id)?, output).await,
        SecretCommand::Set { id, keys } => {
            let id = component_id(&id)?;
            let host = open(config).await?;
            let names = set(&host, &id, keys).await?;
            let data = json!({"status": "success", "component_id": id, "secrets": names});
            output.print(&data, |_| format!("kept for {id}: {}", names.join(", ")))
        }
        SecretCommand::Delete { id, keys } => {
            let id = component_id(&id)?;
            let (deleted, missing) = delete(&open(config).await?, &id, &keys).await?;
            if deleted.is_empty() {
                let exit = Exit::not_found(format!("`{id}` has no such secret"));
                return Err(exit.with_hint(format!("`wassette secret list {id}` names those that it has")));
            }
            let data = json!({
                "status": "success", "component_id": id, "deleted": deleted, "missing": missing,
            });
            output.print(&data, |_| {
                let mut lines = vec![format!("forgotten for {id}: {}", deleted.join(", "))];
                if !missing.is_empty() {
                    lines.push(format!("not there: {}", missing.join(", ")));
                }
                lines.join("\n")
            })
        }
    }
}

async fn list(host: &Host, id: &ComponentId, output: Output) -> Result<(), Exit> {
    let names = host.secret_names(id).await?;
    let keys: Vec<_> = names.iter().map(|name| json!({"key": name.as_str()})).collect();
    let data = json!({"component_id": id, "secrets": keys});
    output.print(&data, |_| {
        if names.is_empty() {
            return format!("{id} has no secrets; `wassette secret set {id} NAME` keeps one");
        }
        table(["SECRET"], names.iter().map(|name| [name.to_string()]))
    })
}

async fn set(host: &Host, id: &ComponentId, keys: Vec<String>) -> Result<Vec<String>, Exit> {
    if keys.len() > 1 && keys.iter().any(|key| !key.contains('=')) && !std::io::stdin().is_terminal() {
        return Err(
            Exit::usage("one value can be read from standard input, not several")
                .with_hint("set one secret at a time"),
        );
    }
    if host.catalog().component(id).is_none() {
        return Err(wassette_host::HostError::UnknownComponent { id: id.clone() }.into());
    }
    let parts = |key: &String| match key.split_once('=') {
        Some((key, value)) => Ok((name(key)?, Some(typed(key, value)))),
        None => Ok((name(key)?, None)),
    };
    // All names first: what is wrong with one is said before another is kept.
    let keys = keys.iter().map(parts).collect::<Result<Vec<_>, Exit>>()?;
    let mut seen = HashSet::new();
    if let Some((twice, _)) = keys.iter().find(|(name, _)| !seen.insert(name)) {
        let exit = Exit::usage(format!("`{twice}` is named twice"));
        return Err(exit.with_hint("give it one value"));
    }
    let mut names = Vec::new();
    for (name, value) in keys {
        let value = match value {
            Some(value) => value,
            None => asked(name.as_str()).await?,
        };
        let command = Command::SetSecret(id.clone(), name, value);
        if let Outcome::SecretSet { name, .. } = host.execute(command, &Actor::Operator, &Silent).await? {
            names.push(name);
        }
    }
    Ok(names)
}

/// Forgets secrets. Gives the names of those that were there, and of those that were not.
async fn delete(host: &Host, id: &ComponentId, keys: &[String]) -> Result<(Vec<String>, Vec<String>), Exit> {
    // All names first, as for `set`; each once, so that no name is both there and not.
    let names = keys
        .iter()
        .map(|key| name(key))
        .collect::<Result<Vec<_>, Exit>>()?;
    let mut seen = HashSet::new();
    let (mut deleted, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        if !seen.insert(name.clone()) {
            continue;
        }
        let command = Command::DeleteSecret(id.clone(), name);
        let outcome = host.execute(command, &Actor::Operator, &Silent).await?;
        if let Outcome::SecretDeleted { name, existed, .. } = outcome {
            let list = if existed { &mut deleted } else { &mut missing };
            list.push(name);
        }
    }
    Ok((deleted, missing))
}

fn name(text: &str) -> Result<SecretName, Exit> {
    text.parse()
        .map_err(|error| Exit::usage(format!("`{}`: {error}", shown(text))))
}

fn typed(name: &str, value: &str) -> SecretString {
    note(&format!(
        "warning: the value of `{}` stood on the command line, where other programs and the shell's history see it; \
         without `=VALUE` it is asked for",
        shown(name)
    ));
    value.into()
}

/// Asks at the terminal without echo, or reads standard input up to its end, without the last line break.
async fn asked(key: &str) -> Result<SecretString, Exit> {
    if std::io::stdin().is_terminal() {
        return hidden(format!("value of `{}`: ", shown(key))).await;
    }
    let mut value = String::new();
    let mut input = std::io::stdin().lock().take(VALUE_BYTES_MAX);
    input.read_to_string(&mut value).map_err(|error| {
        Exit::failed(anyhow::Error::new(error).context("cannot read the value from standard input"))
    })?;
    let value = value.strip_suffix('\n').unwrap_or(&value);
    Ok(value.strip_suffix('\r').unwrap_or(value).into())
}
