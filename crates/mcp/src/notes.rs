//! What is told to a client while its request runs: progress where it asked for it, and log messages grave enough.
//!
//! What the client does not take in time is left out; none of it may hold up the work, and none may follow the answer.
#![expect(
    deprecated,
    reason = "the newest revision means to do without logs; clients of all revisions have them"
)]

use std::pin::Pin;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use wassette_host::{GuestProgress, Level, Log, Progress, Step};

/// How long a client that does not read may hold up an answer by its notifications.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Notes that wait for a client. More are left out.
const WAITING_MAX: usize = 64;

/// Takes notes for the client of a request. Does nothing for a client that asked for none.
#[derive(Debug)]
pub(crate) struct Speaker {
    sender: Option<Sender<Note>>,
    has_token: bool,
    logs_from: Option<Level>,
}

#[derive(Debug)]
enum Note {
    Progress(GuestProgress),
    Log(Log),
}

impl Speaker {
    /// For nobody.
    pub(crate) fn silent() -> Self {
        Self {
            sender: None,
            has_token: false,
            logs_from: None,
        }
    }

    fn say(&self, note: Note) {
        if let Some(sender) = &self.sender {
            // Full or closed: the client is too slow, or the request is over.
            drop(sender.try_send(note));
        }
    }

    pub(crate) fn progress(&self, progress: GuestProgress) {
        if self.has_token {
            self.say(Note::Progress(progress));
        }
    }

    pub(crate) fn log(&self, log: Log) {
        if self.logs_from.is_some_and(|from| log.level >= from) {
            self.say(Note::Log(log));
        }
    }
}

impl Progress for Speaker {
    fn report(&self, step: Step, done: u32, total: u32) {
        self.progress(GuestProgress {
            done: f64::from(done),
            total: (total > 0).then(|| f64::from(total)),
            message: Some(step.to_string()),
        });
    }
}

/// The way of the notes to the client.
pub(crate) struct Forwarding(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

/// A speaker for the request, and what carries its notes on. Messages below `logs_from` are left out; none: all are.
pub(crate) fn speaker(ctx: &RequestContext<RoleServer>, logs_from: Option<Level>) -> (Speaker, Forwarding) {
    let token = ctx.meta.get_progress_token();
    let has_token = token.is_some();
    if !has_token && logs_from.is_none() {
        return (Speaker::silent(), Forwarding(None));
    }
    let (sender, notes) = channel(WAITING_MAX);
    let speaker = Speaker {
        sender: Some(sender),
        has_token,
        logs_from,
    };
    let forward = forward(ctx.peer.clone(), token, notes);
    (speaker, Forwarding(Some(Box::pin(forward))))
}

impl Forwarding {
    /// Runs `work`, telling the client meanwhile.
    pub(crate) async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Some(forward) = &mut self.0 else {
            return work.await;
        };
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            result = &mut work => result,
            // The client takes no more notifications.
            () = forward => {
                self.0 = None;
                work.await
            }
        }
    }

    /// Waits until all notes are written: none may follow the answer. Whoever speaks must be gone by now.
    pub(crate) async fn finish(self) {
        if let Some(forward) = self.0 {
            drop(timeout(FORWARD_TIMEOUT, forward).await);
        }
    }
}

async fn forward(peer: Peer<RoleServer>, token: Option<ProgressToken>, mut notes: Receiver<Note>) {
    let mut last: Option<f64> = None;
    while let Some(note) = notes.recv().await {
        let told = match (note, &token) {
            (Note::Progress(progress), Some(token)) => {
                // The protocol wants each value above the one before.
                if last.is_some_and(|last| progress.done <= last) {
                    continue;
                }
                last = Some(progress.done);
                let mut param = ProgressNotificationParam::new(token.clone(), progress.done);
                param.total = progress.total;
                param.message = progress.message;
                peer.notify_progress(param).await
            }
            (Note::Progress(_), None) => continue,
            (Note::Log(log), _) => tell_log(&peer, log).await,
        };
        if told.is_err() {
            return;
        }
    }
}

async fn tell_log(peer: &Peer<RoleServer>, log: Log) -> Result<(), rmcp::ServiceError> {
    let mut param = LoggingMessageNotificationParam::new(named(log.level), log.data);
    param.logger = log.logger;
    peer.notify_logging_message(param).await
}

fn named(level: Level) -> LoggingLevel {
    match level {
        Level::Debug => LoggingLevel::Debug,
        Level::Info => LoggingLevel::Info,
        Level::Notice => LoggingLevel::Notice,
        Level::Warning => LoggingLevel::Warning,
        Level::Error => LoggingLevel::Error,
        Level::Critical => LoggingLevel::Critical,
        Level::Alert => LoggingLevel::Alert,
        Level::Emergency => LoggingLevel::Emergency,
    }
}

/// The level that a client names.
pub(crate) fn level(named: LoggingLevel) -> Level {
    match named {
        LoggingLevel::Debug => Level::Debug,
        LoggingLevel::Info => Level::Info,
        LoggingLevel::Notice => Level::Notice,
        LoggingLevel::Warning => Level::Warning,
        LoggingLevel::Error => Level::Error,
        LoggingLevel::Critical => Level::Critical,
        LoggingLevel::Alert => Level::Alert,
        LoggingLevel::Emergency => Level::Emergency,
    }
}
