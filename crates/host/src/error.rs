//! Why the host did not do what was asked.
//!
//! Three readers: the operator gets the whole chain and a hint, the agent gets a text without paths of this
//! machine, the protocol gets a kind. [`HostError::kind`] is the one match from which wire form and exit code
//! follow.
//!
//! Long because every error has its text, its kind, its hint and its words for agents here, and nowhere else.

use crate::call::CallId;
use crate::feed::FeedError;
use crate::protect::ProtectError;
use crate::state::Unavailable;
use crate::version::Difference;
use std::io;
use wassette_fetch::{FetchError, NetworkConfigError, NetworkError, NetworkErrorKind};
use wassette_policy::{DOCUMENT_BYTES_MAX, Excess, GrantError, PolicyPart, RuleError};
use wassette_sandbox::{CompileError, CompileFault, NewSandboxError, PrepareError};
use wassette_secrets::SecretsError;
use wassette_signature::SigningError;
use wassette_store::{ComponentId, Digest, OpenStoreError, StoreError};
use wassette_wit::rich::{Export, ListError, RichError};
use wassette_wit::{DecodeError, Omitted, ParseDocsError, ReadWorldError, ToolName, ToolsError, sanitize};

/// Bytes of a name from outside that an error repeats.
const NAME_BYTES_MAX: usize = 100;

const LOAD_AGAIN: &str = "load the component again, or unload it";

/// The reason says what is wrong: the stored contract, the policy, or the ceiling above it.
const MEND: &str =
    "mend what the reason names: load the component again, attach another policy, or mend the ceiling";

