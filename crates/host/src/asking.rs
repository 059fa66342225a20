//! The model asks, a person grants: what was asked for waits in the store until a person decides.
//!
//! A request is one grant, for one version of one component, under a number that is never used again: a person
//! approves exactly what they saw. Denied ones are kept, so that nobody is asked the same twice. What is approved is
//! granted as from the command line, with every check of [`Host::grant`](crate::Host).

use crate::Host;
use crate::catalog::read_policy;
use crate::code::blocking;
use crate::command::Actor;
use crate::error::HostError;
use crate::grant::{placed_all, texts};
use crate::grantable::{Grantable, grantables, rule_texts};
use crate::outcome::{Outcome, PolicyChange, PolicyChanged};
use serde::Serialize;
use std::sync::Arc;
use wassette_policy::Policy;
use wassette_store::{ComponentId, NewPermissionRequest, PermissionRequest, StoreError};
use wassette_wit::sanitize;

/// Bytes of what a model says a permission is for.
const REASON_BYTES_MAX: usize = 300;

/// Bytes of who asks.
const ACTOR_BYTES_MAX: usize = 200;

/// Attempts to write a request while others change the component's record.
const ATTEMPTS_MAX: u32 = 8;

/// Something that a model asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// By what a person names it.
    pub number: u64,
    /// For which component.
    pub component_id: ComponentId,
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
    fn of(request: PermissionRequest) -> Self {
        let rules = match read_policy(&request.policy) {
            Ok(policy) => rule_texts(&policy),
            Err(reason) => vec![format!("what it asks for is not understood: {reason}")],
        };
        Self {
            number: request.number,
            component_id: request.id,
            rules,
            reason: request.reason,
            asked_by: request.asked_by,
            asked_ms: request.asked_ms,
            denied_ms: request.denied_ms,
        }
    }
}

impl Host {
    /// What models asked for, by number: what waits for a person, and what was denied.
    ///
    /// # Errors
    ///
    /// [`HostError::Store`].
    pub async fn asked(&self) -> Result<Vec<Asked>, HostError> {
        let requests = self.inner.store.permission_requests().await.map_err(failed)?;
        Ok(requests.into_iter().map(Asked::of).collect())
    }

    /// Writes down what a model asks for, unless it is granted already.
    ///
    /// SECURITY: asks nothing of the disk. A model must not learn here which paths there are.
    pub(crate) async fn ask(
        &self,
        id: &ComponentId,
        grant: &Grantable,
        (reason, actor): (&str, &Actor),
    ) -> Result<Outcome, HostError> {
        let wanted = grant.granted_to(&Policy::empty())?;
        let mut attempt = 1;
        let request = loop {
            self.refresh().await?;
            let catalog = self.catalog();
            let known = catalog.component(id);
            let known = known.ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
            let policy = read_policy(&known.policy_text).map_err(|reason| HostError::Policy {
                id: id.clone(),
                reason,
            })?;
            let next = grant.granted_to(&policy)?;
            if next == policy {
                let rules = grant.texts();
                let id = id.clone();
                return Ok(Outcome::AlreadyGranted { id, rules });
            }
            self.check_ceiling(&next)?;
            let request = NewPermissionRequest {
                id: id.clone(),
                digest: known.digest,
                policy: wanted.print(),
                reason: one_line(reason, REASON_BYTES_MAX),
                asked_by: one_line(&actor.to_string(), ACTOR_BYTES_MAX),
                asked_ms: self.now_ms(),
            };
            match self.inner.store.ask(&request, known.epoch).await {
                Ok(request) => break request,
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
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
        Ok(Outcome::Asked(Asked::of(request)))
    }

    /// Grants what was asked for, to the version for which it was.
    pub(crate) async fn approve_request(&self, number: u64) -> Result<Outcome, HostError> {
        let request = self.request(number).await?;
        let id = &request.id;
        let damaged = |reason| HostError::Request {
            id: id.clone(),
            reason,
        };
        let wanted = read_policy(&request.policy).map_err(damaged)?;
        let protection = Arc::clone(&self.inner.protection);
        let placed = {
            let wanted = wanted.clone();
            blocking(move || placed_all(&wanted, &protection)).await??
        };
        // SECURITY: whoever asks may also be able to make links. A person approves the place that they read.
        if placed != wanted {
            return Err(HostError::LeadsElsewhere {
                rules: rule_texts(&placed),
            });
        }
        let grants = grantables(&wanted);
        let is_changed = self
            .write(id, |record| {
                if record.digest != request.digest {
                    return Err(HostError::OtherVersion {
                        number,
                        id: id.clone(),
                    });
                }
                let mut policy = read_policy(&record.policy).map_err(|reason| HostError::Policy {
                    id: id.clone(),
                    reason,
                })?;
                for grant in &grants {
                    policy = grant.granted_to(&policy)?;
                }
                self.check_ceiling(&policy)?;
                Ok(policy.print())
            })
            .await?;
        // It is granted. A request that stays asks for nothing more.
        if let Err(error) = self.inner.store.remove_request(number).await {
            tracing::warn!(%error, number, "the request that was approved is still listed");
        }
        let catalog = self.catalog();
        let policy = catalog.component(id).and_then(|known| known.policy());
        let mut changed = PolicyChanged {
            id: id.clone(),
            change: PolicyChange::Granted,
            rules: rule_texts(&wanted),
            denied_by: Vec::new(),
            unused: Vec::new(),
            is_changed,
        };
        if let Some(policy) = policy {
            let rules = grants.iter().filter_map(Grantable::rule);
            changed.denied_by = rules.flat_map(|rule| texts(&policy.denials_of(rule))).collect();
            changed.unused = texts(&policy.unused_secrets());
        }
        Ok(Outcome::Policy(changed))
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
        Ok(Outcome::Denied(Asked::of(request)))
    }

    async fn request(&self, number: u64) -> Result<PermissionRequest, HostError> {
        let requests = self.inner.store.permission_requests().await.map_err(failed)?;
        let found = requests.into_iter().find(|request| request.number == number);
        found.ok_or(HostError::UnknownRequest { number })
    }
}

/// SECURITY: stands beside our own words before a person, and must not look like another line of them.
fn one_line(text: &str, bytes_max: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    sanitize(&words.join(" "), bytes_max)
}

fn failed(source: StoreError) -> HostError {
    HostError::Store { source }
}
