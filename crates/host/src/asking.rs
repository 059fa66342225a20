//! The model asks, a person grants: what was asked for waits in the store until a person decides.
//!
//! A request is one grant, for one version of one component, under a number that is never used again: a person
//! approves exactly what they saw. Denied ones are kept, so that nobody is asked the same twice. What is approved is
//! granted as from the command line, with every check of [`Host::grant`](crate::Host).

use crate::Host;
use crate::catalog::{Component, read_policy};
use crate::code::blocking;
use crate::command::Actor;
use crate::error::HostError;
use crate::grant::{ATTEMPTS_MAX, changed, placed_all, written_out};
use crate::grantable::{Grantable, grantables, rule_texts};
use crate::outcome::{Outcome, PolicyChange};
use serde::Serialize;
use std::sync::Arc;
use wassette_policy::Policy;
use wassette_store::{
    Approval, ComponentId, Digest, NewPermissionRequest, PermissionRequest, Record, StoreError,
};
use wassette_wit::sanitize;

/// Bytes of what a model says a permission is for.
const REASON_BYTES_MAX: usize = 300;

/// Bytes of who asks, and of where a component came from.
const NAME_BYTES_MAX: usize = 200;

/// Bytes of one rule that is asked for. It is shown whole or not asked for.
const RULE_BYTES_MAX: usize = 400;

/// Characters of a digest that a person is shown: `sha256:` and twelve more.
const DIGEST_CHARS: usize = 19;

/// Something that a model asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// By what a person names it.
    pub number: u64,
    /// For which component.
    pub component_id: ComponentId,
    /// Where that came from.
    pub origin: String,
    /// Which bytes it is for.
    pub digest: Digest,
    /// The rules that would be granted.
    pub rules: Vec<String>,
    /// What the model says it is for; not to be believed.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// When, in milliseconds since 1970.
    pub asked_ms: u64,
    /// When a person denied it; it then waits no more, and can still be approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_ms: Option<u64>,
}

impl Asked {
    /// The beginning of the digest, which tells versions apart for a person.
    #[must_use]
    pub fn short_digest(&self) -> String {
        self.digest.to_string().chars().take(DIGEST_CHARS).collect()
    }

    fn of(request: PermissionRequest, origin: &str) -> Self {
        let rules = match read_policy(&request.policy) {
            Ok(policy) => rule_texts(&policy),
            Err(reason) => vec![format!("what it asks for is not understood: {reason}")],
        };
        Self {
            number: request.number,
            component_id: request.id,
            origin: one_line(origin, NAME_BYTES_MAX),
            digest: request.digest,
            rules,
            reason: request.reason,
            asked_by: request.asked_by,
            asked_ms: request.asked_ms,
            denied_ms: request.denied_ms,
        }
    }
}

impl Host {
    /// What models asked for, by number: what waits for a person, and what was denied. Not what was granted otherwise
    /// since.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`].
    pub async fn asked(&self) -> Result<Vec<Asked>, HostError> {
        self.refresh().await?;
        self.forget_granted().await?;
        let catalog = self.catalog();
        let requests = self.inner.store.permission_requests().await.map_err(failed)?;
        let asked = requests.into_iter().map(|request| {
            let known = catalog.component(&request.id);
            Asked::of(request, known.map_or("", |known| &known.origin))
        });
        Ok(asked.collect())
    }

    /// Removes the requests for what was granted otherwise since. Says whether there were any.
    async fn forget_granted(&self) -> Result<bool, HostError> {
        let catalog = self.catalog();
        let mut is_any = false;
        for request in self.inner.store.permission_requests().await.map_err(failed)? {
            let known = catalog.component(&request.id);
            if !known.is_some_and(|known| self.has_all(known, &request.policy)) {
                continue;
            }
            let approval = Approval {
                number: request.number,
                even_denied: true,
            };
            match self.inner.store.take_request(approval).await {
                Ok(()) | Err(StoreError::NoRequest(_)) => is_any = true,
                Err(source) => return Err(failed(source)),
            }
        }
        Ok(is_any)
    }

