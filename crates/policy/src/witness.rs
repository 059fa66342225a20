//! Finitely many accesses that stand for all of them.
//!
//! Rules only ask whether a text is this text or has this beginning and this end, whether a number lies
//! between two others, and whether a name is below another. So accesses fall into finitely many classes which
//! two policies cannot tell apart, and a question about all accesses is answered by asking the decision itself
//! about one of each class. Classes that the first policy cannot allow are left out.
//!
//! INVARIANT: for each access that the first policy allows, one is asked about for which both policies decide
//! by the same rules.
//!
//! Long because what makes a class is argued for all kinds of access together, and a kind left out is a hole.

use crate::access::{FileOperation, Protocol, SocketUse};
use crate::address;
use crate::budget::{Budget, Stop};
use crate::decide::Question;
use crate::grant::{NetworkRule, Peer, PortRange, SecretRule};
use crate::host::{Host, HostPattern};
use crate::index::{Peers, readings};
use crate::path::AbsolutePath;
use crate::pattern::{Glob, Segments};
use crate::rules::Policy;
use crate::url::{HttpTarget, Scheme};
use ipnet::{IpNet, Ipv6Net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Goes through one access of each class that `own` can allow.
pub(crate) struct Search<'a, 'b, V> {
    own: &'a Policy,
    other: &'a Policy,
    budget: &'b mut Budget,
    visit: V,
    /// Found once, used three times.
    addresses: Option<Vec<IpAddr>>,
}

impl<'a, 'b, V: FnMut(&Question<'_>) -> bool> Search<'a, 'b, V> {
    /// `visit` says whether it has seen enough.
    pub(crate) fn new(own: &'a Policy, other: &'a Policy, budget: &'b mut Budget, visit: V) -> Self {
        Self {
            own,
            other,
            budget,
            visit,
            addresses: None,
        }
    }

    /// Everything.
    pub(crate) fn run(&mut self) -> Result<(), Stop> {
        self.files()?;
        self.requests()?;
        self.sockets()?;
        self.dials()?;
        self.lookups()?;
        self.variables()?;
        self.secrets()
    }

    /// `looks` says how many rules the decision looks at.
    fn ask(&mut self, question: &Question<'_>, looks: usize) -> Result<(), Stop> {
        self.budget.spend(looks)?;
        if (self.visit)(question) {
            Err(Stop::Found)
        } else {
            Ok(())
        }
    }

    pub(crate) fn files(&mut self) -> Result<(), Stop> {
        const OPERATIONS: [FileOperation; 4] = [
            FileOperation::Read,
            FileOperation::Write,
            FileOperation::Inspect,
            FileOperation::Rename,
        ];
        let own = &self.own.rules().storage;
        let enters = own.iter().any(|rule| rule.enters_submounts());
        let patterns: Vec<_> = own
            .iter()
            .chain(&self.other.rules().storage)
            .map(|rule| rule.pattern().segments())
            .collect();
        let allows: Vec<_> = own
            .iter()
            .map(|rule| rule.effect() == crate::grant::Effect::Allow)
            .collect();
        let can_allow = |at: usize| allows.get(at) == Some(&true);
        for path in paths(&patterns, can_allow, self.budget)? {
            // What is longer than any path cannot be asked for.
            let Ok(path) = path.parse::<AbsolutePath>() else {
                continue;
            };
            for operation in OPERATIONS {
                let looks = self.rules_about_file(&path, operation);
                for submounts in [false, true].into_iter().take(1 + usize::from(enters)) {
                    let question = Question::File {
                        path: &path,
                        operation,
                        submounts,
                    };
                    self.ask(&question, looks)?;
                }
            }
        }
        Ok(())
    }

    fn rules_about_file(&self, path: &AbsolutePath, operation: FileOperation) -> usize {
        let indexes = [self.own, self.other].map(Policy::index);
        let lists = indexes
            .iter()
            .flat_map(|index| [&index.storage_allow, &index.storage_deny]);
        let counts = lists.map(|list| {
            if operation == FileOperation::Rename {
                list.about_tree(path).count()
            } else {
                list.about(path).count()
            }
        });
        counts.sum()
    }

    pub(crate) fn requests(&mut self) -> Result<(), Stop> {
        let names = self.names();
        let addresses = self.addresses()?.into_iter().map(Host::Address);
        for host in names.into_iter().chain(addresses) {
            self.budget.spend(0)?;
            if !self.can_request(&host) {
                continue;
            }
            let rules = self.rules_about(&host)?;
            let looks = self.looks_at(&rules);
            self.each_target(&host, &rules, |search, target| {
                search.ask(&Question::Http(target), looks)
            })?;
        }
        Ok(())
    }

    /// What the address of a host changes. Public addresses that no rule is about change nothing.
    pub(crate) fn dials(&mut self) -> Result<(), Stop> {
        let addresses = self.addresses()?;
        let can_dial = |address: &IpAddr| {
            readings(*address).all(|reading| {
                let is_named = self.can_request(&Host::Address(reading));
                is_named || address::is_public(reading) || address.is_loopback()
            })
        };
        let is_special = |address: &IpAddr| {
            let denied = self.other.index().network_deny.about_readings(*address);
            !denied.is_empty() || !readings(*address).all(address::is_public)
        };
        let special: Vec<IpAddr> = addresses
            .iter()
            .copied()
            .filter(|address| can_dial(address) && is_special(address))
            .collect();
        // Only a name that means this machine leads to it without being told so.
        let can_reach =
            |address: &&IpAddr| !address.is_loopback() || self.can_request(&Host::Address(**address));
        let reached: Vec<IpAddr> = special.iter().filter(can_reach).copied().collect();
        for host in self.names() {
            let led_to = if host.is_loopback_name() {
                &special
            } else {
                &reached
            };
            for address in led_to {
                self.dials_of(&host, *address)?;
            }
        }
        for address in addresses {
            self.dials_of(&Host::Address(address), address)?;
        }
        Ok(())
    }

    fn dials_of(&mut self, host: &Host, address: IpAddr) -> Result<(), Stop> {
        self.budget.spend(0)?;
        if !self.can_request(host) {
            return Ok(());
        }
        let mut rules = self.rules_about(host)?;
        rules.extend(self.rules_about(&Host::Address(address))?);
        let looks = self.looks_at(&rules);
        self.each_target(host, &rules, |search, target| {
            search.ask(&Question::Dial { target, address }, looks)
        })
    }

    pub(crate) fn sockets(&mut self) -> Result<(), Stop> {
        if self.own.index().sockets.is_empty() {
            return Ok(());
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            self.ask(&Question::Socket(protocol), self.other.rules().network.len())?;
        }
        let any = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        for ip in self.addresses()?.into_iter().chain(any) {
            let rules = self.rules_about(&Host::Address(ip))?;
            let looks = self.looks_at(&rules);
            for port in ports(&rules).into_iter().chain([0]) {
                self.socket_uses(SocketAddr::new(ip, port), looks)?;
            }
        }
        Ok(())
    }

    fn socket_uses(&mut self, address: SocketAddr, looks: usize) -> Result<(), Stop> {
        // Other uses are decided like connecting.
        for socket_use in [SocketUse::Connect, SocketUse::Bind] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let question = Question::SocketAddress {
                    protocol,
                    socket_use,
                    address,
                };
                self.ask(&question, looks)?;
            }
        }
        Ok(())
    }

    /// Only what is written out, a name or an address, can be looked up.
    pub(crate) fn lookups(&mut self) -> Result<(), Stop> {
        for rule in &self.own.rules().network {
            if let Peer::Host(HostPattern::Exact(host)) = rule.peer() {
                let looks = self.rules_about(host)?.len();
                let question = Question::Resolve {
                    host_name: &host.to_string(),
                    by_pattern: false,
                };
                self.ask(&question, looks)?;
            }
        }
        Ok(())
    }

    pub(crate) fn variables(&mut self) -> Result<(), Stop> {
        for rule in &self.own.rules().environment {
            let question = Question::Variable {
                name: rule.name(),
                granted: Some(rule.value()),
            };
            self.ask(&question, 0)?;
        }
        Ok(())
    }

    pub(crate) fn secrets(&mut self) -> Result<(), Stop> {
        let mut others: BTreeMap<&str, Vec<&SecretRule>> = BTreeMap::new();
        for rule in &self.other.rules().secrets {
            others.entry(rule.name()).or_default().push(rule);
        }
        for rule in &self.own.rules().secrets {
            let others = others.get(rule.name()).into_iter().flatten();
            let rules: Vec<&NetworkRule> = std::iter::once(rule)
                .chain(others.copied())
                .map(|rule| &rule.requests)
                .collect();
            self.budget.spend(rules.len())?;
            for host in secret_hosts(&rules) {
                let looks = self.secrets_about(&host);
                self.each_target(&host, &rules, |search, target| {
                    let question = Question::Secret {
                        name: rule.name(),
                        target,
                        granted: Some(rule),
                    };
                    search.ask(&question, looks)
                })?;
            }
        }
        Ok(())
    }

    /// What the rules of all secrets for a host compare a request to.
    fn secrets_about(&self, host: &Host) -> usize {
        let rules = [self.own, self.other].map(|policy| {
            let found = policy.index().secrets.about(host).into_iter();
            let rules = found.filter_map(|at| policy.rules().secrets.get(at));
            rules.map(|rule| parts(&rule.requests)).sum::<usize>()
        });
        rules.iter().sum()
    }

    fn each_target(
        &mut self,
        host: &Host,
        rules: &[&NetworkRule],
        mut ask: impl FnMut(&mut Self, &HttpTarget) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let patterns: Vec<_> = rules
            .iter()
            .flat_map(|rule| rule.paths.iter().flatten())
            .map(|path| path.segments())
            .collect();
        let paths = paths(&patterns, |_| true, self.budget)?;
        let (methods, ports) = (methods(rules), ports(rules));
        for path in &paths {
            for method in &methods {
                for scheme in Scheme::ALL {
                    for port in &ports {
                        ask(self, &HttpTarget::of_parts((method, scheme), (host, *port), path))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Names that `own` can allow: each that is written, and a new one below each wildcard.
    fn names(&self) -> Vec<Host> {
        let peers = self.peers();
        let mut names = new_names(peers.iter().copied());
        names.retain(|name| self.can_request(name));
        names
    }

    /// Whether any allow rule of `own` about requests is about this host.
    fn can_request(&self, host: &Host) -> bool {
        let found = self.own.index().network_allow.about(host);
        let mut rules = found
            .into_iter()
            .filter_map(|at| self.own.rules().network.get(at));
        rules.any(|rule| !rule.is_for_sockets())
    }

    fn peers(&self) -> Vec<&'a Peer> {
        let (own, other) = (self.own, self.other);
        let rules = own.rules().network.iter().chain(&other.rules().network);
        rules.map(NetworkRule::peer).collect()
    }

    /// Addresses of which no two are in the same ranges.
    fn addresses(&mut self) -> Result<Vec<IpAddr>, Stop> {
        if let Some(addresses) = &self.addresses {
            return Ok(addresses.clone());
        }
        let peers = self.peers();
        let (v4, v6) = points(&peers);
        // Where rules divide what holds IPv4 addresses, each division has to be tried with each of them.
        let is_divided = peers.iter().any(|peer| divides_holders(peer));
        let v4_classes = self.one_of_each_class(v4.iter().copied().map(v4_address))?;
        let held: BTreeSet<u32> = if is_divided { v4 } else { v4_bits(&v4_classes) };
        let own = self.own.rules().network.iter().map(NetworkRule::peer);
        let own_ranges = v6_ranges(own);
        let ranges = v6_ranges(peers.iter().copied());
        // Made one after the other: together they can be more than there is memory.
        let holding = holders(&held, &v6, (&own_ranges, &ranges));
        let v6 = v6
            .iter()
            .copied()
            .chain(holding)
            .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
            // An IPv6 address that is an IPv4 one is there already.
            .filter(|address| address::canonical(*address) == *address);
        let mut addresses = v4_classes;
        addresses.extend(self.one_of_each_class(v6)?);
        self.addresses = Some(addresses.clone());
        Ok(addresses)
    }

    fn one_of_each_class(&mut self, addresses: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, Stop> {
        let mut seen = BTreeSet::new();
        let mut one_of_each = Vec::new();
        let lists = [self.own, self.other].map(Policy::index);
        let looks = self.range_looks();
        for address in addresses {
            self.budget.spend(looks)?;
            let class: Vec<_> = readings(address)
                .map(|reading| {
                    let host = Host::Address(reading);
                    let about =
                        lists.map(|list| (list.network_allow.about(&host), list.network_deny.about(&host)));
                    let kind = (
                        address::is_public(reading),
                        reading.is_loopback(),
                        reading.is_unspecified(),
                    );
                    (about, kind)
                })
                .collect();
            let lists = class.iter().flat_map(|(about, _)| about);
            let rules: usize = lists.map(|(allow, deny)| allow.len() + deny.len()).sum();
            self.budget.keep(rules * size_of::<usize>())?;
            if seen.insert(class) {
                one_of_each.push(address);
            }
        }
        Ok(one_of_each)
    }

    fn rules_about(&mut self, host: &Host) -> Result<Vec<&'a NetworkRule>, Stop> {
        let (own, other) = (self.own, self.other);
        let looks = self.range_looks();
        let mut rules = Vec::new();
        for policy in [own, other] {
            let index = policy.index();
            let mut found = index.network_allow.about(host);
            found.extend(index.network_deny.about(host));
            if let Host::Address(address) = host {
                found.extend(index.network_allow.about_readings(*address));
                found.extend(index.network_deny.about_readings(*address));
            }
            self.budget.spend(looks + found.len())?;
            found.sort_unstable();
            found.dedup();
            rules.extend(found.into_iter().filter_map(|at| policy.rules().network.get(at)));
        }
        Ok(rules)
    }

    /// What a decision by these rules looks at.
    fn looks_at(&self, rules: &[&NetworkRule]) -> usize {
        self.range_looks() + rules.iter().map(|rule| parts(rule)).sum::<usize>()
    }

    /// What looking up an address in all lists of ranges takes.
    fn range_looks(&self) -> usize {
        /// A search in a tree, where a rule is compared at once.
        const LOOKS_FOR_LENGTH: usize = 8;

        let indexes = [self.own, self.other].map(Policy::index);
        let lists = indexes
            .iter()
            .flat_map(|index| [&index.network_allow, &index.network_deny]);
        let lengths: usize = lists.map(Peers::range_lengths).sum();
        lengths * LOOKS_FOR_LENGTH
    }
}

/// How many things a rule compares a request to.
fn parts(rule: &NetworkRule) -> usize {
    let lists = [
        rule.paths.as_ref().map(Vec::len),
        rule.methods.as_ref().map(Vec::len),
        rule.ports.as_ref().map(Vec::len),
    ];
    1 + lists.into_iter().flatten().sum::<usize>()
}

/// A path, and how far each pattern goes along it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    depth: usize,
    /// Patterns that go on below.
    open: Vec<usize>,
    /// Patterns that end here.
    exact: Vec<usize>,
    /// Patterns that ended here or above with all that is below.
    deep: Vec<usize>,
}

/// One path of each class in which a pattern that counts still plays a part.
fn paths(
    patterns: &[&Segments],
    counts: impl Fn(usize) -> bool,
    budget: &mut Budget,
) -> Result<Vec<String>, Stop> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let everything = Class {
        depth: 0,
        open: (0..patterns.len()).collect(),
        exact: Vec::new(),
        deep: Vec::new(),
    };
    // The shortest first, so that a class is stood for by a path that is not too long if it has one.
    let mut waiting = BTreeSet::from([(0, String::new(), settled(everything, patterns))]);
    while let Some((length, path, class)) = waiting.pop_first() {
        if seen.contains(&class) {
            continue;
        }
        found.push(if length == 0 { "/".to_owned() } else { path.clone() });
        let goes_on = length == 0 || !class.open.is_empty() || !class.exact.is_empty();
        let below = if goes_on {
            children(&class, patterns, budget)?
        } else {
            Vec::new()
        };
        for (segment, open) in below {
            let kept = (open.len() + class.deep.len()) * size_of::<usize>();
            budget.keep(path.len() + segment.len() + kept)?;
            let next = settled(
                Class {
                    depth: class.depth + 1,
                    open,
                    exact: Vec::new(),
                    deep: class.deep.clone(),
                },
                patterns,
            );
            let mut parts = next.open.iter().chain(&next.exact).chain(&next.deep);
            if patterns.is_empty() || parts.any(|at| counts(*at)) {
                let path = format!("{path}/{segment}");
                waiting.insert((path.len(), path, next));
            }
        }
        seen.insert(class);
    }
    Ok(found)
}

/// Moves the patterns that end at this depth out of `open`.
fn settled(mut class: Class, patterns: &[&Segments]) -> Class {
    let depth = class.depth;
    let (open, ended) = class.open.into_iter().partition(|at| {
        patterns
            .get(*at)
            .is_some_and(|pattern| pattern.globs().len() > depth)
    });
    class.open = open;
    let (deep, exact): (Vec<usize>, Vec<usize>) =
        Vec::into_iter(ended).partition(|at| patterns.get(*at).is_some_and(|pattern| pattern.is_deep()));
    class.deep.extend(deep);
    class.deep.sort_unstable();
    class.exact = exact;
    class
}

/// One name of each class below a path, with the patterns that go on through it.
fn children(
    class: &Class,
    patterns: &[&Segments],
    budget: &mut Budget,
) -> Result<Vec<(String, Vec<usize>)>, Stop> {
    let mut literals: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut globs: BTreeMap<&Glob, Vec<usize>> = BTreeMap::new();
    let next = |at: &usize| Some((*at, patterns.get(*at)?.globs().get(class.depth)?));
    for (at, glob) in class.open.iter().filter_map(next) {
        match glob.as_literal() {
            Some(literal) => literals.entry(literal).or_default().push(at),
            None => globs.entry(glob).or_default().push(at),
        }
    }
    let mut children = Vec::new();
    for text in texts(literals.keys().copied(), globs.keys().copied(), budget)? {
        if matches!(text.as_str(), "" | "." | "..") {
            continue;
        }
        budget.spend(globs.len())?;
        let mut open = literals.get(text.as_str()).cloned().unwrap_or_default();
        for (_, at) in globs.iter().filter(|(glob, _)| glob.matches(&text)) {
            open.extend(at);
        }
        budget.keep(text.len() + open.len() * size_of::<usize>())?;
        open.sort_unstable();
        children.push((text, open));
    }
    Ok(children)
}

/// One text of each class: the literals, and for each beginning and end that are asked for the text that has
/// both and nothing else, and those in which they overlap.
pub(crate) fn texts<'t>(
    literals: impl Iterator<Item = &'t str> + Clone,
    globs: impl Iterator<Item = &'t Glob> + Clone,
    budget: &mut Budget,
) -> Result<BTreeSet<String>, Stop> {
    let mut texts: BTreeSet<String> = literals.clone().map(str::to_owned).collect();
    let mut beginnings = BTreeSet::from([""]);
    let mut ends = BTreeSet::from([""]);
    for (before, after) in globs.clone().map(Glob::parts) {
        beginnings.insert(before);
        ends.extend(after);
    }
    let used: BTreeSet<char> = literals
        .chain(beginnings.iter().copied())
        .chain(ends.iter().copied())
        .flat_map(str::chars)
        .collect();
    let new = ('a'..='z')
        .rev()
        .chain('0'..='9')
        .chain('\u{e000}'..='\u{f8ff}')
        .find(|c| !used.contains(c))
        .ok_or(Stop::TooMany)?;
    for beginning in &beginnings {
        for end in &ends {
            budget.spend(end.len())?;
            budget.keep(beginning.len() + end.len())?;
            texts.insert(format!("{beginning}{new}{end}"));
            for (at, _) in end.char_indices().chain([(end.len(), ' ')]) {
                let (shared, rest) = end.split_at(at);
                if beginning.ends_with(shared) {
                    budget.keep(beginning.len() + rest.len())?;
                    texts.insert(format!("{beginning}{rest}"));
                }
            }
        }
    }
    Ok(texts)
}

