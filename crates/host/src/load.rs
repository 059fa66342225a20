//! Loading, as a straight line: fetch, read, prepare, then one commit. Until the commit nothing has
//! changed; after it nothing can fail but the audit's last line.

use crate::Host;
use crate::catalog::{Component, Contract, EMPTY_POLICY};
use crate::code::blocking;
use crate::command::{Actor, Change, LoadRequest, Loaded, Outcome, Progress, Step};
use crate::error::HostError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use wassette_store::{Artifact, ComponentId, Expected, Hold, NewRecord, Reference};
use wassette_wit::{Docs, Tool, ToolName, World, tools};

const STEPS: u32 = 4;

impl Host {
    pub(crate) async fn load(
        &self,
        request: LoadRequest,
        actor: &Actor,
        progress: &dyn Progress,
    ) -> Result<Loaded, HostError> {
        let turn = self.inner.loads.acquire().await;
        let _until_loaded = turn.map_err(|_closed| HostError::Interrupted)?;
        self.refresh().await?;
        self.check_source(&request.reference)?;
        progress.report(Step::Fetch, 0, STEPS);
        let fetched = self.inner.fetcher.fetch(&request.reference).await;
        let artifact = fetched.map_err(|source| HostError::Fetch { source })?;
        let id = request
            .name
            .clone()
            .unwrap_or_else(|| ComponentId::from_stem(&request.reference.stem()));
        self.refresh().await?;
        let catalog = self.catalog();
        let known = catalog.component(&id);
        check_origin(known, &request)?;
        check_bytes(known, &artifact, actor)?;

        progress.report(Step::Read, 1, STEPS);
        let contract = self.read(&id, &artifact, request.wit).await?;
        if known.is_some_and(|known| is_same(known, &artifact, &contract)) {
            // The bytes may have been damaged on the disk since, and loading again is the advice then.
            drop(self.keep(&artifact).await?);
            return Ok(self.offered(loaded(id, &artifact, Change::Unchanged, &contract.tools)));
        }
        progress.report(Step::Compile, 2, STEPS);
        self.inner
            .code
            .compile(artifact.digest, Arc::clone(&artifact.bytes))
            .await?;

        progress.report(Step::Store, 3, STEPS);
        let change = known.map_or(Change::New, |known| replaced(known, &contract.tools));
        let loaded = loaded(id, &artifact, change, &contract.tools);
        let expected = known.map_or(Expected::Absent, |known| Expected::Epoch(known.epoch));
        // Grants and secrets belong to an origin: what comes from elsewhere under the same id starts from nothing.
        let heir = known.filter(|known| known.origin == loaded.origin);
        if heir.is_none() {
            self.forget_secrets(&loaded.id).await?;
        }
        let record = self.record(
            &loaded,
            &contract,
            heir.map_or(EMPTY_POLICY, |known| &known.policy_text),
        )?;
        self.commit(&artifact, &record, expected).await?;
        tracing::info!(component = %loaded.id, digest = %loaded.digest, "component loaded");
        Ok(self.offered(loaded))
    }

    /// The same with those tools alone that are offered: its policy or the ceiling may withhold some.
    fn offered(&self, mut loaded: Loaded) -> Loaded {
        if let Some(component) = self.catalog().component(&loaded.id) {
            loaded.tools = component
                .tools
                .iter()
                .map(|tool| tool.tool.name.clone())
                .collect();
        }
        loaded
    }

    /// Everything that can be known about the component without running it.
    async fn read(
        &self,
        id: &ComponentId,
        artifact: &Artifact,
        wit: Vec<(String, String)>,
    ) -> Result<Contract, HostError> {
        let (id, bytes, sandbox) = (
            id.clone(),
            Arc::clone(&artifact.bytes),
            self.inner.sandbox.clone(),
        );
        blocking(move || {
            let mut world = World::read(&bytes).map_err(|source| HostError::World { source })?;
            sandbox
                .scan(&bytes)
                .map_err(|source| HostError::Prepare { source })?;
            if !wit.is_empty() {
                let docs = Docs::from_wit(&wit).map_err(|source| HostError::Docs { source })?;
                world.describe(&docs);
            }
            world.describe(&Docs::from_component(&bytes));
            let tools = tools(id.as_str(), &world).map_err(|source| HostError::Tools { source })?;
            if tools.is_empty() {
                return Err(HostError::NothingCallable {
                    omitted: world.omitted,
                });
            }
            let imports = world.imports.into_iter().map(|import| import.name).collect();
            Ok(Contract::new(imports, tools, world.omitted))
        })
        .await?
    }

