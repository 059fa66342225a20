//! Reads the part of YAML that policies are written in, and knows where everything stands.
//!
//! Lists and maps in block and flow style, quoted and plain text on one line, comments: what JSON and every
//! hand-written policy need. Whatever two readers of YAML could take for different things is refused at its
//! line and column instead of guessed: anchors, aliases, tags, merge keys, directives, text over several
//! lines, duplicate keys, tabs that indent, a second document. Nothing is expanded, so the tree is never larger than
//! the text.
//!
//! Long because a reader that is split over files is harder to check against the standard.

use super::ParsePolicyError;
use std::collections::HashSet;
use std::str::Chars;

/// Largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting; the deepest policy needs eight.
const DEPTH_MAX: usize = 16;

/// Longest key or text that an error repeats, in characters.
const SHOWN_MAX: usize = 60;

/// A place in the text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) fn error(self, message: impl Into<String>) -> ParsePolicyError {
        ParsePolicyError {
            line: self.line,
            column: self.column,
            message: message.into(),
            hint: None,
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
    if is_unsafe(c) {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Node, ParsePolicyError> {
    let start = Position { line: 1, column: 1 };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(start.error(format!("the document is longer than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_characters(text)?;
    let mut reader = Reader {
        rest: text.chars(),
        at: start,
        previous: ' ',
        depth: 0,
        is_ended: false,
    };
    reader.document()
}

/// Line breaks are LF or CRLF. Everything else that a terminal acts on, or that makes text look like other
/// text (bidirectional controls, "Trojan Source", CVE-2021-42574), has no place in what an operator reviews.
fn check_characters(text: &str) -> Result<(), ParsePolicyError> {
    let mut at = Position { line: 1, column: 1 };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_break = c == '\n' || (c == '\r' && chars.peek() == Some(&'\n'));
        if !is_break && c != '\t' && is_unsafe(c) {
            return Err(at
                .error(format!("the character U+{:04X} is not allowed", u32::from(c)))
                .hint("control characters and marks that reorder text are refused"));
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

/// Whether a character is shown as something else than itself.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Where a plain text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    Flow,
}

struct Reader<'t> {
    rest: Chars<'t>,
    at: Position,
    /// The character before; a comment needs a gap before it.
    previous: char,
    depth: usize,
    /// `...` was read: only comments may follow.
    is_ended: bool,
}

/// A scalar that may turn out to be the first key of a map.
struct Scalar {
    at: Position,
    text: String,
    is_quoted: bool,
}

impl Scalar {
    fn into_node(self) -> Node {
        let value = match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" if !self.is_quoted => Value::Null,
            _ if self.is_quoted => Value::Quoted(self.text),
            _ => Value::Plain(self.text),
        };
        Node { at: self.at, value }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn peek_at(&self, index: usize) -> Option<char> {
        self.rest.clone().nth(index)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.previous = c;
        self.at = if c == '\n' {
            Position {
                line: self.at.line + 1,
                column: 1,
            }
        } else {
            Position {
                column: self.at.column + 1,
                ..self.at
            }
        };
        Some(c)
    }

    /// Whether the character at this distance ends a word: a space, a line's end, the text's end.
    fn is_gap_at(&self, index: usize) -> bool {
        self.peek_at(index)
            .is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
    }

    /// Whether a list item begins here; after a tab, readers disagree.
    fn is_dash(&self) -> bool {
        self.peek() == Some('-') && self.is_gap_at(1) && self.peek_at(1) != Some('\t')
    }

    fn is_flow_mark_at(&self, index: usize) -> bool {
        matches!(self.peek_at(index), Some(',' | '[' | ']' | '{' | '}'))
    }

    fn is_line_end(&self) -> bool {
        self.peek().is_none_or(|c| matches!(c, '\n' | '\r'))
    }

    fn document(&mut self) -> Result<Node, ParsePolicyError> {
        self.skip_to_content()?;
        if self.is_marker("---") {
            let line = self.at.line;
            for _ in 0..3 {
                self.next();
            }
            self.skip_to_content()?;
            if !self.is_over() && self.at.line == line {
                return Err(self.at.error("the document must begin in a line of its own"));
            }
        }
        let at = self.at;
        if self.is_over() {
            return Err(at.error("the document is empty"));
        }
        if self.peek() == Some('%') {
            return Err(at.error("YAML directives are not read"));
        }
        let node = self.block_node()?;
        self.skip_to_content()?;
        if self.is_over() {
            return Ok(node);
        }
        Err(self
            .at
            .error("this does not belong to what stands before it")
            .hint(
                "check the indentation, and put a text that goes on in the next line into quotes on one line",
            ))
    }

    fn is_over(&self) -> bool {
        self.is_ended || self.peek().is_none()
    }

    /// Whether `---` or `...` stands alone at the beginning of a line.
    fn is_marker(&self, marker: &str) -> bool {
        self.at.column == 1 && self.rest.as_str().starts_with(marker) && self.is_gap_at(3)
    }

    /// Goes to the next character that is neither space nor comment; the text's end if there is none.
    fn skip_to_content(&mut self) -> Result<(), ParsePolicyError> {
        let mut tab = None;
        let first_line = self.at.line;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\r' => {}
                '\t' => tab = tab.or(Some(self.at)),
                '\n' => tab = None,
                '#' if matches!(self.previous, ' ' | '\t' | '\n') => {
                    while !self.is_line_end() {
                        self.next();
                    }
                    continue;
                }
                _ => break,
            }
            self.next();
        }
        if let (Some(tab), Some(_)) = (tab, self.peek())
            && (self.at.line > first_line || first_line == 1 && tab.column == 1)
        {
            return Err(tab.error("a tab cannot indent").hint("indent with spaces"));
        }
        if self.is_marker("...") {
            for _ in 0..3 {
                self.next();
            }
            self.skip_to_content()?;
            if self.peek().is_some() {
                return Err(self.at.error("there is text after the end of the document"));
            }
            self.is_ended = true;
        }
        Ok(())
    }

    /// Goes to the next line with content after a value that ends its line.
    fn end_of_line(&mut self, what: &str) -> Result<(), ParsePolicyError> {
        let line = self.at.line;
        self.skip_to_content()?;
        if !self.is_over() && self.at.line == line {
            return Err(self.at.error(format!("there is more text after the {what}")));
        }
        self.refuse_second_document()
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ParsePolicyError>,
    ) -> Result<T, ParsePolicyError> {
        if self.depth == DEPTH_MAX {
            return Err(self.at.error(format!("the nesting is deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads what begins here, with all its lines, and goes to the content after it.
    fn block_node(&mut self) -> Result<Node, ParsePolicyError> {
        let indent = self.at.column;
        match self.peek() {
            Some('-') if self.is_dash() => self.deeper(|reader| reader.block_list(indent)),
            Some('[' | '{') => {
                let node = self.flow_node()?;
                self.end_of_line("list or map")?;
                Ok(node)
            }
            _ => {
                let scalar = self.scalar(Style::Block)?;
                self.blanks();
                if self.peek() == Some(':') && self.is_gap_at(1) {
                    return self.deeper(|reader| reader.block_map(indent, scalar));
                }
                self.end_of_line("text")?;
                Ok(scalar.into_node())
            }
        }
    }

    fn block_list(&mut self, indent: usize) -> Result<Node, ParsePolicyError> {
        let at = self.at;
        let mut items = Vec::new();
        loop {
            let dash = self.at;
            self.next();
            self.skip_to_content()?;
            let is_item = !self.is_over() && (self.at.line == dash.line || self.at.column > indent);
            if is_item {
                items.push(self.block_node()?);
            } else {
                items.push(Node {
                    at: dash,
                    value: Value::Null,
                });
            }
            if self.is_over() || self.at.column < indent {
                break;
            }
            if self.at.column > indent {
                return Err(self.indented_too_far());
            }
            if !self.is_dash() {
                break;
            }
        }
        Ok(Node {
            at,
            value: Value::List(items),
        })
    }

    fn block_map(&mut self, indent: usize, first: Scalar) -> Result<Node, ParsePolicyError> {
        let mut map = MapBuilder::at(first.at);
        let mut key = first;
        loop {
            map.check(&key)?;
            let colon = self.at;
            self.next();
            self.blanks();
            let value = self.map_value(indent, colon)?;
            map.push(key, value);
            if self.is_over() || self.at.column < indent {
                return Ok(map.into_node());
            }
            if self.at.column > indent {
                return Err(self.indented_too_far());
            }
            if self.is_dash() {
                return Err(self.at.error("a list item cannot stand among keys"));
            }
            key = self.scalar(Style::Block)?;
            self.blanks();
            if self.peek() != Some(':') || !self.is_gap_at(1) {
                return Err(no_colon(&key));
            }
        }
    }

    /// The value of a key in a block map, on its line or below it.
    fn map_value(&mut self, indent: usize, colon: Position) -> Result<Node, ParsePolicyError> {
        let line = self.at.line;
        self.skip_to_content()?;
        let nothing = Node {
            at: colon,
            value: Value::Null,
        };
        if self.is_over() {
            return Ok(nothing);
        }
        if self.at.line > line {
            self.refuse_second_document()?;
            let is_list = self.is_dash();
            if self.at.column > indent || (is_list && self.at.column == indent) {
                return self.block_node();
            }
            return Ok(nothing);
        }
        match self.peek() {
            Some('-') if self.is_gap_at(1) => Err(self.at.error("a list must begin in a line of its own")),
            Some('[' | '{') => {
                let node = self.flow_node()?;
                self.end_of_line("list or map")?;
                Ok(node)
            }
            _ => {
                let scalar = self.scalar(Style::Block)?;
                self.blanks();
                if self.peek() == Some(':') && self.is_gap_at(1) {
                    return Err(self
                        .at
                        .error("there are two `:` in this line")
                        .hint("put a text that contains `: ` into quotes"));
                }
                self.end_of_line("text")?;
                Ok(scalar.into_node())
            }
        }
    }

    fn refuse_second_document(&self) -> Result<(), ParsePolicyError> {
        if self.is_marker("---") {
            return Err(self
                .at
                .error("there is a second document")
                .hint("one file is one policy"));
        }
        Ok(())
    }

    fn indented_too_far(&self) -> ParsePolicyError {
        self.at
            .error("this line is indented further than what it belongs to")
            .hint(
                "check the indentation, and put a text that goes on in the next line into quotes on one line",
            )
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.next();
        }
    }

    fn flow_node(&mut self) -> Result<Node, ParsePolicyError> {
        match self.peek() {
            Some('[') => self.deeper(Self::flow_list),
            Some('{') => self.deeper(Self::flow_map),
            _ => self.scalar(Style::Flow).map(Scalar::into_node),
        }
    }

    fn flow_list(&mut self) -> Result<Node, ParsePolicyError> {
        let at = self.at;
        self.next();
        let mut items = Vec::new();
        loop {
            self.flow_space(at)?;
            if self.peek() == Some(']') {
                break;
            }
            items.push(self.flow_node()?);
            self.flow_space(at)?;
            if self.peek() == Some(':') {
                return Err(self
                    .at
                    .error("a key cannot stand in a list")
                    .hint("write `{key: value}`"));
            }
            if !self.comma(at, ']')? {
                break;
            }
        }
        self.next();
        Ok(Node {
            at,
            value: Value::List(items),
        })
    }

    fn flow_map(&mut self) -> Result<Node, ParsePolicyError> {
        let at = self.at;
        self.next();
        let mut map = MapBuilder::at(at);
        loop {
            self.flow_space(at)?;
            if self.peek() == Some('}') {
                break;
            }
            let key = self.scalar(Style::Flow)?;
            map.check(&key)?;
            self.blanks();
            // Quotes end a key for certain, so that JSON may leave the space out.
            let is_apart = key.is_quoted || self.is_gap_at(1) || matches!(self.peek_at(1), Some(',' | '}'));
            if self.peek() != Some(':') || !is_apart {
                return Err(no_colon(&key));
            }
            self.next();
            self.flow_space(at)?;
            let value = if matches!(self.peek(), Some(',' | '}')) {
                Node {
                    at: self.at,
                    value: Value::Null,
                }
            } else {
                self.flow_node()?
            };
            map.push(key, value);
            self.flow_space(at)?;
            if !self.comma(at, '}')? {
                break;
            }
        }
        self.next();
        Ok(map.into_node())
    }

    /// Reads a comma; `false` before the closing bracket.
    fn comma(&mut self, open: Position, close: char) -> Result<bool, ParsePolicyError> {
        match self.peek() {
            Some(',') => {
                self.next();
                Ok(true)
            }
            Some(c) if c == close => Ok(false),
            Some(_) => Err(self.at.error(format!("there is neither `,` nor `{close}` here"))),
            None => Err(open.error(format!("there is no `{close}` for this bracket"))),
        }
    }

    /// Skips spaces, line breaks and comments between brackets.
    fn flow_space(&mut self, open: Position) -> Result<(), ParsePolicyError> {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' => {}
                '#' if matches!(self.previous, ' ' | '\t' | '\n') => {
                    while !self.is_line_end() {
                        self.next();
                    }
                    continue;
                }
                _ => break,
            }
            self.next();
        }
        if self.peek().is_none() || self.is_marker("---") || self.is_marker("...") {
            return Err(open.error("this bracket is never closed"));
        }
        Ok(())
    }

    fn scalar(&mut self, style: Style) -> Result<Scalar, ParsePolicyError> {
        let at = self.at;
        let (text, is_quoted) = match self.peek() {
            Some('"') => (self.double_quoted()?, true),
            Some('\'') => (self.single_quoted()?, true),
            _ => (self.plain(style)?, false),
        };
        Ok(Scalar { at, text, is_quoted })
    }

    fn plain(&mut self, style: Style) -> Result<String, ParsePolicyError> {
        self.refuse_indicator(style)?;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let is_end = match c {
                '\n' | '\r' => true,
                ':' => self.is_gap_at(1) || (style == Style::Flow && self.is_flow_mark_at(1)),
                '#' => text.ends_with([' ', '\t']),
                _ => style == Style::Flow && self.is_flow_mark_at(0),
            };
            if is_end {
                break;
            }
            text.push(c);
            self.next();
        }
        Ok(text.trim_end_matches([' ', '\t']).to_owned())
    }

    /// Refuses what has a meaning in YAML that policies do not use.
    fn refuse_indicator(&self, style: Style) -> Result<(), ParsePolicyError> {
        let quote = "put a text that begins with this character into quotes";
        let (message, hint) = match self.peek() {
            None => ("the document ends here too early", ""),
            Some('*') => ("aliases are not read", quote),
            Some('&') => ("anchors are not read", quote),
            Some('!') => ("tags are not read", quote),
            Some('%' | '@' | '`') => ("a text cannot begin with this character", quote),
            Some('|' | '>') => (
                "text over several lines is not read",
                "write it in quotes on one line",
            ),
            Some(',' | ']' | '}') => ("a value is missing before this", ""),
            Some('[' | '{') => ("a list or map cannot stand here", ""),
            Some('?') if self.is_gap_at(1) => ("keys marked with `?` are not read", ""),
            Some(':') if self.is_gap_at(1) || (style == Style::Flow && self.is_flow_mark_at(1)) => {
                ("there is no key before `:`", "")
            }
            Some('-') if self.is_gap_at(1) && style == Style::Block => ("a list item cannot stand here", ""),
            Some('-') if self.is_gap_at(1) || (style == Style::Flow && self.is_flow_mark_at(1)) => {
                ("a list item with `-` cannot stand between brackets", "")
            }
            Some('-') if self.is_marker("---") => ("there is a second document", "one file is one policy"),
            Some('#') => ("a comment needs a space before it", ""),
            Some(_) => return Ok(()),
        };
        let error = self.at.error(message);
        Err(if hint.is_empty() { error } else { error.hint(hint) })
    }

    fn single_quoted(&mut self) -> Result<String, ParsePolicyError> {
        let open = self.at;
        self.next();
        let mut text = String::new();
        loop {
            if self.is_line_end() {
                return Err(unclosed(open));
            }
            match self.next() {
                Some('\'') if self.peek() == Some('\'') => {
                    self.next();
                    text.push('\'');
                }
                Some('\'') | None => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, ParsePolicyError> {
        let open = self.at;
        self.next();
        let mut text = String::new();
        loop {
            if self.is_line_end() {
                return Err(unclosed(open));
            }
            let at = self.at;
            match self.next() {
                Some('"') | None => return Ok(text),
                Some('\\') => text.push(self.escape(at)?),
                Some(c) => text.push(c),
            }
        }
    }

    /// The character after `\`: what JSON knows, and `\x`, `\U`, `\0`, `\a`, `\e`, `\v` of YAML.
    fn escape(&mut self, at: Position) -> Result<char, ParsePolicyError> {
        let unknown = || {
            at.error("this escape is not known")
                .hint("write `\\\\` for a backslash, or use single quotes, where nothing is escaped")
        };
        Ok(match self.next().ok_or_else(unknown)? {
            c @ ('"' | '\\' | '/' | ' ') => c,
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            'x' => char::from_u32(self.hexadecimal(2, at)?).ok_or_else(unknown)?,
            'U' => char::from_u32(self.hexadecimal(8, at)?).ok_or_else(unknown)?,
            'u' => {
                let first = self.hexadecimal(4, at)?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or_else(unknown);
                }
                // JSON writes characters beyond U+FFFF as two surrogates.
                if (self.next(), self.next()) != (Some('\\'), Some('u')) {
                    return Err(unknown());
                }
                let second = self.hexadecimal(4, at)?;
                let low = second
                    .checked_sub(0xdc00)
                    .filter(|low| *low < 0x400)
                    .ok_or_else(unknown)?;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).ok_or_else(unknown)?
            }
            _ => return Err(unknown()),
        })
    }

    fn hexadecimal(&mut self, digits: usize, at: Position) -> Result<u32, ParsePolicyError> {
        let mut number = 0_u32;
        for _ in 0..digits {
            let digit = self
                .peek()
                .and_then(|c| c.to_digit(16))
                .ok_or_else(|| at.error(format!("this escape needs {digits} hexadecimal digits")))?;
            number = (number << 4) | digit;
            self.next();
        }
        Ok(number)
    }
}

fn no_colon(key: &Scalar) -> ParsePolicyError {
    key.at
        .error(format!("there is no `:` after `{}`", shown(&key.text)))
        .hint("a key is followed by a colon and a space")
}

fn unclosed(open: Position) -> ParsePolicyError {
    open.error("this quote is not closed in its line")
        .hint("a text cannot go on in the next line")
}

/// A map while it is read.
struct MapBuilder {
    at: Position,
    entries: Vec<Entry>,
    keys: HashSet<String>,
}

impl MapBuilder {
    fn at(at: Position) -> Self {
        Self {
            at,
            entries: Vec::new(),
            keys: HashSet::new(),
        }
    }

    /// Before the value is read, so that the first mistake is the one that is reported.
    fn check(&mut self, key: &Scalar) -> Result<(), ParsePolicyError> {
        if key.text == "<<" && !key.is_quoted {
            return Err(key.at.error("merge keys are not read"));
        }
        if !self.keys.insert(key.text.clone()) {
            return Err(key
                .at
                .error(format!("the key `{}` is there twice", shown(&key.text)))
                .hint("write both lists under one key"));
        }
        Ok(())
    }

    fn push(&mut self, key: Scalar, value: Node) {
        self.entries.push(Entry {
            at: key.at,
            key: key.text,
            value,
        });
    }

    fn into_node(self) -> Node {
        Node {
            at: self.at,
            value: Value::Map(self.entries),
        }
    }
}