fn methods(rules: &[&NetworkRule]) -> BTreeSet<String> {
    let mut methods: BTreeSet<String> = rules
        .iter()
        .flat_map(|rule| rule.methods.iter().flatten())
        .cloned()
        .collect();
    let common = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"];
    let others = (0..=methods.len()).map(|number| format!("X-{number}"));
    let mut candidates = common.map(str::to_owned).into_iter().chain(others);
    let new = candidates.find(|method| !methods.contains(method));
    methods.extend(new);
    methods
}

fn ports(rules: &[&NetworkRule]) -> BTreeSet<u16> {
    // One that is no scheme's own, should no rule name any.
    let mut ports = BTreeSet::from([Scheme::Http.default_port(), Scheme::Https.default_port(), 8080]);
    for PortRange { first, last } in rules.iter().flat_map(|rule| rule.ports.iter().flatten()) {
        ports.extend([first.saturating_sub(1), *first, *last, last.saturating_add(1)]);
    }
    ports.remove(&0);
    ports
}

fn new_names<'p>(peers: impl Iterator<Item = &'p Peer> + Clone) -> Vec<Host> {
    let mut names = BTreeSet::new();
    let mut suffixes = BTreeSet::new();
    for peer in peers {
        match peer {
            Peer::Host(HostPattern::Exact(Host::Name(name))) => {
                names.insert(name.as_str());
            }
            Peer::Host(HostPattern::Below(name)) => {
                suffixes.insert(name.as_str());
            }
            Peer::Host(HostPattern::Exact(Host::Address(_)) | HostPattern::Any) | Peer::Range(_) => {}
        }
    }
    let is_used = |label: &str| {
        let used = names.iter().chain(&suffixes);
        used.into_iter()
            .any(|name| name.split('.').any(|used| used == label))
    };
    let mut label = "any".to_owned();
    while is_used(&label) {
        label.push('x');
    }
    let new = suffixes.iter().map(|suffix| format!("{label}.{suffix}"));
    let written = names.iter().map(|name| (*name).to_owned());
    written.chain(new).map(Host::Name).collect()
}

