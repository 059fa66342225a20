//! Calls that go on after their request was answered (extension `io.modelcontextprotocol/tasks`).
//!
//! The component says when (`background`), the client says whether it can wait. A task is one principal's; nobody else
//! can ask for it. It ends with the process, and its results are kept for some minutes.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::try_join_all;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, CreateTaskResult, DetailedTask, InputResponses};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::Value as Json;
use wassette_host::{Actor, Client, GuestProgress, KeptList, Log, Target};
use wassette_wit::rich::{Capability, InputRequired, Resume};

use super::{Asked, Caller, Exchange, ROUNDS_MAX, Trouble, asked, questions, response};
use crate::process::ProcessName;
use crate::wire;

/// Tasks of one principal that run at a time: half of the calls that one component may have, so that others find a place.
const RUNNING_MAX: usize = 8;

/// Tasks that are known, of one principal and of all, running or not. Each may hold a result of a megabyte.
const KNOWN_MAX: usize = 64;
const KNOWN_ALL_MAX: usize = 512;

/// How long a task may take, and how long after its end its result is kept, in milliseconds.
const LIFETIME_MS: u64 = 300_000;

/// How soon a client should ask again, in milliseconds.
const POLL_INTERVAL_MS: u64 = 500;

/// All tasks of this process, and whose they are. Clients know them by an id that says in which process they are.
pub(crate) struct Tasks {
    manager: TaskManager,
    /// None where there are no other processes.
    process: Option<ProcessName>,
    owned: Mutex<HashMap<String, Owned>>,
}

/// Whose a task is.
struct Owned {
    owner: Actor,
    begun: Instant,
    is_over: Arc<AtomicBool>,
}

