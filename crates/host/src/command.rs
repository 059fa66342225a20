//! What can be asked of the control plane, by whom, and what comes of it.

use crate::Host;
use crate::audit::{Begin, End};
use crate::code::blocking;
use crate::error::{ErrorKind, HostError};
use crate::grantable::{Grantable, rule_texts};
use crate::locked::Locked;
use crate::outcome::{Loaded, Outcome, PolicyChanged, Progress};
use crate::presentation::{Present, Shown};
use crate::publish::Publication;
use crate::revocation::Subject;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use wassette_policy::Policy;
use wassette_secrets::SecretName;
use wassette_store::{ComponentId, Digest, Reference};
use wassette_wit::{ToolName, sanitize};

/// Rules of one command that the audit file lists, and bytes of each; a policy may have very many.
const RULES_MAX: usize = 100;
const RULE_BYTES_MAX: usize = 1_000;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The person who runs this program, at a terminal.
    Operator,
    /// A model, through a protocol.
    Agent {
        /// The client as it names itself; not proven, and only for the record.
        principal: String,
    },
    /// A person who was shown what a model asks for, by the client that they use.
    Person {
        /// The client, as for an agent.
        principal: String,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Agent { principal } => write!(f, "agent:{principal}"),
            Self::Person { principal } => write!(f, "person:{principal}"),
        }
    }
}

/// A change to what there is.
#[derive(Clone, Debug)]
pub enum Command {
    /// Loads a component, or loads it again.
    Load(LoadRequest),
    /// Puts a newer version in place of a component, in quarantine if it wants more.
    Update(UpdateRequest),
    /// Puts the version back that was there before, or the one with this digest.
    Rollback(ComponentId, Option<Digest>),
    /// Accepts what is new in a version; also grants what it asks for, if that is said.
    Approve(ComponentId, GrantRequested),
    /// Takes a version, or all that a signer signed, out of service everywhere.
    RevokeVersions(Subject, String),
    /// Takes that back.
    ReinstateVersions(Subject),
    /// Puts something into a registry.
    Publish(Box<Publication>),
    /// Removes a component and its tools, with its grants and secrets.
    Unload(ComponentId),
    /// Allows a component something.
    Grant(ComponentId, Grantable),
    /// Takes these back, together: afterwards nothing that they would allow is allowed.
    Revoke(ComponentId, Vec<Grantable>),
    /// Takes everything back.
    Reset(ComponentId),
    /// Asks a person to allow a component something, and says what for.
    Ask(ComponentId, Grantable, String),
    /// Grants what was asked for under this number.
    ApproveRequest(u64),
    /// Denies it.
    DenyRequest(u64),
    /// Puts another policy in place of a component's.
    Attach(ComponentId, Box<Policy>),
    /// Names or describes a tool otherwise.
    Present(ToolName, Present),
    /// Names and describes all tools of a component, those that are not named as it does itself.
    PresentAll(ComponentId, BTreeMap<ToolName, Shown>),
    /// Keeps a secret for a component.
    SetSecret(ComponentId, SecretName, SecretString),
    /// Forgets a secret of a component.
    DeleteSecret(ComponentId, SecretName),
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
    /// What it must be, exactly.
    pub locked: Option<Box<Locked>>,
    /// The digest that its bytes or its manifest must have.
    pub digest: Option<Digest>,
}

/// What to update.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    /// The component.
    pub id: ComponentId,
    /// Another version of the same source; what it was loaded from otherwise.
    pub to: Option<Reference>,
    /// Whether what is new is approved at once.
    pub approve: bool,
    /// The digest that its bytes or its manifest must have.
    pub digest: Option<Digest>,
}

/// Whether an approval grants what a version asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantRequested {
    /// All of it.
    All,
    /// Nothing.
    Nothing,
}

