//! Prints policies: one way to write each rule, in the order in which policies keep them.
//!
//! Every text is quoted, so that no reader of YAML takes it for a number or for nothing; only words that have
//! a fixed meaning stand without quotes.

use super::VERSION;
use super::fields::is_ambiguous;
use super::signatures;
use crate::ceiling::Ceiling;
use crate::grant::{Effect, EnvironmentRule, NetworkSpec, SecretSpec, StorageSpec};
use crate::limits::{LimitKey, LimitSettings};
use crate::rules::Policy;
use crate::text::is_unseen;

pub(super) fn policy(policy: &Policy) -> String {
    let mut page = Page::default();
    head(&mut page, policy);
    permissions(&mut page, policy);
    page.text
}

pub(super) fn ceiling(ceiling: &Ceiling) -> String {
    let mut page = Page::default();
    head(&mut page, ceiling.policy());
    match ceiling.sources() {
        None => {}
        Some([]) => page.line(0, "sources: []"),
        Some(sources) => {
            page.line(0, "sources:");
            for source in sources {
                page.line(1, &format!("- {}", quoted(&source.to_string())));
            }
        }
    }
    signatures::print(&mut page, ceiling.signatures());
    permissions(&mut page, ceiling.policy());
    page.text
}

/// Lines at depths of two spaces each.
#[derive(Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// One member of a list at depth 3: its keys that are there, the first after the dash.
    fn member(&mut self, fields: &[(&str, Option<String>)]) {
        let mut lead = "- ";
        for (key, value) in fields {
            if let Some(value) = value {
                self.line(3, &format!("{lead}{key}: {value}"));
                lead = "  ";
            }
        }
    }

    fn list<T>(&mut self, effect: Effect, rules: &[T], mut member: impl FnMut(&mut Self, &T)) {
        if rules.is_empty() {
            return;
        }
        self.line(2, &format!("{}:", effect.as_str()));
        for rule in rules {
            member(self, rule);
        }
    }
}

fn head(page: &mut Page, policy: &Policy) {
    page.line(0, &format!("version: {}", quoted(VERSION)));
    if let Some(description) = policy.description() {
        page.line(0, &format!("description: {}", quoted(description)));
    }
}

fn permissions(page: &mut Page, policy: &Policy) {
    let mut body = Page::default();
    storage(&mut body, policy);
    network(&mut body, policy);
    environment(&mut body, &policy.rules().environment);
    secrets(&mut body, policy);
    tools(&mut body, policy);
    limits(&mut body, policy.limits());
    if body.text.is_empty() {
        page.line(0, "permissions: {}");
        return;
    }
    page.line(0, "permissions:");
    page.text.push_str(&body.text);
}

fn storage(page: &mut Page, policy: &Policy) {
    let specs = |effect| policy.storage(effect).map(|rule| rule.spec()).collect();
    let (allow, deny): (Vec<StorageSpec>, Vec<StorageSpec>) = (specs(Effect::Allow), specs(Effect::Deny));
    if allow.is_empty() && deny.is_empty() {
        return;
    }
    page.line(1, "storage:");
    for (effect, rules) in [(Effect::Allow, allow), (Effect::Deny, deny)] {
        page.list(effect, &rules, |page, spec| {
            page.member(&[
                ("uri", Some(quoted(&spec.uri))),
                ("access", words(spec.access.as_deref())),
                ("guest", spec.guest.as_deref().map(quoted)),
                ("submounts", spec.submounts.map(|is_true| is_true.to_string())),
            ]);
        });
    }
}

fn network(page: &mut Page, policy: &Policy) {
    let specs = |effect| policy.network(effect).map(|rule| rule.spec()).collect();
    let (allow, deny): (Vec<NetworkSpec>, Vec<NetworkSpec>) = (specs(Effect::Allow), specs(Effect::Deny));
    if allow.is_empty() && deny.is_empty() {
        return;
    }
    page.line(1, "network:");
    for (effect, rules) in [(Effect::Allow, allow), (Effect::Deny, deny)] {
        page.list(effect, &rules, |page, spec| {
            page.member(&[
                ("host", spec.host.as_deref().map(quoted)),
                ("cidr", spec.cidr.as_deref().map(quoted)),
                ("schemes", words(spec.schemes.as_deref())),
                (
                    "ports",
                    spec.ports.as_ref().map(|ports| format!("[{}]", ports.join(", "))),
                ),
                ("methods", words(spec.methods.as_deref())),
                ("paths", spec.paths.as_deref().map(texts)),
                ("protocols", words(spec.protocols.as_deref())),
            ]);
        });
    }
}

fn environment(page: &mut Page, rules: &[EnvironmentRule]) {
    if rules.is_empty() {
        return;
    }
    page.line(1, "environment:");
    page.list(Effect::Allow, rules, |page, rule| match rule.value() {
        None => page.line(3, &format!("- {}", quoted(rule.name()))),
        Some(value) => page.member(&[("key", Some(quoted(rule.name()))), ("value", Some(quoted(value)))]),
    });
}

fn secrets(page: &mut Page, policy: &Policy) {
    let specs: Vec<SecretSpec> = policy.rules().secrets.iter().map(|rule| rule.spec()).collect();
    if specs.is_empty() {
        return;
    }
    page.line(1, "secrets:");
    page.list(Effect::Allow, &specs, |page, spec| {
        page.member(&[
            ("name", Some(quoted(&spec.name))),
            ("host", Some(quoted(&spec.host))),
            ("header", Some(quoted(&spec.header))),
            ("format", spec.format.as_deref().map(quoted)),
        ]);
    });
}

fn tools(page: &mut Page, policy: &Policy) {
    let patterns = &policy.rules().tools_deny;
    if patterns.is_empty() {
        return;
    }
    page.line(1, "tools:");
    page.list(Effect::Deny, patterns, |page, pattern| {
        page.line(3, &format!("- {}", quoted(&pattern.to_string())));
    });
}

fn limits(page: &mut Page, limits: &LimitSettings) {
    if limits.is_empty() {
        return;
    }
    page.line(1, "resources:");
    page.line(2, "limits:");
    let mut is_cpu_printed = false;
    for key in limits.keys() {
        let mut text = limits.text(key).unwrap_or_default();
        if matches!(key, LimitKey::Cpu | LimitKey::CpuShare) {
            if is_cpu_printed {
                continue;
            }
            is_cpu_printed = true;
            let both = [LimitKey::Cpu, LimitKey::CpuShare].map(|key| limits.text(key));
            text = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
        }
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let text = if is_number { text } else { quoted(&text) };
        page.line(3, &format!("{}: {text}", key.name()));
    }
}

fn words(words: Option<&[String]>) -> Option<String> {
    let word = |word: &String| {
        let is_plain = word.bytes().all(|b| b.is_ascii_alphabetic()) && !is_ambiguous(word);
        if is_plain { word.clone() } else { quoted(word) }
    };
    let words: Vec<String> = words?.iter().map(word).collect();
    Some(format!("[{}]", words.join(", ")))
}

fn texts(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// In double quotes, as YAML does it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_unseen(c) && u32::from(c) > 0xffff => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c if is_unseen(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
