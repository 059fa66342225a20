//! The one place that decides, counts and writes down what a guest does to the world.
//!
//! Every host function that reaches outside the guest asks here first and gets a [`Permit`] or a reason.
//! What was asked ends up in the call's report, so nothing a guest tried goes unseen.

use std::sync::Arc;
use wassette_policy::{Access, AccessKind, Decision, Denied, Permit, Policy};

/// Different accesses one report lists. Repetitions of the same access are counted, not listed again.
const DECISIONS_MAX: usize = 64;

/// Bytes of one access in a report: paths and URLs come from the guest.
const TEXT_BYTES_MAX: usize = 512;

/// Decides for one call.
#[derive(Debug)]
pub(crate) struct Gate {
    policy: Arc<Policy>,
    decisions: Vec<Decision>,
    /// Accesses that found the list full.
    unlisted: u64,
}

impl Gate {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            decisions: Vec::new(),
            unlisted: 0,
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides one access and records the decision.
    pub(crate) fn authorize(&mut self, access: &Access<'_>) -> Result<Permit, Denied> {
        let answer = self.policy.authorize(access);
        let lacks = match &answer {
            Ok(_) => String::new(),
            Err(denied) => printable(&denied.lacks),
        };
        self.record(access.kind(), printable(&access.to_string()), lacks);
        answer
    }

    /// What was decided, in the order of first attempts, and how many accesses did not fit the list.
    pub(crate) fn take(&mut self) -> (Vec<Decision>, u64) {
        (std::mem::take(&mut self.decisions), self.unlisted)
    }

    fn record(&mut self, kind: AccessKind, access: String, lacks: String) {
        let allowed = lacks.is_empty();
        if let Some(known) = self
            .decisions
            .iter_mut()
            .find(|d| d.access == access && d.allowed == allowed)
        {
            known.attempts = known.attempts.saturating_add(1);
        } else if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push(Decision {
                kind,
                access,
                allowed,
                lacks,
                attempts: 1,
            });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}

fn printable(text: &str) -> String {
    wassette_wit::sanitize(text, TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::FileOperation;

    fn read(gate: &mut Gate, path: &str) {
        gate.authorize(&Access::File {
            path,
            operation: FileOperation::Read,
        })
        .expect_err("the empty policy denies");
    }

    #[test]
    fn a_flood_of_accesses_is_counted_and_bounded() {
        let mut gate = Gate::new(Arc::new(Policy::empty()));
        for n in 0..1000 {
            read(&mut gate, &format!("/{}", n % 100));
        }
        let (decisions, unlisted) = gate.take();
        assert_eq!(decisions.len(), DECISIONS_MAX);
        assert!(decisions.iter().all(|d| d.attempts == 10 && !d.allowed));
        assert_eq!(unlisted, 1000 - 10 * DECISIONS_MAX as u64);
    }

    #[test]
    fn text_from_the_guest_is_bounded_and_cannot_steer_a_terminal() {
        let mut gate = Gate::new(Arc::new(Policy::empty()));
        read(&mut gate, &format!("/\u{1b}[2J\u{202e}{}", "x".repeat(10_000)));
        let (decisions, _) = gate.take();
        assert!(
            decisions
                .iter()
                .all(|d| d.access.len() <= TEXT_BYTES_MAX && !d.access.contains(['\u{1b}', '\u{202e}']))
        );
    }
}
