//! The hand on a running call: what it may do now, what it did so far, and how to end it from outside.

use crate::error::{CallError, Limit};
use crate::pace::Pace;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::Notify;
use wassette_policy::{AbsolutePath, Access, Authority, FileOperation, HttpTarget, Protocol, SocketUse};

/// Allowed accesses that are remembered to be decided again. A call that had more ends with any change that
/// narrows its policy.
const USED_MAX: usize = 256;

/// What a guest is given of our process, and only as far as its policy names it.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The server's environment variables, by name; a variable that is not here is not set.
    pub variables: BTreeMap<String, String>,
    /// Secrets, by name. No guest ever sees one.
    pub secrets: BTreeMap<String, SecretString>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("variables", &self.variables.keys())
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

/// Why a call was ended from outside the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A limit that host functions count was reached.
    Limit(Limit),
    /// Something it had used was revoked.
    Revoked {
        /// The access that is no longer allowed.
        access: String,
    },
}

impl From<Ended> for CallError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Limit(limit) => Self::Limit { limit },
            Ended::Revoked { access } => Self::Revoked { access },
        }
    }
}

/// One call's authority and its end. The caller keeps a clone to narrow or end the call while it runs.
#[derive(Debug)]
pub struct Control {
    authority: RwLock<Arc<Authority>>,
    surroundings: Arc<Surroundings>,
    pace: Option<Arc<Pace>>,
    used: Mutex<Used>,
    ended: OnceLock<Ended>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Used {
    accesses: Vec<UsedAccess>,
    is_full: bool,
}

impl Control {
    /// For a call that runs with this authority.
    #[must_use]
    pub fn new(authority: Arc<Authority>, surroundings: Arc<Surroundings>) -> Arc<Self> {
        Self::paced(authority, surroundings, None)
    }

    /// The same for one of the calls that keep to their share of the processor together. A call without such
    /// company keeps to the share alone.
    #[must_use]
    pub fn paced(
        authority: Arc<Authority>,
        surroundings: Arc<Surroundings>,
        pace: Option<Arc<Pace>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            authority: RwLock::new(authority),
            surroundings,
            pace,
            used: Mutex::default(),
            ended: OnceLock::new(),
            wake: Notify::new(),
        })
    }

    /// For a call that may do nothing.
    #[must_use]
    pub fn nothing(authority: Authority) -> Arc<Self> {
        Self::new(Arc::new(authority), Arc::new(Surroundings::default()))
    }

    /// What the call may do now.
    #[must_use]
    pub fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What it is given of our process.
    #[must_use]
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The pace of the component's calls.
    pub(crate) fn pace(&self) -> Arc<Pace> {
        self.pace.clone().unwrap_or_default()
    }

    /// Ends the call because it may not run any more at all.
    pub fn revoke(&self) {
        self.end(Ended::Revoked {
            access: "run".to_owned(),
        });
    }

    /// Waits until the call was ended from outside, and says how.
    pub async fn over(&self) -> CallError {
        self.until_ended().await.into()
    }

    /// Puts another authority in place. Everything from now on is decided by it; a call that did what it no
    /// longer allows is ended. The limits of the call stay as they were when it began.
    pub fn replace(&self, authority: Arc<Authority>) {
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&authority);
        let revoked = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let revoked = used.accesses.iter().map(UsedAccess::as_access);
            let revoked = revoked.filter(|access| authority.authorize(access).is_err());
            let revoked = revoked.map(|access| access.to_string()).next();
            revoked.or_else(|| used.is_full.then(|| "one of very many accesses".to_owned()))
        };
        if let Some(access) = revoked {
            self.end(Ended::Revoked { access });
        }
    }

    /// Remembers an access that was allowed.
    pub(crate) fn remember(&self, access: &Access<'_>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.accesses.iter().any(|known| known.as_access() == *access) {
            return;
        }
        if used.accesses.len() >= USED_MAX {
            used.is_full = true;
        } else if let Some(access) = UsedAccess::of(access) {
            used.accesses.push(access);
        }
    }

    /// Ends the call as soon as its guest pauses, at the latest with its next tick. The first reason counts.
    pub(crate) fn end(&self, ended: Ended) {
        let _the_first_counts = self.ended.set(ended);
        self.wake.notify_one();
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// Waits for the end. One at a time may wait.
    pub(crate) async fn until_ended(&self) -> Ended {
        loop {
            if let Some(ended) = self.ended.get() {
                return ended.clone();
            }
            self.wake.notified().await;
        }
    }
}

/// An [`Access`] that owns its texts.
#[derive(Clone, Debug)]
enum UsedAccess {
    File(AbsolutePath, FileOperation),
    Http(HttpTarget),
    Dial(HttpTarget, IpAddr),
    Resolve(String),
    Socket(Protocol),
    SocketAddress(Protocol, SocketUse, SocketAddr),
    Variable(String),
    Secret(String, HttpTarget),
}

impl UsedAccess {
    /// `None` for what no policy can take back.
    fn of(access: &Access<'_>) -> Option<Self> {
        Some(match *access {
            Access::File { path, operation } => Self::File(path.clone(), operation),
            Access::Http(target) => Self::Http(target.clone()),
            Access::Dial { target, address } => Self::Dial(target.clone(), address),
            Access::Resolve { host_name } => Self::Resolve(host_name.to_owned()),
            Access::Socket { protocol } => Self::Socket(protocol),
            Access::SocketAddress {
                protocol,
                socket_use,
                address,
            } => Self::SocketAddress(protocol, socket_use, address),
            Access::Variable { name } => Self::Variable(name.to_owned()),
            Access::Secret { name, target } => Self::Secret(name.to_owned(), target.clone()),
            Access::Environment | Access::Malformed { .. } => return None,
        })
    }

    fn as_access(&self) -> Access<'_> {
        match self {
            Self::File(path, operation) => Access::File {
                path,
                operation: *operation,
            },
            Self::Http(target) => Access::Http(target),
            Self::Dial(target, address) => Access::Dial {
                target,
                address: *address,
            },
            Self::Resolve(host_name) => Access::Resolve { host_name },
            Self::Socket(protocol) => Access::Socket { protocol: *protocol },
            Self::SocketAddress(protocol, socket_use, address) => Access::SocketAddress {
                protocol: *protocol,
                socket_use: *socket_use,
                address: *address,
            },
            Self::Variable(name) => Access::Variable { name },
            Self::Secret(name, target) => Access::Secret { name, target },
        }
    }
}
