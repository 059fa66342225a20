//! Sessions of clients with a handshake: bounded in number, each of one principal. Their ids here are those that the library
//! gives; clients know them with the name of the process before it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, RequestId, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::SessionId;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};

use super::access::{Principal, Scope};
use super::home::Caller;
use crate::builtin::Builtin;

/// A session that says nothing for so long is over. A client that comes back makes a new one.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// Where there is no place left, one that said nothing for so long makes room.
const IDLE_MIN: Duration = Duration::from_secs(300);

/// The library's sessions, and whose they are.
#[derive(Debug)]
pub(crate) struct Sessions {
    local: LocalSessionManager,
    limits: SessionLimits,
    owners: Mutex<HashMap<SessionId, Owned>>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    pub(super) most: usize,
    /// Of one principal.
    pub(super) most_of_one: usize,
}

/// Whose a session is, and when it was used last.
#[derive(Debug)]
struct Owned {
    /// None while it is made, and for good if its client goes away meanwhile.
    owner: Option<Arc<str>>,
    used: Instant,
    /// Whether its client knows events without a message.
    knows_priming: bool,
    /// Whether a person who may approve was asked in it, so that what is answered may be an approval.
    approves: bool,
    /// The requests that are being answered.
    answering: HashSet<RequestId>,
}

/// Why a request cannot be answered in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbegun {
    /// It is over.
    NoSession,
    /// One with the same id is being answered.
    Twice,
}

/// A request that is being answered, while this lives.
#[derive(Debug)]
pub(super) struct Answering {
    sessions: Arc<Sessions>,
    session: SessionId,
    id: RequestId,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(owned) = self.sessions.owners().get_mut(&self.session) {
            owned.answering.remove(&self.id);
        }
    }
}

impl Sessions {
    pub(super) fn new(limits: SessionLimits) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(IDLE_MAX);
        Self {
            local,
            limits,
            owners: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) async fn count(&self) -> usize {
        self.local.sessions.read().await.len()
    }

