//! Takes the tree apart: maps with known keys only, lists, and texts that no reader takes for something else.

use super::ParsePolicyError;
use super::characters::shown;
use super::yaml::{Entry, Node, Position, Value};
use strsim::osa_distance;

/// Keys of other runtimes and of later versions, with the reason why they are refused.
const REFUSED: [(&str, &str); 10] = [
    (
        "defaults",
        "there are no hosts that are allowed by default: name each one",
    ),
    (
        "runtime",
        "nothing here would enforce it: components run in this program, not in another runtime",
    ),
    (
        "docker",
        "nothing here would enforce it: components do not run in containers",
    ),
    (
        "hyperlight",
        "nothing here would enforce it: components run in this program, not in another runtime",
    ),
    (
        "ipc",
        "nothing here would enforce it: components have no pipes and no local sockets",
    ),
    (
        "io",
        "nothing here would enforce it; the limits `file-read` and `file-write` count bytes",
    ),
    (
        "requests",
        "nothing here reserves resources; HTTP requests are counted by `limits: {requests: 100}`",
    ),
    (
        "signatures",
        "only the operator's ceiling says who must have signed, beside `permissions`",
    ),
    (
        "sources",
        "only the operator's ceiling says where components may come from, beside `permissions`",
    ),
    ("extends", "a policy stands alone; nothing is read from elsewhere"),
];

/// What stands below `permissions`.
pub(super) const SECTIONS: [&str; 7] = [
    "storage",
    "filesystem",
    "network",
    "environment",
    "secrets",
    "tools",
    "resources",
];

/// What word processors make of quotes.
const WORD_QUOTES: [char; 10] = ['“', '”', '„', '‟', '‘', '’', '‚', '«', '»', '′'];

/// A map whose keys are all known.
#[derive(Clone, Copy)]
pub(super) struct Map<'n> {
    pub(super) at: Position,
    entries: &'n [Entry],
}

impl<'n> Map<'n> {
    /// `what` is what the map is, for messages.
    pub(super) fn of(node: &'n Node, what: &str, known: &[&str]) -> Result<Self, ParsePolicyError> {
        let Value::Map(entries) = &node.value else {
            let hint = match &node.value {
                Value::Plain(text) if text.contains(':') => {
                    "a key is followed by a colon and a space".to_owned()
                }
                Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => {
                    format!("its keys are {}", listed(known))
                }
            };
            return Err(node
                .at
                .error(format!("{what} must be a map, not {}", node.kind()))
                .hint(hint));
        };
        if let Some(entry) = entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            return Err(unknown_key(entry, what, known));
        }
        Ok(Self { at: node.at, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// With the place of the key itself.
    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// `hint` says what could stand there.
    pub(super) fn required(&self, key: &str, hint: &str) -> Result<&'n Node, ParsePolicyError> {
        self.get(key)
            .ok_or_else(|| self.at.error(format!("`{key}` is missing")).hint(hint))
    }

    /// The texts of a list, if the key is there.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ParsePolicyError> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let texts = node
            .items(key)?
            .iter()
            .map(|item| item.text(key).map(str::to_owned));
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The place of one member of the list at a key, of the key's value, or of the map: the nearest that there is.
    pub(super) fn nearest(&self, key: &str, index: Option<usize>) -> Position {
        let Some(node) = self.get(key) else {
            return self.at;
        };
        let item = match (&node.value, index) {
            (Value::List(items), Some(index)) => items.get(index),
            (Value::List(_) | Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Map(_), _) => None,
        };
        item.unwrap_or(node).at
    }

    /// A text, if the key is there.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ParsePolicyError> {
        self.get(key)
            .map(|node| node.text(key).map(str::to_owned))
            .transpose()
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// A key of a map, whatever else is in it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Plain(_) | Value::Quoted(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// A text. Without quotes it must not be something that any version of YAML takes for a number, a date, a
    /// truth value or nothing.
    pub(super) fn text(&self, key: &str) -> Result<&str, ParsePolicyError> {
        match &self.value {
            Value::Quoted(text) => Ok(text),
            Value::Plain(text) if is_ambiguous(text) => Err(self
                .at
                .error(format!("`{}` is not surely a text", shown(text)))
                .hint("put it into quotes")),
            // A description is for people.
            Value::Plain(text)
                if key != "description" && (text.starts_with(WORD_QUOTES) || text.ends_with(WORD_QUOTES)) =>
            {
                Err(self
                    .at
                    .error(format!("`{}` has quotes that are letters here", shown(text)))
                    .hint("use straight quotes: `\"` or `'`"))
            }
            Value::Plain(text) => Ok(text),
            Value::Null | Value::List(_) | Value::Map(_) => Err(self
                .at
                .error(format!("`{key}` must be a text, not {}", self.kind()))
                .hint(match &self.value {
                    Value::Null => "write a text, or leave this out",
                    Value::Map(_) => "put a text with `: ` or braces into quotes",
                    Value::List(_) | Value::Plain(_) | Value::Quoted(_) => {
                        "write one text, without brackets or a dash before it"
                    }
                })),
        }
    }

    /// A text or a number, as it is written. `hint` says what could stand there.
    pub(super) fn amount(&self, key: &str, hint: &str) -> Result<&str, ParsePolicyError> {
        match &self.value {
            Value::Plain(text) if is_octal(text) => Err(self
                .at
                .error(format!("`{}` is an octal number for some readers", shown(text)))
                .hint("leave the leading zero out")),
            Value::Quoted(text) | Value::Plain(text) => Ok(text),
            Value::Null | Value::List(_) | Value::Map(_) => Err(self
                .at
                .error(format!("`{key}` must be an amount, not {}", self.kind()))
                .hint(hint)),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<bool, ParsePolicyError> {
        match &self.value {
            Value::Plain(text) if text == "true" => Ok(true),
            Value::Plain(text) if text == "false" => Ok(false),
            Value::Plain(_) | Value::Quoted(_) | Value::Null | Value::List(_) | Value::Map(_) => Err(self
                .at
                .error(format!("`{key}` is neither true nor false"))
                .hint("write `true` or `false`, without quotes")),
        }
    }

    pub(super) fn items(&self, key: &str) -> Result<&[Self], ParsePolicyError> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Plain(_) | Value::Quoted(_) | Value::Null | Value::Map(_) => Err(self
                .at
                .error(format!("`{key}` must be a list, not {}", self.kind()))
                .hint(match &self.value {
                    Value::Plain(text) | Value::Quoted(text) => as_list(key, text),
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        "write each member in a line of its own, after `- `".to_owned()
                    }
                })),
        }
    }
}

