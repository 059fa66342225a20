//! Reads the part of YAML that policies are written in, and knows where everything stands.
//!
//! `granit-parser` parses; this is a strict layer over its events. Its serde front, `serde-saphyr`, cannot serve
//! here: it hands numbers over without the text that was written and texts without their quotes, so that `443`
//! and `0x1bb`, or `on` and `"on"`, could not be told apart.
//!
//! Lists and maps in block and flow style, quoted and plain text on one line, comments: what JSON and every
//! hand-written policy need. Whatever two readers of YAML could take for different things is refused at its
//! line and column instead of guessed: anchors, aliases, tags, merge keys, directives, text over several
//! lines (but for a key in PEM), duplicate keys, tabs that indent, a second document. Nothing is expanded, so the tree is never larger than
//! the text.

use super::ParsePolicyError;
use super::characters::{self, shown};
use super::mistakes::{self, ESCAPE, QUOTE};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle};
use std::collections::HashSet;

/// Largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting; the deepest policy needs eight.
pub(super) const DEPTH_MAX: usize = 16;

/// The one key whose value may be several lines, after `|`: a key in PEM is nothing else.
const LINES: &str = "key";

/// What to write when there is nothing.
const BEGIN: &str = "begin with `version: \"1.0\"`";

/// A place in the text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) fn error(self, message: impl Into<String>) -> Mistake {
        Mistake {
            at: self,
            message: message.into(),
        }
    }
}

/// What is wrong at a place. No error before [`Mistake::hint`] says what to write instead.
#[must_use]
pub(super) struct Mistake {
    at: Position,
    message: String,
}

impl Mistake {
    pub(super) fn hint(self, hint: impl Into<String>) -> ParsePolicyError {
        ParsePolicyError {
            line: self.at.line,
            column: self.at.column,
            message: self.message,
            hint: hint.into(),
        }
    }
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text without quotes; what it means depends on what is expected.
    Plain(String),
    /// Text in quotes.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) key: String,
    pub(super) value: Node,
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Node, ParsePolicyError> {
    let start = Position { line: 1, column: 1 };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(start
            .error(format!("the document is longer than {DOCUMENT_BYTES_MAX} bytes"))
            .hint("write fewer rules: a folder or a host with `*` stands for many"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    characters::check(text)?;
    let options = granit_parser::options! {
        disallow_directives: true,
        // Both only to be refused where they stand.
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, options),
        end: Marker::new(0, 1, 0).with_byte_offset(Some(0)),
        depth: 0,
        flow_depth: 0,
    };
    reader.document()
}

type Mark<'t> = (Event<'t>, Span);

struct Reader<'t> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    /// Where the last value, bracket or marker ended. Between it and the next one are only blanks,
    /// comments, and the marks `-`, `?`, `:`, `,`, `|` and `>`.
    end: Marker,
    depth: usize,
    /// How many of the open lists and maps are in brackets.
    flow_depth: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, ParsePolicyError> {
        self.next()?;
        let (start, marker) = self.next()?;
        let Event::DocumentStart(is_marked, _) = start else {
            return Err(place(marker.start).error("the document is empty").hint(BEGIN));
        };
        let (event, span) = self.next()?;
        let at = place(span.start);
        if matches!(event, Event::Scalar(..)) && is_missing(span) {
            return Err(at.error("the document is empty").hint(BEGIN));
        }
        if is_marked && at.line == marker.start.line() {
            return Err(at
                .error("the document must begin in a line of its own")
                .hint("write its first key in the next line"));
        }
        let root = self.node(event, span)?;
        self.next()?;
        let (next, span) = self.next()?;
        let Event::DocumentStart(is_marked, _) = next else {
            return Ok(root);
        };
        let message = if is_marked {
            "there is a second document"
        } else {
            "there is text after the end of the document"
        };
        Err(place(span.start).error(message).hint("one file is one policy"))
    }