    /// Makes room for one more session of somebody, if need be at the cost of one that is idle; says why if there is none.
    ///
    /// Called by one at a time, who makes the session then.
    pub(super) async fn make_room(&self, owner: &Principal) -> Result<(), &'static str> {
        // Nobody makes a session now: the clients of these were gone before they knew its id.
        for id in self.left_behind() {
            drop(self.close_session(&id).await);
        }
        let is_full = self.count().await >= self.limits.most;
        let (given_up, reason) = {
            let owners = self.owners();
            let counts = counts(&owners);
            let own = counts.get(owner.name()).copied().unwrap_or_default();
            if own >= self.limits.most_of_one {
                let longest = longest_idle(&owners, |owned| owned.owner.as_ref() == Some(owner.name()));
                (longest, "this client has too many sessions")
            } else if is_full {
                let given_up = of_greediest(&owners, &counts, own);
                let given_up = given_up.or_else(|| longest_idle(&owners, |_| true));
                (given_up, "there are too many sessions")
            } else {
                return Ok(());
            }
        };
        let id = given_up.ok_or(reason)?;
        self.close_session(&id).await.map_err(|_| reason)
    }

    /// Sessions that were made and are nobody's.
    fn left_behind(&self) -> Vec<SessionId> {
        let owners = self.owners();
        let left = owners.iter().filter(|(_, owned)| owned.owner.is_none());
        left.map(|(id, _)| Arc::clone(id)).collect()
    }

    /// Says whose session this is, once it is made.
    pub(super) fn own(&self, id: &str, owner: &Principal, knows_priming: bool) {
        let mut owners = self.owners();
        // One that is over already is nobody's.
        if let Some(owned) = owners.get_mut(id) {
            owned.owner = Some(Arc::clone(owner.name()));
            owned.knows_priming = knows_priming;
        }
    }

    /// Whether the client of a session knows events without a message.
    pub(super) fn knows_priming(&self, id: &str) -> bool {
        self.owners().get(id).is_none_or(|owned| owned.knows_priming)
    }

    /// Whether somebody may use a session, which is then used. One that is not there is nobody's.
    pub(super) fn is_of(&self, id: &str, principal: &Principal) -> bool {
        let mut owners = self.owners();
        let Some(owned) = owners
            .get_mut(id)
            .filter(|owned| owned.owner.as_ref() == Some(principal.name()))
        else {
            return false;
        };
        owned.used = Instant::now();
        true
    }

    /// Notes that a request may ask a person for a permission.
    pub(super) fn asks(&self, caller: &Caller, request: &ClientRequest) {
        let ClientRequest::CallToolRequest(call) = request else {
            return;
        };
        let is_asking = Builtin::find(&call.params.name) == Some(Builtin::RequestPermission);
        let session = caller.session.as_deref().filter(|_| is_asking);
        if let (Some(session), true) = (session, caller.principal.may(Scope::ApprovePermissions))
            && let Some(owned) = self.owners().get_mut(session)
        {
            owned.approves = true;
        }
    }

    /// Whether this token may answer what is asked in a session.
    ///
    /// SECURITY: the library gives an answer to whoever asked, and does not say with which token it came.
    pub(super) fn may_answer(&self, id: &str, principal: &Principal) -> bool {
        let owners = self.owners();
        let approves = owners.get(id).is_some_and(|owned| owned.approves);
        !approves || principal.may(Scope::ApprovePermissions)
    }

    /// Notes that a request is being answered.
    pub(super) fn begin(self: &Arc<Self>, session: &str, id: &RequestId) -> Result<Answering, Unbegun> {
        let mut owners = self.owners();
        let owned = owners.get_mut(session).ok_or(Unbegun::NoSession)?;
        if !owned.answering.insert(id.clone()) {
            return Err(Unbegun::Twice);
        }
        Ok(Answering {
            sessions: Arc::clone(self),
            session: session.into(),
            id: id.clone(),
        })
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Owned>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event with the next id than the library gives it.
///
/// The library calls the event before a stream's first message `0`, and the first message as well; and it comes back to a
/// stream with the event that is named, which the client has. With the next id there is neither.
fn counted_from_one(mut event: ServerSseMessage) -> ServerSseMessage {
    let next = event.event_id.as_deref().and_then(|id| {
        let (index, stream) = id
            .split_once('/')
            .map_or((id, None), |(index, stream)| (index, Some(stream)));
        let index = index.parse::<usize>().ok()?.checked_add(1)?;
        Some(stream.map_or_else(|| index.to_string(), |stream| format!("{index}/{stream}")))
    });
    event.event_id = next.or(event.event_id);
    event
}

/// How many sessions each principal has.
fn counts(owners: &HashMap<SessionId, Owned>) -> HashMap<Arc<str>, usize> {
    let mut counts = HashMap::new();
    for owner in owners.values().filter_map(|owned| owned.owner.as_ref()) {
        let count: &mut usize = counts.entry(Arc::clone(owner)).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// Of those sessions the one that was used longest ago, if that is long ago.
fn longest_idle(owners: &HashMap<SessionId, Owned>, is_meant: impl Fn(&Owned) -> bool) -> Option<SessionId> {
    let meant = owners.iter().filter(|(_, owned)| is_meant(owned));
    let longest = meant.min_by_key(|(_, owned)| owned.used);
    let longest = longest.filter(|(_, owned)| owned.used.elapsed() >= IDLE_MIN);
    longest.map(|(id, _)| Arc::clone(id))
}

/// Of whoever has most sessions, and more than one with `own` of them would have, the one that was used longest ago and
/// answers nothing. However often they are used: otherwise a few could keep all others out.
fn of_greediest(
    owners: &HashMap<SessionId, Owned>,
    counts: &HashMap<Arc<str>, usize>,
    own: usize,
) -> Option<SessionId> {
    let (greediest, count) = counts.iter().max_by_key(|(_, count)| **count)?;
    if *count <= own.saturating_add(1) {
        return None;
    }
    let at_rest = owners
        .iter()
        .filter(|(_, owned)| owned.owner.as_ref() == Some(greediest) && owned.answering.is_empty());
    let longest = at_rest.min_by_key(|(_, owned)| owned.used);
    longest.map(|(id, _)| Arc::clone(id))
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        let owned = Owned {
            owner: None,
            used: Instant::now(),
            knows_priming: true,
            approves: false,
            answering: HashSet::new(),
        };
        self.owners().insert(Arc::clone(&id), owned);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.owners().remove(id.as_ref());
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.local.create_stream(id, message).await?.map(counted_from_one))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self
            .local
            .create_standalone_stream(id)
            .await?
            .map(counted_from_one))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.local.resume(id, last_event_id).await?.map(counted_from_one))
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Claim;
    use super::*;

    fn principal(name: &str) -> Principal {
        Principal::claimed(Claim::Subject, name, []).unwrap()
    }

    async fn made(sessions: &Sessions, owner: &Principal) -> Result<SessionId, &'static str> {
        sessions.make_room(owner).await?;
        let (id, _transport) = sessions.create_session().await.unwrap();
        sessions.own(&id, owner, true);
        Ok(id)
    }

    #[tokio::test]
    async fn what_a_client_left_behind_that_was_gone_before_it_began_makes_room() {
        let sessions = Sessions::new(SessionLimits {
            most: 2,
            most_of_one: 2,
        });
        let ann = principal("ann");
        for _ in 0..5 {
            sessions.make_room(&ann).await.unwrap();
            let (_id, _transport) = sessions.create_session().await.unwrap();
        }
        assert!(made(&sessions, &ann).await.is_ok() && made(&sessions, &ann).await.is_ok());
        assert!(made(&sessions, &ann).await.is_err());
        assert_eq!(sessions.count().await, 2);
    }

    #[tokio::test]
    async fn one_has_a_share_and_whoever_has_most_gives_way() {
        let sessions = Arc::new(Sessions::new(SessionLimits {
            most: 5,
            most_of_one: 3,
        }));
        let (ann, bob, eve) = (principal("ann"), principal("bob"), principal("eve"));
        let mut of_ann = Vec::new();
        for _ in 0..3 {
            of_ann.push(made(&sessions, &ann).await.unwrap());
        }
        assert_eq!(
            made(&sessions, &ann).await,
            Err("this client has too many sessions")
        );
        made(&sessions, &bob).await.unwrap();
        made(&sessions, &bob).await.unwrap();
        // All places are taken. The oldest of ann's is at work, so that the next one goes.
        let id = RequestId::Number(1);
        let _answering = sessions.begin(&of_ann[0], &id).unwrap();
        made(&sessions, &eve).await.unwrap();
        let is_there = |id: &SessionId| sessions.is_of(id, &ann);
        assert_eq!(
            of_ann.iter().map(is_there).collect::<Vec<_>>(),
            [true, false, true]
        );
        // Who has as many as anybody else takes none away.
        assert_eq!(made(&sessions, &bob).await, Err("there are too many sessions"));
        assert_eq!(made(&sessions, &ann).await, Err("there are too many sessions"));
        assert_eq!(sessions.count().await, 5);
    }
}
