//! Who hears that lists or resources are other ones: the catalog changes, and components say so themselves.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionSink};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};
use wassette_host::KeptList;

use crate::listing::Listing;
use crate::shared::{Follower, Shared, Signal};

/// Changes that follow each other within this time are told once.
const COALESCE: Duration = Duration::from_millis(50);

/// How long a client may take to accept a notification before it is left out.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest URI of a resource, in bytes.
const URI_BYTES_MAX: usize = 2_000;

/// How often it is looked whether a client is still there that nothing was told.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Resources that one client may watch.
const WATCHED_MAX: usize = 256;

/// Where news go.
pub(crate) enum Ear {
    /// Everything on one connection.
    Peer(Peer<RoleServer>),
    /// A stream that was opened for it.
    Sink(SubscriptionSink),
}

/// What a client wants to hear of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    tools: bool,
    prompts: bool,
    resources: bool,
    watched: Watched,
}

/// The resources that a client watches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<Mutex<HashSet<String>>>);

impl Watched {
    /// Says no when there are too many, or when no resource can have this URI.
    pub(crate) fn add(&self, uri: String) -> bool {
        if uri.len() > URI_BYTES_MAX {
            return false;
        }
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.len() >= WATCHED_MAX && !watched.contains(&uri) {
            return false;
        }
        watched.insert(uri);
        true
    }

    pub(crate) fn remove(&self, uri: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }

    fn contains(&self, uri: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(uri)
    }
}

/// What of a filter can be kept.
pub(crate) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    if let Some(uris) = &mut accepted.resource_subscriptions {
        uris.retain(|uri| uri.len() <= URI_BYTES_MAX);
        uris.truncate(WATCHED_MAX);
    }
    accepted
}

impl Wanted {
    /// Everything, and resources as they are named.
    pub(crate) fn everything(watched: Watched) -> Self {
        Self {
            tools: true,
            prompts: true,
            resources: true,
            watched,
        }
    }

    pub(crate) fn of(filter: &SubscriptionFilter) -> Self {
        let watched = Watched::default();
        for uri in filter.resource_subscriptions.iter().flatten() {
            watched.add(uri.clone());
        }
        Self {
            tools: filter.tools_list_changed == Some(true),
            prompts: filter.prompts_list_changed == Some(true),
            resources: filter.resources_list_changed == Some(true),
            watched,
        }
    }

    fn has(&self, list: KeptList) -> bool {
        match list {
            KeptList::Tools => self.tools,
            KeptList::Prompts => self.prompts,
            KeptList::Resources => self.resources,
        }
    }
}

/// What there is to tell.
#[derive(Debug, Default)]
struct News {
    lists: BTreeSet<KeptList>,
    resources: BTreeSet<Arc<str>>,
}

impl News {
    fn add(&mut self, signal: Signal, wanted: &Wanted) {
        match signal {
            Signal::Changed(list) => {
                self.lists.insert(list);
            }
            Signal::Updated(uri) => {
                self.resources.insert(uri);
            }
            Signal::Everything => self.add_everything(wanted),
        }
    }

    /// There were too many signals to know which: everything may be another.
    fn add_everything(&mut self, wanted: &Wanted) {
        self.lists.extend(ALL);
        let watched = wanted.watched.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.resources
            .extend(watched.iter().map(|uri| uri.as_str().into()));
    }

    fn add_difference(&mut self, before: &Listing, now: &Listing) {
        // What a tool can do is in its listing, too, and the policy decides that.
        self.lists.insert(KeptList::Tools);
        if before.prompts != now.prompts {
            self.lists.insert(KeptList::Prompts);
        }
        if before.resources != now.resources || before.templates != now.templates {
            self.lists.insert(KeptList::Resources);
        }
    }

    /// Tells what is wanted. Says whether it was heard.
    async fn tell(self, ear: &Ear, wanted: &Wanted) -> bool {
        for list in self.lists.into_iter().filter(|list| wanted.has(*list)) {
            if !heard(ear.list_changed(list)).await {
                return false;
            }
        }
        let watched = self
            .resources
            .into_iter()
            .filter(|uri| wanted.watched.contains(uri));
        for uri in watched {
            if !heard(ear.updated(&uri)).await {
                return false;
            }
        }
        true
    }
}

async fn heard(telling: impl Future<Output = bool>) -> bool {
    timeout(NOTIFY_TIMEOUT, telling).await.unwrap_or(false)
}

impl Ear {
    /// Whether nobody is there any more.
    fn is_deaf(&self) -> bool {
        match self {
            Self::Peer(peer) => peer.is_transport_closed(),
            // The library ends its stream with its request.
            Self::Sink(_) => false,
        }
    }

    async fn list_changed(&self, list: KeptList) -> bool {
        match (self, list) {
            (Self::Peer(peer), KeptList::Tools) => peer.notify_tool_list_changed().await.is_ok(),
            (Self::Peer(peer), KeptList::Prompts) => peer.notify_prompt_list_changed().await.is_ok(),
            (Self::Peer(peer), KeptList::Resources) => peer.notify_resource_list_changed().await.is_ok(),
            (Self::Sink(sink), KeptList::Tools) => sink.notify_tool_list_changed().await.is_ok(),
            (Self::Sink(sink), KeptList::Prompts) => sink.notify_prompt_list_changed().await.is_ok(),
            (Self::Sink(sink), KeptList::Resources) => sink.notify_resource_list_changed().await.is_ok(),
        }
    }

    async fn updated(&self, uri: &str) -> bool {
        match self {
            Self::Peer(peer) => {
                let param = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(param).await.is_ok()
            }
            Self::Sink(sink) => sink.notify_resource_updated(uri).await.is_ok(),
        }
    }
}

impl Shared {
    /// Tells what is new until the connection ends or the client does not listen.
    pub(crate) async fn follow(&self, ear: Ear, wanted: Wanted) {
        let _counted = Follower::of(self);
        let (mut changed, mut signals) = (self.host.changed(), self.signals());
        let mut known = self.listing();
        loop {
            let mut news = News::default();
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = sleep(LOOK_EVERY) => {
                    if ear.is_deaf() {
                        return;
                    }
                    continue;
                }
                alive = changed.changed() => if alive.is_err() {
                    return;
                },
                signal = signals.recv() => match signal {
                    Ok(signal) => news.add(signal, &wanted),
                    Err(broadcast::error::RecvError::Lagged(_)) => news.add_everything(&wanted),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
            sleep(COALESCE).await;
            changed.mark_unchanged();
            loop {
                match signals.try_recv() {
                    Ok(signal) => news.add(signal, &wanted),
                    Err(broadcast::error::TryRecvError::Lagged(_)) => news.add_everything(&wanted),
                    Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                        break;
                    }
                }
            }
            let now = self.listing();
            if now.revision != known.revision {
                news.add_difference(&known, &now);
                known = now;
            }
            if !news.tell(&ear, &wanted).await {
                return;
            }
        }
    }
}

const ALL: [KeptList; 3] = [KeptList::Tools, KeptList::Prompts, KeptList::Resources];
