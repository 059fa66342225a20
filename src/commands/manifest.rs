//! `wassette manifest plan|apply|check`: what is loaded against what is to be loaded.

use crate::cli::{ManifestArgs, ManifestCommand};
use crate::commands::component::Bar;
use crate::commands::{open, refused};
use crate::config::Config;
use crate::exit::Exit;
use crate::lock::LockFile;
use crate::manifest::{Entry, Manifest};
use crate::output::{Output, note, shown, table};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wassette_host::{
    Actor, Catalog, Command, Component, ComponentId, ErrorKind, Host, HostError, LoadRequest, Locked,
    Outcome, Silent, UpdateRequest,
};

/// The lock file beside a manifest.
const LOCK: &str = "wassette.lock";

/// What is to be done about one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    /// It is as it is to be.
    Keep,
    /// It is not there.
    Load,
    /// It is there in another version.
    Update,
    /// Something from elsewhere has its id.
    Replace,
    /// It may do something else than it is to.
    Attach,
    /// Its tools are to be shown in another way.
    Present,
    /// No entry names it.
    Unload,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Load => "load",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Attach => "attach",
            Self::Present => "present",
            Self::Unload => "unload",
        }
    }
}

/// One line of a plan.
#[derive(Clone, Debug, Serialize)]
struct Planned {
    id: ComponentId,
    action: Action,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Plan {
    components: Vec<Planned>,
    changes: usize,
}

impl Plan {
    fn of(components: Vec<Planned>) -> Self {
        let changes = components.iter().filter(|planned| planned.action != Action::Keep);
        Self {
            changes: changes.count(),
            components,
        }
    }
}

pub(crate) async fn run(config: &Config, command: ManifestCommand, output: Output) -> Result<(), Exit> {
    let host = open(config).await?;
    match command {
        ManifestCommand::Plan(args) => {
            let manifest = Manifest::read(config, &args.file)?;
            output.print(&plan(&host, &manifest, &args)?, people)
        }
        ManifestCommand::Check(args) => {
            let manifest = Manifest::read(config, &args.file)?;
            let plan = plan(&host, &manifest, &args)?;
            output.print(&plan, people)?;
            match plan.changes {
                0 => Ok(()),
                count => Err(Exit::failed(anyhow::anyhow!(
                    "{count} components are not as `{}` says",
                    manifest.path.display()
                ))
                .with_hint("`wassette manifest apply` makes them so")),
            }
        }
        ManifestCommand::Apply(args) => {
            let manifest = Manifest::read(config, &args.file)?;
            output.print(&apply(&host, &manifest, &args).await?, people)
        }
    }
}

/// Makes everything as a manifest says, before it is served. What fails is told, and the rest is served.
pub(crate) async fn apply_before(config: &Config, host: &Host, file: &Path) -> Result<(), Exit> {
    let manifest = Manifest::read(config, file)?;
    let args = ManifestArgs {
        file: file.to_owned(),
        prune: false,
        // Where somebody wrote down what is to be loaded, nothing else is.
        locked: lock_path(&manifest).exists(),
    };
    apply(host, &manifest, &args).await.map(drop)
}

/// Compares what is there with what is to be. Changes nothing and asks no source.
fn plan(host: &Host, manifest: &Manifest, args: &ManifestArgs) -> Result<Plan, Exit> {
    let catalog = host.catalog();
    let lock = locked(manifest, args)?;
    let mut components: Vec<_> = manifest
        .entries
        .iter()
        .map(|entry| Planned {
            id: entry.id.clone(),
            action: action(&catalog, entry, lock.as_ref()),
            reference: entry.reference.to_string(),
            outcome: None,
        })
        .collect();
    if args.prune {
        let is_named = |known: &&Component| manifest.entries.iter().any(|entry| entry.id == known.id);
        let pruned = catalog.components().filter(|known| !is_named(known));
        components.extend(pruned.map(|known| Planned {
            id: known.id.clone(),
            action: Action::Unload,
            reference: known.origin.clone(),
            outcome: None,
        }));
    }
    Ok(Plan::of(components))
}

fn action(catalog: &Catalog, entry: &Entry, lock: Option<&LockFile>) -> Action {
    let Some(known) = catalog.component(&entry.id) else {
        return Action::Load;
    };
    if known.source() != entry.reference.source() {
        return Action::Replace;
    }
    let is_locked = lock.and_then(|lock| find(lock, entry)).is_none_or(|locked| {
        let now = known.locked();
        locked.digest == now.digest && locked.manifest == now.manifest && locked.contract == now.contract
    });
    let is_version = known.origin == entry.reference.to_string() && is_digest(known, entry) && is_locked;
    if !is_version {
        return Action::Update;
    }
    let is_allowed = entry
        .policy
        .as_ref()
        .is_none_or(|policy| known.policy() == Some(policy));
    let is_shown = entry.tools.as_ref().is_none_or(|tools| known.is_shown_as(tools));
    match (is_allowed, is_shown) {
        (false, _) => Action::Attach,
        (true, false) => Action::Present,
        (true, true) => Action::Keep,
    }
}

/// Whether a component has the digest that its entry asks for: of its bytes, or of its manifest.
fn is_digest(known: &Component, entry: &Entry) -> bool {
    entry
        .digest
        .is_none_or(|digest| known.digest == digest || known.provenance.manifest == Some(digest))
}

fn find<'l>(lock: &'l LockFile, entry: &Entry) -> Option<&'l Locked> {
    let reference = entry.reference.to_string();
    lock.components
        .iter()
        .find(|locked| locked.reference == reference)
}