/// Bytes of a whole error that an agent and the audit file get. It may repeat names from a component.
const TEXT_BYTES_MAX: usize = 2_000;

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The host cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenHostError {
    /// The store cannot be opened.
    #[error("cannot open the component store")]
    Store(#[from] OpenStoreError),
    /// The audit file cannot be written. Nothing is done that cannot be written down.
    #[error("cannot open the audit file")]
    Audit(#[from] StoreError),
    /// The engine does not start.
    #[error("cannot start the sandbox")]
    Sandbox(#[from] NewSandboxError),
    /// The records cannot be read.
    #[error("cannot read the component store")]
    Catalog(#[source] HostError),
    /// The network cannot be used as it is configured.
    #[error("cannot use the network as configured")]
    Network(#[from] NetworkConfigError),
    /// The system has no random numbers.
    #[error("cannot get random numbers from the system: {reason}")]
    Random {
        /// The system's reason.
        reason: String,
    },
}

impl OpenHostError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Store(error) => Some(error.hint()),
            Self::Audit(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Network(_) => Some("mend `registry_mirrors` or `registry_ca` in the settings"),
            Self::Sandbox(_) | Self::Random { .. } => None,
        }
    }
}

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was named does not exist.
    NotFound,
    /// What was given is wrong.
    Invalid,
    /// It is not allowed.
    Denied,
    /// It could work at another time or after a repair.
    Unavailable,
    /// We failed.
    Internal,
}

/// A command or call that was not done.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No tool has this name.
    #[error("unknown tool `{}`", sanitize(.name, NAME_BYTES_MAX))]
    UnknownTool {
        /// The name.
        name: String,
    },
    /// No prompt has this name.
    #[error("unknown prompt `{}`", sanitize(.name, NAME_BYTES_MAX))]
    UnknownPrompt {
        /// The name.
        name: String,
    },
    /// No component has a resource of this URI.
    #[error("unknown resource `{}`", sanitize(.uri, NAME_BYTES_MAX))]
    UnknownResource {
        /// The URI, or the template of a family.
        uri: String,
    },
    /// An argument of a prompt is missing.
    #[error("invalid arguments: `{name}` is required")]
    MissingArgument {
        /// The argument.
        name: String,
    },
    /// The component completes nothing.
    #[error("the component completes no arguments")]
    NoCompletion,
    /// No component has this id.
    #[error("unknown component `{id}`")]
    UnknownComponent {
        /// The id.
        id: ComponentId,
    },
    /// The component is there but cannot be used.
    #[error("component `{id}` is unavailable: {}", fault.reason)]
    Unavailable {
        /// The component.
        id: ComponentId,
        /// Why.
        fault: Unavailable,
    },
    /// The component's code cannot be had.
    #[error("component `{id}` is unavailable")]
    NotReady {
        /// The component.
        id: ComponentId,
        /// Why.
        source: Box<Self>,
    },
    /// The arguments do not fit the tool.
    #[error("invalid arguments: {0}")]
    Arguments(DecodeError),
    /// The arguments are too large.
    #[error("invalid arguments: more than {bytes_max} bytes")]
    ArgumentsTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The actor may not do this.
    #[error("an agent may not {what}; the person who operates this server can")]
    NotAllowed {
        /// What was asked.
        what: &'static str,
    },
    /// The bytes could not be had.
    #[error("cannot fetch the component")]
    Fetch {
        /// Why.
        source: FetchError,
    },
    /// A document about something could not be had, such as the keys of an authorization server.
    #[error("cannot get the document")]
    Document {
        /// Why.
        source: FetchError,
    },
    /// The bytes are not a usable component.
    #[error("cannot load the component")]
    World {
        /// Why.
        source: ReadWorldError,
    },
    /// No tools can be made of it.
    #[error("cannot make tools from the component")]
    Tools {
        /// Why.
        source: ToolsError,
    },
    /// It is not of the rich world as published.
    #[error("cannot load the component")]
    Rich {
        /// Why.
        source: RichError,
    },
    /// It did not say what it offers.
    #[error("the component did not answer `{}`: {reason}", .export.name())]
    NoList {
        /// What was asked.
        export: Export,
        /// Why there is no answer.
        reason: String,
    },
    /// What it says it offers cannot be offered.
    #[error("cannot load the component")]
    List {
        /// Why.
        source: ListError,
    },
    /// A name or a URI is another's.
    #[error("{what} is {}", taken_by(.by.as_ref()))]
    Taken {
        /// What was to be had.
        what: String,
        /// The component that has it; none: Wassette itself.
        by: Option<ComponentId>,
    },
    /// The given WIT cannot be read.
    #[error("cannot read the WIT that describes the component")]
    Docs {
        /// Why.
        source: ParseDocsError,
    },
    /// It exports nothing that can be called.
    #[error("the component exports no function that can be a tool{}", reasons(.omitted))]
    NothingCallable {
        /// What it exports, and why that is not offered.
        omitted: Vec<Omitted>,
    },
    /// It cannot be compiled or linked.
    #[error("cannot prepare the component")]
    Prepare {
        /// Why.
        source: PrepareError,
    },
    /// It was not compiled.
    #[error("cannot compile the component")]
    Compile {
        /// Why.
        source: CompileError,
    },
    /// The id is taken by a component from elsewhere.
    #[error("component `{id}` is already loaded from `{origin}`")]
    OtherOrigin {
        /// The id.
        id: ComponentId,
        /// Where the present one came from.
        origin: String,
    },
    /// The source has another version than the one that is loaded.
    #[error(
        "`{id}` is another version now: {before} is loaded, {after} was found{}", changes(.difference)
    )]
    Moved {
        /// The component.
        id: ComponentId,
        /// What is loaded.
        before: Digest,
        /// What was found.
        after: Digest,
        /// How they differ.
        difference: Box<Difference>,
    },
    /// An update leads elsewhere.
    #[error("component `{id}` comes from `{source_text}`, and an update stays with that")]
    OtherSource {
        /// The component.
        id: ComponentId,
        /// Where it came from.
        source_text: String,
    },
    /// There is no earlier version of this sort.
    #[error("there is no {} of component `{id}` to go back to", version(.digest.as_ref()))]
    NoVersion {
        /// The component.
        id: ComponentId,
        /// The version that was asked for.
        digest: Option<Digest>,
    },
    /// What was found is not what the lock file says.
    #[error("the lock file says {what} `{locked}`, and `{found}` was found")]
    Locked {
        /// What is another.
        what: &'static str,
        /// As it is locked.
        locked: String,
        /// As it was found.
        found: String,
    },
    /// It has not the digest that was asked for.
    #[error("digest {wanted} was asked for, and {found} was found{}", named_by(.manifest.as_ref()))]
    OtherDigest {
        /// What was asked for.
        wanted: Digest,
        /// The digest of the bytes.
        found: Digest,
        /// The digest of the manifest, if there is one.
        manifest: Option<Digest>,
    },
    /// It is revoked.
    #[error("{reason}")]
    Revoked {
        /// What is revoked, by whom and why.
        reason: String,
    },
    /// The rules about signatures do not accept it.
    #[error("the operator's ceiling does not accept the signatures of `{reference}`: {reason}")]
    Untrusted {
        /// What was to be loaded.
        reference: String,
        /// What is missing.
        reason: String,
    },
    /// The root of trust cannot be used.
    #[error("the root of trust for signatures cannot be used: {reason}")]
    TrustedRoot {
        /// Why.
        reason: String,
    },
    /// What was named is no registry.
    #[error("`{}` is no registry", sanitize(.registry, NAME_BYTES_MAX))]
    NoRegistry {
        /// What was named.
        registry: String,
    },
    /// WIT of more than one package cannot be published as one text.
    #[error("`{path}` is of another package than the WIT before it")]
    Packages {
        /// The file.
        path: String,
    },
    /// It could not be signed.
    #[error("it is published and could not be signed")]
    Signing {
        /// Why.
        source: SigningError,
    },
    /// The tool is new in a version that nobody has approved.
    #[error(
        "tool `{tool}` is new in this version of component `{id}`, and withheld until a person approves it"
    )]
    Withheld {
        /// The tool.
        tool: ToolName,
        /// The component.
        id: ComponentId,
    },
    /// A revocation feed is not taken.
    #[error("the revocation feed `{reference}` is not taken")]
    Feed {
        /// The feed.
        reference: String,
        /// Why.
        source: FeedError,
    },
    /// What a version asks for is not understood.
    #[error("the policy that component `{id}` asks for is not understood: {reason}")]
    Request {
        /// The component.
        id: ComponentId,
        /// Why.
        reason: String,
    },
    /// What the store says of the component cannot be understood.
    #[error("the record of component `{id}` is damaged: {reason}")]
    Damaged {
        /// The component.
        id: ComponentId,
        /// Why.
        reason: String,
    },
    /// The rule cannot be granted or taken back.
    #[error("{0}")]
    Rule(RuleError),
    /// It would have no effect, or cannot stand beside the other rules.
    #[error("{0}")]
    Grant(GrantError),
    /// The path of a storage rule cannot be granted.
    #[error(transparent)]
    Protected(#[from] ProtectError),
    /// The operator's ceiling does not allow it.
    #[error("the operator's ceiling does not allow it: {0}")]
    Ceiling(String),
    /// The operator's ceiling does not allow all of a policy.
    #[error("the operator's ceiling does not allow it: {0}")]
    Excess(Excess),
    /// A policy that could not be read again: written out, it takes so many bytes.
    #[error(
        "the policy takes {0} bytes when all of it is written out, more than the {DOCUMENT_BYTES_MAX} that are read"
    )]
    LongPolicy(usize),
    /// The operator's ceiling cannot be read, so nothing is granted.
    #[error("{0}")]
    NoCeiling(String),
    /// Nothing was asked for under this number, or it is decided.
    #[error("there is no request {number}")]
    UnknownRequest {
        /// The number.
        number: u64,
    },
    /// A person was asked this before, and said no.
    #[error("a person denied this before (request {number}); do not ask again, and do without it")]
    DeniedBefore {
        /// The request.
        number: u64,
    },
    /// A path that was asked for is a link, or goes through one.
    #[error("the path that is asked for leads elsewhere: {}", .rules.join(", "))]
    LeadsElsewhere {
        /// What it would be where it leads.
        rules: Vec<String>,
    },
    /// A person could not be shown what is asked for.
    #[error("what is asked for cannot be shown to a person as it is: {}", sanitize(.rules, NAME_BYTES_MAX))]
    NotShown {
        /// What it is.
        rules: String,
    },
    /// Nobody would read more.
    #[error("too many requests wait for a person already")]
    TooManyRequests,
    /// The component's policy cannot be read, so it cannot be changed by a part.
    #[error("the policy of component `{id}` is not understood: {reason}")]
    Policy {
        /// The component.
        id: ComponentId,
        /// Why.
        reason: String,
    },
    /// Secrets cannot be kept or read.
    #[error("the secret was not handled")]
    Secrets {
        /// Why.
        source: SecretsError,
    },
    /// A description without a word.
    #[error("the description is empty")]
    NoDescription,
    /// The store failed.
    #[error("the component store failed")]
    Store {
        /// Why.
        source: StoreError,
    },
    /// The store cannot be watched for changes of other processes.
    #[error("cannot see whether the component store changed")]
    Look {
        /// Why.
        source: io::Error,
    },
    /// The audit file cannot be written, so nothing is done.
    #[error("cannot write the audit file; nothing is done that cannot be written down")]
    Audit {
        /// Why.
        source: io::Error,
    },
    /// The audit file could be written when something began, and not when it had ended.
    #[error("this was done, but the audit file cannot be written any more, so what came of it is withheld")]
    Unwritten {
        /// Why.
        source: io::Error,
    },
    /// A bug of ours, confined to one call.
    #[error("an internal error ended call {call}")]
    Internal {
        /// The call, as the audit file names it.
        call: CallId,
    },
    /// A thread of ours is gone: the program is ending, or it panicked.
    #[error("the work was interrupted")]
    Interrupted,
}

