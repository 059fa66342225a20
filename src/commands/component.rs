//! `wassette component`: what is loaded.

use super::{component_id, open, reference, refused};
use crate::cli::{ComponentCommand, LoadArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown, table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use wassette_host::{
    Actor, Change, Command, Component, ComponentState, Host, LoadRequest, Loaded, Outcome, Progress, Silent,
    Step,
};

/// WIT that describes a component: files, and bytes of each.
const WIT_FILES_MAX: usize = 200;
const WIT_BYTES_MAX: u64 = 1 << 20;

/// Characters of a digest in a table: enough to tell components apart, and room for where they came from.
const DIGEST_CHARS: usize = 12;

pub(crate) async fn run(config: &Config, command: ComponentCommand, output: Output) -> Result<(), Exit> {
    let host = open(config).await?;
    match command {
        ComponentCommand::Load(args) => {
            let loaded = load(config, &host, &args).await?;
            output.print(&Outcome::Loaded(loaded.clone()), |_| loaded_people(&loaded))
        }
        ComponentCommand::Unload { id } => {
            let id = component_id(&id)?;
            let outcome = host
                .execute(Command::Unload(id.clone()), &Actor::Operator, &Silent)
                .await?;
            output.print(&outcome, |_| format!("unloaded {id}"))
        }
        ComponentCommand::List => {
            let catalog = host.catalog();
            let components: Vec<_> = catalog.components().map(Row::of).collect();
            let total = components.len();
            output.print(&List { components, total }, list_people)
        }
        ComponentCommand::Show { id } => {
            let inspection = host.inspect_loaded(&component_id(&id)?)?;
            output.print(&inspection, super::inspect::people)
        }
    }
}

async fn load(config: &Config, host: &Host, args: &LoadArgs) -> Result<Loaded, Exit> {
    let request = LoadRequest {
        reference: reference(config, &args.reference)?,
        name: args.name.as_deref().map(component_id).transpose()?,
        replace: args.replace,
        wit: args.wit.as_deref().map(read_wit).transpose()?.unwrap_or_default(),
    };
    let progress = Bar::new();
    let outcome = host
        .execute(Command::Load(request), &Actor::Operator, &progress)
        .await;
    drop(progress);
    match outcome.map_err(|error| refused(error, &args.reference))? {
        Outcome::Loaded(loaded) => Ok(loaded),
        other @ (Outcome::Unloaded { .. }
        | Outcome::Policy(_)
        | Outcome::SecretSet { .. }
        | Outcome::SecretDeleted { .. }) => Err(Exit::failed(anyhow::anyhow!("a load answered {other:?}"))),
    }
}

/// One row of `component list`.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    digest: String,
    origin: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    tools: Vec<String>,
}

#[derive(Debug, Serialize)]
struct List {
    components: Vec<Row>,
    total: usize,
}

impl Row {
    fn of(component: &Component) -> Self {
        let (state, reason) = match &component.state {
            ComponentState::Ready => ("ready", None),
            ComponentState::Unavailable(fault) => ("unavailable", Some(fault.reason.clone())),
        };
        Self {
            id: component.id.to_string(),
            digest: component.digest.to_string(),
            origin: component.origin.clone(),
            state,
            reason,
            tools: component
                .tools
                .iter()
                .map(|tool| tool.tool.name.to_string())
                .collect(),
        }
    }
}

fn list_people(list: &List) -> String {
    if list.components.is_empty() {
        return "no component is loaded; `wassette component load ./tool.wasm` loads one, and so does \
                `wassette component load starter:time`"
            .to_owned();
    }
    let rows = list.components.iter().map(|row| {
        let state = row
            .reason
            .as_ref()
            .map_or(row.state.to_owned(), |reason| format!("{}: {reason}", row.state));
        let hex = row.digest.trim_start_matches("sha256:");
        let digest: String = hex.chars().take(DIGEST_CHARS).collect();
        [
            row.id.clone(),
            state,
            row.tools.len().to_string(),
            digest,
            shown(&row.origin),
        ]
    });
    table(["ID", "STATE", "TOOLS", "DIGEST", "ORIGIN"], rows)
}

fn loaded_people(loaded: &Loaded) -> String {
    let head = match &loaded.change {
        Change::New => format!("loaded {}", loaded.id),
        Change::Unchanged => format!("{} is loaded already, nothing changed", loaded.id),
        Change::Replaced {
            previous,
            added,
            removed,
            changed,
        } => {
            let mut text = format!("reloaded {} (it was {previous})", loaded.id);
            for (what, names) in [("added", added), ("removed", removed), ("changed", changed)] {
                if !names.is_empty() {
                    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                    text.push_str(&format!("\n  {what}: {}", names.join(", ")));
                }
            }
            text
        }
    };
    let tools: Vec<_> = loaded.tools.iter().map(|name| format!("  {name}")).collect();
    format!("{head}  {}\n{}", loaded.digest, tools.join("\n"))
}

/// The texts of one WIT file, or of all in a folder and the folders below it.
fn read_wit(path: &Path) -> Result<Vec<(String, String)>, Exit> {
    let mut files = Vec::new();
    collect_wit(path, &mut files)?;
    if files.is_empty() {
        return Err(
            Exit::usage(format!("`{}` has no `.wit` file in it", path.display()))
                .with_hint("name a `.wit` file, or the folder they are in"),
        );
    }
    Ok(files)
}

fn collect_wit(path: &Path, files: &mut Vec<(String, String)>) -> Result<(), Exit> {
    let failed = |error| Exit::unreadable(path, error);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        let mut entries = std::fs::read_dir(path)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        entries.sort_by_key(std::fs::DirEntry::path);
        return entries
            .iter()
            .map(std::fs::DirEntry::path)
            .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "wit"))
            .try_for_each(|path| collect_wit(&path, files));
    }
    if files.len() >= WIT_FILES_MAX || metadata.len() > WIT_BYTES_MAX {
        return Err(
            Exit::usage(format!("`{}` is more WIT than is read", path.display())).with_hint(format!(
                "at most {WIT_FILES_MAX} files of {WIT_BYTES_MAX} bytes each"
            )),
        );
    }
    files.push((
        path.display().to_string(),
        std::fs::read_to_string(path).map_err(failed)?,
    ));
    Ok(())
}

/// Progress on the terminal; silent when standard error is none.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Progress for Bar {
    fn report(&self, step: Step, done: u32, total: u32) {
        self.0.set_message(format!("[{}/{total}] {step}", done + 1));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
