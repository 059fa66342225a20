//! What is said of the mistakes that the parser of YAML finds: in words for people who write policies.

use super::ParsePolicyError;
use super::yaml::{DEPTH_MAX, Position, place};
use granit_parser::{ErrorKind as Kind, ScanError};

pub(super) const QUOTE: &str = "put a text that begins with this character into quotes";
const COLON: &str = "put a text that contains `: ` into quotes, and check the indentation";
const KEY: &str = "a key is followed by a colon and a space";
const INDENT: &str =
    "check the indentation, and put a text that goes on in the next line into quotes on one line";
const LINE: &str = "a text cannot go on in the next line";
const DASH: &str = "a list begins in a line of its own, with a dash and a space before each member";
/// Of what says nothing else.
pub(super) const CHECK: &str = "check the quotes, brackets and indentation up to this place";
pub(super) const VALUE: &str = "a text that begins with a comma or a bracket must be in quotes";

/// Message and hint. What is not here is told in the parser's own words.
const MISTAKES: [(Kind, &str, &str); 46] = [
    (
        Kind::DirectiveDisallowed,
        "YAML directives are not read",
        "leave this line out",
    ),
    (Kind::TabInBlockIndentation, TAB, SPACES),
    (Kind::TabInPlainScalar, TAB, SPACES),
    (Kind::TabNotAllowed, TAB, SPACES),
    (Kind::UnclosedQuotedScalar, UNCLOSED, LINE),
    (
        Kind::UnknownQuotedScalarEscape,
        "an escape in this text is not known",
        ESCAPE,
    ),
    (Kind::InvalidQuotedScalarHexEscape, SHORT_ESCAPE, ESCAPE),
    (Kind::InvalidLowSurrogateHexEscape, SHORT_ESCAPE, ESCAPE),
    (Kind::InvalidLowSurrogate, NO_CHARACTER, WHOLE_CHARACTER),
    (Kind::MissingLowSurrogate, NO_CHARACTER, WHOLE_CHARACTER),
    (Kind::UnpairedLowSurrogate, NO_CHARACTER, WHOLE_CHARACTER),
    (Kind::InvalidUnicodeEscape, NO_CHARACTER, WHOLE_CHARACTER),
    (
        Kind::InvalidTrailingSingleQuotedScalar,
        "there is more text after the quotes",
        WHOLE,
    ),
    (
        Kind::InvalidTrailingDoubleQuotedScalar,
        "there is more text after the quotes",
        WHOLE,
    ),
    (Kind::ExpectedBlockMappingKey, STRANGER, INDENT),
    (Kind::ExpectedBlockSequenceEntry, STRANGER, INDENT),
    (Kind::ExpectedDocumentStart, STRANGER, INDENT),
    (Kind::InvalidIndentation, STRANGER, INDENT),
    (Kind::SimpleKeyExpected, "there is no `:` after this key", KEY),
    (
        Kind::FlowMappingValueAdjacentCollection,
        "there is no space after this `:`",
        KEY,
    ),
    (Kind::MappingValueNotAllowed, "a `:` cannot stand here", COLON),
    (Kind::InvalidColonPlacement, "a `:` cannot stand here", COLON),
    (
        Kind::MappingKeyNotAllowed,
        "keys marked with `?` are not read",
        QUOTE,
    ),
    (Kind::InvalidQuotedScalarIndent, UNCLOSED, LINE),
    (Kind::DocumentIndicatorInQuotedScalar, UNCLOSED, LINE),
    (
        Kind::CommentInterceptedScalar,
        "text over several lines is not read",
        LINE,
    ),
    (
        Kind::PlainScalarStartsWithDashFlowIndicator,
        "a dash cannot stand between brackets",
        QUOTE,
    ),
    (
        Kind::BlockEntryInFlowCollection,
        "a dash cannot stand between brackets",
        QUOTE,
    ),
    (
        Kind::BlockSequenceEntryNotAllowed,
        "a list item cannot stand here",
        DASH,
    ),
    (
        Kind::CommentNotSeparated,
        "a comment needs a space before it",
        "put a text with `#` into quotes",
    ),
    (Kind::UnexpectedEofImplicitFlowMapping, NOTHING, VALUE),
    (Kind::UnexpectedEofFlowSequence, NOTHING, VALUE),
    (Kind::UnexpectedEofFlowMapping, NOTHING, VALUE),
    (Kind::UnexpectedEofBlockSequence, NOTHING, VALUE),
    (Kind::UnexpectedEofBlockMapping, NOTHING, VALUE),
    (Kind::MisplacedFlowCollectionEnd, "no bracket is open here", VALUE),
    (
        Kind::MissingAnchorOrAliasName,
        "anchors and aliases are not read",
        QUOTE,
    ),
    (Kind::UndeclaredTagHandle, TAGS, QUOTE),
    (Kind::UnclosedVerbatimTag, TAGS, QUOTE),
    (Kind::InvalidTagEscape, TAGS, QUOTE),
    (Kind::InvalidTagTerminator, TAGS, QUOTE),
    (Kind::InvalidTagUtf8, TAGS, QUOTE),
    (Kind::InvalidTagUtf8LeadingByte, TAGS, QUOTE),
    (Kind::InvalidTagUtf8TrailingByte, TAGS, QUOTE),
    (Kind::MissingTagUri, TAGS, QUOTE),
    (
        Kind::InvalidDocumentEnd,
        "nothing can follow `...`",
        "leave this line out",
    ),
];
pub(super) const ESCAPE: &str =
    "write `\\\\` for a backslash, or use single quotes, where nothing is escaped";
