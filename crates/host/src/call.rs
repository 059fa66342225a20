//! `tools/call` as a straight line: find, decode, write down, run, encode, write down.

use crate::Host;
use crate::admission::Refusal;
use crate::audit::{Begin, End, Entry, call_end};
use crate::catalog::Catalog;
use crate::command::Actor;
use crate::error::HostError;
use crate::result::{CallResult, Failure, FailureKind, answered, failed, returned};
use crate::running::{Call, InFlight};
use crate::target::{Callee, Request, Target};
use serde_json::Value as Json;
use std::fmt;
use std::sync::Arc;
use wassette_policy::{Authority, Decision};
use wassette_sandbox::{
    CallError, CallReport as GuestReport, Client, Control, GuestOutput, Invocation, Surroundings, Usage,
};
use wassette_wit::{Value, sanitize};

/// Longest name of a tool in the audit file that nobody offers at the moment.
const TOOL_BYTES_MAX: usize = 200;

/// Names one call or command, everywhere and for ever: in the audit file, in errors, in logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallId(String);

impl CallId {
    pub(crate) fn new(run: u64, count: u64) -> Self {
        Self(format!("{run:016x}-{count}"))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything about one call.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// Which call.
    pub call: CallId,
    /// What came of it.
    pub result: CallResult,
    /// What the guest tried to reach.
    pub accesses: Vec<Decision>,
    /// What it used.
    pub usage: Usage,
    /// What it printed.
    pub output: GuestOutput,
}

/// A call that fits its tool and is written down, but has no place yet.
struct Pending<'a> {
    catalog: &'a Catalog,
    found: &'a Callee<'a>,
    arguments: Vec<Value>,
    authority: Arc<Authority>,
    client: Option<Arc<dyn Client>>,
}

/// A guest's report, and what it left in the kernel.
struct Concluded {
    report: GuestReport,
    lingering: u64,
}

/// What came of a call that could be run.
enum Ran {
    Guest(GuestReport),
    Refused(Refusal),
}

impl Host {
    /// Calls a tool to which nobody listens. Dropping the future stops the guest, and the audit file says so.
    ///
    /// # Errors
    ///
    /// As [`Host::answer`].
    pub async fn call(&self, tool: &str, arguments: &Json, actor: &Actor) -> Result<CallReport, HostError> {
        self.answer(&Request::tool(tool, arguments), actor).await
    }

    /// Makes a call. Dropping the future stops the guest, and the audit file says so.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the call was not made: no such tool, prompt or resource, arguments that do not fit, a
    /// component that is not available, an audit file that cannot be written. A guest that fails is a report, not an
    /// error.
    pub async fn answer(&self, request: &Request<'_>, actor: &Actor) -> Result<CallReport, HostError> {
        self.refresh().await?;
        let catalog = self.catalog();
        let found = match request.find(&catalog) {
            Ok(found) => found,
            Err(error) => {
                let error = self.explained(request, error);
                self.write_down(request, &error, actor)?;
                return Err(error);
            }
        };
        // The policy is the component's as of this catalog; what changes while the call runs comes to its control.
        let authority = catalog
            .component(&found.component)
            .map_or_else(|| Arc::clone(&self.inner.nothing), |c| Arc::clone(&c.authority));
        let arguments = decode(&found, authority.limits().input_bytes)?;
        let about = found.about.to_string();
        let begin = Begin::Call {
            tool: &about,
            component: found.component.as_str(),
            digest: found.digest,
        };
        let entry = self
            .inner
            .audit
            .begin(&begin, actor)
            .map_err(HostError::unrecorded)?;
        let pending = Pending {
            catalog: &catalog,
            found: &found,
            arguments,
            authority,
            client: request.client.clone(),
        };
        match self.run(pending).await {
            Ok(Ran::Guest(report)) => {
                let lingering = self.lingering(&report);
                let concluded = Concluded { report, lingering };
                conclude(&found, concluded, entry)
            }
            Ok(Ran::Refused(refusal)) => turn_away(&refusal, entry),
            Err(error) => {
                unmade(entry, &error)?;
                Err(HostError::NotReady {
                    id: found.component.clone(),
                    source: Box::new(error),
                })
            }
        }
    }

