//! Granting and taking back: what one component may do, changed by one commit each.
//!
//! A policy is changed as a whole: read, changed, compared with the ceiling, written if nobody else wrote in
//! between, else done again. What is granted is looked at where it really is (see `protect.rs`). Taking back is never
//! refused because of what remains, so that a component can always be narrowed.

use crate::Host;
use crate::catalog::{Component, read_policy};
use crate::ceiling::{Above, BROKEN_CEILING};
use crate::code::blocking;
use crate::command::Actor;
use crate::error::HostError;
use crate::grantable::{Grantable, rule_texts};
use crate::outcome::{Outcome, PolicyChange, PolicyChanged};
use crate::protect::{ProtectError, Protection};
use crate::taking::{Meant, gone, without};
use std::sync::{Arc, Mutex, PoisonError};
use wassette_policy::{AbsolutePath, DOCUMENT_BYTES_MAX, Effect, Grant, Policy, Rules, StorageRule};
use wassette_store::{Approval, ComponentId, Digest, Expected, NewRecord, Record, Reference, StoreError};

/// Attempts to change something of a component while others change it too.
pub(crate) const ATTEMPTS_MAX: u32 = 8;

impl Host {
    pub(crate) async fn grant(&self, id: &ComponentId, grant: Grantable) -> Result<Outcome, HostError> {
        let protection = Arc::clone(&self.inner.protection);
        let grant = blocking(move || placed(grant, &protection)).await??;
        let is_changed = self.widen(id, |policy| grant.granted_to(policy)).await?;
        let catalog = self.catalog();
        let mut outcome = changed(id, PolicyChange::Granted, grant.texts(), is_changed);
        let policy = catalog.component(id).and_then(|known| known.policy());
        if let Grantable::Rule(rule) = &grant {
            outcome.add_of(rule, policy);
        }
        Ok(Outcome::Policy(outcome))
    }

