//! HTML to Markdown, or to plain text.

use crate::entity;
use crate::html::{Piece, Pieces, Tag};
use crate::url::Url;

/// Elements whose content is not for reading.
const SKIPPED: [&str; 8] = [
    "canvas", "iframe", "noscript", "script", "style", "svg", "template", "textarea",
];

/// Elements that begin and end a line, and have no mark of their own.
const BLOCKS: [&str; 19] = [
    "address",
    "article",
    "aside",
    "body",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "main",
    "nav",
    "option",
    "section",
];

/// Turns a page into text; returns its title, too.
pub(crate) fn convert(page: &str, url: &Url, marks: bool) -> (Option<String>, String) {
    let mut writer = Writer {
        marks,
        ..Writer::new(url)
    };
    let mut pieces = Pieces::of(page);
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => writer.text(&entity::decode(text)),
            Piece::Open(tag) if SKIPPED.contains(&tag.name.as_str()) => pieces.skip_to_end_of(&tag.name),
            Piece::Open(tag) => writer.open(&tag),
            Piece::Close(name) => writer.close(&name),
        }
    }
    let title = writer.title.split_whitespace().collect::<Vec<_>>().join(" ");
    (
        Some(title).filter(|title| !title.is_empty()),
        writer.out.trim().to_owned(),
    )
}

/// The text so far and where in the page it is.
struct Writer<'a> {
    base: &'a Url,
    /// Whether Markdown is written, or plain text.
    marks: bool,
    out: String,
    title: String,
    in_title: bool,
    /// Line breaks due before the next text.
    breaks: usize,
    /// Whether a blank is due before the next text.
    blank: bool,
    /// Depth of preformatted elements.
    pre: usize,
    quote: usize,
    /// The lists around, each with the number of its last item, or none for bullets.
    lists: Vec<Option<u32>>,
    /// The links around: their target, and where their text starts.
    links: Vec<(Option<String>, usize)>,
    /// The number of cells in the row so far, and of rows in the table so far.
    cells: usize,
    rows: usize,
}

impl<'a> Writer<'a> {
    fn new(base: &'a Url) -> Self {
        Self {
            base,
            marks: true,
            out: String::new(),
            title: String::new(),
            in_title: false,
            breaks: 0,
            blank: false,
            pre: 0,
            quote: 0,
            lists: Vec::new(),
            links: Vec::new(),
            cells: 0,
            rows: 0,
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "title" => self.in_title = true,
            "br" => self.line_break(1),
            "hr" => self.rule(),
            "a" => self.open_link(tag),
            "img" => self.image(tag),
            "ul" | "menu" => self.open_list(None),
            "ol" => self.open_list(Some(0)),
            "li" => self.item(),
            "table" => {
                self.line_break(2);
                self.rows = 0;
            }
            "tr" => {
                self.line_break(1);
                self.cells = 0;
            }
            "td" | "th" => {
                self.blank |= self.cells > 0;
                self.mark(if self.cells == 0 { "| " } else { "" });
            }
            "blockquote" => {
                self.line_break(2);
                self.quote += 1;
            }
            "pre" => {
                self.line_break(2);
                self.mark("```\n");
                self.pre += 1;
            }
            name => self.open_plain(name),
        }
    }

