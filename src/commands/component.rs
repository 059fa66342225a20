//! `wassette component`: what is loaded.

mod version;

use super::{component_id, open, reference, refused};
use crate::cli::{ComponentCommand, LoadArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::lock;
use crate::output::{Output, shown, table};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use wassette_host::{
    Actor, Change, Command, Component, Host, LoadRequest, Loaded, Outcome, Progress, Silent, Step,
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
            let outcome = execute(&host, Command::Unload(id.clone())).await?;
            output.print(&outcome, |_| format!("unloaded {id}"))
        }
        ComponentCommand::List => {
            let catalog = host.catalog();
            let components: Vec<_> = catalog.components().map(Row::of).collect();
            let total = components.len();
            output.print(&List { components, total }, list_people)
        }
        ComponentCommand::Show { id } => {
            let inspection = host.inspect_loaded(&component_id(&id)?).await?;
            output.print(&inspection, super::inspect::people)
        }
        ComponentCommand::Update(args) => version::update(config, &host, &args, output).await,
        ComponentCommand::Rollback { id, to } => version::rollback(&host, &id, to.as_deref(), output).await,
        ComponentCommand::Approve { id, grant_requested } => {
            version::approve(&host, &id, grant_requested, output).await
        }
        ComponentCommand::Verify { subject } => version::verify(config, &host, &subject, output).await,
        ComponentCommand::Revoke {
            subject,
            reason,
            undo,
        } => version::revoke(&host, &subject, (!undo).then_some(reason), output).await,
        ComponentCommand::Lock { path } => lock::write_all(config, &host, &path, output),
    }
}

async fn execute(host: &Host, command: Command) -> Result<Outcome, Exit> {
    Ok(host.execute(command, &Actor::Operator, &Silent).await?)
}

async fn load(config: &Config, host: &Host, args: &LoadArgs) -> Result<Loaded, Exit> {
    let reference = reference(config, &args.reference)?;
    let locked = match &args.locked {
        Some(path) => Some(Box::new(lock::find(&config.current_dir.join(path), &reference)?)),
        None => None,
    };
    let name = args.name.as_deref().map(component_id).transpose()?;
    let request = LoadRequest {
        // A locked component has the id that is locked, unless another is asked for.
        name: match &locked {
            Some(locked) if name.is_none() => Some(component_id(&locked.id)?),
            Some(_) | None => name,
        },
        reference,
        replace: args.replace,
        wit: args.wit.as_deref().map(read_wit).transpose()?.unwrap_or_default(),
        locked,
        digest: None,
    };
    let progress = Bar::new();
    let outcome = host
        .execute(Command::Load(request), &Actor::Operator, &progress)
        .await;
    drop(progress);
    loaded(outcome.map_err(|error| refused(error, &args.reference))?)
}

/// What a load, an update or a rollback answers.
fn loaded(outcome: Outcome) -> Result<Loaded, Exit> {
    match outcome {
        Outcome::Loaded(loaded) => Ok(loaded),
        other @ (Outcome::Unloaded { .. }
        | Outcome::Policy(_)
        | Outcome::Asked(_)
        | Outcome::AlreadyGranted { .. }
        | Outcome::Denied(_)
        | Outcome::Presented(_)
        | Outcome::PresentedAll { .. }
        | Outcome::Approved { .. }
        | Outcome::Published { .. }
        | Outcome::Revocation { .. }
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
        Self {
            id: component.id.to_string(),
            digest: component.digest.to_string(),
            origin: component.origin.clone(),
            state: component.state.word(),
            reason: component.state.fault().map(|fault| fault.reason.clone()),
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
    let mut text = match &loaded.change {
        Change::New => format!("loaded {}", loaded.id),
        Change::Unchanged => format!("{} is loaded already, nothing changed", loaded.id),
        Change::Replaced { previous, difference } => {
            let mut text = format!("reloaded {} (it was {previous})", loaded.id);
            for line in difference.lines() {
                text.push_str(&format!("\n  {}", shown(&line)));
            }
            text
        }
    };
    text.push_str(&format!("  {}", loaded.digest));
    for signer in &loaded.signers {
        text.push_str(&format!("\n  signed by {}", shown(signer)));
    }
    for rule in &loaded.requested {
        text.push_str(&format!("\n  asks for {} (not granted by loading)", shown(rule)));
    }
    for name in &loaded.tools {
        text.push_str(&format!("\n  {name}"));
    }
    if loaded.quarantined {
        text.push_str(&format!(
            "\nwhat is new is withheld: `wassette component approve {0}` accepts it, `wassette component rollback {0}` goes \
             back",
            loaded.id
        ));
    }
    text
}

/// The texts of one WIT file, or of all in a folder and the folders below it.
pub(crate) fn read_wit(path: &Path) -> Result<Vec<(String, String)>, Exit> {
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
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
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

    fn received(&self, bytes: u64, total: Option<u64>) {
        let of = total.map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
        self.0
            .set_message(format!("[1/4] {}: {}{of}", Step::Fetch, HumanBytes(bytes)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
