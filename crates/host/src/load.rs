//! Loading, as a straight line: fetch, verify, read, prepare, then one commit. Until the commit nothing has
//! changed; after it nothing can fail but the audit's last line.

use crate::Host;
use crate::catalog::{Component, Contract, EMPTY_POLICY};
use crate::code::blocking;
use crate::command::{Actor, LoadRequest};
use crate::error::HostError;
use crate::locked::{Locked, pinned};
use crate::outcome::{Change, Loaded, Progress, Step};
use crate::trust::Verdict;
use crate::version::Provenance;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use wassette_fetch::{FetchOptions, Fetched, Reach, Received};
use wassette_policy::is_public_address;
use wassette_store::{Artifact, ComponentId, Digest, Expected, Hold, NewRecord, Reference};
use wassette_wit::rich::Exports;
use wassette_wit::{Docs, World, tools};

pub(crate) const STEPS: u32 = 4;

/// A version that was fetched, verified and read, and of which nothing is installed yet.
pub(crate) struct Candidate {
    pub(crate) id: ComponentId,
    pub(crate) artifact: Artifact,
    pub(crate) contract: Contract,
    pub(crate) provenance: Provenance,
}

/// What the operator has said of a component, which goes over to its next version.
#[derive(Clone, Copy)]
struct Kept<'a> {
    policy: &'a str,
    presentation: &'a str,
}

impl Kept<'_> {
    const NOTHING: Self = Self {
        policy: EMPTY_POLICY,
        presentation: "{}",
    };
}

/// What makes a candidate of a reference.
pub(crate) struct Wanted<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) id: ComponentId,
    pub(crate) wit: Vec<(String, String)>,
    pub(crate) locked: Option<&'a Locked>,
    pub(crate) digest: Option<Digest>,
    pub(crate) reach: Reach,
    /// Whether the component may be run, without any grant, to say what it offers.
    pub(crate) lists: Lists,
}

/// Whether lists that a component has to be asked for are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    Asked,
    /// Nothing is run.
    LeftOut,
}