fn lock_path(manifest: &Manifest) -> PathBuf {
    manifest.path.with_file_name(LOCK)
}

/// The lock file, if nothing but what is in it may be loaded.
fn locked(manifest: &Manifest, args: &ManifestArgs) -> Result<Option<LockFile>, Exit> {
    args.locked
        .then(|| LockFile::read(&lock_path(manifest)))
        .transpose()
}

/// Makes everything so. One component that fails does not keep the others from it.
async fn apply(host: &Host, manifest: &Manifest, args: &ManifestArgs) -> Result<Plan, Exit> {
    let lock = locked(manifest, args)?;
    let mut planned = plan(host, manifest, args)?.components;
    let mut failed = 0_usize;
    for step in &mut planned {
        let entry = manifest.entries.iter().find(|entry| entry.id == step.id);
        let done = match entry {
            Some(entry) => {
                let locked = lock.as_ref().map(|lock| locked_entry(lock, entry)).transpose();
                match locked {
                    Ok(locked) => make(host, entry, step.action, locked).await,
                    Err(exit) => Err(exit),
                }
            }
            None => unload(host, &step.id).await,
        };
        step.outcome = Some(match done {
            Ok(outcome) => outcome.to_owned(),
            Err(exit) => {
                failed += 1;
                let message = exit.message().to_owned();
                note(&format!("error: {}: {}", step.id, shown(&message)));
                message
            }
        });
    }
    if failed > 0 {
        return Err(Exit::failed(anyhow::anyhow!(
            "{failed} of {} components are not as `{}` says",
            planned.len(),
            manifest.path.display()
        ))
        .with_hint("the others are; mend what is said above and apply it again"));
    }
    if !args.locked {
        LockFile::of(host).write(&lock_path(manifest))?;
    }
    Ok(Plan::of(planned))
}

fn locked_entry<'l>(lock: &'l LockFile, entry: &Entry) -> Result<&'l Locked, Exit> {
    find(lock, entry).ok_or_else(|| {
        Exit::denied(format!(
            "`{}` is not in the lock file",
            shown(&entry.reference.to_string())
        ))
        .with_hint("apply the manifest without `--locked` to write it down")
    })
}

