//! The one place that decides, counts and writes down what a guest does to the world.
//!
//! Every host function that reaches outside the guest asks here first and gets a [`Permit`] or a reason.
//! What was asked ends up in the call's report, so nothing a guest tried goes unseen. What is moved through a
//! permit is counted by a [`Meter`], and a meter that runs over ends the call.

use crate::control::{Control, Ended};
use crate::error::Limit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use wassette_policy::{Access, Authority, Decision, Denied, Limits, Permit};

/// Different accesses one report lists. Repetitions of the same access are counted, not listed again.
const DECISIONS_MAX: usize = 64;

/// Bytes of one access in a report: paths and URLs come from the guest.
const TEXT_BYTES_MAX: usize = 512;

/// Decides for one call. Clones decide for the same call, also on other threads.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    control: Arc<Control>,
    /// As of the beginning of the call.
    limits: Limits,
    meters: Meters,
    record: Mutex<Record>,
}

/// What host functions move for one call.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) requests: Meter,
    pub(crate) egress: Meter,
    pub(crate) ingress: Meter,
    pub(crate) file_read: Meter,
    pub(crate) file_write: Meter,
    pub(crate) files: Meter,
}

/// Counts up to a limit.
#[derive(Debug)]
pub(crate) struct Meter {
    used: AtomicU64,
    max: u64,
    limit: fn(u64) -> Limit,
}

/// A meter ran over. The call is being ended; whatever was to be done is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit of this call was reached")]
pub(crate) struct OverLimit;

#[derive(Debug, Default)]
struct Record {
    decisions: Vec<Decision>,
    /// Accesses that found the list full.
    unlisted: u64,
}

impl Gate {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        let limits = control.authority().limits().clone();
        Self(Arc::new(Shared {
            meters: Meters::new(&limits),
            control,
            limits,
            record: Mutex::default(),
        }))
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.0.control
    }

    pub(crate) fn authority(&self) -> Arc<Authority> {
        self.0.control.authority()
    }

    /// The limits of this call; they do not change while it runs.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// Counts what is about to be moved; ends the call when that is more than it may.
    pub(crate) fn spend(&self, meter: fn(&Meters) -> &Meter, amount: u64) -> Result<(), OverLimit> {
        let meter = meter(&self.0.meters);
        meter.spend(amount).inspect_err(|OverLimit| {
            self.0.control.end(Ended::Limit((meter.limit)(meter.max)));
        })
    }

    /// Decides one access and records the decision.
    pub(crate) fn authorize(&self, access: &Access<'_>) -> Result<Permit, Denied> {
        let authority = self.authority();
        let answer = authority.authorize(access);
        let (lacks, rule) = match &answer {
            Ok(permit) => (String::new(), permit.rule().to_owned()),
            Err(denied) => (
                printable(&denied.lacks),
                denied.rule.as_deref().unwrap_or_default().to_owned(),
            ),
        };
        if answer.is_ok() {
            self.0.control.remember(access, &authority);
        }
        self.record().add(Decision {
            kind: access.kind(),
            access: printable(&access.to_string()),
            allowed: answer.is_ok(),
            lacks,
            rule,
            attempts: 1,
        });
        answer
    }

    /// Records an access that was refused for a reason that lies outside the policy: a link that leads out, a
    /// device, a mount point. `lacks` is what it would have needed.
    pub(crate) fn refuse(&self, access: &Access<'_>, lacks: &str) {
        self.record().add(Decision {
            kind: access.kind(),
            access: printable(&access.to_string()),
            allowed: false,
            lacks: printable(lacks),
            rule: String::new(),
            attempts: 1,
        });
    }

    /// What was decided, in the order of first attempts, and how many accesses did not fit the list.
    pub(crate) fn take(&self) -> (Vec<Decision>, u64) {
        let mut record = self.record();
        (std::mem::take(&mut record.decisions), record.unlisted)
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn add(&mut self, decision: Decision) {
        let mut decisions = self.decisions.iter_mut();
        if let Some(known) = decisions.find(|d| d.access == decision.access && d.allowed == decision.allowed)
        {
            known.attempts = known.attempts.saturating_add(1);
        } else if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push(decision);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}

impl Meters {
    fn new(limits: &Limits) -> Self {
        let meter = |max, limit| Meter {
            used: AtomicU64::new(0),
            max,
            limit,
        };
        Self {
            requests: meter(limits.requests, |max| Limit::Requests { max }),
            egress: meter(limits.egress_bytes, |bytes_max| Limit::Egress { bytes_max }),
            ingress: meter(limits.ingress_bytes, |bytes_max| Limit::Ingress { bytes_max }),
            file_read: meter(limits.file_read_bytes, |bytes_max| Limit::FileRead { bytes_max }),
            file_write: meter(limits.file_write_bytes, |bytes_max| Limit::FileWrite {
                bytes_max,
            }),
            files: meter(limits.files, |max| Limit::Files { max }),
        }
    }
}

impl Meter {
    /// How much was counted.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// How much more fits.
    pub(crate) fn left(&self) -> u64 {
        self.max.saturating_sub(self.used())
    }

    fn spend(&self, amount: u64) -> Result<(), OverLimit> {
        let add = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.max);
        self.used
            .fetch_update(Relaxed, Relaxed, add)
            .map(drop)
            .map_err(|_used| OverLimit)
    }
}

