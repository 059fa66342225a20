//! The entry of a server, whichever the client: what a person put into it stays, and what of it is shown to nobody.

use super::TOKEN_PREFIX;
use serde_json::{Map, Value as Json};

/// Keys of the address of a server.
const ADDRESSES: [&str; 3] = ["url", "httpUrl", "serverUrl"];

/// Keys of what is sent to an address.
const HEADERS: [&str; 2] = ["headers", "http_headers"];

/// Further keys of servers with an address. Codex refuses them beside a command.
const OF_ADDRESSES: [&str; 6] = [
    "type",
    "bearer_token",
    "bearer_token_env_var",
    "env_http_headers",
    "oauth",
    "oauth_resource",
];

/// Keys of servers that a client starts. Codex refuses them beside an address.
const OF_PROGRAMS: [&str; 8] = [
    "type",
    "command",
    "args",
    "env",
    "env_vars",
    "environment",
    "envFile",
    "cwd",
];

/// Keys whose texts, however deep, are shown to nobody.
const SECRET: [&str; 5] = ["env", "environment", "headers", "http_headers", "bearer_token"];

/// A fresh entry with what a person put into the known one.
///
/// SECURITY: what was meant for one address is not sent to another.
pub(super) fn merged(known: Json, fresh: Json) -> Json {
    let (Json::Object(mut merged), Json::Object(fresh)) = (known, fresh.clone()) else {
        return fresh;
    };
    let address = address(&fresh);
    if address.is_some() {
        without(&mut merged, &OF_PROGRAMS);
    }
    if address != self::address(&merged) {
        without(&mut merged, &HEADERS);
        without(&mut merged, &OF_ADDRESSES);
    }
    without(&mut merged, &ADDRESSES);
    for (key, value) in fresh {
        if HEADERS.contains(&key.as_str()) {
            add_headers(&mut merged, key, value);
        } else if key == "enabled" {
            // Who turned the server off has not turned it on.
            merged.entry(key).or_insert(value);
        } else {
            merged.insert(key, value);
        }
    }
    Json::Object(merged)
}

fn address(entry: &Map<String, Json>) -> Option<&Json> {
    ADDRESSES.iter().find_map(|key| entry.get(*key))
}

fn without(entry: &mut Map<String, Json>, keys: &[&str]) {
    entry.retain(|key, _| !keys.contains(&key.as_str()));
}

/// Puts headers in the place of those of the same names, of which the case does not count (RFC 9110, section 5.1).
fn add_headers(entry: &mut Map<String, Json>, key: String, headers: Json) {
    match (entry.get_mut(&key), headers) {
        (Some(Json::Object(known)), Json::Object(headers)) => {
            known.retain(|name, _| !headers.keys().any(|header| header.eq_ignore_ascii_case(name)));
            known.extend(headers);
        }
        (_, headers) => drop(entry.insert(key, headers)),
    }
}

/// Whether something is sent to the address of the server that only its user may know.
pub(super) fn has_headers(entry: &Json) -> bool {
    HEADERS.iter().any(|key| entry.get(key).is_some())
}

/// Whether what is below a key is shown to nobody.
pub(super) fn is_secret(key: &str) -> bool {
    SECRET.contains(&key)
}

/// The entry as it may be shown.
pub(crate) fn without_secrets(entry: Json) -> Json {
    hidden(entry, false)
}

fn hidden(value: Json, is_within: bool) -> Json {
    match value {
        Json::String(text) => shown(&text, is_within).into(),
        Json::Array(items) => items.into_iter().map(|item| hidden(item, is_within)).collect(),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let is_within = is_within || is_secret(&key);
                (key, hidden(value, is_within))
            });
            Json::Object(fields.collect())
        }
        other @ (Json::Null | Json::Bool(_) | Json::Number(_)) => other,
    }
}

/// A text as it may be shown: without tokens, and one `is_within` what is secret only as far as it says what it is.
pub(super) fn shown(text: &str, is_within: bool) -> String {
    let shown = without_tokens(text);
    match shown.strip_prefix(BEARER) {
        Some(_) => shown,
        None if is_within => "…".to_owned(),
        None => shown,
    }
}

