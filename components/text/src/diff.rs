//! Unified diffs, as `diff -u` writes them.

use imara_diff::{Algorithm, Diff, Hunk, InternedInput};
use std::fmt::Write as _;
use std::ops::Range;

/// Compares two texts by lines; empty when they are the same.
pub(crate) fn unified(old: &str, new: &str, context: u32) -> String {
    let mut input = InternedInput::default();
    input.update_before(old.split_inclusive('\n'));
    input.update_after(new.split_inclusive('\n'));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    // Slides hunks to where a person would see the change, at blank lines and less indentation.
    diff.postprocess_lines(&input);
    let page = Page {
        old: old.split_inclusive('\n').collect(),
        new: new.split_inclusive('\n').collect(),
        context,
    };
    let mut text = String::new();
    for group in groups(diff.hunks(), context) {
        if text.is_empty() {
            text.push_str("--- old\n+++ new\n");
        }
        page.write(&mut text, &group);
    }
    text
}

/// Puts hunks together whose unchanged lines around them touch.
fn groups(hunks: impl Iterator<Item = Hunk>, context: u32) -> Vec<Vec<Hunk>> {
    let mut groups: Vec<Vec<Hunk>> = Vec::new();
    for hunk in hunks {
        let gap = groups
            .last()
            .and_then(|group| group.last())
            .map(|last| hunk.before.start - last.before.end);
        match groups.last_mut() {
            Some(group) if gap.is_some_and(|gap| gap <= context.saturating_mul(2)) => group.push(hunk),
            _ => groups.push(vec![hunk]),
        }
    }
    groups
}

/// The lines of both texts.
struct Page<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
    context: u32,
}

impl Page<'_> {
    fn write(&self, text: &mut String, group: &[Hunk]) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return;
        };
        let lead = self.context.min(first.before.start);
        let end = u32::try_from(self.old.len()).unwrap_or(u32::MAX);
        let tail = self.context.min(end.saturating_sub(last.before.end));
        let before = first.before.start - lead..last.before.end + tail;
        let after = first.after.start - lead..last.after.end + tail;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "@@ -{} +{} @@", range(&before), range(&after));
        let mut at = before.start;
        for hunk in group {
            lines(text, ' ', &self.old, at..hunk.before.start);
            lines(text, '-', &self.old, hunk.before.clone());
            lines(text, '+', &self.new, hunk.after.clone());
            at = hunk.before.end;
        }
        lines(text, ' ', &self.old, at..before.end);
    }
}

/// A range as in the head of a hunk: first line, number of lines; an empty one names the line before it.
fn range(lines: &Range<u32>) -> String {
    let first = if lines.is_empty() {
        lines.start
    } else {
        lines.start + 1
    };
    format!("{first},{}", lines.end - lines.start)
}

fn lines(text: &mut String, mark: char, from: &[&str], range: Range<u32>) {
    for number in range {
        let line = usize::try_from(number)
            .ok()
            .and_then(|number| from.get(number))
            .copied()
            .unwrap_or_default();
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}
