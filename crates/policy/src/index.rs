//! Finds the rules that can be about an access without looking at the others.
//!
//! What is found is looked at again by the decision; a rule that is missed would be a hole, one too many only
//! costs time. Positions are those of the sorted [`Rules`].

use crate::access::Protocol;
use crate::address;
use crate::grant::{Effect, FileAccess, NetworkRule, Peer, StorageRule};
use crate::host::{Host, HostPattern};
use crate::path::AbsolutePath;
use crate::policy::{Mount, SecretUse, Variable};
use crate::rules::Rules;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Which rules stand where, and what the sandbox asks for as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) storage_allow: Paths,
    pub(crate) storage_deny: Paths,
    pub(crate) network_allow: Peers,
    pub(crate) network_deny: Peers,
    /// The first allow rule for sockets of each protocol.
    pub(crate) sockets: BTreeMap<Protocol, usize>,
    pub(crate) environment: BTreeMap<String, usize>,
    pub(crate) secrets: Peers,
    /// By guest path.
    pub(crate) mounts: Vec<Mount>,
    /// The rule that made each mount, by guest path.
    pub(crate) mount_rules: BTreeMap<String, usize>,
    /// In the order of the rules.
    pub(crate) variables: Vec<Variable>,
    /// In the order of the rules.
    pub(crate) secret_uses: Vec<SecretUse>,
}

impl Index {
    pub(crate) const fn empty() -> Self {
        Self {
            storage_allow: Paths::empty(),
            storage_deny: Paths::empty(),
            network_allow: Peers::empty(),
            network_deny: Peers::empty(),
            sockets: BTreeMap::new(),
            environment: BTreeMap::new(),
            secrets: Peers::empty(),
            mounts: Vec::new(),
            mount_rules: BTreeMap::new(),
            variables: Vec::new(),
            secret_uses: Vec::new(),
        }
    }

    pub(crate) fn new(rules: &Rules) -> Self {
        let mut index = Self::empty();
        for (at, rule) in rules.storage.iter().enumerate() {
            match rule.effect() {
                Effect::Allow => index.storage_allow.add(rule, at),
                Effect::Deny => index.storage_deny.add(rule, at),
            }
        }
        for (at, rule) in rules.network.iter().enumerate() {
            match rule.effect() {
                Effect::Allow => index.network_allow.add(rule, at),
                Effect::Deny => index.network_deny.add(rule, at),
            }
            for protocol in rule
                .protocols
                .iter()
                .flatten()
                .filter(|_| rule.effect() == Effect::Allow)
            {
                index.sockets.entry(*protocol).or_insert(at);
            }
        }
        for (at, rule) in rules.environment.iter().enumerate() {
            index.environment.insert(rule.name().to_owned(), at);
            index.variables.push(Variable {
                name: rule.name().to_owned(),
                value: rule.value().map(str::to_owned),
            });
        }
        for (at, rule) in rules.secrets.iter().enumerate() {
            index.secrets.add(&rule.requests, at);
            let (before, after) = rule.around();
            index.secret_uses.push(SecretUse {
                name: rule.name().to_owned(),
                header: rule.header().to_owned(),
                before: before.to_owned(),
                after: after.to_owned(),
            });
        }
        index.add_mounts(rules);
        index
    }

    fn add_mounts(&mut self, rules: &Rules) {
        let mut mounts: BTreeMap<&AbsolutePath, Mount> = BTreeMap::new();
        for (at, rule) in rules.storage.iter().enumerate() {
            if rule.effect() == Effect::Deny {
                continue;
            }
            let host = rule.pattern().prefix();
            let mount = mounts.entry(rule.guest()).or_insert_with(|| Mount {
                is_writable: writes_below(rules, &self.storage_allow, &host),
                guest: rule.guest().clone(),
                host,
                enters_submounts: false,
            });
            mount.enters_submounts |= rule.enters_submounts();
            self.mount_rules.entry(rule.guest().to_string()).or_insert(at);
        }
        self.mounts = mounts.into_values().collect();
    }
}

/// Whether any rule of the list allows writing at a path or somewhere below it.
pub(crate) fn writes_below(rules: &Rules, list: &Paths, path: &AbsolutePath) -> bool {
    list.about_tree(path)
        .filter_map(|at| rules.storage.get(at))
        .any(|rule| {
            rule.access() == FileAccess::READ_WRITE && rule.pattern().segments().touches_tree(path.segments())
        })
}

/// Storage rules of one list by the path before their first `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths(BTreeMap<String, Vec<usize>>);