fn secret_hosts(rules: &[&NetworkRule]) -> Vec<Host> {
    let mut hosts = new_names(rules.iter().map(|rule| rule.peer()));
    for rule in rules {
        if let Peer::Host(HostPattern::Exact(host @ Host::Address(_))) = rule.peer() {
            hosts.push(host.clone());
        }
    }
    hosts
}

fn v4_address(bits: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(bits))
}

/// Whether a rule takes a part of the addresses that hold IPv4 addresses, and not all or none.
fn divides_holders(peer: &Peer) -> bool {
    let range = match peer {
        Peer::Range(IpNet::V6(range)) => range,
        Peer::Host(HostPattern::Exact(Host::Address(address))) => {
            return !address::embedded(*address).is_empty();
        }
        Peer::Range(IpNet::V4(_)) | Peer::Host(_) => return false,
    };
    let holding = [
        address::NAT64,
        address::SIX_TO_FOUR,
        address::TEREDO,
        address::COMPATIBLE,
        address::TRANSLATED,
    ];
    // ISATAP addresses are told apart by their lower half.
    let is_inside = |whole: &Ipv6Net| whole.contains(range) && whole != range;
    range.prefix_len() > 64 && !holding.contains(range) || holding.iter().any(is_inside)
}

fn v6_ranges<'p>(peers: impl Iterator<Item = &'p Peer>) -> Vec<Ipv6Net> {
    let ranges = peers.filter_map(|peer| match peer {
        Peer::Range(IpNet::V6(range)) => Some(*range),
        Peer::Range(IpNet::V4(_)) | Peer::Host(_) => None,
    });
    ranges.collect()
}

