//! What all connections to one host have in common: its tools, its calls, and who hears of changes.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, JsonObject, MetaObject, ProtocolVersion,
    RequestMetaObject,
};
use serde_json::Value as Json;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wassette_host::{Actor, Host, HostError, KeptList, Progress};

use crate::STOP_TIMEOUT;
use crate::builtin::{Builtin, Desk};
use crate::calls::Begin;
use crate::listing::Listing;
use crate::message::PROTOCOL_VERSION;
use crate::process::ProcessName;
use crate::rich::{Forms, Seal, Tasks};
use crate::wire;

/// How often the store is looked at for changes of other processes, while a client wants to hear of them.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// Signals that wait for each who wants to hear of them.
const SIGNALS_MAX: usize = 256;

/// How often components may have clients ask for a list again.
const CHANGES_EVERY: Duration = Duration::from_millis(250);

/// Calls of one principal, and of all, that wait for a person's answer while their request is open. A client may be
/// gone without our knowing.
const ASKING_MAX: usize = 32;
const ASKING_ALL_MAX: usize = 512;

/// States of one principal that are taken within a while. Each is remembered in the store, for all.
const RESUMED_MAX: usize = 5_000;
const RESUMED_EVERY: Duration = Duration::from_secs(600);

/// A place among those that wait for a person, while it lives.
#[derive(Debug)]
pub(crate) struct Asking {
    shared: Arc<Shared>,
    actor: Actor,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asking = self.shared.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = asking.get_mut(&self.actor) {
            *own -= 1;
            if *own == 0 {
                asking.remove(&self.actor);
            }
        }
    }
}

/// What a component says to all clients.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// A list of it is another.
    Changed(KeptList),
    /// A resource of it is another.
    Updated(Arc<str>),
    /// Another process had more to say than it could keep.
    Everything,
}

/// How the server presents itself and what it offers beyond the components' tools.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The server's name, as clients show it.
    pub name: String,
    /// The server's version.
    pub version: String,
    /// What a model should know about this server as a whole.
    pub instructions: Option<String>,
    /// The built-in tools that are offered. The names of the others stay reserved. With [`Builtin::SearchTools`],
    /// components' tools are not listed; they can be called all the same.
    pub builtins: Vec<Builtin>,
    /// Whether a person may approve in their client what the model asks for; otherwise only at the command line.
    pub approve_in_client: bool,
    /// From where relative paths given by an agent count.
    pub current_folder: PathBuf,
}

/// What all connections have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) options: ServerOptions,
    /// Goes into the results of the era that has no handshake to say it in.
    pub(crate) identity: MetaObject,
    listing: Mutex<Option<Listing>>,
    /// Connections and streams that want to hear of changes.
    followers: AtomicUsize,
    /// Cancelled when no more requests will come.
    pub(crate) ended: CancellationToken,
    /// Cancelled when the calls that still run are waited for no longer.
    pub(crate) overdue: CancellationToken,
    calls: TaskTracker,
    signals: broadcast::Sender<Signal>,
    /// The signals that are from this process, for others.
    said_here: broadcast::Sender<Signal>,
    /// When components last had clients ask for each list.
    told: Mutex<BTreeMap<KeptList, Instant>>,
    asking: Mutex<HashMap<Actor, usize>>,
    /// How many states of each principal were taken, since when.
    resumed: Mutex<HashMap<Actor, (Instant, usize)>>,
    pub(crate) forms: Forms,
    pub(crate) tasks: Tasks,
    seal: OnceLock<Seal>,
}

