//! What a policy says about an access, in one sentence.

use crate::access::{Access, FileOperation};
use crate::access_text::{AccessText, request};
use crate::host::Host;
use crate::path::AbsolutePath;
use crate::policy::{Authority, Layer, Mount, Place};
use crate::text::Ticked;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What was decided about an access, by whom, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whose rule decided; where both allow it, the component's own policy.
    pub layer: Layer,
    /// The rule that decided; `None` when no rule of that layer speaks of it.
    pub rule: Option<String>,
    /// All of it in one sentence.
    pub text: String,
}

impl Authority {
    /// Says what would be decided about an access, and why.
    #[must_use]
    pub fn explain(&self, access: &Access<'_>) -> Explanation {
        let whose = |layer: Layer| match layer {
            Layer::Granted => "the component's policy",
            Layer::Ceiling => "the ceiling",
        };
        match self.authorize(access) {
            Ok(permit) => Explanation {
                allowed: true,
                layer: Layer::Granted,
                rule: Some(permit.rule().to_owned()),
                text: format!("allowed: {access}, by `{}`", permit.rule()),
            },
            Err(denied) => {
                let why = match &denied.rule {
                    Some(rule) => format!("{} says `{rule}`", whose(denied.layer)),
                    None => format!("{} lacks {}", whose(denied.layer), denied.lacks),
                };
                Explanation {
                    allowed: false,
                    layer: denied.layer,
                    rule: denied.rule.as_deref().map(str::to_owned),
                    text: format!("denied: {access}, because {why}"),
                }
            }
        }
    }

    /// The same for an access that was typed: the first refusal, or the first permission when there is none.
    #[must_use]
    pub fn explain_text(&self, access: &AccessText) -> Explanation {
        self.explain_all(&access.accesses())
    }

    /// The same with all that the access needs to come to anything: a secret the request that carries it, and a
    /// request the secrets that belong on it and, where nobody has to be asked for it, the address that is dialed.
    #[must_use]
    pub fn explain_whole(&self, access: &AccessText) -> Explanation {
        let mut accesses = access.accesses();
        let names: Vec<String> = match access.request() {
            Some(target) => self.secrets(target).map(|secret| secret.name.clone()).collect(),
            None => Vec::new(),
        };
        if let Some(target) = access.request() {
            if matches!(access, AccessText::Secret { .. }) {
                accesses.extend(request(target));
            }
            accesses.extend(names.iter().map(|name| Access::Secret { name, target }));
            let known = known_addresses(target.host()).into_iter();
            accesses.extend(known.map(|address| Access::Dial { target, address }));
        }
        let mut explanation = self.explain_all(&accesses);
        if let AccessText::File { path, operation } = access {
            self.explain_place(path, *operation, &mut explanation);
        }
        explanation
    }

    /// What is decided where a file is, and not by rules about it; and what its path is on the machine.
    fn explain_place(&self, path: &AbsolutePath, operation: FileOperation, explanation: &mut Explanation) {
        let place = self.locate(path);
        let machine = match &place {
            Place::Inside { mount, below } => mount.host.join(below).ok(),
            Place::Above | Place::Outside => None,
        };
        let is_kept = |mount: &&Mount| match operation {
            FileOperation::Remove | FileOperation::Rename => {
                let is_below = |machine: &AbsolutePath| mount.host.below(machine).is_some();
                mount.guest.below(path).is_some() || machine.as_ref().is_some_and(is_below)
            }
            FileOperation::Read
            | FileOperation::Write
            | FileOperation::List
            | FileOperation::Inspect
            | FileOperation::Create => false,
        };
        let kept = self.mounts().iter().find(is_kept);
        if let Some(granted) = kept.filter(|_| explanation.allowed) {
            explanation.allowed = false;
            explanation.rule = None;
            explanation.text = format!(
                "denied: {}, because `{}` is itself what was granted",
                Access::File { path, operation },
                Ticked(granted.guest.as_str())
            );
        }
        let elsewhere = self.mounts().iter().filter(|mount| mount.guest != mount.host);
        let mut seen = elsewhere.filter_map(|mount| mount.guest.join(path.below(&mount.host)?).ok());
        match place {
            Place::Inside { .. } => {
                if let Some(machine) = machine.filter(|machine| machine != path) {
                    explanation.text += &format!("; on the machine it is `{}`", Ticked(machine.as_str()));
                }
            }
            Place::Above | Place::Outside => {
                if let Some(seen) = seen.next() {
                    let seen = Ticked(seen.as_str());
                    explanation.text +=
                        &format!("; the component sees that place of the machine as `{seen}`");
                }
            }
        }
    }

    fn explain_all(&self, accesses: &[Access<'_>]) -> Explanation {
        let mut explanations: Vec<_> = accesses.iter().map(|access| self.explain(access)).collect();
        let at = explanations.iter().position(|explanation| !explanation.allowed);
        explanations.swap_remove(at.unwrap_or_default())
    }
}

/// The addresses of a host that needs no lookup. Each that a name has must be allowed.
fn known_addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Address(address) => vec![*address],
        Host::Name(_) if host.is_loopback_name() => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Name(_) => Vec::new(),
    }
}