fn reasons(omitted: &[Omitted]) -> String {
    let each: Vec<_> = omitted
        .iter()
        .take(5)
        .map(|o| format!("`{}` ({})", o.path, o.reason))
        .collect();
    if each.is_empty() {
        String::new()
    } else {
        format!("; left out: {}", each.join(", "))
    }
}

/// What differs, as the end of a sentence.
fn changes(difference: &Difference) -> String {
    let lines = difference.lines();
    if lines.is_empty() {
        "; its tools, imports and requests are the same".to_owned()
    } else {
        format!("; {}", lines.join("; "))
    }
}

fn named_by(manifest: Option<&Digest>) -> String {
    manifest.map_or_else(String::new, |manifest| format!(", named by manifest {manifest}"))
}

fn taken_by(id: Option<&ComponentId>) -> String {
    id.map_or_else(
        || "a name that Wassette keeps for itself".to_owned(),
        |id| format!("component `{id}`'s"),
    )
}

fn version(digest: Option<&Digest>) -> String {
    digest.map_or_else(
        || "earlier version".to_owned(),
        |digest| format!("version {digest}"),
    )
}

impl HostError {
    /// What the network did not give.
    pub(crate) fn network(error: NetworkError) -> Self {
        Self::Fetch { source: error.into() }
    }

