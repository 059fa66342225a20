//! Settings in TOML: those of Codex.

use super::entry::{is_secret, shown, without_tokens};
use super::{EditError, Place, line};
use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// The file with the entry as it is to be, or without one.
pub(super) fn edited(text: &str, (key, name): Place<'_>, entry: Option<&Json>) -> Result<String, EditError> {
    let mut file = parsed(text)?;
    let Some(entry) = entry else {
        if let Some(servers) = file.get_mut(key).and_then(Item::as_table_like_mut) {
            servers.remove(name);
        }
        return Ok(file.to_string());
    };
    let known = found(text, (key, name))?.unwrap_or_default();
    let shape = |key: &str| EditError::Shape(key.to_owned());
    // Without a line of its own: only `[mcp_servers.wassette]`.
    let servers = file.entry(key).or_insert_with(|| Item::Table(implicit()));
    let servers = servers.as_table_like_mut().ok_or_else(|| shape(key))?;
    let own = servers.entry(name).or_insert_with(|| Item::Table(Table::new()));
    let own = own.as_table_like_mut().ok_or_else(|| shape(name))?;
    replace(own, &known, entry);
    Ok(file.to_string())
}

/// Exchanges what is another, so that the rest keeps its form and its comments.
fn replace(own: &mut dyn TableLike, known: &Json, entry: &Json) {
    for field in known.as_object().into_iter().flatten().map(|(field, _)| field) {
        if entry.get(field).is_none() {
            own.remove(field);
        }
    }
    for (field, value) in entry.as_object().into_iter().flatten() {
        if known.get(field) == Some(value) {
            continue;
        }
        let mut value = written(value);
        if let Some(Item::Value(known)) = own.get(field) {
            // The comment behind it.
            *value.decor_mut() = known.decor().clone();
        }
        own.insert(field, Item::Value(value));
    }
}

/// The entry.
pub(super) fn found(text: &str, (key, name): Place<'_>) -> Result<Option<Json>, EditError> {
    let _understood = parsed(text)?;
    let file: Json = ::toml::from_str(text).map_err(|error| EditError::Syntax(error.message().to_owned()))?;
    let Some(servers) = file.get(key) else {
        return Ok(None);
    };
    if !servers.is_object() {
        return Err(EditError::Shape(key.to_owned()));
    }
    Ok(servers.get(name).cloned())
}

/// The lines of the entry, as they may be shown.
pub(super) fn excerpt(text: &str, (key, name): Place<'_>) -> Result<String, EditError> {
    let file = parsed(text)?;
    let Some(own) = file.get(key).and_then(|servers| servers.get(name)) else {
        return Ok(String::new());
    };
    let mut own = own.clone();
    hide(&mut own, false);
    if let Some(table) = own.as_table_mut() {
        // What stands before its head may be about another.
        table.decor_mut().clear();
    }
    let mut servers = implicit();
    servers.insert(name, own);
    let mut alone = DocumentMut::new();
    alone.insert(key, Item::Table(servers));
    // Comments may have tokens in them, too.
    Ok(without_tokens(&alone.to_string()))
}

/// Leaves of texts what may be shown.
fn hide(item: &mut Item, is_within: bool) {
    match item {
        Item::Value(value) => hide_value(value, is_within),
        Item::Table(table) => {
            for (key, item) in table.iter_mut() {
                hide(item, is_within || is_secret(&key));
            }
        }
        Item::ArrayOfTables(tables) => {
            for table in tables.iter_mut() {
                for (key, item) in table.iter_mut() {
                    hide(item, is_within || is_secret(&key));
                }
            }
        }
        Item::None => {}
    }
}

fn hide_value(value: &mut Value, is_within: bool) {
    match value {
        Value::String(text) => {
            let shown = shown(text.value(), is_within);
            if shown != *text.value() {
                let decor = text.decor().clone();
                *value = shown.into();
                *value.decor_mut() = decor;
            }
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                hide_value(item, is_within);
            }
        }
        Value::InlineTable(table) => {
            for (key, value) in table.iter_mut() {
                hide_value(value, is_within || is_secret(&key));
            }
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// The error's own text would repeat the line, which may have a secret in it.
fn parsed(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        EditError::Syntax(format!("{message} in line {}", line(text, at)))
    })
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

fn written(value: &Json) -> Value {
    match value {
        Json::Bool(value) => (*value).into(),
        Json::Array(items) => items.iter().map(written).collect::<toml_edit::Array>().into(),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.as_str(), written(value)));
            fields.collect::<toml_edit::InlineTable>().into()
        }
        // What is written has no other things in it than these and texts.
        Json::Null | Json::Number(_) => value.to_string().into(),
        Json::String(text) => text.as_str().into(),
    }
}
