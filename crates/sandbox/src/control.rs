//! The hand on a running call: what it may do now, what it did so far, and how to end it from outside.

use crate::error::{CallError, Limit};
use crate::pace::Pace;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::Notify;
use wassette_policy::{
    AbsolutePath, Access, Authority, FileOperation, HttpTarget, Place, Policy, Protocol, SocketUse,
};

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
    /// Whether there are secrets that are not here, because they could not be read.
    pub is_missing_secrets: bool,
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
    pace: Arc<Pace>,
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
        Self::paced(authority, surroundings, Arc::default())
    }

    /// The same for one of the calls of a component, which have their share of the processor and of the host together.
    /// A call without such company has a share alone.
    #[must_use]
    pub fn paced(authority: Arc<Authority>, surroundings: Arc<Surroundings>, pace: Arc<Pace>) -> Arc<Self> {
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

    /// What the component's calls have together.
    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
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
        let before = {
            let mut current = self.authority.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&authority))
        };
        let change = Change {
            before: &before,
            now: &authority,
        };
        let revoked = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let mut revoked = used.accesses.iter().filter(|access| change.revokes(access));
            let revoked = revoked.next().map(|access| access.as_access().to_string());
            revoked.or_else(|| {
                (used.is_full && change.narrows()).then(|| "one of very many accesses".to_owned())
            })
        };
        if let Some(access) = revoked {
            self.end(Ended::Revoked { access });
        }
    }

    /// Remembers an access that this authority allowed.
    pub(crate) fn remember(&self, access: &Access<'_>, decided_by: &Arc<Authority>) {
        self.list(access);
        // An authority that came since then did not find the access among those to decide again.
        let now = self.authority();
        if Arc::ptr_eq(decided_by, &now) {
            return;
        }
        let change = Change {
            before: decided_by,
            now: &now,
        };
        if UsedAccess::of(access).is_some_and(|used| change.revokes(&used)) {
            self.end(Ended::Revoked {
                access: access.to_string(),
            });
        }
    }

    fn list(&self, access: &Access<'_>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.accesses.iter().any(|known| known.as_access() == *access) {
            return;
        }
        if used.accesses.len() >= USED_MAX {
            used.is_full = true;
        } else {
            used.accesses.extend(UsedAccess::of(access));
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

/// What a call was decided by, before and now.
struct Change<'a> {
    before: &'a Authority,
    now: &'a Authority,
}

impl Change<'_> {
    /// Whether anything that was allowed may be denied now. Says so of lower limits as well.
    fn narrows(&self) -> bool {
        let granted = is_narrower(self.before.granted(), self.now.granted());
        let ceiling = match (self.before.ceiling(), self.now.ceiling()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(now)) => is_narrower(before, now),
        };
        granted || ceiling
    }

    fn revokes(&self, used: &UsedAccess) -> bool {
        self.now.authorize(&used.as_access()).is_err() || self.moves(used)
    }

    /// Whether the guest's path means another file now. What the guest has open is then a file of which
    /// nobody says any more that it may be read.
    fn moves(&self, used: &UsedAccess) -> bool {
        match used {
            UsedAccess::File(path, _) => host_path(self.before, path) != host_path(self.now, path),
            UsedAccess::Http(_)
            | UsedAccess::Dial(..)
            | UsedAccess::Resolve(_)
            | UsedAccess::Socket(_)
            | UsedAccess::SocketAddress(..)
            | UsedAccess::Variable(_)
            | UsedAccess::Secret(..) => false,
        }
    }
}

fn is_narrower(before: &Policy, now: &Policy) -> bool {
    before != now && before.within(now).is_err()
}