    /// Whether another process was faster: what was seen is not so any more.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Store {
                source: StoreError::Conflict { .. }
            }
        )
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTool { .. }
            | Self::UnknownPrompt { .. }
            | Self::UnknownResource { .. }
            | Self::UnknownRequest { .. }
            | Self::UnknownComponent { .. } => ErrorKind::NotFound,
            Self::Fetch { source } | Self::Document { source } => fetch_kind(source),
            Self::Compile { source } => compile_kind(source),
            Self::Arguments(_)
            | Self::ArgumentsTooLarge { .. }
            | Self::LongPolicy(_)
            | Self::MissingArgument { .. }
            | Self::NoCompletion
            | Self::NoDescription
            | Self::World { .. }
            | Self::Tools { .. }
            | Self::Rich { .. }
            | Self::NoList { .. }
            | Self::List { .. }
            | Self::Taken { .. }
            | Self::Docs { .. }
            | Self::NothingCallable { .. }
            | Self::Prepare { .. }
            | Self::OtherOrigin { .. }
            | Self::OtherSource { .. }
            | Self::Request { .. }
            | Self::Feed { .. }
            | Self::NoRegistry { .. }
            | Self::Packages { .. }
            | Self::Rule(_)
            | Self::NotShown { .. }
            | Self::Grant(_) => ErrorKind::Invalid,
            Self::NoVersion { .. } => ErrorKind::NotFound,
            Self::NotAllowed { .. }
            | Self::Ceiling(_)
            | Self::Excess(_)
            | Self::Moved { .. }
            | Self::Locked { .. }
            | Self::OtherDigest { .. }
            | Self::Revoked { .. }
            | Self::Untrusted { .. }
            | Self::DeniedBefore { .. }
            | Self::LeadsElsewhere { .. }
            | Self::TooManyRequests
            | Self::Withheld { .. } => ErrorKind::Denied,
            Self::Protected(ProtectError::Missing(_)) => ErrorKind::NotFound,
            Self::Protected(_) => ErrorKind::Denied,
            Self::Unavailable { .. }
            | Self::NotReady { .. }
            | Self::NoCeiling(_)
            | Self::Policy { .. }
            | Self::Damaged { .. }
            | Self::TrustedRoot { .. }
            | Self::Audit { .. }
            | Self::Unwritten { .. }
            | Self::Look { .. } => ErrorKind::Unavailable,
            Self::Secrets { source } => secrets_kind(source),
            Self::Store { source } => store_kind(source),
            Self::Internal { .. } | Self::Interrupted | Self::Signing { .. } => ErrorKind::Internal,
        }
    }

    /// What the operator can do, where there is more to say than the message does.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line for each error")]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::UnknownTool { .. } => Some("`wassette tool list` shows what there is"),
            Self::UnknownComponent { .. } => Some("`wassette component list` shows what there is"),
            Self::UnknownRequest { .. } => Some("`wassette permission pending` shows what was asked for"),
            Self::LeadsElsewhere { .. } => {
                Some("grant it there with `wassette permission grant storage` if that is what you want")
            }
            Self::OtherOrigin { .. } => {
                Some("give the new one another id with `--name`, or replace the old one with `--replace`")
            }
            Self::Moved { .. } => Some(
                "`wassette component update <id>` accepts it, and withholds what is new; `--replace` approves it whole",
            ),
            Self::OtherSource { .. } => {
                Some("load what comes from elsewhere under another id with `--name`, or with `--replace`")
            }
            Self::NoVersion { .. } => Some("`wassette component show <id>` lists the versions that are kept"),
            Self::Locked { .. } => {
                Some("if the change is meant, update the component and write the lock file again")
            }
            Self::OtherDigest { .. } => Some("look at what changed before you write the new digest down"),
            Self::Revoked { .. } => Some(
                "use another version; `wassette component revoke --undo` takes a revocation of yours back",
            ),
            Self::Untrusted { .. } => Some(
                "`wassette component verify` shows who signed it; the rules are `signatures` in the ceiling",
            ),
            Self::Withheld { .. } => Some(
                "`wassette component show <id>` shows what is new, `wassette component approve <id>` accepts it",
            ),
            Self::Request { .. } => Some("grant what it needs with `wassette permission grant`"),
            Self::Packages { .. } => Some("name the file or folder of the component's own package"),
            Self::NoRegistry { .. } => Some("name its host, such as `ghcr.io` or `localhost:5000`"),
            Self::Feed { .. } => Some("what it said before still holds; ask whoever publishes it"),
            Self::Damaged { .. } => Some(LOAD_AGAIN),
            Self::TrustedRoot { .. } => {
                Some("mend the file that the setting `trusted_root` names, or remove the setting")
            }
            Self::Fetch { source } | Self::Document { source } => source.hint(),
            Self::Store { source } => source.hint(),
            Self::NotReady { source, .. } => source.hint().or(Some(LOAD_AGAIN)),
            Self::Unavailable { .. } => Some(MEND),
            Self::Rule(error) => Some(error.hint()),
            Self::Grant(error) => Some(grant_hint(error)),
            Self::Protected(error) => error.hint(),
            Self::Ceiling(_) | Self::Excess(_) => {
                Some(
                    "allow less, or deny what the ceiling denies as well; it is the file that `wassette config show` names",
                )
            }
            Self::NoCeiling(_) => {
                Some("mend the file that `wassette config show` names as `ceiling`; everything is back then")
            }
            Self::Policy { .. } => {
                Some("attach another policy with `wassette policy attach`, or `wassette permission reset`")
            }
            Self::Secrets { source } => Some(source.hint()),
            Self::Audit { .. } | Self::Unwritten { .. } => {
                Some("free space for the audit file in the store's folder and make it writable")
            }
            Self::Look { .. } => Some("restart the server: the store's folder was changed from under it"),
            Self::UnknownPrompt { .. } | Self::UnknownResource { .. } => {
                Some("`wassette component show <id>` shows what a component offers")
            }
            Self::Taken { by: Some(_), .. } => {
                Some("names without a prefix have to be different: choose another, or unload that component")
            }
            Self::Rich { .. } => Some("the package is `wit/mcp.wit` in Wassette's sources"),
            Self::NothingCallable { .. } => Some("export a function from the component's world"),
            Self::Compile { source } => compile_hint(source),
            Self::Arguments(_) => Some("`wassette tool read <name>` shows what the tool takes"),
            Self::World { source } => source.hint(),
            Self::LongPolicy(_) => Some("write fewer rules; `wassette permission reset <id>` takes all back"),
            Self::ArgumentsTooLarge { .. }
            | Self::MissingArgument { .. }
            | Self::NoCompletion
            | Self::NoDescription
            // A model reads these, and no operator.
            | Self::DeniedBefore { .. }
            | Self::TooManyRequests
            | Self::NotShown { .. }
            | Self::NoList { .. }
            | Self::List { .. }
            | Self::Taken { by: None, .. }
            | Self::NotAllowed { .. }
            | Self::Tools { .. }
            | Self::Docs { .. }
            | Self::Prepare { .. }
            | Self::Signing { .. }
            | Self::Internal { .. }
            | Self::Interrupted => None,
        }
    }

    /// The part of a policy that it is about, for whoever has the document.
    #[must_use]
    pub fn part(&self) -> Option<PolicyPart<'_>> {
        if let Self::Protected(error) = self {
            return error.path().map(PolicyPart::Path);
        }
        if let Self::Excess(excess) = self {
            return excess.part();
        }
        None
    }

    /// What a model is told: enough to act on, no path of this machine, and nothing that it does not see.
    #[must_use]
    pub fn agent_text(&self) -> String {
        sanitize(&self.told(), TEXT_BYTES_MAX)
    }

    /// Nothing is done, since the audit file cannot be written; said where the operator looks, too.
    pub(crate) fn unrecorded(source: io::Error) -> Self {
        tracing::error!(error = %source, "the audit file cannot be written, so nothing is done");
        Self::Audit { source }
    }

    /// The same for the end of something that was done.
    pub(crate) fn unwritten(source: io::Error) -> Self {
        tracing::error!(error = %source, "the audit file cannot be written, so the end of something that was done is not in it");
        Self::Unwritten { source }
    }

    /// What the audit file says: all that the operator would be told.
    pub(crate) fn audit_text(&self) -> String {
        sanitize(&with_causes(self), TEXT_BYTES_MAX)
    }

    #[expect(clippy::too_many_lines, reason = "one line for each error")]
    fn told(&self) -> String {
        match self {
            Self::Fetch { source } => format!("cannot load the component: {}", fetch_text(source)),
            Self::Document { source } => format!("cannot get the document: {}", fetch_text(source)),
            Self::World { source } => format!("cannot load the component: {source}"),
            Self::Tools { source } => format!("cannot load the component: {source}"),
            Self::Prepare { source } => format!("cannot load the component: {source}"),
            Self::Rich { source } => format!("cannot load the component: {source}"),
            Self::List { source } => format!("cannot load the component: {source}"),
            Self::Compile { source } => format!("cannot load the component: {source}"),
            Self::OtherOrigin { id, .. } => {
                format!(
                    "a component `{id}` from another place is loaded already; only the operator can replace it"
                )
            }
            Self::Store { .. } | Self::Look { .. } => {
                "the component store is not available; ask the operator".to_owned()
            }
            Self::NotReady { id, source } => {
                format!("component `{id}` is unavailable: {}", source.agent_text())
            }
            Self::Unavailable { id, fault } => format!("component `{id}` is unavailable: {}", fault.told),
            Self::Protected(_) | Self::LeadsElsewhere { .. } => "this path cannot be granted".to_owned(),
            Self::Moved { id, .. } => {
                format!(
                    "component `{id}` has another version at its source now; only the operator can update it"
                )
            }
            Self::OtherSource { id, .. } => {
                format!("component `{id}` comes from another place; only the operator can replace it")
            }
            Self::TrustedRoot { .. } => "signatures cannot be verified; ask the operator".to_owned(),
            Self::Damaged { id, .. } => format!("component `{id}` is damaged; ask the operator"),
            Self::Ceiling(_) | Self::Excess(_) | Self::NoCeiling(_) | Self::Untrusted { .. } => {
                "the operator of this server does not allow it; ask them".to_owned()
            }
            Self::Secrets { .. } => "the secrets are not available; ask the operator".to_owned(),
            Self::Policy { id, .. } => {
                format!("the policy of component `{id}` is not understood; ask the operator")
            }
            Self::Audit { .. } => {
                "the call cannot be recorded, so it was not made; ask the operator".to_owned()
            }
            Self::Unwritten { .. } => {
                "it was done, but its end cannot be recorded, so what came of it is withheld; do not do it \
                 again, ask the operator"
                    .to_owned()
            }
            Self::UnknownTool { .. }
            | Self::UnknownPrompt { .. }
            | Self::UnknownResource { .. }
            | Self::MissingArgument { .. }
            | Self::NoCompletion
            | Self::NoDescription
            | Self::NoList { .. }
            | Self::Taken { .. }
            | Self::UnknownComponent { .. }
            | Self::Arguments(_)
            | Self::ArgumentsTooLarge { .. }
            | Self::LongPolicy(_)
            | Self::NoVersion { .. }
            | Self::Locked { .. }
            | Self::OtherDigest { .. }
            | Self::Revoked { .. }
            | Self::Withheld { .. }
            | Self::UnknownRequest { .. }
            | Self::DeniedBefore { .. }
            | Self::TooManyRequests
            | Self::NotShown { .. }
            | Self::Request { .. }
            | Self::Feed { .. }
            | Self::NotAllowed { .. }
            | Self::Docs { .. }
            | Self::NothingCallable { .. }
            | Self::Rule(_)
            | Self::Grant(_)
            | Self::NoRegistry { .. }
            | Self::Packages { .. }
            | Self::Signing { .. }
            | Self::Internal { .. }
            | Self::Interrupted => self.to_string(),
        }
    }
}