/// Longest key that may be another one misspelled. Comparing takes time for each letter.
const MISSPELLED_BYTES_MAX: usize = 64;

/// A text as the list that is meant.
fn as_list(key: &str, text: &str) -> String {
    if key == "access" {
        return "write `[read]` or `[read, write]`".to_owned();
    }
    let members = text
        .split([',', '|', ' ', ';'])
        .filter(|member| !member.is_empty());
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let quoted: Vec<_> = members
        .map(|member| {
            if is_number(member) {
                member.to_owned()
            } else {
                format!("\"{}\"", shown(member))
            }
        })
        .collect();
    if quoted.is_empty() {
        return "write each member in a line of its own, after `- `".to_owned();
    }
    format!("write `[{}]`", quoted.join(", "))
}

fn unknown_key(entry: &Entry, what: &str, known: &[&str]) -> ParsePolicyError {
    let key = entry.key.as_str();
    // One letter more or less is a slip: `sources` for `source`.
    let is_near = known.iter().any(|known| osa_distance(key, known) == 1);
    let refused = REFUSED.iter().find(|(refused, _)| *refused == key);
    if let Some((_, why)) = refused.filter(|_| !is_near) {
        return entry.at.error(format!("`{key}` is refused in {what}")).hint(*why);
    }
    let error = entry.at.error(format!("`{}` is not a key of {what}", shown(key)));
    if known.contains(&"permissions") && SECTIONS.contains(&key) {
        return error.hint("write it below `permissions:`, indented");
    }
    let word = key.to_ascii_lowercase().replace('_', "-");
    let near = known
        .iter()
        .filter(|_| word.len() <= MISSPELLED_BYTES_MAX)
        .map(|known| (osa_distance(&word, known), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len().min(key.len()) / 4)
        .min();
    match near {
        Some((_, near)) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("its keys are {}", listed(known))),
    }
}

fn listed(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

/// Whether YAML 1.1 reads a number as octal that YAML 1.2 reads as decimal.
fn is_octal(text: &str) -> bool {
    text.strip_prefix('0')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Words that YAML 1.1 or 1.2 reads as truth values, nothing or special numbers, in lower case.
const RESERVED: [&str; 17] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ".nan", ".inf", "+.inf", "-.inf", "=",
    "<<", "",
];

/// Whether some version of YAML reads this text without quotes as something else than a text.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) {
        return true;
    }
    let digits = lower.trim_start_matches(['+', '-']).replace(['_', ','], "");
    let is_all =
        |digits: &str, allowed: fn(&char) -> bool| !digits.is_empty() && digits.chars().all(|c| allowed(&c));
    for (mark, allowed) in [
        ("0x", (|c| c.is_ascii_hexdigit()) as fn(&char) -> bool),
        ("0o", |c| c.is_ascii_digit()),
        ("0b", |c| c.is_ascii_digit()),
    ] {
        if digits
            .strip_prefix(mark)
            .is_some_and(|digits| is_all(digits, allowed))
        {
            return true;
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    // Besides numbers: `12:30` is in YAML 1.1 a number of base 60, `2026-01-31` a date.
    let is_number = digits.contains(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok();
    let is_sexagesimal =
        digits.contains(':') && is_all(&digits, |c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    let is_date = digits.matches('-').count() >= 2
        && is_all(&digits, |c| {
            c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 't' | 'z' | ' ' | '+')
        });
    is_number || is_sexagesimal || is_date
}
