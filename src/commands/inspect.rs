//! `wassette inspect`: everything about a component that can be known without running it.

use super::{open, reference, refused};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown};
use wassette_host::{Ability, ComponentId, Difference, ErrorKind, Host, Inspection};
use wassette_wit::rich::Offers;

pub(crate) async fn run(config: &Config, subject: &str, output: Output) -> Result<(), Exit> {
    let host = open(config).await?;
    let inspection = inspect(config, &host, subject).await?;
    output.print(&inspection, people)
}

/// A loaded component if one has this id, else a reference.
async fn inspect(config: &Config, host: &Host, subject: &str) -> Result<Inspection, Exit> {
    let id = subject.parse::<ComponentId>().ok();
    if let Some(id) = id.as_ref().filter(|id| host.catalog().component(id).is_some()) {
        return Ok(host.inspect_loaded(id).await?);
    }
    let inspected = host.inspect(&reference(config, subject)?).await;
    inspected.map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let exit = refused(error, subject);
        match id.filter(|_| is_missing) {
            Some(id) => exit.with_hint(format!(
                "nor is a component `{id}` loaded; `wassette component list` shows what is"
            )),
            None => exit,
        }
    })
}

/// The same for people, in the order in which they ask: what is it, what does it offer, what could it do.
pub(crate) fn people(i: &Inspection) -> String {
    let mut text = format!("{}  {}\norigin: {}\n", i.id, i.digest, shown(&i.origin));
    supply(&mut text, i);
    section(
        &mut text,
        "tools",
        i.tools
            .iter()
            .map(|tool| format!("{}\n{}", tool.name, indented(&tool.description))),
    );
    offers(&mut text, i);
    section(
        &mut text,
        "not offered",
        i.omitted
            .iter()
            .map(|o| shown(&format!("{}: {}", o.path, o.reason))),
    );
    section(
        &mut text,
        "could do at most",
        i.abilities.iter().map(ability).chain(nothing_more(i)),
    );
    section(
        &mut text,
        "unavailable",
        i.unavailable.iter().map(|reason| shown(reason)),
    );
    section(&mut text, "withheld", i.withheld.iter().map(ToString::to_string));
    if let Some(rules) = &i.rules {
        section(&mut text, "granted", rules.iter().map(|rule| shown(rule)));
        if rules.is_empty() {
            text.push_str("\ngranted: nothing\n");
        }
    }
    section(&mut text, "imports", i.imports.iter().map(|import| shown(import)));
    section(
        &mut text,
        "imports that nothing provides: it cannot be loaded",
        i.missing.iter().map(|m| shown(m)),
    );
    text
}

/// What it offers besides tools with types.
fn offers(text: &mut String, i: &Inspection) {
    let titled = |name: &str, about: Option<&String>| {
        let about = about.map_or_else(String::new, |about| format!("\n{}", indented(about)));
        format!("{}{about}", shown(name))
    };
    let prompts = i.offers.prompts.iter();
    section(
        text,
        "prompts",
        prompts.map(|prompt| titled(&prompt.name, prompt.description.as_ref())),
    );
    let resources = i.offers.resources.iter().map(|it| (&it.uri, &it.description));
    let templates = i
        .offers
        .templates
        .iter()
        .map(|it| (&it.uri_template, &it.description));
    section(
        text,
        "resources",
        resources
            .chain(templates)
            .map(|(uri, description)| titled(uri, description.as_ref())),
    );
    if i.lists_unknown {
        text.push_str("\nmore tools, prompts and resources: it says so itself when it is loaded\n");
    } else if i.tools.is_empty() && i.offers == Offers::default() {
        // What is loaded and cannot be used offers nothing, and says why above.
        text.push_str(if i.unavailable.is_some() {
            "\ntools: none while it is unavailable\n"
        } else {
            "\ntools: none, so it cannot be loaded\n"
        });
    }
}

/// Who made it, what it asks for, what is new in it, and what was there before.
fn supply(text: &mut String, i: &Inspection) {
    if let Some(manifest) = i.manifest {
        text.push_str(&format!("manifest: {manifest}\n"));
    }
    section(text, "signed by", i.signers.iter().map(|signer| shown(signer)));
    section(
        text,
        "asks for (granted by `component approve --grant-requested` alone)",
        i.requested.iter().map(|rule| shown(rule)),
    );
    section(
        text,
        "in quarantine until `component approve`",
        i.quarantine
            .iter()
            .flat_map(Difference::lines)
            .map(|line| shown(&line)),
    );
    section(
        text,
        "versions that `component rollback` can go back to",
        i.versions
            .iter()
            .map(|version| format!("{}  {}", version.digest, shown(&version.origin))),
    );
}

fn ability(ability: &Ability) -> String {
    let grant = if ability.needs_grant {
        " (needs a grant)"
    } else {
        ""
    };
    format!("{}{grant}", ability.what)
}

/// What can be said of a component that no grant could open to the outside.
fn nothing_more(i: &Inspection) -> Option<String> {
    if i.abilities.iter().any(|ability| ability.needs_grant) || !i.missing.is_empty() {
        return None;
    }
    let text = if i.abilities.is_empty() {
        "it reaches nothing outside its own memory, whatever is granted"
    } else {
        "nothing else: it reaches no file, host or variable, whatever is granted"
    };
    Some(text.to_owned())
}

/// A text below its title; empty lines stay empty.
fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("      {}", shown(line)).trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}:\n"));
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
}