fn compile_kind(error: &CompileError) -> ErrorKind {
    match error {
        CompileError::Refused(_) | CompileError::Fault(_) => ErrorKind::Invalid,
        CompileError::Busy
        | CompileError::Start { .. }
        | CompileError::Killed { .. }
        | CompileError::Broken { .. } => ErrorKind::Unavailable,
    }
}

fn compile_hint(error: &CompileError) -> Option<&'static str> {
    match error {
        CompileError::Fault(CompileFault::Crash) => {
            Some("please report it with the component; until tomorrow it is refused without another try")
        }
        CompileError::Fault(_) => Some(
            "build the component with optimisation and without debug code; until tomorrow this one is refused without another try",
        ),
        CompileError::Killed { .. } => Some("load it again; the machine may have been out of memory"),
        CompileError::Busy => Some("load it again when the others are done"),
        CompileError::Start { .. } | CompileError::Broken { .. } => Some(
            "restart the server; it compiles by starting its own program again, which may have been replaced",
        ),
        CompileError::Refused(_) => None,
    }
}

fn fetch_kind(error: &FetchError) -> ErrorKind {
    match error {
        FetchError::Missing(_) | FetchError::NoStarter { .. } => ErrorKind::NotFound,
        FetchError::Denied(_) => ErrorKind::Denied,
        FetchError::Folder(_)
        | FetchError::Special(_)
        | FetchError::Empty(_)
        | FetchError::TooLarge { .. } => ErrorKind::Invalid,
        FetchError::Timeout { .. } | FetchError::Io { .. } | FetchError::Stopped(_) => ErrorKind::Unavailable,
        FetchError::Network(error) => match error.kind() {
            NetworkErrorKind::NotFound => ErrorKind::NotFound,
            NetworkErrorKind::Denied => ErrorKind::Denied,
            NetworkErrorKind::Invalid => ErrorKind::Invalid,
            NetworkErrorKind::Unavailable => ErrorKind::Unavailable,
        },
    }
}