const BEARER: &str = "Bearer ";

/// A text of any kind, without the tokens in it. That one of ours was there is seen.
pub(super) fn without_tokens(text: &str) -> String {
    let mut parts = text.split(BEARER);
    let mut shown = without_own(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_graphic() || "\"',".contains(char));
        let (token, rest) = part.split_at(end.unwrap_or(part.len()));
        shown.push_str(BEARER);
        shown.push_str(if token.starts_with(TOKEN_PREFIX) {
            TOKEN_PREFIX
        } else {
            ""
        });
        shown.push('…');
        // What was shown before is shown again as it is.
        shown.push_str(&without_own(rest.trim_start_matches('…')));
    }
    shown
}

/// A text without tokens of ours that stand alone.
fn without_own(text: &str) -> String {
    let mut parts = text.split(TOKEN_PREFIX);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "-_".contains(char));
        shown.push_str(TOKEN_PREFIX);
        shown.push('…');
        shown.push_str(rest.trim_start_matches('…'));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(known: Json, fresh: Json, merged: Json) {
        assert_eq!(super::merged(known, fresh), merged);
    }

    #[test]
    fn what_a_person_put_into_it_stays() {
        check(
            json!({"command": "old", "args": ["run", "x"], "env": {"A": "1"}, "cwd": "/w", "disabled": true}),
            json!({"command": "new", "args": ["run"]}),
            json!({"command": "new", "args": ["run"], "env": {"A": "1"}, "cwd": "/w", "disabled": true}),
        );
        check(
            json!({"type": "local", "command": ["old"], "enabled": false, "timeout": 9}),
            json!({"type": "local", "command": ["new"], "enabled": true}),
            json!({"type": "local", "command": ["new"], "enabled": false, "timeout": 9}),
        );
    }

    #[test]
    fn nothing_of_another_kind_of_server_stays() {
        let program =
            json!({"command": "x", "args": [], "env": {"A": "1"}, "cwd": "/", "tool_timeout_sec": 90});
        let address = json!({"url": "http://a", "http_headers": {"X": "1"}, "bearer_token_env_var": "T", "trust": true});
        check(
            program.clone(),
            json!({"url": "http://a"}),
            json!({"url": "http://a", "tool_timeout_sec": 90}),
        );
        check(
            address,
            json!({"command": "x", "args": []}),
            json!({"command": "x", "args": [], "trust": true}),
        );
        check(
            json!({"url": "http://sse"}),
            json!({"httpUrl": "http://a"}),
            json!({"httpUrl": "http://a"}),
        );
        check(json!("x"), program.clone(), program);
    }

    #[test]
    fn headers_are_for_the_address_they_were_written_for() {
        let known = json!({"url": "http://a", "headers": {"authorization": "Bearer old", "X-Mine": "1"}});
        let ours = json!({"Authorization": "Bearer new"});
        check(
            known.clone(),
            json!({"url": "http://a", "headers": ours}),
            json!({"url": "http://a", "headers": {"X-Mine": "1", "Authorization": "Bearer new"}}),
        );
        check(known.clone(), json!({"url": "http://a"}), known.clone());
        check(
            known.clone(),
            json!({"url": "http://b"}),
            json!({"url": "http://b"}),
        );
        check(
            known,
            json!({"url": "http://b", "headers": ours}),
            json!({"url": "http://b", "headers": ours}),
        );
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let entry = json!({
            "command": "x",
            "args": ["--header", "Authorization: Bearer wst_abc-D_e", "--token=wst_abc", "-v"],
            "env": {"KEY": "sk-1", "LIST": ["a"]},
            "headers": {"Authorization": "Bearer ey.x", "X-Key": "k"},
        });
        assert_eq!(
            without_secrets(entry),
            json!({
                "command": "x",
                "args": ["--header", "Authorization: Bearer wst_…", "--token=wst_…", "-v"],
                "env": {"KEY": "…", "LIST": ["…"]},
                "headers": {"Authorization": "Bearer …", "X-Key": "…"},
            })
        );
    }
}