impl Shared {
    pub(crate) fn new(
        host: Host,
        options: ServerOptions,
        process: Option<ProcessName>,
        ended: CancellationToken,
    ) -> Arc<Self> {
        let mut identity = MetaObject::new();
        identity.insert(
            "io.modelcontextprotocol/serverInfo".to_owned(),
            serde_json::json!({"name": options.name, "version": options.version}),
        );
        Arc::new(Self {
            host,
            options,
            identity,
            listing: Mutex::new(None),
            followers: AtomicUsize::new(0),
            ended,
            overdue: CancellationToken::new(),
            calls: TaskTracker::new(),
            signals: broadcast::Sender::new(SIGNALS_MAX),
            said_here: broadcast::Sender::new(SIGNALS_MAX),
            told: Mutex::default(),
            asking: Mutex::default(),
            resumed: Mutex::default(),
            forms: Forms::default(),
            tasks: Tasks::new(process),
            seal: OnceLock::new(),
        })
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// The calls that are still running.
    pub(crate) fn calls(&self) -> &TaskTracker {
        &self.calls
    }

    /// Waits until calls that were stopped have let go of their guests, which is when their end is written down.
    pub(crate) async fn calls_ended(&self) {
        self.calls.close();
        if timeout(STOP_TIMEOUT, self.calls.wait()).await.is_err() {
            tracing::warn!("calls are still running as the server ends");
        }
    }

    /// Tells all who want to hear it. Nobody may.
    pub(crate) fn signal(&self, signal: Signal) {
        drop(self.said_here.send(signal.clone()));
        self.heard(signal);
    }

    /// Tells what another process told.
    pub(crate) fn heard(&self, signal: Signal) {
        drop(self.signals.send(signal));
    }

    /// What is signalled from this process.
    pub(crate) fn said_here(&self) -> broadcast::Receiver<Signal> {
        self.said_here.subscribe()
    }

    /// Has clients ask for a list again, so often at most: one component must not keep all of them busy.
    pub(crate) fn list_changed(&self, list: KeptList) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told
            .get(&list)
            .is_none_or(|last| now.duration_since(*last) >= CHANGES_EVERY)
        {
            told.insert(list, now);
            self.signal(Signal::Changed(list));
        }
    }

    /// A place for one who waits for a person's answer while a request is open.
    pub(crate) fn asking(self: &Arc<Self>, actor: &Actor) -> Option<Asking> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = asking.values().sum();
        let own = asking.get(actor).copied().unwrap_or_default();
        if own >= ASKING_MAX || all >= ASKING_ALL_MAX {
            return None;
        }
        asking.insert(actor.clone(), own + 1);
        Some(Asking {
            shared: Arc::clone(self),
            actor: actor.clone(),
        })
    }

    /// Whether one more state of this principal is taken now.
    pub(crate) fn may_resume(&self, actor: &Actor) -> bool {
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        resumed.retain(|_, (since, _)| since.elapsed() < RESUMED_EVERY);
        let (_, count) = resumed
            .entry(actor.clone())
            .or_insert_with(|| (Instant::now(), 0));
        *count += 1;
        *count <= RESUMED_MAX
    }

    pub(crate) fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    /// What seals the states that components keep with clients.
    pub(crate) fn seal(&self) -> Result<&Seal, HostError> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal);
        }
        let key = self.host.state_key()?;
        Ok(self.seal.get_or_init(|| Seal::new(key.as_bytes())))
    }

    /// Looks at the store for changes of other processes while anybody wants to hear of them, until the end.
    pub(crate) async fn refresh(&self) {
        let mut ticks = interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.tasks.sweep();
            if self.followers.load(Ordering::Relaxed) > 0 {
                // What is wrong with the store shows at the next call; this loop would repeat it for ever.
                drop(self.host.refresh().await);
            }
        }
    }

    /// All that is listed, built once for each state of the catalog.
    pub(crate) fn listing(&self) -> Listing {
        let catalog = self.host.catalog();
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listing
            .as_ref()
            .filter(|listing| listing.revision == catalog.revision())
        {
            return listing.clone();
        }
        let builtins = self.options.builtins.iter().map(|builtin| builtin.tool());
        // A client that searches does not want hundreds in its list.
        let is_searched = self.options.builtins.contains(&Builtin::SearchTools);
        let listed = catalog.tools().filter(|_| !is_searched);
        let tools = builtins.chain(listed.map(wire::tool)).collect();
        listing.insert(Listing::new(&catalog, tools)).clone()
    }
}

