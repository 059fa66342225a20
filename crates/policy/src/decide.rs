//! What one policy says about one access, without regard to the other layer.

use crate::access::{FileOperation, Protocol, SocketUse};
use crate::address;
use crate::grant::{EnvironmentRule, NEVER_ALLOWED_METHODS, NetworkRule, Peer, SecretRule, StorageRule};
use crate::host::Host;
use crate::index::{Paths, readings};
use crate::path::AbsolutePath;
use crate::pattern::RuleText;
use crate::rules::Policy;
use crate::url::{HttpTarget, Scheme};
use std::net::{IpAddr, SocketAddr};

/// An access as a policy is asked about it: with the machine's path instead of the guest's, and with what the
/// granted rule says where a ceiling has to agree to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question<'a> {
    File {
        /// On this machine.
        path: &'a AbsolutePath,
        operation: FileOperation,
        /// Only rules that enter mounts count.
        submounts: bool,
    },
    Http(&'a HttpTarget),
    Dial {
        target: &'a HttpTarget,
        address: IpAddr,
    },
    Resolve {
        host_name: &'a str,
        /// Whether `*.name` speaks of it too, as in a ceiling.
        by_pattern: bool,
    },
    Socket(Protocol),
    SocketAddress {
        protocol: Protocol,
        socket_use: SocketUse,
        address: SocketAddr,
    },
    Environment,
    Variable {
        name: &'a str,
        /// What the granted rule says; a ceiling with a value allows only that.
        granted: Option<Option<&'a str>>,
    },
    Secret {
        name: &'a str,
        target: &'a HttpTarget,
        /// What the granted rule says; a ceiling allows only the same header and format.
        granted: Option<&'a SecretRule>,
    },
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed(RuleText),
    Denied(RuleText),
    /// No rule speaks of it.
    Silent,
}

impl Verdict {
    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    fn of(denied: Option<&RuleText>, allowed: Option<&RuleText>) -> Self {
        match (denied, allowed) {
            (Some(rule), _) => Self::Denied(rule.clone()),
            (None, Some(rule)) => Self::Allowed(rule.clone()),
            (None, None) => Self::Silent,
        }
    }
}

impl Policy {
    /// The decision of this policy alone.
    pub(crate) fn decide(&self, question: &Question<'_>) -> Verdict {
        match *question {
            Question::File {
                path,
                operation,
                submounts,
            } => self.decide_file(path, operation, submounts),
            Question::Http(target) => self.decide_http(target),
            Question::Dial { target, address } => self.decide_dial(target, address),
            Question::Resolve {
                host_name,
                by_pattern,
            } => self.decide_lookup(host_name, by_pattern),
            Question::Socket(protocol) => {
                let allowed = self
                    .index()
                    .sockets
                    .get(&protocol)
                    .and_then(|at| self.network_rule(*at));
                let denied = self.first_network(self.index().network_deny.about_all(), NetworkRule::is_total);
                Verdict::of(denied.map(NetworkRule::text), allowed.map(NetworkRule::text))
            }
            Question::SocketAddress {
                protocol,
                socket_use,
                address,
            } => self.decide_socket(protocol, socket_use, address),
            Question::Environment => {
                Verdict::of(None, self.rules().environment.first().map(|rule| rule.text()))
            }
            Question::Variable { name, granted } => self.decide_variable(name, granted),
            Question::Secret {
                name,
                target,
                granted,
            } => {
                let rule = self.secret_rules(target).find(|rule| {
                    rule.name() == name
                        && granted.is_none_or(|granted| {
                            (granted.header(), granted.around()) == (rule.header(), rule.around())
                        })
                });
                Verdict::of(None, rule.map(SecretRule::text))
            }
        }
    }

    fn storage_rule(&self, at: usize) -> Option<&StorageRule> {
        self.rules().storage.get(at)
    }

    fn network_rule(&self, at: usize) -> Option<&NetworkRule> {
        self.rules().network.get(at)
    }

    fn first_network(
        &self,
        found: impl IntoIterator<Item = usize>,
        mut is_about: impl FnMut(&NetworkRule) -> bool,
    ) -> Option<&NetworkRule> {
        found
            .into_iter()
            .filter_map(|at| self.network_rule(at))
            .find(|rule| is_about(rule))
    }

    fn decide_file(&self, path: &AbsolutePath, operation: FileOperation, submounts: bool) -> Verdict {
        let needs = Needs::of(operation);
        let first = |list: &Paths, is_about: &dyn Fn(&StorageRule) -> bool| {
            let at_tree = needs.tree.then(|| list.about_tree(path)).into_iter().flatten();
            let at_path = (!needs.tree).then(|| list.about(path)).into_iter().flatten();
            at_tree
                .chain(at_path)
                .filter_map(|at| self.storage_rule(at))
                .find(|rule| is_about(rule))
                .map(|rule| rule.text())
        };
        let denied = first(&self.index().storage_deny, &|rule| needs.is_denied_by(rule, path));
        let allowed = first(&self.index().storage_allow, &|rule| {
            needs.is_allowed_by(rule, path) && (!submounts || rule.enters_submounts())
        });
        Verdict::of(denied, allowed)
    }

