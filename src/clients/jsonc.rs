//! Settings in JSON with comments.

use super::entry::{is_secret, shown, without_tokens};
use super::{EditError, Place, line};
use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Value as Json;
use std::ops::Range;

/// The file with the entry as it is to be, or without one.
pub(super) fn edited(text: &str, (key, name): Place<'_>, entry: Option<&Json>) -> Result<String, EditError> {
    let known = found(text, (key, name))?;
    let root = CstRootNode::parse(text, &options()).map_err(|error| EditError::Syntax(error.to_string()))?;
    let file = root.object_value_or_create().ok_or_else(whole)?;
    match entry {
        Some(entry) => {
            let shape = |key: &str| EditError::Shape(key.to_owned());
            let servers = file.object_value_or_create(key).ok_or_else(|| shape(key))?;
            match known {
                Some(known) => {
                    let own = servers.object_value(name).ok_or_else(|| shape(name))?;
                    replace(&own, &known, entry);
                }
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

/// Exchanges what is another, so that the rest keeps its form and its comments.
fn replace(own: &CstObject, known: &Json, entry: &Json) {
    let fields = |entry: &Json| entry.as_object().cloned().unwrap_or_default();
    for (field, _) in fields(known) {
        if let (None, Some(property)) = (entry.get(&field), own.get(&field)) {
            property.remove();
        }
    }
    for (field, value) in fields(entry) {
        match own.get(&field) {
            Some(_) if known.get(&field) == Some(&value) => {}
            Some(property) => property.set_value(input(&value)),
            None => drop(own.append(&field, input(&value))),
        }
    }
}

/// The entry.
pub(super) fn found(text: &str, place: Place<'_>) -> Result<Option<Json>, EditError> {
    let file = parsed(text)?;
    let own = own(text, file.as_ref(), place)?;
    if let Some(Value::Object(entry)) = own.map(|own| &own.value) {
        for property in &entry.properties {
            only(text, entry, property.name.as_str())?;
        }
    }
    Ok(own.map(|own| plain(&own.value)))
}

/// The lines of the entry, as they may be shown.
pub(super) fn excerpt(text: &str, place: Place<'_>) -> Result<String, EditError> {
    let file = parsed(text)?;
    let Some(own) = own(text, file.as_ref(), place)? else {
        return Ok(String::new());
    };
    let mut secrets = Vec::new();
    collect(&own.value, false, &mut secrets);
    let mut at = own.start();
    let mut lines = indentation(text, at).to_owned();
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    for (range, shown) in secrets {
        // What is between texts may be a comment.
        lines.push_str(&without_tokens(part(at..range.start)));
        lines.push_str(&Json::String(shown).to_string());
        at = range.end;
    }
    lines.push_str(&without_tokens(part(at..own.end())));
    Ok(lines)
}

/// What stands before the entry in its line, unless that is something else than space.
fn indentation(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let before = before.rsplit('\n').next().unwrap_or_default();
    if before.trim().is_empty() { before } else { "" }
}

/// The places of texts that are not shown as they are, in their order, and what is shown of each.
fn collect(value: &Value<'_>, is_within: bool, secrets: &mut Vec<(Range<usize>, String)>) {
    match value {
        Value::StringLit(text) => {
            let shown = shown(&text.value, is_within);
            if shown != text.value {
                secrets.push((text.start()..text.end(), shown));
            }
        }
        Value::Array(items) => {
            for item in &items.elements {
                collect(item, is_within, secrets);
            }
        }
        Value::Object(object) => {
            for property in &object.properties {
                let is_within = is_within || is_secret(property.name.as_str());
                collect(&property.value, is_within, secrets);
            }
        }
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

fn options() -> ParseOptions {
    ParseOptions {
        allow_missing_commas: false,
        ..ParseOptions::default()
    }
}

fn whole() -> EditError {
    EditError::Shape("the whole".to_owned())
}

/// The whole file; nothing when it is empty.
fn parsed(text: &str) -> Result<Option<Value<'_>>, EditError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options());
    parsed
        .map(|parsed| parsed.value)
        .map_err(|error| EditError::Syntax(error.to_string()))
}

/// The property that is our entry.
fn own<'a, 'b>(
    text: &str,
    file: Option<&'b Value<'a>>,
    (key, name): Place<'_>,
) -> Result<Option<&'b ObjectProp<'a>>, EditError> {
    let Some(file) = file else { return Ok(None) };
    let file = file.as_object().ok_or_else(whole)?;
    let Some(servers) = only(text, file, key)? else {
        return Ok(None);
    };
    let servers = servers.value.as_object();
    let servers = servers.ok_or_else(|| EditError::Shape(key.to_owned()))?;
    only(text, servers, name)
}

/// The property of this name, if it is there once at most.
fn only<'a, 'b>(
    text: &str,
    object: &'b Object<'a>,
    name: &str,
) -> Result<Option<&'b ObjectProp<'a>>, EditError> {
    let mut found = object
        .properties
        .iter()
        .filter(|property| property.name.as_str() == name);
    let first = found.next();
    match (first, found.next()) {
        (Some(first), Some(second)) => Err(EditError::Twice {
            key: name.to_owned(),
            line: line(text, first.start()),
            again: line(text, second.start()),
        }),
        _ => Ok(first),
    }
}

fn plain(value: &Value<'_>) -> Json {
    match value {
        Value::NullKeyword(_) => Json::Null,
        Value::BooleanLit(value) => Json::Bool(value.value),
        Value::NumberLit(number) => serde_json::from_str(number.value).unwrap_or(Json::Null),
        Value::StringLit(text) => Json::String(text.value.to_string()),
        Value::Array(items) => items.elements.iter().map(plain).collect(),
        Value::Object(object) => {
            let fields = object.properties.iter();
            Json::Object(
                fields
                    .map(|property| (property.name.as_str().to_owned(), plain(&property.value)))
                    .collect(),
            )
        }
    }
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
