//! How texts that somebody else wrote are shown: as they are, or so that it is seen that they are something else.

use std::fmt;

/// A text in double quotes. What would end the quotes, or is not seen, is shown as an escape.
///
/// SECURITY: a person approves what they read. A path that ends in an invisible letter is another path.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') || is_unseen(c) {
                write!(f, "{}", escaped(c))?;
            } else {
                write!(f, "{c}")?;
            }
        }
        f.write_str("\"")
    }
}

/// A text between backticks of ours, which it must not end.
pub(crate) struct Ticked<'a>(pub(crate) &'a str);

impl fmt::Display for Ticked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.split('`');
        f.write_str(parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| write!(f, "{}{part}", char::REPLACEMENT_CHARACTER))
    }
}

/// A quotation mark and a backslash with a backslash before them, the rest as `\u{3164}`.
fn escaped(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        c => c.escape_unicode().to_string(),
    }
}

/// Whether a character is shown as nothing, as something else, or moves what is beside it: control characters, what
/// Unicode calls default-ignorable, marks that turn text around ("Trojan Source", CVE-2021-42574), separators of lines,
/// and what looks as the font likes.
///
/// INVARIANT: `wassette_wit::sanitize`, through which rules are shown, takes out nothing that is not named here. Neither
/// crate knows the other; a test of the host (`asking.rs`) holds the two lists together.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            // A letter of Braille without a dot.
            | '\u{2800}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            // Private use.
            | '\u{e000}'..='\u{f8ff}'
            | '\u{f0000}'..='\u{10ffff}')
}
