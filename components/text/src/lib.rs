//! The starter component `text`: digests, base64, differences, regular expressions and JSON queries.
//!
//! It imports nothing: what it does depends on its arguments alone.

mod diff;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use regex_lite::{Captures, Regex};
use serde_json::Value;
use serde_json_path::JsonPath;
use sha2::{Digest, Sha256, Sha384, Sha512};

wit_bindgen::generate!({ world: "text", path: "wit" });

/// How many places `find` returns when nobody asks for another number.
const FIND_LIMIT: u32 = 100;

/// How many unchanged lines `diff` shows around a change when nobody asks for another number.
const DIFF_CONTEXT: u32 = 3;

struct Component;
export!(Component);

impl Guest for Component {
    fn hash(text: String, algorithm: Option<HashAlgorithm>) -> String {
        match algorithm.unwrap_or(HashAlgorithm::Sha256) {
            HashAlgorithm::Sha256 => hexadecimal(&Sha256::digest(text)),
            HashAlgorithm::Sha384 => hexadecimal(&Sha384::digest(text)),
            HashAlgorithm::Sha512 => hexadecimal(&Sha512::digest(text)),
        }
    }

    fn base64_encode(text: String, url_safe: Option<bool>) -> String {
        if url_safe == Some(true) {
            return general_purpose::URL_SAFE_NO_PAD.encode(text);
        }
        general_purpose::STANDARD.encode(text)
    }

    fn base64_decode(base64: String) -> Result<String, String> {
        let text: String = base64
            .chars()
            .filter(|character| !character.is_ascii_whitespace())
            .collect();
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if text.contains(['-', '_']) {
            URL_SAFE
        } else {
            STANDARD
        };
        let bytes = GeneralPurpose::new(&alphabet, config)
            .decode(text)
            .map_err(|error| format!("this is not base64: {error}"))?;
        String::from_utf8(bytes).map_err(|error| format!("the decoded bytes are not text in UTF-8: {error}"))
    }

    fn diff(old: String, new: String, context: Option<u32>) -> String {
        diff::unified(&old, &new, context.unwrap_or(DIFF_CONTEXT))
    }

    fn find(text: String, pattern: String, limit: Option<u32>) -> Result<Occurrences, String> {
        let regex = regex(&pattern)?;
        let limit = usize::try_from(limit.unwrap_or(FIND_LIMIT)).unwrap_or(usize::MAX);
        let mut lines = Lines::new(&text);
        let mut found = Vec::new();
        let mut total: u32 = 0;
        for captures in regex.captures_iter(&text) {
            total = total.saturating_add(1);
            if found.len() < limit {
                found.extend(occurrence(&captures, &mut lines));
            }
        }
        Ok(Occurrences { found, total })
    }

    fn replace(text: String, pattern: String, replacement: String) -> Result<Replaced, String> {
        let mut count: u32 = 0;
        let text = regex(&pattern)?.replace_all(&text, |captures: &Captures<'_>| {
            count = count.saturating_add(1);
            let mut expanded = String::new();
            captures.expand(&replacement, &mut expanded);
            expanded
        });
        Ok(Replaced {
            text: text.into_owned(),
            count,
        })
    }

    fn json_query(json: String, query: String) -> Result<Vec<JsonMatch>, String> {
        let document: Value =
            serde_json::from_str(&json).map_err(|error| format!("this is not JSON: {error}"))?;
        if query.is_empty() || query.starts_with('/') {
            let value = document.pointer(&query);
            return Ok(value.map(|value| json_match(query, value)).into_iter().collect());
        }
        if !query.starts_with('$') {
            return Err(format!(
                "the query `{query}` must start with `/` (JSON Pointer) or `$` (JSONPath)"
            ));
        }
        let path = JsonPath::parse(&query)
            .map_err(|error| format!("cannot read the JSONPath `{query}`: {error}"))?;
        let nodes = path.query_located(&document);
        Ok(nodes
            .iter()
            .map(|node| json_match(node.location().to_json_pointer(), node.node()))
            .collect())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("cannot read the regular expression `{pattern}`: {error}"))
}

fn occurrence(captures: &Captures<'_>, lines: &mut Lines<'_>) -> Option<Occurrence> {
    let whole = captures.get(0)?;
    let (line, column) = lines.position(whole.start());
    let groups = captures
        .iter()
        .skip(1)
        .map(|group| group.map(|group| group.as_str().to_owned()))
        .collect();
    Some(Occurrence {
        text: whole.as_str().to_owned(),
        line,
        column,
        groups,
    })
}

fn json_match(pointer: String, value: &Value) -> JsonMatch {
    JsonMatch {
        pointer,
        value: value.to_string(),
    }
}

/// Turns byte offsets into lines and columns, for offsets that only grow: each part of the text is walked once.
struct Lines<'a> {
    rest: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            offset: 0,
            line: 1,
            column: 1,
        }
    }

    fn position(&mut self, offset: usize) -> (u32, u32) {
        let step = offset.saturating_sub(self.offset);
        let Some((passed, rest)) = self.rest.split_at_checked(step) else {
            return (self.line, self.column);
        };
        for character in passed.chars() {
            if character == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        (self.rest, self.offset) = (rest, offset);
        (self.line, self.column)
    }
}