    fn http_deny(&self, target: &HttpTarget) -> Option<&NetworkRule> {
        let list = &self.index().network_deny;
        let mut found = list.about(target.host());
        if let Host::Address(address) = target.host() {
            found.extend(list.about_readings(*address));
        }
        self.first_network(found, |rule| rule.restricts(target))
    }

    fn http_allow(&self, target: &HttpTarget) -> Option<&NetworkRule> {
        self.first_network(self.index().network_allow.about(target.host()), |rule| {
            rule.permits(target)
        })
    }

    fn decide_http(&self, target: &HttpTarget) -> Verdict {
        if is_never_allowed(target.method()) {
            return Verdict::Denied("network deny methods CONNECT,TRACE,TRACK".into());
        }
        let denied = self.http_deny(target);
        Verdict::of(
            denied.map(NetworkRule::text),
            self.http_allow(target).map(NetworkRule::text),
        )
    }

    fn decide_dial(&self, target: &HttpTarget, address: IpAddr) -> Verdict {
        let request = self.decide_http(target);
        if !request.is_allowed() {
            return request;
        }
        let address = address::canonical(address);
        let found = self.index().network_deny.about_readings(address);
        if let Some(rule) = self.first_network(found, |rule| rule.restricts(target)) {
            return Verdict::Denied(rule.text().clone());
        }
        let is_answer = match target.host() {
            Host::Address(written) => *written == address,
            Host::Name(_) => !target.host().is_loopback_name() || address.is_loopback(),
        };
        let is_named = |reading: IpAddr| {
            target.host().is_loopback_name() || address::is_public(reading) || self.names(target, reading)
        };
        if is_answer && readings(address).all(is_named) {
            return request;
        }
        Verdict::Silent
    }

    /// Whether an allow rule about requests names this address, so that it need not be public.
    fn names(&self, target: &HttpTarget, address: IpAddr) -> bool {
        let found = self.index().network_allow.about(&Host::Address(address));
        self.first_network(found, |rule| match rule.peer() {
            Peer::Host(_) => rule.permits(target),
            Peer::Range(_) => !rule.is_for_sockets() && rule.restricts(target),
        })
        .is_some()
    }

    fn decide_lookup(&self, host_name: &str, by_pattern: bool) -> Verdict {
        let Ok(host) = Host::parse(host_name) else {
            return Verdict::Silent;
        };
        let denied = self.first_network(self.index().network_deny.about(&host), NetworkRule::is_total);
        let list = &self.index().network_allow;
        let found = if by_pattern {
            list.about(&host)
        } else {
            list.about_exactly(&host).collect()
        };
        let allowed = self.first_network(found, |rule| !rule.is_for_sockets());
        Verdict::of(denied.map(NetworkRule::text), allowed.map(NetworkRule::text))
    }

    fn decide_socket(&self, protocol: Protocol, socket_use: SocketUse, address: SocketAddr) -> Verdict {
        let (ip, port) = (address::canonical(address.ip()), address.port());
        let list = &self.index().network_deny;
        let found = list.about_all().chain(list.about_readings(ip));
        let denied = self.first_network(found, |rule| rule.restricts_socket(protocol, port));
        let is_client_bind = socket_use == SocketUse::Bind && port == 0 && ip.is_unspecified();
        let allow_for = |ip: IpAddr| {
            let found = self.index().network_allow.about(&Host::Address(ip));
            self.first_network(found, |rule| rule.permits_socket(protocol, port))
        };
        let allowed = if is_client_bind {
            // Every UDP client takes a free port first; whom it talks to is asked for each address.
            self.index()
                .sockets
                .get(&protocol)
                .and_then(|at| self.network_rule(*at))
        } else {
            let mut held = address::embedded(ip).into_iter();
            let is_named = held.all(|ip| address::is_public(ip) || allow_for(ip).is_some());
            allow_for(ip).filter(|_| is_named)
        };
        Verdict::of(denied.map(NetworkRule::text), allowed.map(NetworkRule::text))
    }

    fn decide_variable(&self, name: &str, granted: Option<Option<&str>>) -> Verdict {
        let rule = self.variable_rule(name).filter(|rule| match granted {
            Some(value) => rule.value().is_none() || rule.value() == value,
            None => true,
        });
        Verdict::of(None, rule.map(|rule| rule.text()))
    }