/// Where a guest's path leads on this machine.
fn host_path(authority: &Authority, path: &AbsolutePath) -> Option<String> {
    match authority.locate(path) {
        Place::Inside { mount, below } => {
            let path = format!("{}/{below}", mount.host.as_str());
            Some(path.trim_matches('/').to_owned())
        }
        Place::Above | Place::Outside => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::{Limits, ParseOptions};

    const READ: FileOperation = FileOperation::Read;

    fn authority(rules: &str) -> Arc<Authority> {
        let text = format!("version: \"1.0\"\npermissions:\n{rules}");
        let policy = Policy::parse(&text, &ParseOptions::default()).expect("a policy");
        Arc::new(Authority::new(Arc::new(policy), None, &Limits::DEFAULT))
    }

    fn storage(rules: &str) -> Arc<Authority> {
        authority(&format!("  storage:\n    allow: [{rules}]\n"))
    }

    fn path(path: &str) -> AbsolutePath {
        path.parse().expect("a path")
    }

    /// A call that read these files under this policy.
    #[track_caller]
    fn after_reading(authority: &Arc<Authority>, files: &[&str]) -> Arc<Control> {
        let control = Control::new(Arc::clone(authority), Arc::default());
        for file in files {
            let path = path(file);
            let access = Access::File {
                path: &path,
                operation: READ,
            };
            authority.authorize(&access).expect("it may read");
            control.remember(&access, authority);
        }
        control
    }

    fn revoked(access: &str) -> Option<Ended> {
        Some(Ended::Revoked {
            access: access.to_owned(),
        })
    }

    const A: &str = "{uri: \"fs:///a\", access: [read]}";
    const B: &str = "{uri: \"fs:///b\", access: [read]}";

    #[test]
    fn a_call_ends_when_what_it_used_is_revoked_and_only_then() {
        let both = storage(&format!("{A}, {B}"));
        let control = after_reading(&both, &["/a/x"]);
        control.replace(storage(A));
        assert_eq!(control.ended(), None, "it never used the other");
        control.replace(both);
        assert_eq!(control.ended(), None, "it was given more");
        control.replace(storage(B));
        assert_eq!(control.ended().cloned(), revoked("read `/a/x`"));
    }

    #[test]
    fn a_deny_rule_revokes_too() {
        let control = after_reading(&storage(A), &["/a/x"]);
        control.replace(authority(
            "  storage:\n    allow: [{uri: \"fs:///a\", access: [read]}]\n    deny: [{uri: \"fs:///a/x\"}]\n",
        ));
        assert_eq!(control.ended().cloned(), revoked("read `/a/x`"));
    }

    #[test]
    fn a_path_that_leads_elsewhere_now_is_revoked() {
        let at = |host: &str| storage(&format!("{{uri: \"fs://{host}\", guest: /data, access: [read]}}"));
        let control = after_reading(&at("/a"), &["/data/x"]);
        control.replace(at("/a"));
        assert_eq!(control.ended(), None);
        control.replace(at("/b"));
        assert_eq!(control.ended().cloned(), revoked("read `/data/x`"));
    }

    #[test]
    fn of_very_many_accesses_a_narrower_policy_ends_the_call_and_a_wider_one_does_not() {
        let files: Vec<_> = (0..=USED_MAX).map(|n| format!("/a/{n}")).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let control = after_reading(&storage(A), &files);
        control.replace(storage(&format!("{A}, {B}")));
        assert_eq!(control.ended(), None);
        control.replace(storage(A));
        assert_eq!(control.ended().cloned(), revoked("one of very many accesses"));
    }

    #[test]
    fn what_is_allowed_while_it_is_revoked_ends_the_call() {
        let before = storage(A);
        let control = Control::new(Arc::clone(&before), Arc::default());
        let path = path("/a/x");
        let access = Access::File {
            path: &path,
            operation: READ,
        };
        before.authorize(&access).expect("it may read");
        // Another thread is here, between the decision and the list.
        control.replace(storage(B));
        assert_eq!(control.ended(), None);
        control.remember(&access, &before);
        assert_eq!(control.ended().cloned(), revoked("read `/a/x`"));
    }

    #[test]
    fn the_first_reason_for_an_end_counts() {
        let control = after_reading(&storage(A), &["/a/x"]);
        control.end(Ended::Limit(Limit::Requests { max: 1 }));
        control.replace(storage(B));
        control.revoke();
        assert_eq!(control.ended(), Some(&Ended::Limit(Limit::Requests { max: 1 })));
    }
}