    pub(crate) async fn revoke(
        &self,
        id: &ComponentId,
        grants: Vec<Grantable>,
        actor: &Actor,
    ) -> Result<Outcome, HostError> {
        self.refresh().await?;
        let policy = self
            .catalog()
            .component(id)
            .and_then(|known| known.policy.clone());
        let named = grants.into_iter();
        let meant = blocking(move || {
            named
                .map(|grant| Meant::new(grant, policy.as_deref()))
                .collect::<Vec<_>>()
        });
        let meant = meant.await?;
        let taken = Mutex::new(Vec::new());
        let change = |policy: &Policy| {
            let next = without(policy, &meant)?;
            *taken.lock().unwrap_or_else(PoisonError::into_inner) = gone(policy, &next);
            narrowed(policy, next, actor)
        };
        let is_changed = self.change(id, &change, |_, _| Ok(())).await?;
        let rules = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Outcome::Policy(changed(
            id,
            PolicyChange::Revoked,
            rules,
            is_changed,
        )))
    }

    pub(crate) async fn reset(&self, id: &ComponentId, actor: &Actor) -> Result<Outcome, HostError> {
        let taken = Mutex::new(Vec::new());
        let took = |before: &Policy, after: &Policy| {
            *taken.lock().unwrap_or_else(PoisonError::into_inner) = gone(before, after);
        };
        let is_changed = match actor {
            // What cannot be read can be reset: nothing of it is kept.
            Actor::Operator => {
                self.refresh().await?;
                let catalog = self.catalog();
                if let Some(before) = catalog.component(id).and_then(|known| known.policy.as_ref()) {
                    took(before, &Policy::empty());
                }
                self.replace(id, &Policy::empty()).await?
            }
            Actor::Agent { .. } | Actor::Person { .. } => {
                let change = |policy: &Policy| {
                    let next = without_grants(policy)?;
                    took(policy, &next);
                    narrowed(policy, next, actor)
                };
                self.change(id, &change, |_, _| Ok(())).await?
            }
        };
        let rules = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Outcome::Policy(changed(
            id,
            PolicyChange::Reset,
            rules,
            is_changed,
        )))
    }

    pub(crate) async fn attach(&self, id: &ComponentId, policy: Policy) -> Result<Outcome, HostError> {
        let protection = Arc::clone(&self.inner.protection);
        let policy = blocking(move || placed_all(&policy, &protection)).await??;
        self.refresh().await?;
        self.check_ceiling(&policy)?;
        let rules = rule_texts(&policy);
        let is_changed = self.replace(id, &policy).await?;
        let catalog = self.catalog();
        Ok(Outcome::Policy(PolicyChanged {
            unused: texts(&policy.unused_secrets()),
            unmatched: catalog
                .component(id)
                .map_or_else(Vec::new, |component| unmatched(&policy, component)),
            ..changed(id, PolicyChange::Attached, rules, is_changed)
        }))
    }

    /// Says whether a policy could be attached: its paths can be granted and the ceiling allows it. Changes nothing, and
    /// gives the paths that are not there yet, because the policy may be for another machine.
    ///
    /// # Errors
    ///
    /// [`HostError::Protected`], [`HostError::Excess`] or [`HostError::NoCeiling`] when it could not.
    pub async fn check_policy(&self, policy: Policy) -> Result<Vec<AbsolutePath>, HostError> {
        let protection = Arc::clone(&self.inner.protection);
        let (policy, missing) = blocking(move || placeable(&policy, &protection)).await??;
        self.refresh().await?;
        self.check_ceiling(&policy)?;
        written_out(&policy)?;
        Ok(missing)
    }

    /// The rules of the ceiling, which are in force for every component besides its own; `None` without a usable one.
    #[must_use]
    pub fn ceiling_rules(&self) -> Option<Vec<String>> {
        match &*self.above() {
            Above::Ceiling(ceiling) => Some(rule_texts(ceiling.policy())),
            Above::Nothing | Above::Broken(_) => None,
        }
    }

    /// Changes a policy so that it may allow more: it must stay within the ceiling.
    async fn widen(
        &self,
        id: &ComponentId,
        change: impl Fn(&Policy) -> Result<Policy, HostError> + Sync,
    ) -> Result<bool, HostError> {
        self.change(id, &change, |host, next| host.check_ceiling(next))
            .await
    }

    /// Changes a policy by what it is now. Says whether that made a difference.
    async fn change(
        &self,
        id: &ComponentId,
        change: &(dyn Fn(&Policy) -> Result<Policy, HostError> + Sync),
        check: impl Fn(&Self, &Policy) -> Result<(), HostError>,
    ) -> Result<bool, HostError> {
        let next = |record: &Record| {
            let policy = read_policy(&record.policy).map_err(|reason| HostError::Policy {
                id: id.clone(),
                reason,
            })?;
            let next = change(&policy)?;
            check(self, &next)?;
            written_out(&next)
        };
        self.write(id, next).await
    }

    async fn replace(&self, id: &ComponentId, policy: &Policy) -> Result<bool, HostError> {
        let text = written_out(policy)?;
        self.write(id, |_record| Ok(text.clone())).await
    }

    /// Writes the policy of a record. Says whether that made a difference.
    async fn write(
        &self,
        id: &ComponentId,
        next: impl Fn(&Record) -> Result<String, HostError>,
    ) -> Result<bool, HostError> {
        let change = |record: &mut Record| {
            record.policy = next(record)?;
            Ok(())
        };
        let (_digest, is_changed) = self.rewrite(id, change).await?;
        if is_changed {
            tracing::info!(component = %id, "policy changed");
        }
        Ok(is_changed)
    }

    /// Changes a record of the version that is there, again if another process was faster. Says which version that is, and
    /// whether it made a difference.
    pub(crate) async fn rewrite(
        &self,
        id: &ComponentId,
        change: impl FnMut(&mut Record) -> Result<(), HostError>,
    ) -> Result<(Digest, bool), HostError> {
        self.rewrite_approved(id, change, None).await
    }

    /// The same for a change that decides a request, which goes with it, also when it makes no difference.
    pub(crate) async fn rewrite_approved(
        &self,
        id: &ComponentId,
        mut change: impl FnMut(&mut Record) -> Result<(), HostError>,
        approval: Option<Approval>,
    ) -> Result<(Digest, bool), HostError> {
        let store = &self.inner.store;
        let failed = |source| HostError::Store { source };
        let mut attempt = 1;
        let digest = loop {
            // The ceiling may have changed as well.
            self.refresh().await?;
            let snapshot = self.inner.store.snapshot().await.map_err(failed)?;
            let record = snapshot.records.into_iter().find(|record| record.id == *id);
            let before = record.ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
            let mut record = before.clone();
            change(&mut record)?;
            if record == before {
                if let Some(approval) = approval {
                    store.take_request(approval).await.map_err(failed)?;
                }
                return Ok((record.digest, false));
            }
            let (digest, expected) = (record.digest, Expected::Epoch(record.epoch));
            let record = renewed(record);
            let committed = match approval {
                Some(approval) => store.commit_approved(&record, expected, approval).await,
                None => store.commit(&record, expected).await,
            };
            match committed {
                Ok(_epoch) => break digest,
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(source) => return Err(failed(source)),
            }
        };
        self.refresh().await?;
        Ok((digest, true))
    }

    /// Grants all that a policy allows, besides what is granted. Gives the rules as they are granted.
    pub(crate) async fn grant_all(&self, id: &ComponentId, asked: Policy) -> Result<Vec<String>, HostError> {
        let protection = Arc::clone(&self.inner.protection);
        let asked = blocking(move || placed_all(&asked, &protection)).await??;
        let join = |policy: &Policy| {
            let joined = policy.join(&asked);
            joined.map_err(|error| HostError::Rule(error.error().clone()))
        };
        self.widen(id, join).await?;
        Ok(rule_texts(&asked))
    }

    /// Refuses a source that the ceiling does not allow, whoever asks.
    pub(crate) fn check_source(&self, reference: &Reference) -> Result<(), HostError> {
        match &*self.above() {
            Above::Nothing => Ok(()),
            Above::Ceiling(ceiling) if ceiling.allows_source(&reference.to_string()) => Ok(()),
            Above::Ceiling(_) => Err(HostError::Ceiling(format!(
                "no pattern of its `sources` matches `{}`",
                reference.shown()
            ))),
            Above::Broken(reason) => Err(HostError::NoCeiling(format!("{BROKEN_CEILING}: {reason}"))),
        }
    }

    /// Refuses a policy that is not within the ceiling.
    pub(crate) fn check_ceiling(&self, policy: &Policy) -> Result<(), HostError> {
        match &*self.above() {
            Above::Nothing => Ok(()),
            Above::Ceiling(ceiling) => policy.within(ceiling.policy()).map_err(HostError::Excess),
            Above::Broken(reason) => Err(HostError::NoCeiling(format!("{BROKEN_CEILING}: {reason}"))),
        }
    }
}