    /// The next event, if it is one that policies use.
    fn next(&mut self) -> Result<Mark<'t>, ParsePolicyError> {
        let (event, span) = match self.events.next() {
            Some(Ok(next)) => next,
            Some(Err(error)) => return Err(self.mistake(&error)),
            None => {
                return Err(place(self.end)
                    .error("the document ends too early")
                    .hint(mistakes::CHECK));
            }
        };
        let at = place(span.start);
        // Each check below looks at the text there; without it nothing would be checked.
        span.byte_range()
            .ok_or_else(|| at.error("the parser lost its place").hint(mistakes::CHECK))?;
        if let Some(tag) = span.tag_start.filter(|_| event.tag().is_some()) {
            return Err(place(tag)
                .error(mistakes::TAGS)
                .hint("leave it out, or put a text that begins with `!` into quotes"));
        }
        if matches!(event, Event::Alias(_) | Event::UnresolvedAlias(_)) {
            return Err(at.error("aliases are not read").hint(QUOTE));
        }
        if matches!(event, Event::Anchor(..)) {
            return Err(at.error("anchors are not read").hint(QUOTE));
        }
        let is_written = matches!(
            event,
            Event::DocumentStart(true, _) | Event::SequenceEnd | Event::MappingEnd
        ) && !is_missing(span);
        if event.is_node() || is_written {
            self.check_gap(span.start)?;
        }
        // What begins a block is empty, and a document without a mark begins where its value begins.
        if matches!(event, Event::Scalar(..))
            || (!is_missing(span) && !matches!(event, Event::DocumentStart(false, _)))
        {
            self.end = span.end;
        }
        Ok((event, span))
    }

    fn mistake(&self, error: &ScanError) -> ParsePolicyError {
        let start = bytes(self.end);
        let between = self.text.get(start..bytes(*error.marker())).unwrap_or_default();
        match mistakes::open_quote(error.kind(), between) {
            Some(index) => mistakes::unclosed(self.place_of(self.end, start + index)),
            None => mistakes::of(error),
        }
    }

    /// The lines between two values without their comments, each with where it begins.
    fn gap(&self, from: Marker, to: Marker) -> impl Iterator<Item = (usize, &'t str)> {
        let mut offset = bytes(from);
        let gap = self.text.get(offset..bytes(to)).unwrap_or_default();
        gap.split('\n').map(move |line| {
            let start = offset;
            offset += line.len() + 1;
            (start, line.split('#').next().unwrap_or_default())
        })
    }

    /// Refuses what the parser reads between two values and other readers may read otherwise.
    fn check_gap(&self, to: Marker) -> Result<(), ParsePolicyError> {
        for (offset, line) in self.gap(self.end, to) {
            let at = |index: usize| self.place_of(self.end, offset + index);
            // The byte before an index; a line break before the first.
            let before = |index: usize| match (offset + index).checked_sub(1) {
                Some(index) => self.text.as_bytes().get(index).copied(),
                None => Some(b'\n'),
            };
            let is_comment = self.text.as_bytes().get(offset + line.len()) == Some(&b'#');
            if is_comment && !matches!(before(line.len()), Some(b' ' | b'\t' | b'\n')) {
                return Err(at(line.len())
                    .error("a comment needs a space before it")
                    .hint("write a space before the `#`, or put a text with `#` into quotes"));
            }
            if line.starts_with("...") {
                return Err(at(0)
                    .error("there is no document before its end")
                    .hint("leave this line out"));
            }
            if let Some(index) = line.find('?') {
                return Err(at(index)
                    .error("keys marked with `?` are not read")
                    .hint("write the key, a colon and a space; put a text with `?` into quotes"));
            }
            if let Some(index) = line.find("-\t") {
                return Err(at(index)
                    .error("a list item cannot stand here")
                    .hint("write a space after the dash"));
            }
            let spaces = line.len() - line.trim_start_matches(' ').len();
            // Blank lines and comments may have any indentation. The parser refuses tabs before marks.
            let is_before_value = offset + line.len() == bytes(to);
            let is_indent = before(0) == Some(b'\n') && is_before_value && self.flow_depth == 0;
            if is_indent && line.as_bytes().get(spaces) == Some(&b'\t') {
                return Err(at(spaces).error("a tab cannot indent").hint("indent with spaces"));
            }
        }
        Ok(())
    }

    fn mark_between(&self, from: Marker, to: Marker, mark: char) -> Option<Position> {
        self.gap(from, to)
            .find_map(|(offset, line)| Some(self.place_of(from, offset + line.find(mark)?)))
    }

    /// The place of a byte after a known one; only the text between them is looked at.
    fn place_of(&self, from: Marker, offset: usize) -> Position {
        let between = self.text.get(bytes(from)..offset).unwrap_or_default();
        let Position { line, column } = place(from);
        match between.rsplit_once('\n') {
            None => Position {
                line,
                column: column + between.chars().count(),
            },
            Some((lines, last)) => Position {
                line: line + 1 + lines.matches('\n').count(),
                column: 1 + last.chars().count(),
            },
        }
    }

    /// Reads the value that this event begins.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, ParsePolicyError> {
        let at = place(span.start);
        if let Event::Scalar(text, style, ..) = event {
            let value = self.scalar(&text, style, span)?;
            return Ok(Node { at, value });
        }
        let style = match event {
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => style,
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::Scalar(..)
            | Event::SequenceEnd
            | Event::MappingEnd
            | _ => return Err(at.error("a value is missing here").hint(mistakes::VALUE)),
        };
        if self.depth == DEPTH_MAX {
            return Err(mistakes::too_deep(at));
        }
        let flow = usize::from(style == StructureStyle::Flow);
        self.depth += 1;
        self.flow_depth += flow;
        let value = if matches!(event, Event::SequenceStart(..)) {
            self.list()
        } else {
            self.map()
        };
        self.depth -= 1;
        self.flow_depth -= flow;
        Ok(Node { at, value: value? })
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Result<Value, ParsePolicyError> {
        let at = place(span.start);
        let source = span.slice(self.text).unwrap_or_default();
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if is_block || source.contains('\n') {
            let first = source.lines().next().unwrap_or_default();
            if !is_block && (first.contains(":\"") || first.contains(":'")) {
                return Err(at
                    .error("there is no space after a `:`")
                    .hint("a key is followed by a colon and a space"));
            }
            return Err(at
                .error("text over several lines is not read")
                .hint("write it in quotes on one line; check the indentation of the next line"));
        }
        if style == ScalarStyle::DoubleQuoted && mistakes::has_rare_escape(source) {
            return Err(at.error("an escape in this text is not known").hint(ESCAPE));
        }
        Ok(match text {
            _ if style != ScalarStyle::Plain => Value::Quoted(text.to_owned()),
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            _ => Value::Plain(text.to_owned()),
        })
    }

    fn list(&mut self) -> Result<Value, ParsePolicyError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            if matches!(event, Event::MappingStart(StructureStyle::Flow, ..))
                && span.slice(self.text) != Some("{")
            {
                return Err(place(span.start)
                    .error("a key cannot stand in a list")
                    .hint("write `{key: value}`"));
            }
            items.push(self.node(event, span)?);
        }
    }

    fn map(&mut self) -> Result<Value, ParsePolicyError> {
        let mut entries = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let at = place(span.start);
            let Event::Scalar(key, style, ..) = event else {
                return Err(at
                    .error("a list or map cannot stand here")
                    .hint("a key is one text; put it into quotes when it contains brackets"));
            };
            self.check_key(&key, style, span)?;
            let key = key.into_owned();
            if !keys.insert(key.clone()) {
                return Err(twice(&entries, &key, at));
            }
            let colon = self.end;
            let (event, span) = self.next()?;
            let mut value =
                if let (LINES, Event::Scalar(lines, ScalarStyle::Literal, ..)) = (key.as_str(), &event) {
                    Node {
                        at: place(span.start),
                        value: Value::Quoted(lines.clone().into_owned()),
                    }
                } else {
                    self.node(event, span)?
                };
            // A list that is no deeper than its key is said to begin after its first dash.
            if matches!(value.value, Value::List(_))
                && let Some(dash) = self.mark_between(colon, span.start, '-')
            {
                value.at = dash;
            }
            entries.push(Entry { at, key, value });
        }
    }

    fn check_key(&self, key: &str, style: ScalarStyle, span: Span) -> Result<(), ParsePolicyError> {
        let at = place(span.start);
        self.scalar(key, style, span)?;
        if is_missing(span) {
            return Err(at
                .error("there is no key before `:`")
                .hint("write a key before it, or put a text that begins with `:` into quotes"));
        }
        let rest = self.text.get(bytes(span.end)..).unwrap_or_default();
        if !rest.trim_start_matches([' ', '\t']).starts_with(':') {
            return Err(at
                .error(format!("there is no `:` after `{}`", shown(key)))
                .hint("a key is followed by a colon and a space"));
        }
        if key == "<<" && style == ScalarStyle::Plain {
            return Err(at
                .error("merge keys are not read")
                .hint("write here what would be merged"));
        }
        Ok(())
    }
}

/// A key that is there already. Two lists can become one; of two texts one is meant.
fn twice(entries: &[Entry], key: &str, at: Position) -> ParsePolicyError {
    let first = entries.iter().find(|entry| entry.key == key);
    let hint = match first.map(|entry| &entry.value.value) {
        Some(Value::List(_) | Value::Map(_)) => "write both lists under one key",
        Some(Value::Null | Value::Plain(_) | Value::Quoted(_)) | None => "leave one of the two out",
    };
    at.error(format!("the key `{}` is there twice", shown(key)))
        .hint(hint)
}

/// Whether nothing is written where the grammar wants a value.
fn is_missing(span: Span) -> bool {
    span.start.index() == span.end.index()
}

pub(super) fn place(marker: Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn bytes(marker: Marker) -> usize {
    marker.byte_offset().unwrap_or_default()
}