impl Owned {
    /// Whether the manager may have forgotten it: it keeps a result for as long as a task may take.
    fn is_forgotten(&self) -> bool {
        self.begun.elapsed() > Duration::from_millis(2 * LIFETIME_MS)
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl Tasks {
    pub(crate) fn new(process: Option<ProcessName>) -> Self {
        Self {
            manager: TaskManager::default(),
            process,
            owned: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The manager's id of a task.
    ///
    /// SECURITY: a task of somebody else is no task.
    fn owned<'a>(&self, id: &'a str, actor: &Actor) -> Result<&'a str, ErrorData> {
        let local = match &self.process {
            Some(process) => process.own(id),
            None => Some(id),
        };
        let own = local.filter(|id| self.lock().get(*id).is_some_and(|owned| owned.owner == *actor));
        own.ok_or_else(|| ErrorData::invalid_params("unknown task", None))
    }

    /// The id that clients know a task by.
    fn public_id(&self, id: String) -> String {
        match &self.process {
            Some(process) => process.mark(&id),
            None => id,
        }
    }

    pub(crate) fn get(&self, id: &str, actor: &Actor) -> Result<DetailedTask, ErrorData> {
        let mut task = self.manager.get_task(self.owned(id, actor)?)?;
        task.task.task_id = id.to_owned();
        Ok(task)
    }

    pub(crate) fn update(&self, id: &str, responses: InputResponses, actor: &Actor) -> Result<(), ErrorData> {
        self.manager.update_task(self.owned(id, actor)?, responses)
    }

    pub(crate) fn cancel(&self, id: &str, actor: &Actor) -> Result<(), ErrorData> {
        self.manager.cancel_task(self.owned(id, actor)?)
    }

    /// Forgets what is over for long. The library does so when it is asked for something, which may be never.
    pub(crate) fn sweep(&self) {
        let mut owned = self.lock();
        if owned.is_empty() {
            return;
        }
        owned.retain(|_, owned| !owned.is_forgotten());
        self.manager.running_task_count();
    }

    /// Why one more cannot begin, if it cannot.
    fn refusal(owned: &HashMap<String, Owned>, actor: &Actor) -> Option<&'static str> {
        let own = || owned.values().filter(|owned| owned.owner == *actor);
        let running = own()
            .filter(|owned| !owned.is_over.load(Ordering::Relaxed))
            .count();
        if running >= RUNNING_MAX {
            return Some("too many tasks are running; wait for one to end");
        }
        if own().count() >= KNOWN_MAX || owned.len() >= KNOWN_ALL_MAX {
            return Some("too many tasks are kept; their results are forgotten after some minutes");
        }
        None
    }
}

/// Says that a task is over, however it ends.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes on with a call as a task.
pub(super) fn begin(
    exchange: Exchange,
    (name, arguments): (String, Json),
    state: Option<String>,
) -> Result<CreateTaskResult, Trouble> {
    let (shared, actor) = (Arc::clone(&exchange.shared), exchange.actor.clone());
    let mut owned = shared.tasks.lock();
    if let Some(refusal) = Tasks::refusal(&owned, &actor) {
        return Err(Trouble::Protocol(ErrorData::internal_error(refusal, None)));
    }
    let exchange = Exchange {
        caller: Arc::new(exchange.caller.silent()),
        ..exchange
    };
    let options = TaskOptions::default()
        .with_ttl_ms(LIFETIME_MS)
        .with_poll_interval_ms(POLL_INTERVAL_MS);
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Ends(Arc::clone(&is_over));
    let (running, overdue) = (shared.calls().token(), shared.overdue.clone());
    let mut task = shared.tasks.manager.spawn(options, move |task| {
        Box::pin(async move {
            let (_ends, _running) = (ends, running);
            let work = AssertUnwindSafe(work(&exchange, (&name, &arguments), state, &task)).catch_unwind();
            tokio::select! {
                biased;
                () = task.cancelled() => Err(TaskExit::Cancelled),
                // Nobody can ask for its result any more.
                () = overdue.cancelled() => Err(TaskExit::Cancelled),
                result = work => result.unwrap_or_else(|_panic| {
                    tracing::error!("a task panicked");
                    Err(TaskExit::Error(ErrorData::internal_error("internal error: the server's log says more", None)))
                }),
            }
        })
    });
    let begun = Instant::now();
    owned.insert(
        task.task_id.clone(),
        Owned {
            owner: actor,
            begun,
            is_over,
        },
    );
    task.task_id = shared.tasks.public_id(task.task_id);
    Ok(CreateTaskResult::new(task))
}

async fn work(
    exchange: &Exchange,
    (name, arguments): (&str, &Json),
    state: Option<String>,
    task: &TaskContext,
) -> Result<CallToolResult, TaskExit> {
    let client: Arc<dyn Client> = Arc::new(Waiting {
        caller: Arc::clone(&exchange.caller),
        task: task.clone(),
    });
    let mut resume = Some(Resume {
        responses: Vec::new(),
        state,
    });
    for round in 0..ROUNDS_MAX {
        let called = exchange.call(Target::Tool { name, arguments }, resume, &client);
        let report = match called.await {
            Ok(report) => report,
            Err(Trouble::Host(error)) => return wire::call_refused(&error).map_err(TaskExit::Error),
            Err(trouble) => return Err(error(trouble)),
        };
        resume = Some(match asked(&report.result) {
            Asked::Nothing => return exchange.tool_result(report).map_err(error),
            Asked::Background(state) => Resume {
                responses: Vec::new(),
                state,
            },
            Asked::Input(required) => {
                let required = exchange.checked(required).map_err(error)?;
                ask(task, required, round).await?
            }
        });
    }
    Err(error(Trouble::Component("asks again and again, and is not done")))
}

/// Asks all at a time; the client may answer one after the other.
async fn ask(task: &TaskContext, required: InputRequired, round: usize) -> Result<Resume, TaskExit> {
    let answers = required.requests.into_iter().map(|asked| async move {
        let request = questions::request(asked.question).map_err(error)?;
        // A key is good once in the life of a task, and a component may ask again.
        let key = format!("{round}.{}", asked.key);
        let answer = task.request_input(key, request).await?;
        Ok::<_, TaskExit>(response((asked.key, answer)))
    });
    Ok(Resume {
        responses: try_join_all(answers).await?,
        state: required.state,
    })
}

fn error(trouble: Trouble) -> TaskExit {
    TaskExit::Error(trouble.into_error(true))
}

/// The client of a call whose request is answered: what is told goes into the state of the task.
struct Waiting {
    caller: Arc<Caller>,
    task: TaskContext,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl Client for Waiting {
    fn progress(&self, progress: GuestProgress) {
        if let Some(message) = progress.message {
            self.task.set_status_message(message);
        }
    }

    /// There is no request any more to which it would belong.
    fn log(&self, _log: Log) {}

    fn can(&self, capability: Capability) -> bool {
        self.caller.can(capability)
    }

    fn changed(&self, which: KeptList) {
        self.caller.changed(which);
    }

    fn updated(&self, uri: String) {
        self.caller.updated(uri);
    }
}
