//! The policy of one component and the decision it makes about each access.

use crate::{Access, AccessKind, Limits};

/// Everything one component may do and use. What it does not say is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    limits: Limits,
}

impl Policy {
    /// The policy of a component nobody has granted anything: all denied, default limits.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            limits: Limits::DEFAULT,
        }
    }

    /// The same authority under other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits }
    }

    /// The bounds of one call.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Decides one access.
    ///
    /// # Errors
    ///
    /// [`Denied`] when no grant covers the access. There are no grants yet, so every access is denied.
    pub fn authorize(&self, access: &Access<'_>) -> Result<Permit, Denied> {
        Err(Denied {
            access: access.to_string(),
            lacks: access.lacks(),
        })
    }
}

/// Proof that an access was allowed. Only [`Policy::authorize`] makes one.
#[derive(Debug)]
pub struct Permit {
    _made_by_authorize: (),
}

/// A refused access and the grant that was missing. For the operator; agents get less.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("denied: {access}; it lacks {lacks}")]
pub struct Denied {
    /// What was attempted, for example ``read `/etc/passwd` ``.
    pub access: String,
    /// The missing grant, for example ``a storage grant for `fs:///etc/passwd` with read``.
    pub lacks: String,
}

/// One line of a call's report: an access, how often it was attempted, and what was decided.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// What sort of access it was.
    pub kind: AccessKind,
    /// What was attempted.
    pub access: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The missing grant when it was denied; empty when allowed.
    pub lacks: String,
    /// Attempts with this same text.
    pub attempts: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileOperation, Protocol};

    #[track_caller]
    fn check(access: Access<'_>, attempted: &str, lacks: &str) {
        let denied = Policy::empty()
            .authorize(&access)
            .expect_err("the empty policy denies everything");
        assert_eq!(
            denied,
            Denied {
                access: attempted.to_owned(),
                lacks: lacks.to_owned()
            }
        );
    }

    #[test]
    fn the_empty_policy_denies_every_access_and_names_the_missing_grant() {
        let file = |operation| Access::File {
            path: "/etc/passwd",
            operation,
        };
        check(
            file(FileOperation::Read),
            "read `/etc/passwd`",
            "a storage grant for `fs:///etc/passwd` with read",
        );
        check(
            file(FileOperation::List),
            "list `/etc/passwd`",
            "a storage grant for `fs:///etc/passwd` with read",
        );
        check(
            file(FileOperation::Write),
            "write `/etc/passwd`",
            "a storage grant for `fs:///etc/passwd` with write",
        );
        check(
            file(FileOperation::Remove),
            "remove `/etc/passwd`",
            "a storage grant for `fs:///etc/passwd` with write",
        );
        check(
            Access::Http {
                method: "GET",
                url: "https://example.com/a",
            },
            "GET `https://example.com/a`",
            "a network grant for the host of `https://example.com/a`",
        );
        check(
            Access::Resolve {
                host_name: "example.com",
            },
            "look up `example.com`",
            "a network grant that names `example.com`",
        );
        check(
            Access::Socket {
                protocol: Protocol::Udp,
            },
            "open a udp socket",
            "a network grant by cidr, port and protocol udp",
        );
        check(
            Access::Environment,
            "read environment variables",
            "a grant for each environment variable it needs",
        );
    }

    #[test]
    fn limits_are_replaced_without_granting_anything() {
        let tight = Limits {
            memory_bytes: 1,
            ..Limits::DEFAULT
        };
        let policy = Policy::empty().with_limits(tight.clone());
        assert_eq!(policy.limits(), &tight);
        assert!(
            policy.authorize(&Access::Environment).is_err(),
            "limits are not grants"
        );
    }
}