    /// What the store will remember.
    fn record(&self, loaded: &Loaded, contract: &Contract, policy: &str) -> Result<NewRecord, HostError> {
        let since = (self.inner.config.clock)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(NewRecord {
            id: loaded.id.clone(),
            digest: loaded.digest,
            origin: loaded.origin.clone(),
            policy: policy.to_owned(),
            provenance: "{}".to_owned(),
            contract: serde_json::to_string(contract).map_err(|_cannot_fail| HostError::Interrupted)?,
            installed_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// The one change: bytes, then record. Nobody else's change is overwritten.
    async fn commit(
        &self,
        artifact: &Artifact,
        record: &NewRecord,
        expected: Expected,
    ) -> Result<(), HostError> {
        let keep_garbage_collection_away = self.keep(artifact).await?;
        let committed = self.inner.store.commit(record, expected).await;
        committed.map_err(|source| HostError::Store { source })?;
        drop(keep_garbage_collection_away);
        self.refresh().await
    }

    /// Puts the bytes into the store. They are no garbage while the result is held.
    async fn keep(&self, artifact: &Artifact) -> Result<Hold, HostError> {
        let store = &self.inner.store;
        let failed = |source| HostError::Store { source };
        let hold = store.begin().await.map_err(failed)?;
        store.put(artifact).await.map_err(failed)?;
        Ok(hold)
    }

    pub(crate) async fn unload(&self, id: &ComponentId) -> Result<Outcome, HostError> {
        self.refresh().await?;
        let catalog = self.catalog();
        let known = catalog
            .component(id)
            .ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
        let removed = self.inner.store.remove(id, known.epoch).await;
        removed.map_err(|source| HostError::Store { source })?;
        self.refresh().await?;
        tracing::info!(component = %id, digest = %known.digest, "component unloaded");
        self.forget_secrets(id).await?;
        // The bytes may still be another component's; what nobody refers to is garbage. Failing to collect
        // it costs space, and the next unload tries again.
        if let Err(error) = self.inner.store.collect().await {
            tracing::debug!(%error, "unused components are not removed yet");
        }
        Ok(Outcome::Unloaded {
            id: id.clone(),
            digest: known.digest,
        })
    }
}

/// An id belongs to where it came from: the same name from elsewhere is another component.
fn check_origin(known: Option<&Component>, request: &LoadRequest) -> Result<(), HostError> {
    match known {
        Some(known) if known.origin != request.reference.to_string() && !request.replace => {
            Err(HostError::OtherOrigin {
                id: known.id.clone(),
                origin: known.origin.clone(),
            })
        }
        Some(_) | None => Ok(()),
    }
}

/// SECURITY: an agent may be able to write the file that a component came from. It must not be able to put other
/// bytes behind what a person has granted.
fn check_bytes(known: Option<&Component>, artifact: &Artifact, actor: &Actor) -> Result<(), HostError> {
    let is_other = |known: &&Component| known.digest != artifact.digest && !known.grants_nothing();
    match (actor, known.filter(is_other)) {
        (Actor::Agent { .. }, Some(_)) => Err(HostError::NotAllowed {
            what: "exchange the bytes of a component that has grants",
        }),
        (Actor::Operator | Actor::Agent { .. }, _) => Ok(()),
    }
}

fn is_same(known: &Component, artifact: &Artifact, contract: &Contract) -> bool {
    let same_tools = known.contract_tools.len() == contract.tools.len()
        && contract
            .tools
            .iter()
            .all(|tool| known.contract_tools.contains(tool));
    known.digest == artifact.digest && known.origin == origin(&artifact.origin) && same_tools
}

fn origin(reference: &Reference) -> String {
    reference.to_string()
}

fn loaded(id: ComponentId, artifact: &Artifact, change: Change, tools: &[Arc<Tool>]) -> Loaded {
    let tools = tools.iter().map(|tool| tool.name.clone()).collect();
    Loaded {
        id,
        digest: artifact.digest,
        origin: origin(&artifact.origin),
        change,
        tools,
    }
}

/// What another version of a component means for its users.
fn replaced(known: &Component, tools: &[Arc<Tool>]) -> Change {
    let before: BTreeMap<&ToolName, &Arc<Tool>> = known
        .contract_tools
        .iter()
        .map(|tool| (&tool.name, tool))
        .collect();
    let after: BTreeMap<&ToolName, &Arc<Tool>> = tools.iter().map(|tool| (&tool.name, tool)).collect();
    let names = |names: Vec<&&ToolName>| names.into_iter().map(|name| (*name).clone()).collect();
    Change::Replaced {
        previous: known.digest,
        added: names(after.keys().filter(|name| !before.contains_key(*name)).collect()),
        removed: names(before.keys().filter(|name| !after.contains_key(*name)).collect()),
        changed: names(
            after
                .iter()
                .filter(|(n, t)| before.get(*n).is_some_and(|b| b != *t))
                .map(|(n, _)| n)
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Actor, Command, Host, HostConfig, LOADS_MAX, LoadRequest, Progress, Reference, Step};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;
    use tokio::task::JoinSet;

    /// Counts the loads that have begun and not ended.
    #[derive(Default)]
    struct Count {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Progress for Count {
        fn report(&self, step: Step, _done: u32, _total: u32) {
            if step == Step::Fetch {
                let now = self.now.fetch_add(1, SeqCst) + 1;
                self.most.fetch_max(now, SeqCst);
                // So that loads overlap also where threads are scarce.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_flood_of_loads_waits_its_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = HostConfig::new(&folder.path().join("components"));
        let host = Host::open(config).await.expect("a host");
        let count = Arc::new(Count::default());
        let request = LoadRequest {
            reference: Reference::File(folder.path().join("missing.wasm")),
            name: None,
            replace: false,
            wit: Vec::new(),
        };
        let mut loads = JoinSet::new();
        for _ in 0..20 {
            let (host, count, request) = (host.clone(), Arc::clone(&count), request.clone());
            loads.spawn(async move {
                let load = host.execute(Command::Load(request), &Actor::Operator, count.as_ref());
                load.await.expect_err("there is no such file");
                count.now.fetch_sub(1, SeqCst);
            });
        }
        loads.join_all().await;
        // A load gives its place back a moment before it is counted as ended; without places all 20 begin at once.
        let most = count.most.load(SeqCst);
        assert!((LOADS_MAX..=2 * LOADS_MAX).contains(&most), "{most} at a time");
    }
}