/// How a candidate takes the place of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// As a whole.
    Approved,
    /// In quarantine, if it wants more than what was approved.
    Compared,
    /// As it was when it was there before.
    Restored,
}

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
        let id = request
            .name
            .clone()
            .unwrap_or_else(|| ComponentId::from_stem(&request.reference.stem()));
        let wanted = Wanted {
            reference: &request.reference,
            id: id.clone(),
            wit: request.wit,
            locked: request.locked.as_deref(),
            digest: request.digest,
            reach: reach(actor),
            lists: Lists::Asked,
        };
        let mut candidate = self.candidate(wanted, progress).await?;
        self.refresh().await?;
        let catalog = self.catalog();
        let known = catalog.component(&id);
        check_origin(known, &request.reference, request.replace)?;
        check_bytes(known, &candidate.artifact, actor)?;
        if !request.replace {
            check_moved(known, &request.reference, &candidate)?;
            // SECURITY: loading the same bytes again approves nothing.
            if let Some(known) = known.filter(|known| known.digest == candidate.artifact.digest) {
                candidate
                    .provenance
                    .quarantine
                    .clone_from(&known.provenance.quarantine);
            }
        }
        self.install(candidate, (known, Admission::Approved), progress)
            .await
    }

    /// Fetches, verifies and reads a version. Changes nothing.
    pub(crate) async fn candidate(
        &self,
        wanted: Wanted<'_>,
        progress: &dyn Progress,
    ) -> Result<Candidate, HostError> {
        progress.report(Step::Fetch, 0, STEPS);
        let (fetched, verdict) = Box::pin(self.fetch(&wanted, progress)).await?;
        let Fetched { artifact, package } = fetched;
        let mut wit = wanted.wit;
        let mut provenance = Provenance {
            signers: verdict.signers,
            ..Provenance::default()
        };
        if let Some(package) = package {
            if wit.is_empty() {
                wit.extend(package.wit.map(|text| ("package.wit".to_owned(), text)));
            }
            provenance.manifest = Some(package.manifest);
            provenance.index = package.index;
            provenance.request = package.request;
        }
        check_digest(wanted.digest, &artifact, &provenance)?;
        self.check_revoked(artifact.digest, &provenance)?;
        progress.report(Step::Read, 1, STEPS);
        let mut contract = self.read(&wanted.id, &artifact, wit).await?;
        if wanted.lists == Lists::Asked {
            // Boxed, because a load is large enough without calls in it, and few need them.
            Box::pin(self.ask_lists(&wanted.id, &artifact, &mut contract)).await?;
        }
        if let Some(locked) = wanted.locked {
            locked.check(artifact.digest, &provenance, &contract)?;
        }
        Ok(Candidate {
            id: wanted.id,
            artifact,
            contract,
            provenance,
        })
    }

    /// Gets the bytes. What comes from a registry is verified before anything but its manifest is downloaded, and is
    /// then fetched by the digests in it.
    async fn fetch(
        &self,
        wanted: &Wanted<'_>,
        progress: &dyn Progress,
    ) -> Result<(Fetched, Verdict), HostError> {
        let received = |came: Received| progress.received(came.received, came.total);
        let options = FetchOptions {
            reach: &wanted.reach,
            progress: Some(&received),
        };
        let fetcher = &self.inner.fetcher;
        match wanted.reference {
            Reference::Oci(reference) => {
                let resolved = fetcher
                    .resolve(&pinned(reference, wanted.locked), &wanted.reach)
                    .await
                    .map_err(HostError::network)?;
                let verdict = self.verdict(&resolved, &wanted.reach).await?;
                let fetched = fetcher.fetch_resolved(&resolved, &options).await;
                let mut fetched = fetched.map_err(HostError::network)?;
                // What was asked for is the origin, not the digest it was found under.
                fetched.artifact.origin = wanted.reference.clone();
                Ok((fetched, verdict))
            }
            Reference::File(_) | Reference::Starter(_) | Reference::Https(_) => {
                let verdict = self.verdict_without_signatures(wanted.reference)?;
                let fetched = fetcher.fetch(wanted.reference, &options).await;
                Ok((fetched.map_err(|source| HostError::Fetch { source })?, verdict))
            }
        }
    }

    /// Makes a candidate the component of its id: compiles, then one commit.
    pub(crate) async fn install(
        &self,
        candidate: Candidate,
        (known, admission): (Option<&Component>, Admission),
        progress: &dyn Progress,
    ) -> Result<Loaded, HostError> {
        // Before it is compiled, so that a name in vain costs nothing; and again when nobody else can take it.
        self.check_claims(&candidate.id, &candidate.contract)?;
        let Candidate {
            id,
            artifact,
            contract,
            provenance,
        } = candidate;
        if contract.is_empty() {
            return Err(HostError::NothingCallable {
                omitted: contract.omitted,
            });
        }
        // Grants and secrets belong to a source: what comes from elsewhere under the same id starts from nothing.
        let heir = known.filter(|known| known.source() == artifact.origin.source());
        let (provenance, difference) = match (heir, admission) {
            (Some(known), Admission::Compared) => {
                provenance.admitted(known.provenance.approved(known.offer()), contract.offer())
            }
            (Some(_), Admission::Approved | Admission::Restored) | (None, _) => {
                let difference = known.map(|known| known.whole().against(&provenance, contract.offer()));
                (provenance, difference.unwrap_or_default())
            }
        };
        if known.is_some_and(|known| known.is_same(&artifact, &contract, &provenance)) {
            // The bytes may have been damaged on the disk since, and loading again is the advice then.
            drop(self.keep(&artifact).await?);
            return Ok(self.offered(loaded(id, &artifact, &provenance, Change::Unchanged)));
        }
        progress.report(Step::Compile, 2, STEPS);
        self.inner
            .code
            .compile(artifact.digest, Arc::clone(&artifact.bytes))
            .await?;

        progress.report(Step::Store, 3, STEPS);
        let names = self.take_names().await?;
        self.check_claims(&id, &contract)?;
        if let Some(known) = heir {
            known.check_shown(&contract)?;
        }
        let change = known.map_or(Change::New, |known| Change::Replaced {
            previous: known.digest,
            difference: Box::new(difference),
        });
        let loaded = loaded(id, &artifact, &provenance, change);
        let expected = known.map_or(Expected::Absent, |known| Expected::Epoch(known.epoch));
        if heir.is_none() {
            self.forget_secrets(&loaded.id).await?;
        }
        let kept = heir.map_or(Kept::NOTHING, |known| Kept {
            policy: &known.policy_text,
            presentation: &known.presentation_text,
        });
        let record = self.record(&loaded, (&contract, &provenance), kept)?;
        self.commit(&artifact, &record, expected).await?;
        drop(names);
        tracing::info!(component = %loaded.id, digest = %loaded.digest, "component loaded");
        Ok(self.offered(loaded))
    }

    /// The same with those tools alone that are offered: its policy, the ceiling or a quarantine may withhold some.
    pub(crate) fn offered(&self, mut loaded: Loaded) -> Loaded {
        if let Some(component) = self.catalog().component(&loaded.id) {
            loaded.tools = component
                .tools
                .iter()
                .map(|tool| tool.tool.name.clone())
                .collect();
            loaded.quarantined = component.provenance.quarantine.is_some();
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
            let exports = Exports::take(&mut world).map_err(|source| HostError::Rich { source })?;
            let tools = tools(id.as_str(), &world).map_err(|source| HostError::Tools { source })?;
            let imports = world.imports.into_iter().map(|import| import.name).collect();
            let mut contract = Contract::new(imports, tools, world.omitted);
            contract.rich.exports = exports;
            Ok(contract)
        })
        .await?
    }

    /// What the store will remember.
    fn record(
        &self,
        loaded: &Loaded,
        (contract, provenance): (&Contract, &Provenance),
        kept: Kept<'_>,
    ) -> Result<NewRecord, HostError> {
        Ok(NewRecord {
            id: loaded.id.clone(),
            digest: loaded.digest,
            origin: loaded.origin.clone(),
            policy: kept.policy.to_owned(),
            contract: serde_json::to_string(contract).map_err(|_cannot_fail| HostError::Interrupted)?,
            provenance: provenance.print(),
            presentation: kept.presentation.to_owned(),
            installed_ms: self.now_ms(),
        })
    }

    /// Milliseconds since 1970, by our clock.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = (self.inner.config.clock)().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
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
}