/// What a model is told of a fetch. It named the host itself, and learns nothing about others.
fn fetch_text(error: &FetchError) -> String {
    let text = match error {
        FetchError::Network(error) => return error.to_string(),
        FetchError::Missing(_) => "there is no such file",
        FetchError::NoStarter { .. } => "there is no starter component of this name",
        FetchError::Denied(_) => "no permission to read the file",
        FetchError::Folder(_) => "this is a folder; name the `.wasm` file in it",
        FetchError::Special(_) => "this is not a regular file",
        FetchError::Empty(_) => "the file is empty",
        FetchError::TooLarge { .. } => "the file is too large",
        FetchError::Timeout { .. } => "reading the file took too long",
        FetchError::Io { .. } | FetchError::Stopped(_) => "the file cannot be read",
    };
    text.to_owned()
}

fn grant_hint(error: &GrantError) -> &str {
    match error {
        GrantError::Conflict(error) => error.error().hint(),
        GrantError::Denied { .. } => {
            "deny wins; attach a policy without that rule, or reset the component and grant anew"
        }
        GrantError::NotAGrant { .. } => "attach a policy that has the rule",
        GrantError::TooManyCases => "attach a policy with fewer deny rules",
    }
}

fn secrets_kind(error: &SecretsError) -> ErrorKind {
    match error {
        SecretsError::Value(_) | SecretsError::Many(..) => ErrorKind::Invalid,
        SecretsError::Folder(_)
        | SecretsError::NoKey(_)
        | SecretsError::DamagedKey(_)
        | SecretsError::ForeignKey(_)
        | SecretsError::Damaged(_)
        | SecretsError::Newer(_)
        | SecretsError::Keyring(_)
        | SecretsError::Lost { .. }
        | SecretsError::Cryptography => ErrorKind::Unavailable,
    }
}

fn store_kind(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::FeedSequence { .. } => ErrorKind::Denied,
        StoreError::NoRequest(_) => ErrorKind::NotFound,
        StoreError::Invalid { .. } | StoreError::TooMany { .. } => ErrorKind::Invalid,
        StoreError::Conflict { .. }
        | StoreError::FeedConflict { .. }
        | StoreError::NoBlob(_)
        | StoreError::DamagedBlob { .. }
        | StoreError::Record { .. }
        | StoreError::TooLarge { .. }
        | StoreError::Full { .. }
        | StoreError::Busy(_)
        | StoreError::Key { .. }
        | StoreError::Damaged { .. }
        | StoreError::Database { .. }
        | StoreError::Io { .. }
        | StoreError::Stopped => ErrorKind::Unavailable,
        StoreError::Digest { .. } => ErrorKind::Internal,
    }
}