const SHORT_ESCAPE: &str = "an escape in this text has too few digits of base 16";
const NO_CHARACTER: &str = "an escape in this text stands for no character";
const WHOLE_CHARACTER: &str = "write the character itself";
const NOTHING: &str = "a value is missing here";
const SPACES: &str = "indent with spaces";
const STRANGER: &str = "this does not belong to what stands before it";
pub(super) const TAGS: &str = "tags are not read";
const TAB: &str = "a tab cannot indent";
const UNCLOSED: &str = "this quote is not closed in its line";
const WHOLE: &str = "put the whole text into quotes";

/// Where the quote stands that the parser stumbles over lines later, at the quote that opens the next text.
/// `between` is the text from the last event to the mistake.
pub(super) fn open_quote(kind: &Kind, between: &str) -> Option<usize> {
    let is_of_quotes = matches!(
        kind,
        Kind::InvalidTrailingDoubleQuotedScalar
            | Kind::InvalidTrailingSingleQuotedScalar
            | Kind::InvalidQuotedScalarIndent
    );
    let mut previous = ' ';
    let mut chars = between.char_indices().filter(|_| is_of_quotes);
    while let Some((index, c)) = chars.next() {
        if matches!(c, '"' | '\'') && matches!(previous, ' ' | '\t' | '\n' | '[' | '{' | ',' | ':') {
            let is_end = |(_, next): &(usize, char)| *next == c || *next == '\n';
            if chars.find(is_end).is_some_and(|(_, end)| end == '\n') {
                return Some(index);
            }
        } else if c == '#' && matches!(previous, ' ' | '\t' | '\n') {
            chars.find(|(_, next)| *next == '\n');
        }
        previous = c;
    }
    None
}

pub(super) fn unclosed(at: Position) -> ParsePolicyError {
    at.error(UNCLOSED).hint(LINE)
}

/// What is said of a mistake that the parser found.
pub(super) fn of(error: &ScanError) -> ParsePolicyError {
    let at = place(*error.marker());
    let kind = error.kind();
    if let Some((_, message, hint)) = MISTAKES.iter().find(|(known, ..)| known == kind) {
        return at.error(*message).hint(*hint);
    }
    if let Kind::UnexpectedCharacter { .. } = kind {
        return at.error("a text cannot begin with this character").hint(QUOTE);
    }
    if *kind == Kind::RecursionLimitExceeded {
        return too_deep(at);
    }
    if let Kind::UnclosedFlowCollection { open } = kind {
        return at
            .error(format!("`{open}` is not closed"))
            .hint("close each `[` with `]`, and each `{` with `}`");
    }
    if let Kind::MismatchedFlowCollectionEnd { open, close } = kind {
        return at
            .error(format!("`{open}` is closed by `{close}`"))
            .hint("close each `[` with `]`, and each `{` with `}`");
    }
    at.error(kind.to_string()).hint(CHECK)
}

/// Escapes of YAML that neither JSON nor people use.
pub(super) fn has_rare_escape(source: &str) -> bool {
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && matches!(chars.next(), Some('N' | '_' | 'L' | 'P' | '\t')) {
            return true;
        }
    }
    false
}

pub(super) fn too_deep(at: Position) -> ParsePolicyError {
    at.error(format!("the nesting is deeper than {DEPTH_MAX}"))
        .hint("a policy needs eight levels; check the brackets and the indentation")
}