    /// Runs a guest, when it is its turn; meanwhile looks whether what it may do changes.
    async fn run(&self, pending: Pending<'_>) -> Result<Ran, HostError> {
        let _held = match self.inner.admission.hold(memory(pending.found.arguments())) {
            Ok(held) => held,
            Err(refusal) => return Ok(Ran::Refused(refusal)),
        };
        let digest = pending.found.digest;
        let prepared = match self.inner.code.ready(digest) {
            Some(prepared) => prepared,
            None => match self.inner.admission.unready() {
                Ok(_turn) => self.inner.code.prepared(digest).await?,
                Err(refusal) => return Ok(Ran::Refused(refusal)),
            },
        };
        let surroundings = match pending.catalog.component(&pending.found.component) {
            Some(component) => self.surroundings(component).await,
            None => Arc::default(),
        };
        let (control, in_flight) = self.begin(&pending, surroundings);
        let Pending {
            found,
            arguments,
            authority,
            client,
            ..
        } = pending;
        let invocation = Invocation {
            function: Arc::clone(&found.function),
            arguments,
            control: Arc::clone(&control),
            client,
        };
        let guest = async {
            let admission = &self.inner.admission;
            let place = tokio::select! {
                biased;
                place = admission.place(&found.component, authority.limits()) => place,
                over = control.over() => return Ran::Guest(GuestReport::without_guest(over)),
            };
            match place {
                Ok(place) => Ran::Guest(prepared.call_holding(invocation, (place, in_flight)).await),
                Err(refusal) => Ran::Refused(refusal),
            }
        };
        tokio::select! {
            biased;
            ran = guest => Ok(ran),
            never = self.look_for_changes() => match never {},
        }
    }

    /// File operations that the kernel holds longer than their calls, asked when a call was ended by force.
    fn lingering(&self, report: &GuestReport) -> u64 {
        match report.result {
            Err(CallError::Revoked { .. } | CallError::Limit { .. }) => {
                u64::try_from(self.inner.sandbox.lingering()).unwrap_or(u64::MAX)
            }
            Err(
                CallError::Trap { .. }
                | CallError::Exit { .. }
                | CallError::NoSuchFunction { .. }
                | CallError::Panic,
            )
            | Ok(_) => 0,
        }
    }

    /// Puts a call on the list of those in flight.
    fn begin(&self, pending: &Pending<'_>, surroundings: Arc<Surroundings>) -> (Arc<Control>, InFlight) {
        let Pending {
            catalog,
            found,
            authority,
            ..
        } = pending;
        let pace = self.inner.admission.pace(&found.component);
        let control = Control::paced(Arc::clone(authority), surroundings, pace);
        let in_flight = self.inner.running.begin(Call {
            component: found.component.clone(),
            digest: found.digest,
            about: found.about.clone(),
            control: Arc::clone(&control),
        });
        // A catalog that came before the call was listed did not reach it.
        let now = self.catalog();
        if now.revision() != catalog.revision() {
            self.inner.running.replaced(&now);
        }
        (control, in_flight)
    }

    /// An error about a tool that is not there, with the reason if there is one.
    fn explained(&self, request: &Request<'_>, error: HostError) -> HostError {
        match (request.target, error) {
            (Target::Tool { name, .. }, HostError::UnknownTool { .. }) => self.no_tool(name),
            (_, other) => other,
        }
    }

    /// Writes down a call that could not begin because its component is unavailable. A name that nobody offers is no
    /// call.
    fn write_down(&self, request: &Request<'_>, error: &HostError, actor: &Actor) -> Result<(), HostError> {
        let catalog = self.catalog();
        let HostError::Unavailable { id, .. } = error else {
            return Ok(());
        };
        let (Target::Tool { name, .. }, Some(component)) = (request.target, catalog.component(id)) else {
            return Ok(());
        };
        let begin = Begin::Call {
            tool: &sanitize(name, TOOL_BYTES_MAX),
            component: id.as_str(),
            digest: component.digest,
        };
        let entry = self.inner.audit.begin(&begin, actor);
        unmade(entry.map_err(HostError::unrecorded)?, error)
    }

    /// A tool that is not offered, because it does not exist or because its component is unavailable.
    fn no_tool(&self, name: &str) -> HostError {
        let catalog = self.catalog();
        let owner = name
            .split_once('_')
            .and_then(|(id, _)| catalog.component(&id.parse().ok()?));
        let unknown = || HostError::UnknownTool {
            name: name.to_owned(),
        };
        let Some(owner) = owner else {
            return unknown();
        };
        if let Some(fault) = owner.state.fault() {
            return HostError::Unavailable {
                id: owner.id.clone(),
                fault: fault.clone(),
            };
        }
        let mut tools = owner.contract_tools.iter().map(|tool| &tool.name);
        match tools.find(|tool| tool.as_str() == name) {
            Some(tool) if owner.provenance.withholds(tool) => HostError::Withheld {
                tool: tool.clone(),
                id: owner.id.clone(),
            },
            Some(_) | None => unknown(),
        }
    }
}

/// Ends the audit entry of a call that was not made.
fn unmade(entry: Entry, error: &HostError) -> Result<(), HostError> {
    let reason = error.audit_text();
    let line = call_end("unavailable", Usage::default(), Some(&reason));
    entry.end(&line).map_err(HostError::unrecorded)
}