    pub(crate) fn variable_rule(&self, name: &str) -> Option<&EnvironmentRule> {
        let at = self.index().environment.get(name)?;
        self.rules().environment.get(*at)
    }

    /// The secrets for a request, with their positions.
    pub(crate) fn secret_positions(&self, target: &HttpTarget) -> impl Iterator<Item = usize> {
        let mut found = self.index().secrets.about(target.host());
        found.retain(|at| {
            self.rules()
                .secrets
                .get(*at)
                .is_some_and(|rule| rule.requests.permits(target))
        });
        found.sort_unstable();
        found.into_iter()
    }

    pub(crate) fn secret_rules(&self, target: &HttpTarget) -> impl Iterator<Item = &SecretRule> {
        self.secret_positions(target)
            .filter_map(|at| self.rules().secrets.get(at))
    }
}

/// What an operation on a file needs.
struct Needs {
    read: bool,
    write: bool,
    /// Everything below the path too.
    tree: bool,
    /// Whether a folder on the way to what was granted will do.
    way: bool,
}

impl Needs {
    fn of(operation: FileOperation) -> Self {
        let (read, write, tree) = match operation {
            FileOperation::Read | FileOperation::List | FileOperation::Inspect => (true, false, false),
            FileOperation::Write | FileOperation::Create | FileOperation::Remove => (false, true, false),
            // What is moved takes everything below it to where other rules hold.
            FileOperation::Rename => (true, true, true),
        };
        Self {
            read,
            write,
            tree,
            way: operation == FileOperation::Inspect,
        }
    }

    fn is_denied_by(&self, rule: &StorageRule, path: &AbsolutePath) -> bool {
        let access = rule.access();
        let is_meant = (self.read && access.read) || (self.write && access.write);
        let pattern = rule.pattern().segments();
        is_meant
            && if self.tree {
                pattern.touches_tree(path.segments())
            } else {
                pattern.matches(path.segments())
            }
    }

    fn is_allowed_by(&self, rule: &StorageRule, path: &AbsolutePath) -> bool {
        // Reading comes with each allow rule.
        let is_enough = !self.write || rule.access().write;
        let pattern = rule.pattern().segments();
        is_enough
            && if self.tree {
                pattern.covers_tree(path.segments())
            } else {
                pattern.matches(path.segments()) || (self.way && pattern.leads_through(path.segments()))
            }
    }
}

fn is_never_allowed(method: &str) -> bool {
    NEVER_ALLOWED_METHODS
        .iter()
        .any(|never| never.eq_ignore_ascii_case(method))
}

impl NetworkRule {
    /// Whether what is written in the rule beside its peer holds for a request; what is not written does.
    fn restricts(&self, target: &HttpTarget) -> bool {
        let methods = self.methods.as_ref();
        let paths = self.paths.as_ref();
        self.has_scheme(target.scheme())
            && self.has_port(target.port())
            && methods.is_none_or(|methods| methods.iter().any(|m| m.eq_ignore_ascii_case(target.method())))
            && paths.is_none_or(|paths| paths.iter().any(|path| path.segments().matches(target.segments())))
            // A request is TCP.
            && self.has_protocol(Protocol::Tcp)
    }

    /// Whether the rule, as an allow rule about requests, is about this one; its peer is another matter.
    fn permits(&self, target: &HttpTarget) -> bool {
        let is_default_scheme = self.schemes.is_some() || target.scheme() == Scheme::Https;
        let is_default_port = self.ports.is_some() || target.port() == target.scheme().default_port();
        !self.is_for_sockets() && is_default_scheme && is_default_port && self.restricts(target)
    }

    fn has_scheme(&self, scheme: Scheme) -> bool {
        self.schemes
            .as_ref()
            .is_none_or(|schemes| schemes.contains(&scheme))
    }

    fn has_port(&self, port: u16) -> bool {
        self.ports
            .as_ref()
            .is_none_or(|ports| ports.iter().any(|range| range.contains(port)))
    }

    fn has_protocol(&self, protocol: Protocol) -> bool {
        self.protocols
            .as_ref()
            .is_none_or(|protocols| protocols.contains(&protocol))
    }

    fn is_about_requests_alone(&self) -> bool {
        self.schemes.is_some() || self.methods.is_some() || self.paths.is_some()
    }

    fn restricts_socket(&self, protocol: Protocol, port: u16) -> bool {
        !self.is_about_requests_alone() && self.has_protocol(protocol) && self.has_port(port)
    }

    fn permits_socket(&self, protocol: Protocol, port: u16) -> bool {
        self.is_for_sockets() && self.has_protocol(protocol) && self.has_port(port)
    }

    /// Whether nothing is written beside the peer.
    fn is_total(&self) -> bool {
        !self.is_about_requests_alone() && self.ports.is_none() && self.protocols.is_none()
    }
}
