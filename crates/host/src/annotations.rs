//! What a tool can do to the world, for clients that ask before they call it.

use wassette_policy::{Effect, NetworkRule, Policy};

/// What a tool can do to the world, derived from its component's policy and never taken from the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing outside its call.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Calling it again changes nothing more.
    pub idempotent: bool,
    /// It reaches systems beyond this machine.
    pub open_world: bool,
}

impl Annotations {
    /// What follows from a policy, whatever the component says of itself.
    ///
    /// A tool is read-only when no storage rule allows writing, and every network rule is for requests by safe methods
    /// alone. What is not read-only may destroy, and may
    /// do more when it is called again: no rule says otherwise. It reaches beyond this machine when any network rule
    /// allows anything. The ceiling can only make less of it.
    pub(crate) fn of(policy: &Policy) -> Self {
        let writes = policy.storage(Effect::Allow).any(|rule| rule.access().write);
        let mut network = policy.network(Effect::Allow).peekable();
        let open_world = network.peek().is_some();
        let read_only = !writes && network.all(only_asks);
        Self {
            read_only,
            destructive: !read_only,
            idempotent: read_only,
            open_world,
        }
    }
}

/// Methods that by RFC 9110, 9.2.1 ask for no change.
const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Whether a rule is for requests by safe methods and for nothing else. Without methods it is for all of them.
fn only_asks(rule: &NetworkRule) -> bool {
    let is_safe = |method: &String| SAFE_METHODS.contains(&method.as_str());
    !rule.is_for_sockets()
        && rule
            .spec()
            .methods
            .is_some_and(|methods| methods.iter().all(is_safe))
}