fn decode(found: &Callee<'_>, bytes_max: u64) -> Result<Vec<Value>, HostError> {
    if !fits(found.arguments(), bytes_max) {
        return Err(HostError::ArgumentsTooLarge { bytes_max });
    }
    found.decode()
}

/// Encodes the result and ends the audit entry. A result whose end cannot be written is withheld.
fn conclude(found: &Callee<'_>, concluded: Concluded, entry: Entry) -> Result<CallReport, HostError> {
    let Concluded { report, lingering } = concluded;
    let GuestReport {
        result,
        accesses,
        accesses_unlisted,
        usage,
        output,
    } = report;
    let call = entry.id().clone();
    let is_ours = matches!(result, Err(CallError::Panic));
    // What the component last wrote is for who called it, and may be made of what it was called with.
    let why = result.as_ref().err().map(ToString::to_string);
    let result = match result {
        Ok(value) => match found.export {
            Some(export) => answered(export, &found.function, value),
            None => returned(&found.function, value),
        },
        Err(error) => CallResult::Failed(failed(&error, &accesses, &output)),
    };
    let (outcome, reason) = match &result {
        CallResult::Done | CallResult::Value(_) => ("ok", None),
        CallResult::Answer(answer) => (answer.word(), None),
        CallResult::Refused(_) => (FailureKind::Err.word(), None),
        CallResult::Failed(_) if is_ours => ("internal", None),
        // The text of an `err` is the component's answer to the user: no business of the audit file.
        CallResult::Failed(Failure {
            kind: kind @ FailureKind::Err,
            ..
        }) => (kind.word(), None),
        CallResult::Failed(Failure { kind, message }) => {
            (kind.word(), Some(why.as_deref().unwrap_or(message)))
        }
    };
    let line = End::Call {
        outcome,
        reason,
        used: usage.into(),
        accesses: &accesses,
        accesses_unlisted,
        lingering,
    };
    end(entry, &line)?;
    if is_ours {
        tracing::error!(%call, "a host function panicked");
        return Err(HostError::Internal { call });
    }
    Ok(CallReport {
        call,
        result,
        accesses,
        usage,
        output,
    })
}

/// The report of a call that got no place.
fn turn_away(refusal: &Refusal, entry: Entry) -> Result<CallReport, HostError> {
    let call = entry.id().clone();
    let failure = Failure {
        kind: FailureKind::Limit,
        message: refusal.to_string(),
    };
    let line = call_end(failure.kind.word(), Usage::default(), Some(&failure.message));
    entry.end(&line).map_err(HostError::unrecorded)?;
    Ok(CallReport {
        call,
        result: CallResult::Failed(failure),
        accesses: Vec::new(),
        usage: Usage::default(),
        output: GuestOutput::default(),
    })
}

fn end(entry: Entry, line: &End<'_>) -> Result<(), HostError> {
    entry.end(line).map_err(HostError::unwritten)
}

/// Whether JSON takes at most about `bytes_max` bytes, without printing it.
fn fits(json: &Json, bytes_max: u64) -> bool {
    fn spend(json: &Json, left: &mut u64) -> Option<()> {
        let own = match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => 1,
            Json::String(text) => text.len() + 2,
            Json::Array(items) => items.len() + 2,
            Json::Object(fields) => fields.keys().map(|key| key.len() + 4).sum::<usize>() + 2,
        };
        *left = left.checked_sub(own as u64)?;
        match json {
            Json::Array(items) => items.iter().try_for_each(|item| spend(item, left)),
            Json::Object(fields) => fields.values().try_for_each(|value| spend(value, left)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Some(()),
        }
    }
    spend(json, &mut { bytes_max }).is_some()
}

/// About how many bytes of memory arguments take, as JSON and as values. A list that grew may be half empty.
fn memory(json: &Json) -> usize {
    const OF_A_VALUE: usize = 3 * size_of::<Json>();
    let within: usize = match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => 2 * text.len(),
        Json::Array(items) => items.iter().map(memory).sum(),
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| 3 * size_of::<String>() + 2 * name.len() + memory(value))
            .sum(),
    };
    OF_A_VALUE + within
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_of_many_small_values_take_far_more_than_their_text() {
        let zeros = Json::Array(vec![json!(0); 500_000]);
        assert!(memory(&zeros) > 40 << 20, "{}", memory(&zeros));
        assert!(memory(&json!("x".repeat(1 << 20))) < 3 << 20);
        assert!(memory(&json!({ "name": "x" })) < 1 << 10);
    }

    #[test]
    fn arguments_are_weighed_with_everything_in_them() {
        let long = "x".repeat(100);
        for (arguments, bytes) in [
            (json!({ "a": long }), 109),
            (json!([[long]]), 108),
            (json!({}), 2),
        ] {
            assert!(fits(&arguments, bytes), "{arguments}");
            assert!(!fits(&arguments, bytes - 1), "{arguments}");
        }
    }
}