/// SECURITY: a path can have line breaks, and what follows one would look like a line of ours.
fn printable(text: &str) -> String {
    wassette_wit::sanitize(text, TEXT_BYTES_MAX).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::{AbsolutePath, FileOperation};

    fn gate() -> Gate {
        Gate::new(Control::nothing(Authority::nothing(Limits {
            requests: 2,
            ..Limits::DEFAULT
        })))
    }

    fn read(gate: &Gate, path: &str) {
        let path: AbsolutePath = path.parse().expect("a path");
        gate.authorize(&Access::File {
            path: &path,
            operation: FileOperation::Read,
        })
        .expect_err("the empty policy denies");
    }

    #[test]
    fn what_is_denied_stays_on_one_line() {
        let gate = gate();
        read(&gate, "/x`\nwassette: all is well\u{2028}denied: nothing");
        let (decisions, _) = gate.take();
        let text = &decisions.first().expect("a decision").access;
        assert!(text.contains("/x\u{fffd} wassette: all is well denied"), "{text}");
    }

    #[test]
    fn a_flood_of_accesses_is_counted_and_bounded() {
        let gate = gate();
        for n in 0..1000 {
            read(&gate, &format!("/{}", n % 100));
        }
        let (decisions, unlisted) = gate.take();
        assert_eq!(decisions.len(), DECISIONS_MAX);
        assert!(decisions.iter().all(|d| d.attempts == 10 && !d.allowed));
        assert_eq!(unlisted, 1000 - 10 * DECISIONS_MAX as u64);
    }

    #[test]
    fn text_from_the_guest_is_bounded_and_cannot_steer_a_terminal() {
        let gate = gate();
        read(&gate, &format!("/\u{1b}[2J\u{202e}{}", "x".repeat(3_000)));
        let (decisions, _) = gate.take();
        assert!(
            decisions
                .iter()
                .all(|d| d.access.len() <= TEXT_BYTES_MAX && !d.access.contains(['\u{1b}', '\u{202e}']))
        );
    }

    #[test]
    fn a_meter_that_runs_over_ends_the_call_and_names_the_limit() {
        let gate = gate();
        assert_eq!(gate.spend(|m| &m.requests, 2), Ok(()));
        assert_eq!(gate.control().ended(), None, "up to the limit");
        assert_eq!(gate.spend(|m| &m.requests, 1), Err(OverLimit));
        assert_eq!(
            gate.control().ended(),
            Some(&Ended::Limit(Limit::Requests { max: 2 }))
        );
        assert_eq!(
            gate.meters().requests.used(),
            2,
            "what was not done is not counted"
        );
        assert_eq!(gate.spend(|m| &m.requests, u64::MAX), Err(OverLimit));
    }
}