/// Does what is planned for one entry.
async fn make(
    host: &Host,
    entry: &Entry,
    action: Action,
    locked: Option<&Locked>,
) -> Result<&'static str, Exit> {
    let outcome = match action {
        Action::Keep => "kept",
        Action::Attach => "attached",
        Action::Present => "presented",
        Action::Unload => return unload(host, &entry.id).await,
        Action::Load | Action::Replace => load(host, entry, locked).await?,
        // What is locked, or pinned by its digest, was approved by whoever wrote that down.
        Action::Update if locked.is_some() => load(host, entry, locked).await?,
        Action::Update => update(host, entry).await?,
    };
    if let Some(policy) = &entry.policy {
        let command = Command::Attach(entry.id.clone(), Box::new(policy.clone()));
        let attached = host.execute(command, &Actor::Operator, &Silent).await;
        attached.map_err(|error| match &entry.policy_text {
            Some(text) => text.located(error),
            None => error.into(),
        })?;
    }
    if let Some(tools) = &entry.tools {
        let command = Command::PresentAll(entry.id.clone(), tools.clone());
        host.execute(command, &Actor::Operator, &Silent).await?;
    }
    Ok(outcome)
}

async fn load(host: &Host, entry: &Entry, locked: Option<&Locked>) -> Result<&'static str, Exit> {
    let request = LoadRequest {
        reference: entry.reference.clone(),
        name: Some(entry.id.clone()),
        replace: true,
        wit: Vec::new(),
        locked: locked.cloned().map(Box::new),
        digest: entry.digest,
    };
    attempts(host, entry, Command::Load(request)).await?;
    Ok("loaded")
}

async fn update(host: &Host, entry: &Entry) -> Result<&'static str, Exit> {
    let request = UpdateRequest {
        id: entry.id.clone(),
        to: Some(entry.reference.clone()),
        approve: entry.digest.is_some(),
        digest: entry.digest,
    };
    match attempts(host, entry, Command::Update(request)).await? {
        Outcome::Loaded(loaded) if loaded.quarantined => Ok("quarantined"),
        Outcome::Loaded(_)
        | Outcome::Unloaded { .. }
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
        | Outcome::SecretDeleted { .. } => Ok("updated"),
    }
}

/// How often something is done again because another process was faster.
const CONFLICTS_MAX: u32 = 5;

/// Does it, again when the source could not be asked, or when another process did something with the component, perhaps
/// the same.
async fn attempts(host: &Host, entry: &Entry, command: Command) -> Result<Outcome, Exit> {
    let (mut attempt, mut conflicts) = (1, 0);
    loop {
        let progress = Bar::new();
        let done = host.execute(command.clone(), &Actor::Operator, &progress).await;
        drop(progress);
        match done {
            Err(error) if is_passing(&error) && attempt < entry.retry.attempts => {
                tokio::time::sleep(entry.retry.wait(attempt)).await;
                attempt += 1;
            }
            Err(error) if error.is_conflict() && conflicts < CONFLICTS_MAX => conflicts += 1,
            done => return done.map_err(|error| refused(error, &entry.reference.to_string())),
        }
    }
}

fn is_passing(error: &HostError) -> bool {
    matches!(error, HostError::Fetch { .. }) && error.kind() == ErrorKind::Unavailable
}

async fn unload(host: &Host, id: &ComponentId) -> Result<&'static str, Exit> {
    host.execute(Command::Unload(id.clone()), &Actor::Operator, &Silent)
        .await?;
    Ok("unloaded")
}

fn people(plan: &Plan) -> String {
    let rows = plan.components.iter().map(|planned| {
        [
            planned.id.to_string(),
            planned
                .outcome
                .clone()
                .unwrap_or_else(|| planned.action.word().to_owned()),
            shown(&planned.reference),
        ]
    });
    table(["ID", "WHAT", "REFERENCE"], rows)
}