fn v4_bits(addresses: &[IpAddr]) -> BTreeSet<u32> {
    let bits = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(address.to_bits()),
        IpAddr::V6(_) => None,
    });
    bits.collect()
}

/// The first and last address of each range and its neighbors, so that each gap between ranges has one too; and
/// the IPv4 addresses that those of IPv6 hold.
fn points(peers: &[&Peer]) -> (BTreeSet<u32>, BTreeSet<u128>) {
    let mut v4 = BTreeSet::new();
    let mut v6 = BTreeSet::new();
    let mut add = |range: IpNet| match range {
        IpNet::V4(range) => {
            let (first, last) = (range.network().to_bits(), range.broadcast().to_bits());
            v4.extend([first, last, first.saturating_sub(1), last.saturating_add(1)]);
        }
        IpNet::V6(range) => {
            let (first, last) = (range.network().to_bits(), range.broadcast().to_bits());
            // The next /64 too, for the gaps between ranges that are a part of a /64: what stands in the lower half
            // can be the same everywhere (ISATAP).
            let after = (last >> 64 << 64).saturating_add(1 << 64);
            v6.extend([
                first,
                last,
                first.saturating_sub(1),
                last.saturating_add(1),
                after,
            ]);
        }
    };
    for range in address::special_ranges() {
        add(range);
    }
    for peer in peers {
        match peer {
            Peer::Host(HostPattern::Exact(Host::Address(address))) => add(IpNet::from(*address)),
            Peer::Range(range) => add(*range),
            Peer::Host(HostPattern::Exact(Host::Name(_)) | HostPattern::Below(_) | HostPattern::Any) => {}
        }
    }
    let held = v6
        .iter()
        .flat_map(|bits| address::embedded(IpAddr::V6(Ipv6Addr::from_bits(*bits))))
        .collect::<Vec<_>>();
    v4.extend(v4_bits(&held));
    (v4, v6)
}