/// Where a fetch for this actor may lead.
///
/// SECURITY: a model could otherwise make us ask addresses of this machine and its network.
pub(crate) fn reach(actor: &Actor) -> Reach {
    match actor {
        Actor::Operator => Reach::Operator,
        Actor::Agent { .. } | Actor::Person { .. } => Reach::Public(Arc::new(is_public_address)),
    }
}

/// Refuses what has not the digest that was asked for.
fn check_digest(
    wanted: Option<Digest>,
    artifact: &Artifact,
    provenance: &Provenance,
) -> Result<(), HostError> {
    match wanted {
        Some(wanted) if wanted != artifact.digest && !provenance.is_named(wanted) => {
            Err(HostError::OtherDigest {
                wanted,
                found: artifact.digest,
                manifest: provenance.manifest,
            })
        }
        Some(_) | None => Ok(()),
    }
}

/// An id belongs to where it came from: the same name from elsewhere is another component.
fn check_origin(known: Option<&Component>, reference: &Reference, replace: bool) -> Result<(), HostError> {
    match known {
        Some(known) if known.source() != reference.source() && !replace => Err(HostError::OtherOrigin {
            id: known.id.clone(),
            origin: known.origin.clone(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// SECURITY: an agent may be able to write the file that a component came from. It must not be able to put other
/// bytes behind what a person has granted.
fn check_bytes(known: Option<&Component>, artifact: &Artifact, actor: &Actor) -> Result<(), HostError> {
    let is_other = |known: &&Component| known.digest != artifact.digest && !known.grants_nothing();
    match (actor, known.filter(is_other)) {
        (Actor::Agent { .. } | Actor::Person { .. }, Some(_)) => Err(HostError::NotAllowed {
            what: "exchange the bytes of a component that has grants",
        }),
        (_, None) | (Actor::Operator, Some(_)) => Ok(()),
    }
}

/// What comes from the network may be another thing today than it was yesterday. A file is what its owner made it.
fn check_moved(
    known: Option<&Component>,
    reference: &Reference,
    candidate: &Candidate,
) -> Result<(), HostError> {
    let is_remote = matches!(reference, Reference::Oci(_) | Reference::Https(_));
    match known.filter(|known| is_remote && known.digest != candidate.artifact.digest) {
        Some(known) => {
            let offer = candidate.contract.offer();
            let difference = known.whole().against(&candidate.provenance, offer);
            Err(HostError::Moved {
                id: known.id.clone(),
                before: known.digest,
                after: candidate.artifact.digest,
                difference: Box::new(difference),
            })
        }
        None => Ok(()),
    }
}

fn loaded(id: ComponentId, artifact: &Artifact, provenance: &Provenance, change: Change) -> Loaded {
    Loaded {
        id,
        digest: artifact.digest,
        origin: artifact.origin.to_string(),
        manifest: provenance.manifest,
        signers: provenance.signers.clone(),
        change,
        tools: Vec::new(),
        requested: provenance.requested(),
        quarantined: provenance.quarantine.is_some(),
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
            locked: None,
            digest: None,
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