    /// Why a request could not be granted now, in words for a person; nothing when it could.
    ///
    /// SECURITY: for nobody but the person who is asked: it says which paths there are.
    pub async fn obstacle(&self, number: u64) -> Option<String> {
        let possible = async { self.approvable(&self.request(number).await?).await };
        let error = possible.await.err()?;
        Some(one_line(&error.to_string(), REASON_BYTES_MAX))
    }

    /// Writes down what a model asks for, unless it is granted already. The answer has the reason that was given now.
    ///
    /// SECURITY: asks nothing of the disk. A model must not learn here which paths there are.
    pub(crate) async fn ask(
        &self,
        id: &ComponentId,
        grant: &Grantable,
        (reason, actor): (&str, &Actor),
    ) -> Result<Outcome, HostError> {
        check_shown(grant)?;
        let wanted = grant.granted_to(&Policy::empty())?;
        // As a person reads it in our own quotation marks.
        let reason = one_line(reason, REASON_BYTES_MAX).replace('"', "'");
        let asked_by = one_line(&actor.to_string(), NAME_BYTES_MAX);
        let mut attempt = 1;
        let (request, origin) = loop {
            self.refresh().await?;
            let catalog = self.catalog();
            let known = catalog.component(id);
            let known = known.ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
            let policy = policy_of(id, &known.policy_text)?;
            self.check_ceiling(&self.raised(grant, &policy)?)?;
            if self.is_granted(grant, &policy) {
                let rules = grant.texts();
                let id = id.clone();
                return Ok(Outcome::AlreadyGranted { id, rules });
            }
            let request = NewPermissionRequest {
                id: id.clone(),
                digest: known.digest,
                policy: wanted.print(),
                reason: reason.clone(),
                asked_by: asked_by.clone(),
                asked_ms: self.now_ms(),
            };
            match self.inner.store.ask(&request, known.epoch).await {
                Ok(request) => break (request, known.origin.clone()),
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(StoreError::TooMany { .. })
                    if attempt < ATTEMPTS_MAX && self.forget_granted().await? =>
                {
                    attempt += 1;
                }
                Err(StoreError::TooMany { .. }) => return Err(HostError::TooManyRequests),
                Err(source) => return Err(failed(source)),
            }
        };
        if request.denied_ms.is_some() {
            return Err(HostError::DeniedBefore {
                number: request.number,
            });
        }
        tracing::info!(component = %id, number = request.number, "a permission is asked for");
        // SECURITY: who asked first does not speak in the form of who asks now.
        Ok(Outcome::Asked(Asked {
            reason,
            asked_by,
            ..Asked::of(request, &origin)
        }))
    }

    /// Grants what was asked for, to the version for which it was.
    pub(crate) async fn approve_request(&self, number: u64, actor: &Actor) -> Result<Outcome, HostError> {
        let request = self.request(number).await?;
        // Whoever sits at the command line has the last word; a form may have been open when they denied it.
        if request.denied_ms.is_some() && *actor != Actor::Operator {
            return Err(HostError::DeniedBefore { number });
        }
        let id = &request.id;
        let grants = self.approvable(&request).await?;
        let next = |policy: &Policy| -> Result<Policy, HostError> {
            let mut next = policy.clone();
            for grant in &grants {
                next = self.raised(grant, &next)?;
            }
            self.check_ceiling(&next)?;
            Ok(next)
        };
        let change = |record: &mut Record| {
            record.policy = written_out(&next(&policy_of(id, &record.policy)?)?)?;
            Ok(())
        };
        // The request goes with the change: it cannot be denied by somebody else at the same moment, and where the version
        // for which it was is gone, it is gone as well.
        let approval = Approval {
            number,
            even_denied: *actor == Actor::Operator,
        };
        let (_digest, is_changed) = self
            .rewrite_approved(id, change, Some(approval))
            .await
            .map_err(undecided)?;
        tracing::info!(component = %id, number, "what was asked for is granted");
        let rules = grants.iter().flat_map(Grantable::texts).collect();
        let mut outcome = changed(id, PolicyChange::Granted, rules, is_changed);
        let catalog = self.catalog();
        let policy = catalog.component(id).and_then(Component::policy);
        for rule in grants.iter().filter_map(Grantable::rule) {
            outcome.add_of(rule, policy);
        }
        Ok(Outcome::Policy(outcome))
    }

