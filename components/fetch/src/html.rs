//! HTML as a sequence of texts and tags.
//!
//! Not a browser's parser: tags are reported as they stand, nothing is nested or mended. That is enough to
//! make text of a page, and takes time in proportion to its length.

use crate::entity;
use std::borrow::Cow;

/// A piece of a page.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Open(Tag<'a>),
    /// A closing tag; the name is in lower case.
    Close(String),
}

/// An opening tag.
#[derive(Debug)]
pub(crate) struct Tag<'a> {
    /// In lower case.
    pub(crate) name: String,
    attributes: &'a str,
}

impl Tag<'_> {
    /// The value of an attribute.
    pub(crate) fn attribute(&self, wanted: &str) -> Option<Cow<'_, str>> {
        let mut rest = self.attributes.trim_start_matches([' ', '\t', '\n', '\r', '/']);
        while !rest.is_empty() {
            let end = rest.find(['=', ' ', '\t', '\n', '\r', '/']).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end)?;
            let (value, after) = value(after.trim_start());
            if name.eq_ignore_ascii_case(wanted) {
                return Some(entity::decode(value));
            }
            let next = after.trim_start_matches([' ', '\t', '\n', '\r', '/']);
            // A stray `=` would be looked at for ever.
            rest = if next.len() == rest.len() {
                next.get(1..).unwrap_or_default()
            } else {
                next
            };
        }
        None
    }
}

/// Reads `=value`; the value is empty when there is none.
fn value(text: &str) -> (&str, &str) {
    let Some(text) = text.strip_prefix('=') else {
        return ("", text);
    };
    let text = text.trim_start();
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The pieces of a page, in their order.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(page: &'a str) -> Self {
        Self { rest: page }
    }

    /// Passes over what is inside an element whose content is no HTML, and over its end.
    pub(crate) fn skip_to_end_of(&mut self, name: &str) {
        let mut rest = self.rest;
        while let Some((_, after)) = rest.split_once("</") {
            if after
                .get(..name.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
            {
                self.rest = after.split_once('>').map_or("", |(_, after)| after);
                return;
            }
            rest = after;
        }
        self.rest = "";
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let start = self.rest.find('<').unwrap_or(self.rest.len());
            if start > 0 {
                let (text, rest) = self.rest.split_at_checked(start)?;
                self.rest = rest;
                return Some(Piece::Text(text));
            }
            let inside = self.rest.strip_prefix('<')?;
            if let Some(comment) = inside.strip_prefix("!--") {
                self.rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            } else if inside.starts_with(['!', '?']) {
                self.rest = inside.split_once('>').map_or("", |(_, rest)| rest);
            } else if inside.starts_with(|first: char| first == '/' || first.is_ascii_alphabetic()) {
                return Some(self.tag(inside));
            } else {
                self.rest = inside;
                return Some(Piece::Text("<"));
            }
        }
    }
}

impl<'a> Pieces<'a> {
    /// Reads a tag, from after its `<` on.
    fn tag(&mut self, inside: &'a str) -> Piece<'a> {
        let (tag, rest) = inside
            .split_at_checked(end_of_tag(inside))
            .unwrap_or((inside, ""));
        self.rest = rest.strip_prefix('>').unwrap_or(rest);
        if let Some(name) = tag.strip_prefix('/') {
            return Piece::Close(name.trim().to_ascii_lowercase());
        }
        let end = tag
            .find(|character: char| character.is_whitespace() || character == '/')
            .unwrap_or(tag.len());
        let (name, attributes) = tag.split_at_checked(end).unwrap_or((tag, ""));
        Piece::Open(Tag {
            name: name.to_ascii_lowercase(),
            attributes,
        })
    }
}

/// Where the `>` of a tag is: not one inside a quoted value.
fn end_of_tag(inside: &str) -> usize {
    let mut quote = None;
    let mut previous = ' ';
    for (at, character) in inside.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '>' => return at,
            // A quotation mark that does not follow `=` is no value's.
            None if matches!(character, '"' | '\'') && previous == '=' => quote = Some(character),
            None => {}
        }
        if !character.is_whitespace() {
            previous = character;
        }
    }
    inside.len()
}
