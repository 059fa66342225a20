//! The audit file: one JSON line at the begin and one at the end of each command and call.
//!
//! It is not a log. The line of the begin is written before anything is done, and what cannot be written
//! down is not done. Arguments and results are never in it: they belong to the user. Chaining and export
//! come later; today the file is only append-only.
//!
//! Lines: `{"time_ms", "event", "id", "actor", ...}`; `event` is `call.begin`, `call.end`, `command.begin` or
//! `command.end`, and `id` joins begin and end.

use crate::OpenHostError;
use crate::call::CallId;
use crate::command::Actor;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};
use wassette_policy::Decision;
use wassette_sandbox::Usage;
use wassette_store::{AppendFile, Digest, Store};

/// Writes the audit file of one store.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    file: Arc<AppendFile>,
    clock: fn() -> SystemTime,
    /// Sets the ids of this process apart from those of every other.
    run: u64,
    count: Arc<AtomicU64>,
}

/// What is begun.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event")]
pub(crate) enum Begin<'a> {
    #[serde(rename = "call.begin")]
    Call {
        tool: &'a str,
        component: &'a str,
        digest: Digest,
    },
    #[serde(rename = "command.begin")]
    Command {
        command: &'static str,
        subject: &'a str,
        /// What is granted or taken back, rule by rule. Never the value of a secret.
        #[serde(skip_serializing_if = "slice_is_empty")]
        rules: &'a [String],
        /// Rules beyond those that are listed.
        #[serde(skip_serializing_if = "is_zero")]
        rules_unlisted: u64,
    },
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event")]
pub(crate) enum End<'a> {
    #[serde(rename = "call.end")]
    Call {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        #[serde(flatten)]
        used: Used,
        #[serde(skip_serializing_if = "slice_is_empty")]
        accesses: &'a [Decision],
        #[serde(skip_serializing_if = "is_zero")]
        accesses_unlisted: u64,
        /// File operations of this and other calls that the kernel still holds after their call was ended.
        #[serde(skip_serializing_if = "is_zero")]
        lingering: u64,
    },
    #[serde(rename = "command.end")]
    Command {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        component: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// What came of the rules of the begin: links in paths are resolved.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        rules: Vec<String>,
    },
}

/// What a call used; what it moved only if it moved something.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Used {
    elapsed_us: u64,
    cpu_us: u64,
    memory_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    requests: u64,
    #[serde(skip_serializing_if = "is_zero")]
    egress_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    ingress_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    file_read_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    file_write_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    files: u64,
}

impl From<Usage> for Used {
    fn from(usage: Usage) -> Self {
        let Usage {
            elapsed,
            cpu,
            memory_bytes,
            requests,
            egress_bytes,
            ingress_bytes,
            file_read_bytes,
            file_write_bytes,
            files,
        } = usage;
        Self {
            elapsed_us: micros(elapsed),
            cpu_us: micros(cpu),
            memory_bytes,
            requests,
            egress_bytes,
            ingress_bytes,
            file_read_bytes,
            file_write_bytes,
            files,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn slice_is_empty<T>(slice: &&[T]) -> bool {
    slice.is_empty()
}

#[derive(Serialize)]
struct Line<'a, T> {
    time_ms: u64,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(flatten)]
    entry: T,
}

impl Audit {
    pub(crate) fn open(store: &Store, clock: fn() -> SystemTime) -> Result<Self, OpenHostError> {
        let run = getrandom::u64().map_err(|e| OpenHostError::Random {
            reason: e.to_string(),
        })?;
        Ok(Self {
            file: Arc::new(store.audit()?),
            clock,
            run,
            count: Arc::new(AtomicU64::new(1)),
        })
    }

    /// Writes the begin of something. Whoever gets the entry ends it; one that is dropped was cancelled.
    pub(crate) fn begin(&self, begin: &Begin<'_>, actor: &Actor) -> io::Result<Entry> {
        let id = CallId::new(self.run, self.count.fetch_add(1, Relaxed));
        let actor = wassette_wit::sanitize(&actor.to_string(), 200);
        self.write(&id, Some(actor), begin)?;
        let is_call = matches!(begin, Begin::Call { .. });
        Ok(Entry {
            audit: self.clone(),
            id,
            is_call,
            is_ended: false,
        })
    }

    fn write<T: Serialize>(&self, id: &CallId, actor: Option<String>, entry: &T) -> io::Result<()> {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut line = Vec::with_capacity(256);
        serde_json::to_writer(
            &mut line,
            &Line {
                time_ms,
                id: id.as_str(),
                actor,
                entry,
            },
        )?;
        self.file.append(&line)
    }
}

/// Something begun that must be ended in the file.
#[derive(Debug)]
pub(crate) struct Entry {
    audit: Audit,
    id: CallId,
    is_call: bool,
    is_ended: bool,
}

impl Entry {
    pub(crate) fn id(&self) -> &CallId {
        &self.id
    }

    pub(crate) fn end(mut self, end: &End<'_>) -> io::Result<()> {
        self.is_ended = true;
        self.audit.write(&self.id, None, end)
    }
}

impl Drop for Entry {
    /// The future was dropped: the client cancelled or went away, or the process ends.
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        let outcome = "cancelled";
        let end = if self.is_call {
            call_end(outcome, Usage::default(), None)
        } else {
            command_end(outcome)
        };
        if let Err(error) = self.audit.write(&self.id, None, &end) {
            tracing::error!(%error, id = self.id.as_str(), "the end of a cancelled call is not in the audit file");
        }
    }
}

/// The end of a call without accesses.
pub(crate) fn call_end<'a>(outcome: &'static str, usage: Usage, reason: Option<&'a str>) -> End<'a> {
    End::Call {
        outcome,
        reason,
        used: usage.into(),
        accesses: &[],
        accesses_unlisted: 0,
        lingering: 0,
    }
}

/// The end of a command without reason or result.
pub(crate) fn command_end(outcome: &'static str) -> End<'static> {
    End::Command {
        outcome,
        reason: None,
        component: None,
        digest: None,
        rules: Vec::new(),
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