/// IPv6 addresses that hold these IPv4 addresses, given the ranges of the first policy and those of both.
fn holders<'h>(
    v4: &'h BTreeSet<u32>,
    v6: &BTreeSet<u128>,
    (own_ranges, ranges): (&[Ipv6Net], &[Ipv6Net]),
) -> impl Iterator<Item = u128> + use<'h> {
    // Elsewhere an ISATAP address is decided like the address it holds. A range can also be a part of a /64.
    let reached = reached_halves(ranges);
    let is_in_a_range = |half: &u128| {
        let before = reached.range(..=*half).next_back();
        before.is_some_and(|(_, last)| half <= last)
    };
    let halves: Vec<u128> = v6
        .iter()
        .map(|bits| bits >> 64)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(is_in_a_range)
        .map(|half| half << 64)
        .collect();
    let holding = v4.iter().copied().map(u128::from).flat_map(move |held| {
        let low = [address::NAT64, address::TRANSLATED, address::COMPATIBLE];
        let low = low.map(|prefix| prefix.network().to_bits() | held);
        let isatap = halves.clone().into_iter();
        let isatap =
            isatap.flat_map(move |half| [half | 0x5efe << 32 | held, half | 0x0200_5efe << 32 | held]);
        low.into_iter()
            .chain([address::SIX_TO_FOUR.network().to_bits() | held << 80])
            .chain(isatap)
    });
    // Teredo holds two. Only a range in a rule can allow it.
    let teredo = address::TEREDO;
    let is_near = |range: &Ipv6Net| range.contains(&teredo.network()) || teredo.contains(&range.network());
    let servers = own_ranges.iter().any(is_near).then_some(v4);
    let both = servers.into_iter().flatten().flat_map(move |server| {
        let server = teredo.network().to_bits() | u128::from(*server) << 64;
        v4.iter().map(move |client| server | u128::from(!client))
    });
    holding.chain(both)
}

/// The upper halves of the addresses in these ranges: from each first one the last one of the same range.
fn reached_halves(ranges: &[Ipv6Net]) -> BTreeMap<u128, u128> {
    // None of these has anything in common with another.
    let apart = Ipv6Net::aggregate(&ranges.to_vec());
    let halves = apart.iter().map(|range| {
        let (first, last) = (range.network().to_bits(), range.broadcast().to_bits());
        (first >> 64, last >> 64)
    });
    halves.collect()
}
