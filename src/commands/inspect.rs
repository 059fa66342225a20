//! `wassette inspect`: everything about a component that can be known without running it.

use super::{open, reference};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown};
use wassette_host::{ComponentId, Host, Inspection};

pub(crate) async fn run(config: &Config, subject: &str, output: Output) -> Result<(), Exit> {
    let host = open(config).await?;
    let inspection = inspect(config, &host, subject).await?;
    output.print(&inspection, people)
}

/// A loaded component if one has this id, else a reference.
async fn inspect(config: &Config, host: &Host, subject: &str) -> Result<Inspection, Exit> {
    if let Ok(id) = subject.parse::<ComponentId>() {
        let is_loaded = host.catalog().component(&id).is_some();
        if is_loaded {
            return Ok(host.inspect_loaded(&id)?);
        }
    }
    Ok(host.inspect(&reference(config, subject)?).await?)
}

/// The same for people, in the order in which they ask: what is it, what does it offer, what could it do.
pub(crate) fn people(i: &Inspection) -> String {
    let mut text = format!("{}  {}\norigin: {}\n", i.id, i.digest, shown(&i.origin));
    section(
        &mut text,
        "tools",
        i.tools
            .iter()
            .map(|tool| format!("{}\n      {}", tool.name, shown(&tool.description))),
    );
    section(
        &mut text,
        "not offered",
        i.omitted.iter().map(|o| format!("{}: {}", o.path, o.reason)),
    );
    section(
        &mut text,
        "could do at most",
        i.abilities.iter().map(|a| {
            format!(
                "{}{}",
                a.what,
                if a.needs_grant { " (needs a grant)" } else { "" }
            )
        }),
    );
    if i.abilities.iter().all(|ability| !ability.needs_grant) {
        text.push_str("  it reaches nothing outside its own memory, whatever is granted\n");
    }
    section(&mut text, "imports", i.imports.iter().map(|import| shown(import)));
    section(
        &mut text,
        "imports that nothing provides: it cannot be loaded",
        i.missing.iter().map(|m| shown(m)),
    );
    text
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
