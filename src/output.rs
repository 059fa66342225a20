//! What is printed on standard output: a table for people, JSON or YAML for programs.

use crate::cli::Form;
use crate::exit::Exit;
use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use wassette_host::sanitize;

/// Columns of a terminal that says it has none.
const WIDTH_UNKNOWN: u16 = 100;

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    form: Form,
}

impl Output {
    /// The form that was asked for; else a table on a terminal and JSON in a pipe.
    pub(crate) fn new(form: Option<Form>) -> Self {
        let default = || {
            if std::io::stdout().is_terminal() {
                Form::Table
            } else {
                Form::Json
            }
        };
        Self {
            form: form.unwrap_or_else(default),
        }
    }

    /// Prints data in the chosen form; `people` makes the text for people.
    pub(crate) fn print<T: Serialize>(self, data: &T, people: impl FnOnce(&T) -> String) -> Result<(), Exit> {
        let text = match self.form {
            Form::Json => harmless(&serde_json::to_string_pretty(data).map_err(Exit::failed)?),
            Form::Yaml => {
                serde_saphyr::to_string(data).map_err(|error| Exit::failed(anyhow::anyhow!("{error}")))?
            }
            Form::Table => people(data),
        };
        line(text.trim_end_matches('\n'))
    }
}

impl Output {
    /// Prints a document: as data for programs that read JSON, else as its text.
    pub(crate) fn document<T: Serialize>(self, data: &T, text: &str) -> Result<(), Exit> {
        match self.form {
            Form::Json => self.print(data, |_| String::new()),
            Form::Yaml | Form::Table => line(text.trim_end_matches('\n')),
        }
    }
}

/// JSON with escapes for what a terminal acts on and what is not seen. It stands in strings alone, and means the same.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let is_shown = c.is_ascii() || sanitize(c.encode_utf8(&mut [0; 4]), usize::MAX).contains(c);
        if is_shown || c.is_whitespace() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// Prints a line to standard output. A reader that went away (`wassette … | head`) is no failure.
pub(crate) fn line(text: &str) -> Result<(), Exit> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Exit::failed(
            anyhow::Error::new(error).context("cannot write to standard output"),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line to standard error, for the person at the terminal. Nobody may be there: that changes nothing
/// of the outcome, where `eprintln` would panic.
pub(crate) fn note(text: &str) {
    let _unread = writeln!(std::io::stderr().lock(), "{text}");
}

/// A table with a head, no lines, and columns as wide as the terminal allows.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head);
    // A terminal that does not say how wide it is.
    if table.width() == Some(0) {
        table.set_width(WIDTH_UNKNOWN);
    }
    for row in rows {
        table.add_row(row);
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Text from outside, safe to show on a terminal: no escape sequences, nothing hidden or turned around, one line.
pub(crate) fn shown(text: &str) -> String {
    sanitize(text, usize::MAX).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_nothing_that_a_terminal_acts_on_and_means_the_same() {
        let data = serde_json::json!({"größe": "\u{9b}31m \u{202e}x\u{e0041} 数 🙂\u{1b}"});
        let text = harmless(&serde_json::to_string_pretty(&data).expect("JSON"));
        assert!(
            text.contains(r"\u009b31m \u202ex\udb40\udc41 数 🙂\u001b"),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON"),
            data
        );
    }
}