    /// The opening tags whose mark is the closing one's, too, or none.
    fn open_plain(&mut self, name: &str) {
        if let Some(level) = heading(name) {
            self.line_break(2);
            self.mark(&format!("{} ", "#".repeat(level)));
        } else if let Some(mark) = inline(name) {
            self.mark_unless_pre(mark);
        } else if name == "p" {
            self.line_break(2);
        } else if BLOCKS.contains(&name) {
            self.line_break(1);
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "title" => self.in_title = false,
            "a" => self.close_link(),
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.line_break(if self.lists.is_empty() { 2 } else { 1 });
            }
            "td" | "th" => {
                self.cells += 1;
                self.end_mark(" |");
            }
            "tr" => self.end_row(),
            "blockquote" => {
                self.quote = self.quote.saturating_sub(1);
                self.line_break(2);
            }
            "pre" => {
                self.pre = self.pre.saturating_sub(1);
                if self.marks && !self.out.ends_with('\n') {
                    self.out.push('\n');
                }
                self.end_mark("```");
                self.line_break(2);
            }
            name if heading(name).is_some() || matches!(name, "p" | "table") => self.line_break(2),
            name if BLOCKS.contains(&name) || name == "li" => self.line_break(1),
            name => {
                if let (Some(mark), 0) = (inline(name), self.pre) {
                    self.end_mark(mark);
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
            return;
        }
        if self.pre > 0 {
            self.begin();
            self.out.push_str(text);
            return;
        }
        for (number, word) in text.split(char::is_whitespace).enumerate() {
            self.blank |= number > 0;
            if !word.is_empty() {
                self.begin();
                self.out.push_str(word);
            }
        }
    }

    /// Writes what is due before a text: line breaks with the marks of quotes and lists, or a blank.
    fn begin(&mut self) {
        if self.out.is_empty() {
            self.breaks = 0;
        } else if self.breaks > 0 {
            for _ in 0..self.breaks {
                self.out.push('\n');
            }
            if self.marks {
                self.out.push_str(&"> ".repeat(self.quote));
            }
            self.out
                .push_str(&"  ".repeat(self.lists.len().saturating_sub(1)));
        } else if self.blank && !self.out.ends_with(char::is_whitespace) {
            self.out.push(' ');
        }
        (self.breaks, self.blank) = (0, false);
    }

    fn line_break(&mut self, number: usize) {
        self.breaks = self.breaks.max(number);
        self.blank = false;
    }

    /// Writes a mark before a text.
    fn mark(&mut self, mark: &str) {
        if self.marks {
            self.begin();
            self.out.push_str(mark);
        }
    }

    fn mark_unless_pre(&mut self, mark: &str) {
        if self.pre == 0 {
            self.mark(mark);
        }
    }

    /// Writes a mark after a text; a blank that is due stays due.
    fn end_mark(&mut self, mark: &str) {
        if self.marks {
            self.out.push_str(mark);
        }
    }

    fn rule(&mut self) {
        self.line_break(2);
        self.mark("---");
        self.line_break(2);
    }

    fn open_list(&mut self, number: Option<u32>) {
        self.line_break(if self.lists.is_empty() { 2 } else { 1 });
        self.lists.push(number);
    }

    fn item(&mut self) {
        self.line_break(1);
        self.begin();
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{number}. ")
            }
            Some(None) | None => "- ".to_owned(),
        };
        self.out.push_str(&mark);
    }

    fn open_link(&mut self, tag: &Tag<'_>) {
        let target = tag.attribute("href").and_then(|target| self.target(&target));
        if target.is_some() {
            self.mark("[");
        }
        self.links.push((target, self.out.len()));
    }

    fn close_link(&mut self) {
        let Some((Some(target), start)) = self.links.pop() else {
            return;
        };
        if !self.marks {
            return;
        }
        if self.out.len() == start {
            // A link without a text: nothing to read.
            self.out.pop();
        } else {
            self.out.push_str(&format!("]({target})"));
        }
    }

    fn image(&mut self, tag: &Tag<'_>) {
        let text = tag
            .attribute("alt")
            .unwrap_or_default()
            .trim()
            .replace(['[', ']', '\n'], " ");
        let source = tag.attribute("src").and_then(|source| self.target(&source));
        if let (false, Some(source)) = (text.is_empty(), source) {
            self.mark(&format!("![{text}]({source})"));
        }
    }

    /// A link's target as an absolute URL; none for scripts, data and places in the page itself.
    fn target(&self, target: &str) -> Option<String> {
        let target = target.trim();
        if target.starts_with('#') {
            return None;
        }
        let scheme = target.split_once(':').map(|(scheme, _)| scheme);
        match scheme {
            Some("mailto" | "tel") => Some(target.to_owned()),
            Some(scheme) if !scheme.contains(['/', '?', '.']) && !scheme.starts_with("http") => None,
            Some(_) | None => self.base.join(target).ok().map(|url| url.to_string()),
        }
    }

    /// Ends a row; after the first one comes the line that makes it a table's head.
    fn end_row(&mut self) {
        self.rows += 1;
        if self.rows == 1 && self.cells > 0 && self.marks {
            self.line_break(1);
            self.begin();
            self.out.push_str(&format!("|{}", " --- |".repeat(self.cells)));
        }
        self.line_break(1);
    }
}

fn heading(name: &str) -> Option<usize> {
    match name {
        "h1" => Some(1),
        "h2" => Some(2),
        "h3" => Some(3),
        "h4" => Some(4),
        "h5" => Some(5),
        "h6" => Some(6),
        _ => None,
    }
}

/// The mark on both sides of an inline element.
fn inline(name: &str) -> Option<&'static str> {
    match name {
        "b" | "strong" => Some("**"),
        "i" | "em" => Some("_"),
        "code" | "kbd" | "samp" => Some("`"),
        "del" | "s" => Some("~~"),
        _ => None,
    }
}
