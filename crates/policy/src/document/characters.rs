//! Which characters a document may have, and how errors show a text.

use super::ParsePolicyError;
use super::yaml::Position;
use crate::text::is_unseen;

/// Longest key or text that an error repeats, in characters.
const SHOWN_MAX: usize = 60;

/// A text as an error shows it: short, and without characters that could fool a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|c| {
            if c == '`' {
                char::REPLACEMENT_CHARACTER
            } else {
                harmless(c)
            }
        })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// The character itself, or a sign that there was one.
pub(super) fn harmless(c: char) -> char {
    if is_unseen(c) {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// Line breaks are LF or CRLF. Everything else that a terminal acts on, or that makes text look like other text, has no
/// place in what an operator reviews.
pub(super) fn check(text: &str) -> Result<(), ParsePolicyError> {
    let mut at = Position { line: 1, column: 1 };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_break = c == '\n' || (c == '\r' && chars.peek() == Some(&'\n'));
        if !is_break && c != '\t' && is_unseen(c) {
            return Err(at
                .error(format!("the character U+{:04X} is not allowed", u32::from(c)))
                .hint("what is not seen, or reorders text, is refused; in double quotes it can be written as `\\u` and four digits"));
        }
        at = if c == '\n' {
            Position {
                line: at.line + 1,
                column: 1,
            }
        } else {
            Position {
                column: at.column + 1,
                ..at
            }
        };
    }
    Ok(())
}