impl Paths {
    const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, rule: &StorageRule, at: usize) {
        self.0
            .entry(rule.pattern().segments().prefix())
            .or_default()
            .push(at);
    }

    /// Rules that can be about this path.
    pub(crate) fn about<'s>(&'s self, path: &'s AbsolutePath) -> impl Iterator<Item = usize> + 's {
        prefixes(path.as_str())
            .filter_map(|prefix| self.0.get(prefix))
            .flatten()
            .copied()
    }

    /// Rules that can be about this path or something below it.
    pub(crate) fn about_tree<'s>(&'s self, path: &'s AbsolutePath) -> impl Iterator<Item = usize> + 's {
        let folder = if path.is_root() {
            "/".to_owned()
        } else {
            format!("{path}/")
        };
        let below = self
            .0
            .range(folder.clone()..)
            .take_while(move |(prefix, _)| prefix.starts_with(&folder))
            // The root itself is among the prefixes already.
            .filter(|(prefix, _)| *prefix != "/")
            .flat_map(|(_, rules)| rules)
            .copied();
        self.about(path).chain(below)
    }
}

/// The path and each folder it is in.
pub(crate) fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let inner = path
        .match_indices('/')
        .skip(1)
        .filter_map(|(at, _)| path.get(..at));
    std::iter::once("/")
        .chain(inner)
        .chain((path != "/").then_some(path))
}

/// Network rules of one list by whom they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers {
    hosts: BTreeMap<Host, Vec<usize>>,
    below: BTreeMap<String, Vec<usize>>,
    any: Vec<usize>,
    ranges: BTreeMap<IpNet, Vec<usize>>,
    /// The lengths that occur, so that only these are tried.
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
}

impl Peers {
    const fn empty() -> Self {
        Self {
            hosts: BTreeMap::new(),
            below: BTreeMap::new(),
            any: Vec::new(),
            ranges: BTreeMap::new(),
            lengths_v4: Vec::new(),
            lengths_v6: Vec::new(),
        }
    }

    fn add(&mut self, rule: &NetworkRule, at: usize) {
        match rule.peer() {
            Peer::Host(HostPattern::Exact(host)) => self.hosts.entry(host.clone()).or_default().push(at),
            Peer::Host(HostPattern::Below(name)) => self.below.entry(name.clone()).or_default().push(at),
            Peer::Host(HostPattern::Any) => self.any.push(at),
            Peer::Range(range) => {
                let lengths = match range {
                    IpNet::V4(_) => &mut self.lengths_v4,
                    IpNet::V6(_) => &mut self.lengths_v6,
                };
                if !lengths.contains(&range.prefix_len()) {
                    lengths.push(range.prefix_len());
                }
                self.ranges.entry(*range).or_default().push(at);
            }
        }
    }

    /// Whether no rule names a peer. What says every host can only deny.
    pub(crate) fn names_nobody(&self) -> bool {
        self.hosts.is_empty() && self.below.is_empty() && self.ranges.is_empty()
    }

    /// How many lengths of ranges are tried for an address.
    pub(crate) fn range_lengths(&self) -> usize {
        self.lengths_v4.len() + self.lengths_v6.len()
    }

    /// Rules that say every host.
    pub(crate) fn about_all(&self) -> impl Iterator<Item = usize> + '_ {
        self.any.iter().copied()
    }

    /// Rules whose host is exactly this.
    pub(crate) fn about_exactly(&self, host: &Host) -> impl Iterator<Item = usize> + '_ {
        self.hosts.get(host).into_iter().flatten().copied()
    }

    /// Rules whose host or range this belongs to.
    pub(crate) fn about(&self, host: &Host) -> Vec<usize> {
        let mut found: Vec<usize> = self.about_exactly(host).chain(self.about_all()).collect();
        match host {
            Host::Name(name) => {
                let suffixes = name.match_indices('.').filter_map(|(at, _)| name.get(at + 1..));
                found.extend(suffixes.filter_map(|suffix| self.below.get(suffix)).flatten());
            }
            Host::Address(address) => self.add_ranges(*address, &mut found),
        }
        found
    }

    /// Rules about an address or about one it holds, but not those about every host.
    pub(crate) fn about_readings(&self, address: IpAddr) -> Vec<usize> {
        let mut found = Vec::new();
        for reading in readings(address) {
            found.extend(self.about_exactly(&Host::Address(reading)));
            self.add_ranges(reading, &mut found);
        }
        found
    }

    fn add_ranges(&self, address: IpAddr, found: &mut Vec<usize>) {
        let lengths = match address {
            IpAddr::V4(_) => &self.lengths_v4,
            IpAddr::V6(_) => &self.lengths_v6,
        };
        for length in lengths {
            let range = IpNet::new(address, *length).ok().map(|range| range.trunc());
            found.extend(
                range
                    .and_then(|range| self.ranges.get(&range))
                    .into_iter()
                    .flatten(),
            );
        }
    }
}

/// An address in its one form, and those it holds.
pub(crate) fn readings(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    std::iter::once(address::canonical(address)).chain(address::embedded(address))
}