/// Counts one who wants to hear of changes, until dropped.
pub(crate) struct Follower<'a>(&'a Shared);

impl<'a> Follower<'a> {
    pub(crate) fn of(shared: &'a Shared) -> Self {
        shared.followers.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) async fn call_component(
        &self,
        tool: &str,
        arguments: JsonObject,
        actor: &Actor,
    ) -> Result<CallToolResult, ErrorData> {
        match self.host.call(tool, &Json::Object(arguments), actor).await {
            Ok(report) => Ok(wire::call_result(report.result, &report.accesses)),
            Err(error) => wire::call_refused(&error),
        }
    }

    /// Whether a call of this tool may have something to say to its client, or to ask it. Of a tool that is not known
    /// yet nobody can say.
    pub(crate) fn talks(&self, tool: &str) -> bool {
        self.host.catalog().tool(tool).is_none_or(|tool| tool.talks)
    }

    /// Begins the calls that need nothing of the library: of a component's tool that does not talk, in a version both
    /// ends know.
    pub(crate) fn begin(self: &Arc<Self>) -> Begin {
        let shared = Arc::clone(self);
        Box::new(move |call| {
            let name = &call.params.name;
            let is_short = Builtin::find(name).is_none() && !shared.talks(name);
            let Some(era) = Era::of(&call).filter(|_| is_short) else {
                return Err(Box::new(call));
            };
            let shared = Arc::clone(&shared);
            Ok(Box::pin(async move {
                let _running = shared.calls.token();
                let CallToolRequestParams { name, arguments, .. } = call.params;
                let actor = local();
                let work = shared.call_component(&name, arguments.unwrap_or_default(), &actor);
                let result = unpanicked(work).await?;
                Ok(match era {
                    Era::Modern => result.with_meta(Some(shared.identity.clone())),
                    Era::Legacy => without_type(result),
                })
            }))
        })
    }

    pub(crate) fn desk<'a>(&'a self, actor: &'a Actor, progress: &'a dyn Progress) -> Desk<'a> {
        Desk {
            host: &self.host,
            actor,
            current_folder: &self.options.current_folder,
            progress,
        }
    }
}

/// The client at the other end of standard input and output.
pub(crate) fn local() -> Actor {
    Actor::Agent {
        principal: "stdio".to_owned(),
    }
}

/// What a request's version asks of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    /// Up to 2025-11-25: agreed on by `initialize`.
    Legacy,
    /// 2026-07-28: named by each request, and the result says who answered.
    Modern,
}

impl Era {
    /// `None` when the request has to be looked at more closely and perhaps refused.
    fn of(call: &CallToolRequest) -> Option<Self> {
        let meta = call.extensions.get::<RequestMetaObject>();
        let Some(version) = meta.and_then(|meta| meta.get(PROTOCOL_VERSION)) else {
            return Some(Self::Legacy);
        };
        let is_complete = version == ProtocolVersion::V_2026_07_28.as_str()
            && meta?
                .missing_required_keys(&ProtocolVersion::V_2026_07_28)
                .is_empty();
        is_complete.then_some(Self::Modern)
    }
}

/// The field came with 2026-07-28; strict clients of before refuse it.
fn without_type(mut result: CallToolResult) -> CallToolResult {
    result.result_type = None;
    result
}

/// Makes a panic the error of the one request that ran into it.
pub(crate) async fn unpanicked<T>(work: impl Future<Output = Result<T, ErrorData>>) -> Result<T, ErrorData> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            tracing::error!("a request handler panicked");
            Err(ErrorData::internal_error(
                "internal error: the server's log says more",
                None,
            ))
        })
}