    /// Notes that a person denied it.
    pub(crate) async fn deny_request(&self, number: u64) -> Result<Outcome, HostError> {
        let mut request = self.request(number).await?;
        let now = self.now_ms();
        let is_there = self.inner.store.deny_request(number, now).await;
        if !is_there.map_err(failed)? {
            return Err(HostError::UnknownRequest { number });
        }
        request.denied_ms = Some(now);
        Ok(Outcome::Denied(Asked::of(request, "")))
    }

    async fn request(&self, number: u64) -> Result<PermissionRequest, HostError> {
        let requests = self.inner.store.permission_requests().await.map_err(failed)?;
        let found = requests.into_iter().find(|request| request.number == number);
        found.ok_or(HostError::UnknownRequest { number })
    }

    /// What a request would grant, when it can be granted. Asks the disk.
    async fn approvable(&self, request: &PermissionRequest) -> Result<Vec<Grantable>, HostError> {
        let damaged = |reason| HostError::Request {
            id: request.id.clone(),
            reason,
        };
        let wanted = read_policy(&request.policy).map_err(damaged)?;
        let protection = Arc::clone(&self.inner.protection);
        let placed = {
            let wanted = wanted.clone();
            blocking(move || placed_all(&wanted, &protection)).await??
        };
        // SECURITY: whoever asks may also be able to make links. A person approves the place that they read.
        if placed == wanted {
            Ok(grantables(&wanted))
        } else {
            Err(HostError::LeadsElsewhere {
                rules: rule_texts(&placed),
            })
        }
    }

    /// A policy and one grant more. A limit that is asked for is never less than what holds.
    fn raised(&self, grant: &Grantable, policy: &Policy) -> Result<Policy, HostError> {
        match grant {
            Grantable::Rule(_) => grant.granted_to(policy),
            Grantable::Limits(wanted) => {
                let more = wanted.beyond(policy.limits(), &self.inner.config.limits);
                Grantable::Limits(more).granted_to(policy)
            }
        }
    }

    /// Whether a policy allows all that a grant would.
    fn is_granted(&self, grant: &Grantable, policy: &Policy) -> bool {
        if self.raised(grant, policy).is_ok_and(|next| next == *policy) {
            return true;
        }
        let alone = grant.rule().and_then(|rule| Policy::empty().granting(rule).ok());
        alone.is_some_and(|alone| alone.within(policy).is_ok())
    }

    /// Whether a component was granted what a request asks for, meanwhile.
    fn has_all(&self, component: &Component, wanted: &str) -> bool {
        let (Some(policy), Ok(wanted)) = (component.policy(), read_policy(wanted)) else {
            return false;
        };
        let mut grants = grantables(&wanted).into_iter();
        grants.all(|grant| self.is_granted(&grant, policy))
    }
}

fn policy_of(id: &ComponentId, text: &str) -> Result<Policy, HostError> {
    read_policy(text).map_err(|reason| HostError::Policy {
        id: id.clone(),
        reason,
    })
}

