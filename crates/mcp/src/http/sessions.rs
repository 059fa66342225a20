//! Sessions of clients with a handshake: bounded in number, each of one principal. Their ids here are those that the library
//! gives; clients know them with the name of the process before it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::Stream;
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
    most: usize,
    owners: Mutex<HashMap<SessionId, Owned>>,
}

/// Whose a session is, and when it was used last.
#[derive(Debug)]
struct Owned {
    owner: Arc<str>,
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
    pub(super) fn new(most: usize) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(IDLE_MAX);
        Self {
            local,
            most,
            owners: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) async fn count(&self) -> usize {
        self.local.sessions.read().await.len()
    }

    /// Whether there is a place for one more, perhaps that of one which is idle.
    pub(super) async fn has_room(&self) -> bool {
        if self.count().await < self.most {
            return true;
        }
        let longest = {
            let owners = self.owners();
            let longest = owners.iter().min_by_key(|(_, owned)| owned.used);
            longest
                .filter(|(_, owned)| owned.used.elapsed() >= IDLE_MIN)
                .map(|(id, _)| Arc::clone(id))
        };
        match longest {
            Some(id) => self.close_session(&id).await.is_ok(),
            None => false,
        }
    }

    /// Says whose session this is, once it is made.
    pub(super) fn own(&self, id: &str, owner: &Principal, knows_priming: bool) {
        let owned = Owned {
            owner: Arc::clone(owner.name()),
            approves: false,
            used: Instant::now(),
            knows_priming,
            answering: HashSet::new(),
        };
        self.owners().insert(id.into(), owned);
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
            .filter(|owned| owned.owner == *principal.name())
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

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.local.create_session().await
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
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }
}
