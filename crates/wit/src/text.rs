//! Text that others wrote, made safe to show.
//!
//! What a component says about itself is read by a model and by a person, and the two must see the same:
//! characters that one of them does not see carry instructions past the other.

/// Ends a text that was cut.
const ELLIPSIS: char = '…';

/// Returns `text` without characters that are invisible or change how others are shown, at most `max_bytes` long.
///
/// Out go control characters, bidirectional controls, the tag block, zero-width characters, variation
/// selectors and their like. Line breaks stay, at most two in a row; a tab becomes a space. A text that is
/// too long is cut and ends in an ellipsis.
#[must_use]
pub fn sanitize(text: &str, max_bytes: usize) -> String {
    // Hidden characters may make up all of a huge text, so stop when enough is kept, not when all is read.
    let mut kept = String::with_capacity(text.len().min(max_bytes));
    let mut breaks = 0;
    let mut is_cut = false;
    for char in text.trim().chars().filter_map(visible) {
        breaks = if char == '\n' { breaks + 1 } else { 0 };
        if breaks > 2 {
            continue;
        }
        if kept.len() + char.len_utf8() > max_bytes {
            is_cut = true;
            break;
        }
        kept.push(char);
    }
    if is_cut {
        cut(&mut kept, max_bytes);
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Whether all of a text is seen: [`sanitize`] would take no character out of it.
pub(crate) fn is_visible(text: &str) -> bool {
    text.chars()
        .all(|char| char == '\t' || visible(char) == Some(char))
}

/// Shortens `text` until the ellipsis fits behind it.
fn cut(text: &mut String, max_bytes: usize) {
    while text.len() + ELLIPSIS.len_utf8() > max_bytes {
        if text.pop().is_none() {
            return;
        }
    }
    text.push(ELLIPSIS);
}

/// The character to show for `char`, if any.
fn visible(char: char) -> Option<char> {
    match char {
        '\n' => Some('\n'),
        '\t' => Some(' '),
        // Line and paragraph separator break lines for some readers only.
        '\u{2028}' | '\u{2029}' => Some(' '),
        other if other.is_control() || is_invisible(other) => None,
        other => Some(other),
    }
}

/// Whether a character is invisible by itself: the default-ignorable code points of Unicode and their like.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{115F}'..='\u{1160}'
        | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        // Zero-width space, non-joiner and joiner; directional marks.
        | '\u{200B}'..='\u{200F}'
        // Bidirectional embeddings and overrides.
        | '\u{202A}'..='\u{202E}'
        // Word joiner, invisible operators, bidirectional isolates.
        | '\u{2060}'..='\u{206F}'
        | '\u{FDD0}'..='\u{FDEF}'
        // Variation selectors, then specials that are not for interchange.
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{FFFE}'..='\u{FFFF}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        // The tag block and the supplementary variation selectors.
        | '\u{E0000}'..='\u{E0FFF}'
        // Private use: what is shown is up to the font.
        | '\u{E000}'..='\u{F8FF}'
        | '\u{F0000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, max_bytes: usize, expected: &str) {
        assert_eq!(sanitize(text, max_bytes), expected);
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        check(
            "Adds two numbers.\nSlowly: größer, 数, 🙂.",
            1024,
            "Adds two numbers.\nSlowly: größer, 数, 🙂.",
        );
        check("", 10, "");
        check("abc", 3, "abc");
    }

    #[test]
    fn hidden_characters_go() {
        check("a\u{0}b\u{7}c\u{1b}[31m\u{7f}\u{85}", 64, "abc[31m");
        check("a\u{202E}b\u{2066}c\u{2069}\u{061C}\u{200F}", 64, "abc");
        check("a\u{E0001}\u{E0069}\u{E0067}b", 64, "ab");
        check("a\u{200B}\u{200C}\u{200D}\u{FEFF}\u{2060}\u{00AD}b", 64, "ab");
        check("a\u{FE0F}\u{E0100}b\u{3164}", 64, "ab");
    }

    #[test]
    fn space_is_normalised() {
        check("  a\tb\r\nc\n\n\n\n\nd\u{2028}e  ", 64, "a b\nc\n\nd e");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        check("abcdefgh", 6, "abc…");
        check("ääää", 7, "ää…");
        check("abcdefgh", 2, "");
        check(&"\u{200B}".repeat(100_000), 8, "");
    }
}