impl Command {
    /// What the audit file calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Update(_) => "update",
            Self::Rollback(..) => "rollback",
            Self::Approve(..) => "approve",
            Self::RevokeVersions(..) => "revoke-versions",
            Self::ReinstateVersions(_) => "reinstate-versions",
            Self::Publish(_) => "publish",
            Self::Unload(_) => "unload",
            Self::Grant(..) => "grant",
            Self::Revoke(..) => "revoke",
            Self::Reset(_) => "reset",
            Self::Ask(..) => "permission.request",
            Self::ApproveRequest(_) => "permission.approve",
            Self::DenyRequest(_) => "permission.deny",
            Self::Attach(..) => "attach",
            Self::Present(..) | Self::PresentAll(..) => "present",
            Self::SetSecret(..) => "secret.set",
            Self::DeleteSecret(..) => "secret.delete",
        }
    }

    /// What it is about, for the audit file.
    fn subject(&self) -> String {
        match self {
            Self::Load(request) => request.reference.shown(),
            Self::Update(request) => request.id.to_string(),
            Self::RevokeVersions(subject, _) | Self::ReinstateVersions(subject) => subject.to_string(),
            Self::Publish(publication) => publication.reference.to_string(),
            Self::Present(name, _) => name.to_string(),
            Self::ApproveRequest(number) | Self::DenyRequest(number) => format!("request {number}"),
            Self::Unload(id)
            | Self::Rollback(id, _)
            | Self::Approve(id, _)
            | Self::Grant(id, _)
            | Self::Revoke(id, _)
            | Self::Ask(id, ..)
            | Self::Reset(id)
            | Self::Attach(id, _)
            | Self::PresentAll(id, _)
            | Self::SetSecret(id, ..)
            | Self::DeleteSecret(id, _) => id.to_string(),
        }
    }

    /// The rules it is about, for the audit file.
    fn rules(&self) -> Vec<String> {
        match self {
            Self::Load(_)
            | Self::Update(_)
            | Self::Rollback(..)
            | Self::Approve(..)
            | Self::RevokeVersions(..)
            | Self::ReinstateVersions(_)
            | Self::Publish(_)
            | Self::Unload(_)
            | Self::Present(..)
            | Self::PresentAll(..)
            | Self::ApproveRequest(_)
            | Self::DenyRequest(_)
            | Self::Reset(_) => Vec::new(),
            Self::Grant(_, grant) | Self::Ask(_, grant, _) => vec![grant.to_string()],
            Self::Revoke(_, grants) => grants.iter().flat_map(Grantable::names).collect(),
            Self::Attach(_, policy) => rule_texts(policy),
            Self::SetSecret(_, name, _) | Self::DeleteSecret(_, name) => vec![format!("secret \"{name}\"")],
        }
    }
}