impl PolicyChanged {
    /// Adds what keeps a rule that was granted from counting, all or in part.
    pub(crate) fn add_of(&mut self, rule: &Grant, policy: Option<&Policy>) {
        if let Some(policy) = policy {
            self.denied_by.extend(texts(&policy.denials_of(rule)));
            self.unused = texts(&policy.unused_secrets());
        }
    }
}

pub(crate) fn changed(
    id: &ComponentId,
    change: PolicyChange,
    rules: Vec<String>,
    is_changed: bool,
) -> PolicyChanged {
    PolicyChanged {
        id: id.clone(),
        change,
        rules,
        denied_by: Vec::new(),
        unused: Vec::new(),
        unmatched: Vec::new(),
        is_changed,
    }
}

/// The patterns that hide nothing of a component.
fn unmatched(policy: &Policy, component: &Component) -> Vec<String> {
    let functions = || component.contract_tools.iter().map(|tool| &tool.path.function);
    let patterns = policy.rules().tools_deny.iter();
    let unmatched = patterns.filter(|pattern| !functions().any(|function| pattern.matches(function)));
    unmatched.map(ToString::to_string).collect()
}

fn texts(rules: &[impl ToString]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

/// A record to be written again. What was not changed is kept byte for byte.
fn renewed(record: Record) -> NewRecord {
    NewRecord {
        id: record.id,
        digest: record.digest,
        origin: record.origin,
        policy: record.policy,
        contract: record.contract,
        provenance: record.provenance,
        presentation: record.presentation,
        installed_ms: record.installed_ms,
    }
}

/// What a change by an agent leaves must be no more than what was there, whoever computed it.
fn narrowed(before: &Policy, next: Policy, actor: &Actor) -> Result<Policy, HostError> {
    match actor {
        Actor::Operator => Ok(next),
        Actor::Agent { .. } | Actor::Person { .. } if next.within(before).is_ok() => Ok(next),
        Actor::Agent { .. } | Actor::Person { .. } => Err(HostError::NotAllowed {
            what: "change that of a component's policy",
        }),
    }
}

/// What an agent leaves of a policy: everything that narrows.
fn without_grants(policy: &Policy) -> Result<Policy, HostError> {
    let mut rules = policy.rules().clone();
    rules.storage.retain(|rule| rule.effect() == Effect::Deny);
    rules.network.retain(|rule| rule.effect() == Effect::Deny);
    rules.environment.clear();
    rules.secrets.clear();
    together(rules)
}

pub(crate) fn together(rules: Rules) -> Result<Policy, HostError> {
    Policy::new(rules).map_err(|error| HostError::Rule(error.error().clone()))
}

/// A grant at the place where its path leads. Asks the disk.
fn placed(grant: Grantable, protection: &Protection) -> Result<Grantable, HostError> {
    match grant.storage() {
        Some(rule) => Ok(Grant::Storage(placed_rule(rule, protection)?).into()),
        None => Ok(grant),
    }
}

/// A policy with every storage rule at the place where its path leads. Asks the disk.
pub(crate) fn placed_all(policy: &Policy, protection: &Protection) -> Result<Policy, HostError> {
    let mut rules = policy.rules().clone();
    for rule in &mut rules.storage {
        *rule = placed_rule(rule, protection)?;
    }
    together(rules)
}

/// The same for a policy that is only looked at, with the paths that are not there.
fn placeable(policy: &Policy, protection: &Protection) -> Result<(Policy, Vec<AbsolutePath>), HostError> {
    let mut missing = Vec::new();
    let mut rules = policy.rules().clone();
    for rule in &mut rules.storage {
        let written = rule.pattern().prefix();
        *rule = match placed_rule(rule, protection) {
            Err(HostError::Protected(ProtectError::Missing(path))) => {
                let real = Protection::follow(&written)?;
                protection.check(&written, &real)?;
                missing.push(path);
                moved(rule, &written, &real)?
            }
            other => other?,
        };
    }
    Ok((together(rules)?, missing))
}

fn placed_rule(rule: &StorageRule, protection: &Protection) -> Result<StorageRule, HostError> {
    let written = rule.pattern().prefix();
    let real = match rule.effect() {
        Effect::Allow => protection.resolve(&written)?,
        // What is denied need not be there; where links lead it counts all the same, because what is decided about
        // are the paths after links.
        Effect::Deny => Protection::follow(&written)?,
    };
    moved(rule, &written, &real)
}

/// A rule at another place of the machine. The guest sees it where it was written.
pub(crate) fn moved(
    rule: &StorageRule,
    from: &AbsolutePath,
    to: &AbsolutePath,
) -> Result<StorageRule, HostError> {
    if from == to {
        return Ok(rule.clone());
    }
    let mut spec = rule.spec();
    let written = rule.pattern().to_string();
    let below = written
        .strip_prefix("fs://")
        .and_then(|path| path.strip_prefix(from.as_str()));
    spec.uri = format!("fs://{to}{}", below.unwrap_or_default());
    if rule.effect() == Effect::Allow {
        spec.guest = Some(rule.guest().to_string());
    }
    StorageRule::new(rule.effect(), &spec, None).map_err(HostError::Rule)
}

/// A policy as a record keeps it. It is read again at each start, so what could not be read is not written.
pub(crate) fn written_out(policy: &Policy) -> Result<String, HostError> {
    let text = policy.print();
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(HostError::LongPolicy(text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::EMPTY_POLICY;
    use crate::grantable::peer;
    use crate::{Command, ComponentState, ErrorKind, HostConfig, Silent};
    use wassette_policy::{LimitSettings, NetworkRule};
    use wassette_store::{Artifact, Digest};

    /// A host with one component whose record has this policy.
    async fn host(folder: &tempfile::TempDir, policy: &str) -> (Host, ComponentId) {
        let config = HostConfig::new(&folder.path().join("components"));
        let host = Host::open(config).await.expect("a host");
        let id: ComponentId = "a".parse().expect("an id");
        let artifact = Artifact {
            bytes: b"wasm".as_slice().into(),
            digest: Digest::of(b"wasm"),
            origin: Reference::File("/a.wasm".into()),
        };
        host.inner.store.put(&artifact).await.expect("put");
        let record = NewRecord {
            id: id.clone(),
            digest: artifact.digest,
            origin: artifact.origin.to_string(),
            policy: policy.to_owned(),
            contract: r#"{"version":1,"imports":[],"tools":[],"omitted":[]}"#.to_owned(),
            provenance: "{}".to_owned(),
            presentation: "{}".to_owned(),
            installed_ms: 1,
        };
        let committed = host.inner.store.commit(&record, Expected::Absent).await;
        committed.expect("committed");
        host.refresh().await.expect("refreshed");
        (host, id)
    }

    fn network(name: &str) -> Grantable {
        Grant::Network(NetworkRule::new(Effect::Allow, &peer(name)).expect("a rule")).into()
    }

    async fn execute(host: &Host, command: Command, actor: &Actor) -> Result<bool, HostError> {
        let outcome = host.execute(command, actor, &Silent).await?;
        let Outcome::Policy(changed) = outcome else {
            panic!("{outcome:?}")
        };
        Ok(changed.is_changed)
    }

    fn rules(host: &Host, id: &ComponentId) -> Vec<String> {
        let catalog = host.catalog();
        let policy = catalog.component(id).and_then(|known| known.policy());
        rule_texts(policy.expect("a policy"))
    }

    fn agent() -> Actor {
        Actor::Agent {
            principal: "test".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_policy_that_is_not_understood_is_not_changed_by_parts_but_can_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (host, id) = host(&folder, "version: \"1.0\"\npermissions: {netwrk: {}}\n").await;
        let catalog = host.catalog();
        let state = catalog.component(&id).map(|known| known.state.clone());
        assert!(
            matches!(&state, Some(ComponentState::Unavailable(fault)) if fault.reason.contains("2:15: ")),
            "{state:?}"
        );
        let access = wassette_policy::AccessText::parse("env LANG").expect("an access");
        let explained = host.explain(&id, &access).await.expect("explained");
        assert!(
            !explained.allowed
                && explained
                    .text
                    .contains("cannot be called: its policy is not understood"),
            "{explained:?}"
        );
        for command in [
            Command::Grant(id.clone(), network("a.example.com")),
            Command::Revoke(id.clone(), vec![network("a.example.com")]),
        ] {
            let error = execute(&host, command, &Actor::Operator)
                .await
                .expect_err("damaged");
            assert!(matches!(error, HostError::Policy { .. }), "{error:?}");
        }
        let by_agent = execute(&host, Command::Reset(id.clone()), &agent()).await;
        assert!(matches!(by_agent, Err(HostError::Policy { .. })), "{by_agent:?}");
        let reset = execute(&host, Command::Reset(id.clone()), &Actor::Operator).await;
        assert!(reset.expect("reset"));
        let catalog = host.catalog();
        assert_eq!(
            catalog.component(&id).map(|known| &known.state),
            Some(&ComponentState::Ready)
        );
    }

    #[tokio::test]
    async fn an_agent_may_narrow_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (host, id) = host(&folder, EMPTY_POLICY).await;
        let grant = |name| Command::Grant(id.clone(), network(name));
        let policy = Policy::empty();
        let name: wassette_secrets::SecretName = "token".parse().expect("a name");
        for command in [
            grant("a.example.com"),
            Command::Attach(id.clone(), Box::new(policy)),
            Command::SetSecret(id.clone(), name.clone(), "value".into()),
            Command::DeleteSecret(id.clone(), name),
        ] {
            let error = host
                .execute(command, &agent(), &Silent)
                .await
                .expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        }
        assert!(
            execute(&host, grant("a.example.com"), &Actor::Operator)
                .await
                .expect("granted")
        );
        assert!(
            !execute(&host, grant("a.example.com"), &Actor::Operator)
                .await
                .expect("the same")
        );
        let mut limits = LimitSettings::new();
        limits
            .set(wassette_policy::LimitKey::Memory, "32Mi")
            .expect("a limit");
        let limits = Grantable::Limits(limits);
        let set = Command::Grant(id.clone(), limits.clone());
        assert!(execute(&host, set, &Actor::Operator).await.expect("granted"));
        // Without its limit the component could use more.
        let error = execute(&host, Command::Revoke(id.clone(), vec![limits]), &agent()).await;
        assert!(matches!(error, Err(HostError::NotAllowed { .. })), "{error:?}");
        let both = vec![network("b.example.com"), network("a.example.com")];
        let revoke = Command::Revoke(id.clone(), both);
        let revoked = host
            .execute(revoke.clone(), &agent(), &Silent)
            .await
            .expect("revoked");
        let Outcome::Policy(revoked) = revoked else {
            panic!("{revoked:?}")
        };
        assert_eq!(revoked.rules, ["network allow host \"a.example.com\""]);
        assert!(!execute(&host, revoke, &agent()).await.expect("nothing left"));
        assert_eq!(rules(&host, &id), ["limit memory 32Mi"]);
    }
}