/// Refuses what could not be shown to a person as it is.
///
/// SECURITY: what is invisible, turned around or cut off would be approved unseen. A path with a quotation mark, or with
/// what is shown as an escape, is more than a person should have to take apart.
fn check_shown(grant: &Grantable) -> Result<(), HostError> {
    let path = grant.storage().map(|rule| rule.pattern().to_string());
    let is_odd = path.is_some_and(|path| path.contains('"') || one_line(&path, RULE_BYTES_MAX) != path);
    let rules = grant.texts();
    let mut shown = rules.iter().map(|rule| one_line(rule, RULE_BYTES_MAX) == *rule);
    if is_odd || !shown.all(|is_whole| is_whole) {
        return Err(HostError::NotShown {
            rules: rules.join(", "),
        });
    }
    Ok(())
}

/// SECURITY: stands beside our own words before a person, and must not look like another line of them.
fn one_line(text: &str, bytes_max: usize) -> String {
    // The blank pattern of Braille is wide and empty, and no white space.
    let is_gap = |c: char| c.is_whitespace() || c == '\u{2800}';
    let words: Vec<_> = text.split(is_gap).filter(|word| !word.is_empty()).collect();
    sanitize(&words.join(" "), bytes_max)
}

/// The request went before it could be approved.
fn undecided(error: HostError) -> HostError {
    if let HostError::Store {
        source: StoreError::NoRequest(number),
    } = error
    {
        return HostError::UnknownRequest { number };
    }
    error
}

fn failed(source: StoreError) -> HostError {
    HostError::Store { source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grantable::peer;
    use wassette_policy::{Effect, Grant, NetworkRule, StorageRule, StorageSpec};

    fn storage(path: &str) -> Grantable {
        let spec = StorageSpec {
            uri: format!("fs://{path}"),
            access: Some(vec!["read".to_owned(), "write".to_owned()]),
            ..StorageSpec::default()
        };
        Grant::Storage(StorageRule::new(Effect::Allow, &spec, None).expect("a rule")).into()
    }

    #[test]
    fn what_cannot_be_shown_as_it_is_cannot_be_asked_for() {
        for path in ["/data/papers", "/data/my papers", "/Größe/日本"] {
            assert!(check_shown(&storage(path)).is_ok(), "{path}");
        }
        let long = format!("/data/{}", "n".repeat(400));
        for path in [
            "/data/do\u{200b}cs",
            "/data/\u{202e}cod",
            "/data/x\" access read",
            "/data/a\u{2800}\u{2800}b",
            "/data/a  b",
            &long,
        ] {
            let refused = check_shown(&storage(path));
            assert!(
                matches!(refused, Err(HostError::NotShown { .. })),
                "{path}: {refused:?}"
            );
        }
        let host = NetworkRule::new(Effect::Allow, &peer("xn--bcher-kva.example")).expect("a rule");
        assert!(check_shown(&Grant::Network(host).into()).is_ok());
    }

    /// Texts are shown without what is not seen; so it must not stand in a policy, or be shown as an escape.
    #[test]
    fn a_rule_is_shown_as_the_rule_that_it_is() {
        for c in ('\0'..=char::MAX).filter(|c| *c != '\t' && !c.is_whitespace()) {
            let is_shown = sanitize(&format!("a{c}b"), 100).contains(c);
            if is_shown {
                continue;
            }
            let raw =
                format!("version: \"1.0\"\npermissions: {{storage: {{deny: [{{uri: 'fs:///a/{c}'}}]}}}}\n");
            assert!(read_policy(&raw).is_err(), "U+{:04X}", u32::from(c));
            if c.is_control() {
                continue;
            }
            let escaped = format!(
                "version: \"1.0\"\npermissions: {{storage: {{deny: [{{uri: \"fs:///a/\\U{:08x}\"}}]}}}}\n",
                u32::from(c)
            );
            let Ok(policy) = read_policy(&escaped) else {
                continue;
            };
            let shown = rule_texts(&policy);
            assert!(shown.iter().all(|rule| rule.contains("\\u{")), "{shown:?}");
            assert_eq!(read_policy(&policy.print()), Ok(policy), "U+{:04X}", u32::from(c));
        }
    }
}
