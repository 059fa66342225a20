//! What can be asked of the control plane, by whom, and what comes of it.

use crate::Host;
use crate::audit::{Begin, End};
use crate::code::blocking;
use crate::error::{ErrorKind, HostError};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use wassette_store::{ComponentId, Digest, Reference};
use wassette_wit::ToolName;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The person who runs this program, at a terminal.
    Operator,
    /// A model, through a protocol.
    Agent {
        /// The client as it names itself; not proven, and only for the record.
        principal: String,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Agent { principal } => write!(f, "agent:{principal}"),
        }
    }
}

/// A change to what there is.
#[derive(Clone, Debug)]
pub enum Command {
    /// Loads a component, or loads it again.
    Load(LoadRequest),
    /// Removes a component and its tools.
    Unload(ComponentId),
}

/// What to load.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// Where it is.
    pub reference: Reference,
    /// The id it gets; by default made from the reference.
    pub name: Option<ComponentId>,
    /// Whether a component of the same id but from elsewhere is replaced.
    pub replace: bool,
    /// WIT files, as path and text, whose comments describe the functions.
    pub wit: Vec<(String, String)>,
}

/// What a command did.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// A component is loaded.
    Loaded(Loaded),
    /// A component is gone.
    Unloaded {
        /// Its id.
        id: ComponentId,
        /// What it was.
        digest: Digest,
    },
}

/// A component after a load.
#[derive(Clone, Debug, Serialize)]
pub struct Loaded {
    /// Its id.
    pub id: ComponentId,
    /// What it is.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// What the load changed.
    pub change: Change,
    /// Its tools.
    pub tools: Vec<ToolName>,
}

/// What a load changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// There was no component of this id.
    New,
    /// The same bytes with the same tools were there already.
    Unchanged,
    /// Another component of this id was there.
    Replaced {
        /// What it was.
        previous: Digest,
        /// Tools that were not there before.
        added: Vec<ToolName>,
        /// Tools that are gone.
        removed: Vec<ToolName>,
        /// Tools whose schema or description is another.
        changed: Vec<ToolName>,
    },
}

/// A part of a command that may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Getting the bytes.
    Fetch,
    /// Reading what the component offers and asks for.
    Read,
    /// Translating it to machine code.
    Compile,
    /// Writing it down.
    Store,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetching",
            Self::Read => "reading",
            Self::Compile => "compiling",
            Self::Store => "storing",
        })
    }
}

/// Is told how far a command has come.
pub trait Progress: Send + Sync {
    /// `step` begins, as number `done` of `total`.
    fn report(&self, step: Step, done: u32, total: u32);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _step: Step, _done: u32, _total: u32) {}
}

impl Command {
    /// What the audit file calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Unload(_) => "unload",
        }
    }

    /// What it is about, for the audit file.
    fn subject(&self) -> String {
        match self {
            Self::Load(request) => request.reference.to_string(),
            Self::Unload(id) => id.to_string(),
        }
    }
}

impl Host {
    /// Does a command, if the actor may. Whatever comes of it, a refusal included, is in the audit file.
    ///
    /// # Errors
    ///
    /// [`HostError::Audit`] and [`HostError::NotAllowed`] before anything else; then what the command ran
    /// into. A command that fails has changed nothing but the audit file.
    pub async fn execute(
        &self,
        command: Command,
        actor: &Actor,
        progress: &dyn Progress,
    ) -> Result<Outcome, HostError> {
        let subject = command.subject();
        let begin = Begin::Command {
            command: command.name(),
            subject: &subject,
        };
        let entry = self
            .inner
            .audit
            .begin(&begin, actor)
            .map_err(|source| HostError::Audit { source })?;
        let outcome = match self.permit(command, actor).await {
            Ok(Command::Load(request)) => self.load(request, progress).await.map(Outcome::Loaded),
            Ok(Command::Unload(id)) => self.unload(&id).await,
            Err(error) => Err(error),
        };
        let reason = outcome.as_ref().err().map(HostError::agent_text);
        entry
            .end(&ended(&outcome, reason.as_deref()))
            .map_err(|source| HostError::Audit { source })?;
        outcome
    }

    /// Decides what each actor may do, in this one place. What an agent names is resolved here, so that the
    /// file that was allowed is the file that is read.
    async fn permit(&self, command: Command, actor: &Actor) -> Result<Command, HostError> {
        match (actor, command) {
            (Actor::Operator, command) => Ok(command),
            (Actor::Agent { .. }, Command::Unload(id)) => Ok(Command::Unload(id)),
            (Actor::Agent { .. }, Command::Load(request)) => {
                self.permit_load(request).await.map(Command::Load)
            }
        }
    }

    async fn permit_load(&self, request: LoadRequest) -> Result<LoadRequest, HostError> {
        let path = match &request.reference {
            // It came with the program, so whoever installed the program chose it.
            Reference::Starter(_) => return Ok(request),
            Reference::File(path) => path,
        };
        // A link is followed before the folder is compared. A file that is not there is refused like one
        // that may not be read: an agent must not learn which files exist.
        let (path, folders) = (path.clone(), self.inner.config.agent_folders.clone());
        match blocking(move || below(&path, &folders)).await? {
            Some(path) => Ok(LoadRequest {
                reference: Reference::File(path),
                ..request
            }),
            None => Err(HostError::NotAllowed {
                what: "load a component from there",
            }),
        }
    }
}

/// Where the path leads, if that is below one of the folders. Asks the file system, which may take its time.
fn below(path: &Path, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let mut folders = folders.iter().filter_map(|folder| folder.canonicalize().ok());
    folders.any(|folder| path.starts_with(folder)).then_some(path)
}

/// The audit line of a command that ended.
fn ended<'a>(outcome: &'a Result<Outcome, HostError>, reason: Option<&'a str>) -> End<'a> {
    let (word, changed) = match outcome {
        Ok(Outcome::Loaded(Loaded { id, digest, .. }) | Outcome::Unloaded { id, digest }) => {
            ("ok", Some((id, digest)))
        }
        Err(error) if error.kind() == ErrorKind::Denied => ("denied", None),
        Err(_) => ("failed", None),
    };
    End::Command {
        outcome: word,
        reason,
        component: changed.map(|(id, _)| id.as_str()),
        digest: changed.map(|(_, digest)| *digest),
    }
}