/// Rules as the audit file takes them, and how many more there are.
fn listed(rules: &[String]) -> (Vec<String>, u64) {
    let listed: Vec<_> = rules
        .iter()
        .take(RULES_MAX)
        .map(|rule| sanitize(rule, RULE_BYTES_MAX))
        .collect();
    let unlisted = rules.len().saturating_sub(listed.len());
    (listed, u64::try_from(unlisted).unwrap_or(u64::MAX))
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
        let (rules, rules_unlisted) = listed(&command.rules());
        let begin = Begin::Command {
            command: command.name(),
            subject: &subject,
            rules: &rules,
            rules_unlisted,
        };
        let entry = self
            .inner
            .audit
            .begin(&begin, actor)
            .map_err(HostError::unrecorded)?;
        let outcome = match self.permit(command, actor).await {
            // On the heap: what a command may wait for is too much for the stack of a thread, unoptimised.
            Ok(command) => Box::pin(self.perform(command, actor, progress)).await,
            Err(error) => Err(error),
        };
        let reason = outcome.as_ref().err().map(HostError::audit_text);
        match (entry.end(&ended(&outcome, reason.as_deref())), outcome) {
            (Err(source), Ok(_)) => Err(HostError::unwritten(source)),
            (Err(source), Err(error)) => {
                tracing::error!(error = %source, "the audit file cannot be written: a command that failed has no end in it");
                Err(error)
            }
            (Ok(()), outcome) => outcome,
        }
    }

    async fn perform(
        &self,
        command: Command,
        actor: &Actor,
        progress: &dyn Progress,
    ) -> Result<Outcome, HostError> {
        match command {
            Command::Load(request) => Box::pin(self.load(request, actor, progress))
                .await
                .map(Outcome::Loaded),
            Command::Update(request) => self.update(request, progress).await.map(Outcome::Loaded),
            Command::Rollback(id, digest) => self.rollback(&id, digest, progress).await.map(Outcome::Loaded),
            Command::Approve(id, requested) => self.approve(&id, requested).await,
            Command::RevokeVersions(subject, reason) => self.revoke_versions(&subject, &reason).await,
            Command::ReinstateVersions(subject) => self.reinstate_versions(&subject).await,
            Command::Publish(publication) => self.publish(*publication).await,
            Command::Unload(id) => self.unload(&id).await,
            Command::Grant(id, grant) => self.grant(&id, grant).await,
            Command::Revoke(id, grants) => self.revoke(&id, grants, actor).await,
            Command::Reset(id) => self.reset(&id, actor).await,
            Command::Ask(id, grant, reason) => self.ask(&id, &grant, (&reason, actor)).await,
            Command::ApproveRequest(number) => self.approve_request(number, actor).await,
            Command::DenyRequest(number) => self.deny_request(number).await,
            Command::Attach(id, policy) => self.attach(&id, *policy).await,
            Command::Present(name, present) => self.present(&name, present).await,
            Command::PresentAll(id, wanted) => self.present_all(&id, &wanted).await,
            Command::SetSecret(id, name, value) => {
                self.set_secret(&id, &name, value).await?;
                let name = name.to_string();
                Ok(Outcome::SecretSet { id, name })
            }
            Command::DeleteSecret(id, name) => {
                let existed = self.delete_secret(&id, &name).await?;
                let name = name.to_string();
                Ok(Outcome::SecretDeleted { id, name, existed })
            }
        }
    }

    /// Decides what each actor may do, in this one place. What an agent names is resolved here, so that the
    /// file that was allowed is the file that is read.
    async fn permit(&self, command: Command, actor: &Actor) -> Result<Command, HostError> {
        match (actor, command) {
            (Actor::Operator, command) => Ok(command),
            // Whoever was asked answers what they were asked, and nothing else.
            (Actor::Person { .. }, command @ (Command::ApproveRequest(_) | Command::DenyRequest(_))) => {
                Ok(command)
            }
            (Actor::Person { .. }, _) => Err(HostError::NotAllowed { what: "do that" }),
            // Without a limit of its own a component has the default, which may be more.
            (Actor::Agent { .. }, Command::Revoke(_, grants))
                if grants.iter().any(|grant| matches!(grant, Grantable::Limits(_))) =>
            {
                Err(HostError::NotAllowed {
                    what: "change limits",
                })
            }
            // What narrows needs nobody.
            (
                Actor::Agent { .. },
                command @ (Command::Unload(_) | Command::Revoke(..) | Command::Reset(_) | Command::Ask(..)),
            ) => Ok(command),
            // SECURITY: the model never grants.
            (Actor::Agent { .. }, Command::Grant(..) | Command::ApproveRequest(_)) => {
                Err(HostError::NotAllowed {
                    what: "grant anything",
                })
            }
            // Nor does it answer for the person who is asked.
            (Actor::Agent { .. }, Command::DenyRequest(_)) => Err(HostError::NotAllowed {
                what: "decide what was asked for",
            }),
            (Actor::Agent { .. }, Command::Attach(..)) => Err(HostError::NotAllowed {
                what: "attach a policy",
            }),
            // SECURITY: names and descriptions are what people and models trust.
            (Actor::Agent { .. }, Command::Present(..) | Command::PresentAll(..)) => {
                Err(HostError::NotAllowed {
                    what: "name or describe tools",
                })
            }
            (Actor::Agent { .. }, Command::SetSecret(..) | Command::DeleteSecret(..)) => {
                Err(HostError::NotAllowed {
                    what: "change secrets",
                })
            }
            (
                Actor::Agent { .. },
                Command::Update(_)
                | Command::Rollback(..)
                | Command::Approve(..)
                | Command::RevokeVersions(..)
                | Command::ReinstateVersions(_)
                | Command::Publish(_),
            ) => Err(HostError::NotAllowed {
                what: "choose or publish versions of components",
            }),
            (Actor::Agent { .. }, Command::Load(request)) => {
                self.permit_load(request).await.map(Command::Load)
            }
        }
    }

    async fn permit_load(&self, request: LoadRequest) -> Result<LoadRequest, HostError> {
        let path = match &request.reference {
            // It came with the program, so whoever installed the program chose it.
            Reference::Starter(_) => return Ok(request),
            Reference::Oci(_) | Reference::Https(_) => {
                let reference = request.reference.to_string();
                let mut patterns = self.inner.config.agent_patterns.iter();
                return if patterns.any(|pattern| pattern.matches(&reference)) {
                    Ok(request)
                } else {
                    Err(HostError::NotAllowed {
                        what: "load a component from there",
                    })
                };
            }
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
    let (word, component, digest, rules) = match outcome {
        Ok(Outcome::Loaded(Loaded { id, digest, .. }) | Outcome::Unloaded { id, digest }) => {
            ("ok", Some(id), Some(*digest), &[][..])
        }
        Ok(Outcome::Policy(PolicyChanged { id, rules, .. })) => ("ok", Some(id), None, rules.as_slice()),
        Ok(Outcome::Asked(asked) | Outcome::Denied(asked)) => {
            ("ok", Some(&asked.component_id), None, asked.rules.as_slice())
        }
        Ok(Outcome::AlreadyGranted { id, rules }) => ("ok", Some(id), None, rules.as_slice()),
        Ok(Outcome::Presented(presented)) => ("ok", Some(&presented.component), None, &[][..]),
        Ok(
            Outcome::SecretSet { id, .. }
            | Outcome::SecretDeleted { id, .. }
            | Outcome::PresentedAll { id, .. },
        ) => ("ok", Some(id), None, &[][..]),
        Ok(Outcome::Approved {
            id, digest, granted, ..
        }) => ("ok", Some(id), Some(*digest), granted.as_slice()),
        Ok(Outcome::Published { digest, .. }) => ("ok", None, Some(*digest), &[][..]),
        Ok(Outcome::Revocation { .. }) => ("ok", None, None, &[][..]),
        Err(error) if error.kind() == ErrorKind::Denied => ("denied", None, None, &[][..]),
        Err(_) => ("failed", None, None, &[][..]),
    };
    End::Command {
        outcome: word,
        reason,
        component: component.map(ComponentId::as_str),
        digest,
        rules: listed(rules).0,
    }
}
