//! The rules of a policy: each parsed once, in one canonical form, and able to say itself.
//!
//! A rule is built from its text as a document or a command has it (the `…Spec` types) and gives that text
//! back in canonical form, so that what is printed and read again is the same rule.
//!
//! Long because each part of a rule is read beside the rule whose form it belongs to.

use crate::access::Protocol;
use crate::address;
use crate::error::{Field, RuleError};
use crate::host::{Host, HostPattern, no_host};
use crate::path::AbsolutePath;
use crate::pattern::{PathPattern, RuleText, Shown};
use crate::text::Quoted;
use crate::url::{BACKSLASH, ParseTargetError, Scheme, USER_INFORMATION, UrlParts, is_method, split_port};
use crate::url_path::UrlPathPattern;
use ipnet::IpNet;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use strsim::osa_distance;

/// Longest name of a variable, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Longest name of a secret, in bytes: what the store of secrets takes.
const SECRET_NAME_BYTES_MAX: usize = 128;
/// Longest value of a variable, and longest format of a secret, in bytes.
const VALUE_BYTES_MAX: usize = 32 * 1024;

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// `allow`
    Allow,
    /// `deny`
    Deny,
}

impl Effect {
    /// The key of the list.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What a storage rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileAccess {
    /// Contents, listings and properties.
    pub read: bool,
    /// Changing, making and removing.
    pub write: bool,
}

impl FileAccess {
    /// Reading alone.
    pub const READ: Self = Self {
        read: true,
        write: false,
    };
    /// Writing alone; only a deny rule can say that.
    pub const WRITE: Self = Self {
        read: false,
        write: true,
    };
    /// Both.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
    };

    fn words(self) -> Vec<String> {
        let words = [(self.read, "read"), (self.write, "write")];
        words
            .into_iter()
            .filter(|(is_named, _)| *is_named)
            .map(|(_, word)| word.to_owned())
            .collect()
    }
}

/// A storage rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageSpec {
    /// `fs:///path`
    pub uri: String,
    /// `read`, `write`; must be there in `allow`, means both when it is missing in `deny`.
    pub access: Option<Vec<String>>,
    /// Where the guest sees it; only in `allow`.
    pub guest: Option<String>,
    /// Whether mounts below are entered; only in `allow`.
    pub submounts: Option<bool>,
}

/// Files and folders that may, or may not, be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StorageRule {
    effect: Effect,
    pattern: PathPattern,
    access: FileAccess,
    guest: AbsolutePath,
    submounts: bool,
    text: RuleText,
}

impl StorageRule {
    /// Reads a rule. A relative path in it is below `base`.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a part that cannot be read, or that means nothing in this list.
    pub fn new(effect: Effect, spec: &StorageSpec, base: Option<&AbsolutePath>) -> Result<Self, RuleError> {
        let pattern = PathPattern::storage(&spec.uri, base)?;
        let prefix = pattern.prefix();
        if effect == Effect::Allow && prefix.is_root() {
            return Err(RuleError::at(Field::Uri, "the root cannot be granted")
                .hint("name the folders that are needed"));
        }
        let access = file_access(effect, spec.access.as_deref())?;
        let guest = match (&spec.guest, effect) {
            (None, _) => prefix,
            (Some(guest), Effect::Allow) => guest_path(guest)?,
            (Some(_), Effect::Deny) => {
                return Err(
                    RuleError::at(Field::Guest, "a deny rule has no place in the guest")
                        .hint("it denies the path wherever the guest sees it"),
                );
            }
        };
        if effect == Effect::Deny && spec.submounts.is_some() {
            return Err(RuleError::at(
                Field::Submounts,
                "a deny rule always covers what is mounted below",
            )
            .hint("leave `submounts` out"));
        }
        let parts = (access, guest, spec.submounts == Some(true));
        Ok(Self::from_parts(effect, pattern, parts))
    }

    fn from_parts(
        effect: Effect,
        pattern: PathPattern,
        (access, guest, submounts): (FileAccess, AbsolutePath, bool),
    ) -> Self {
        let mut text = format!("storage {} {}", effect.as_str(), Quoted(&pattern.to_string()));
        if effect == Effect::Allow || access != FileAccess::READ_WRITE {
            push_list(&mut text, "access", &access.words());
        }
        if effect == Effect::Allow && guest != pattern.prefix() {
            push(&mut text, format_args!(" guest {}", Quoted(guest.as_str())));
        }
        if submounts {
            text.push_str(" submounts");
        }
        Self {
            effect,
            pattern,
            access,
            guest,
            submounts,
            text: text.into(),
        }
    }

    /// A deny rule for the same paths.
    pub(crate) fn denied(&self, access: FileAccess) -> Self {
        let guest = self.pattern.prefix();
        Self::from_parts(Effect::Deny, self.pattern.clone(), (access, guest, false))
    }

    /// An allow rule for reading the same paths, without regard to mounts.
    pub(crate) fn as_place(&self) -> Self {
        let guest = self.pattern.prefix();
        Self::from_parts(
            Effect::Allow,
            self.pattern.clone(),
            (FileAccess::READ, guest, false),
        )
    }

    /// The same rule about another access, if there is any.
    pub(crate) fn with_access(&self, access: FileAccess) -> Option<Self> {
        let parts = (access, self.guest.clone(), self.submounts);
        (access.read || access.write).then(|| Self::from_parts(self.effect, self.pattern.clone(), parts))
    }

    /// Which list it is in.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// What it is about.
    #[must_use]
    pub fn pattern(&self) -> &PathPattern {
        &self.pattern
    }

    /// Reading, writing or both; in `allow` writing comes with reading.
    #[must_use]
    pub fn access(&self) -> FileAccess {
        self.access
    }

    /// Where the guest sees [`PathPattern::prefix`].
    #[must_use]
    pub fn guest(&self) -> &AbsolutePath {
        &self.guest
    }

    /// Whether mounts below are entered.
    #[must_use]
    pub fn enters_submounts(&self) -> bool {
        self.submounts
    }

    /// The rule in one line.
    #[must_use]
    pub fn text(&self) -> &RuleText {
        &self.text
    }

    /// The rule as it is written in canonical form.
    #[must_use]
    pub fn spec(&self) -> StorageSpec {
        let is_allow = self.effect == Effect::Allow;
        StorageSpec {
            uri: self.pattern.to_string(),
            access: (is_allow || self.access != FileAccess::READ_WRITE).then(|| self.access.words()),
            guest: (is_allow && self.guest != self.pattern.prefix()).then(|| self.guest.to_string()),
            submounts: self.submounts.then_some(true),
        }
    }
}

fn file_access(effect: Effect, words: Option<&[String]>) -> Result<FileAccess, RuleError> {
    let Some(words) = words else {
        return match effect {
            Effect::Deny => Ok(FileAccess::READ_WRITE),
            Effect::Allow => Err(RuleError::at(Field::Rule, "`access` is missing")
                .hint("write `access: [read]` or `access: [read, write]`")),
        };
    };
    let mut access = FileAccess {
        read: false,
        write: false,
    };
    for (index, word) in words.iter().enumerate() {
        match word.as_str() {
            "read" => access.read = true,
            "write" => access.write = true,
            _ => {
                return Err(
                    RuleError::at(Field::Access, format!("`{}` is no access", Shown(word)))
                        .hint("write `read` or `write`")
                        .item(index),
                );
            }
        }
    }
    if !access.read && !access.write {
        return Err(RuleError::at(Field::Access, "the list is empty").hint("write `read`, `write` or both"));
    }
    // WASI has no way to open a file for writing only.
    access.read |= effect == Effect::Allow && access.write;
    Ok(access)
}

fn guest_path(text: &str) -> Result<AbsolutePath, RuleError> {
    if text.chars().any(char::is_control) {
        return Err(
            RuleError::at(Field::Guest, "the path contains a control character").hint("leave it out"),
        );
    }
    if text.contains("://") {
        return Err(RuleError::at(Field::Guest, "here stands a path, not a URI").hint("write the path alone"));
    }
    let path = text.parse::<AbsolutePath>();
    let path = path.map_err(|why| RuleError::at(Field::Guest, why).hint(why.hint()))?;
    if path.as_str().contains('*') {
        return Err(RuleError::at(Field::Guest, "the path contains `*`")
            .hint("it is the place of what comes before the first `*` of the uri"));
    }
    Ok(path)
}

/// A network rule as it is written. Exactly one of `host` and `cidr` is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// A name, `*.name`, an address, any of them with `:port`, a URL, or in `deny` also `*`.
    pub host: Option<String>,
    /// A range of addresses.
    pub cidr: Option<String>,
    /// `http`, `https`
    pub schemes: Option<Vec<String>>,
    /// `443`, `8000-8099`
    pub ports: Option<Vec<String>>,
    /// `GET`
    pub methods: Option<Vec<String>>,
    /// `/v1/**`
    pub paths: Option<Vec<String>>,
    /// `tcp`, `udp`; only with `cidr`.
    pub protocols: Option<Vec<String>>,
}

/// With whom a network rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// `host`
    Host(HostPattern),
    /// `cidr`
    Range(IpNet),
}

/// Ports from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PortRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl PortRange {
    const ALL: Self = Self {
        first: 1,
        last: u16::MAX,
    };

    fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    pub(crate) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Requests or connections that may, or may not, be made. A part that is `None` is not restricted, but for
/// `schemes` and `ports` of an allow rule: https, and each scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkRule {
    pub(crate) effect: Effect,
    pub(crate) peer: Peer,
    pub(crate) schemes: Option<Vec<Scheme>>,
    pub(crate) ports: Option<Vec<PortRange>>,
    pub(crate) methods: Option<Vec<String>>,
    pub(crate) paths: Option<Vec<UrlPathPattern>>,
    pub(crate) protocols: Option<Vec<Protocol>>,
    text: RuleText,
}

/// What a host text says beside the host.
struct HostText {
    pattern: HostPattern,
    scheme: Option<Scheme>,
    port: Option<u16>,
    path: Option<UrlPathPattern>,
}

impl NetworkRule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a part that cannot be read, that contradicts another, or that means nothing in this
    /// list.
    pub fn new(effect: Effect, spec: &NetworkSpec) -> Result<Self, RuleError> {
        let mut rule = Self {
            effect,
            peer: Peer::Host(HostPattern::Any),
            schemes: list(Field::Schemes, spec.schemes.as_deref(), scheme)?,
            ports: list(Field::Ports, spec.ports.as_deref(), ports)?.map(merged),
            methods: list(Field::Methods, spec.methods.as_deref(), |text| {
                method(effect, text)
            })?,
            paths: list(Field::Paths, spec.paths.as_deref(), UrlPathPattern::new)?,
            protocols: list(Field::Protocols, spec.protocols.as_deref(), protocol)?,
            text: RuleText::from(""),
        };
        match (&spec.host, &spec.cidr) {
            (Some(host), None) => rule.set_host(host)?,
            (None, Some(cidr)) => rule.peer = Peer::Range(range(cidr)?),
            (None, None) => {
                return Err(RuleError::at(Field::Rule, "`host` or `cidr` is missing")
                    .hint("write for example `host: api.example.com`, or `cidr: \"10.0.0.0/8\"`"));
            }
            (Some(_), Some(_)) => {
                return Err(
                    RuleError::at(Field::Cidr, "a rule has either `host` or `cidr`").hint("write two rules")
                );
            }
        }
        rule.check_protocols()?;
        rule.normalize();
        Ok(rule)
    }

    fn set_host(&mut self, text: &str) -> Result<(), RuleError> {
        let host = HostText::parse(text)?;
        if self.effect == Effect::Allow {
            host.pattern.check_grantable()?;
        }
        self.peer = Peer::Host(host.pattern);
        let twice =
            |field: Field| RuleError::at(field, "the host says it already").hint("say it in one place");
        if let Some(scheme) = host.scheme {
            if self.schemes.replace(vec![scheme]).is_some() {
                return Err(twice(Field::Schemes));
            }
            // A URL without port means its scheme's.
            let port = host.port.unwrap_or(scheme.default_port());
            if self.ports.replace(vec![PortRange::one(port)]).is_some() {
                return Err(twice(Field::Ports));
            }
        } else if let Some(port) = host.port
            && self.ports.replace(vec![PortRange::one(port)]).is_some()
        {
            return Err(twice(Field::Ports));
        }
        if let Some(path) = host.path
            && self.paths.replace(vec![path]).is_some()
        {
            return Err(twice(Field::Paths));
        }
        Ok(())
    }

    /// Raw sockets are a range, ports and protocols and nothing else.
    fn check_protocols(&self) -> Result<(), RuleError> {
        if self.protocols.is_none() {
            return Ok(());
        }
        const SOCKETS: &str = "raw sockets need `cidr`, `ports` and `protocols`";
        if matches!(self.peer, Peer::Host(_)) {
            let why = "a rule with `host` is about requests and has no protocols";
            return Err(RuleError::at(Field::Protocols, why).hint(SOCKETS));
        }
        let of_requests = [
            (Field::Schemes, self.schemes.is_some()),
            (Field::Methods, self.methods.is_some()),
            (Field::Paths, self.paths.is_some()),
        ];
        for (field, is_there) in of_requests {
            if is_there {
                let why = "a rule with `protocols` is about raw sockets, not requests";
                return Err(RuleError::at(field, why).hint("write two rules"));
            }
        }
        if self.effect == Effect::Allow && self.ports.is_none() {
            return Err(RuleError::at(Field::Rule, "`ports` is missing").hint(SOCKETS));
        }
        Ok(())
    }

    /// Drops what says nothing, so that equal rules look the same.
    fn normalize(&mut self) {
        let is_allow = self.effect == Effect::Allow;
        let unrestricted: &[Scheme] = if is_allow { &[Scheme::Https] } else { &Scheme::ALL };
        let is_range = matches!(self.peer, Peer::Range(_));
        let says_nothing = |schemes: &Vec<Scheme>| schemes.as_slice() == unrestricted;
        // A range that is written with its scheme names its addresses for that scheme alone.
        if !(is_allow && is_range) && self.schemes.as_ref().is_some_and(says_nothing) {
            self.schemes = None;
        }
        let default_port = match self.schemes.as_deref() {
            None if is_allow => Some(Scheme::Https.default_port()),
            Some([scheme]) if is_allow => Some(scheme.default_port()),
            None | Some(_) => None,
        };
        let is_default = |ports: &Vec<PortRange>| match default_port {
            Some(port) => !is_range && *ports == [PortRange::one(port)],
            None => !is_allow && *ports == [PortRange::ALL],
        };
        if self.ports.as_ref().is_some_and(is_default) {
            self.ports = None;
        }
        if let Some(paths) = &self.paths
            && paths.iter().any(UrlPathPattern::is_everything)
        {
            self.paths = None;
        }
        if !is_allow && self.protocols.as_deref() == Some(&[Protocol::Tcp, Protocol::Udp]) {
            // Requests are TCP, so that such a rule hits them as one without protocols does.
            self.protocols = None;
        }
        self.text = self.to_text().into();
    }

    fn to_text(&self) -> String {
        let spec = self.spec();
        let (key, peer) = match (spec.host, spec.cidr) {
            (Some(host), _) => ("host", host),
            (None, cidr) => ("cidr", cidr.unwrap_or_default()),
        };
        let mut text = format!("network {} {key} {}", self.effect.as_str(), Quoted(&peer));
        let parts = [
            ("schemes", spec.schemes),
            ("ports", spec.ports),
            ("methods", spec.methods),
            ("paths", spec.paths),
            ("protocols", spec.protocols),
        ];
        for (key, values) in parts {
            if let Some(values) = values {
                push_list(&mut text, key, &values);
            }
        }
        text
    }

    /// The same rule in the other list.
    pub(crate) fn denied(&self) -> Self {
        let mut rule = self.clone();
        rule.effect = Effect::Deny;
        if rule.protocols.is_none() {
            let schemes = rule.schemes.get_or_insert_with(|| vec![Scheme::Https]);
            if rule.ports.is_none() {
                // Each scheme's own; more than was allowed where there are two, never less.
                rule.ports = Some(merged(
                    schemes.iter().map(|s| PortRange::one(s.default_port())).collect(),
                ));
            }
        }
        rule.normalize();
        rule
    }

    /// Whether both can be about one host.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (&self.peer, &other.peer) {
            (Peer::Host(one), Peer::Host(two)) => one.meets(two),
            (Peer::Range(_), _) | (_, Peer::Range(_)) => true,
        }
    }

    /// Whether both name one host, or one address. A host that has an address in a range is not named by it.
    #[must_use]
    pub fn names_peer_of(&self, other: &Self) -> bool {
        let holds = |range: &IpNet, host: &HostPattern| matches!(host, HostPattern::Exact(Host::Address(ip)) if range.contains(ip));
        match (&self.peer, &other.peer) {
            (Peer::Host(one), Peer::Host(two)) => one.meets(two),
            (Peer::Range(range), Peer::Host(host)) | (Peer::Host(host), Peer::Range(range)) => {
                holds(range, host)
            }
            (Peer::Range(one), Peer::Range(two)) => one.contains(two) || two.contains(one),
        }
    }

    /// Which list it is in.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// With whom.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether it is about raw sockets, and only about them.
    #[must_use]
    pub fn is_for_sockets(&self) -> bool {
        self.protocols.is_some()
    }

    /// The rule in one line.
    #[must_use]
    pub fn text(&self) -> &RuleText {
        &self.text
    }

    /// The rule as it is written in canonical form.
    #[must_use]
    pub fn spec(&self) -> NetworkSpec {
        fn texts<T>(values: Option<&Vec<T>>, text: impl Fn(&T) -> String) -> Option<Vec<String>> {
            values.map(|values| values.iter().map(text).collect())
        }
        NetworkSpec {
            host: match &self.peer {
                Peer::Host(pattern) => Some(pattern.to_string()),
                Peer::Range(_) => None,
            },
            cidr: match &self.peer {
                Peer::Host(_) => None,
                Peer::Range(range) => Some(range.to_string()),
            },
            schemes: texts(self.schemes.as_ref(), |scheme| scheme.as_str().to_owned()),
            ports: texts(self.ports.as_ref(), ToString::to_string),
            methods: texts(self.methods.as_ref(), String::clone),
            paths: texts(self.paths.as_ref(), ToString::to_string),
            protocols: texts(self.protocols.as_ref(), ToString::to_string),
        }
    }
}

impl HostText {
    fn parse(text: &str) -> Result<Self, RuleError> {
        let at_fault = |why: ParseTargetError| no_host(text, why).hint(why.hint());
        if let Some(range) = range_of(text) {
            return Err(
                no_host(text, "it is a range of addresses").hint(format_args!("write `cidr: \"{range}\"`"))
            );
        }
        if text.contains("://") {
            let url = UrlParts::parse(text).map_err(at_fault)?;
            if url.query.is_some() {
                let hint = "leave out `?` and what follows it; no rule can be about the query";
                return Err(no_host(text, "it has a query").hint(hint));
            }
            let path = UrlPathPattern::below(url.path).map_err(at_fault)?;
            return Ok(Self {
                pattern: HostPattern::new(url.host)?,
                scheme: Some(url.scheme),
                port: url.port,
                path: (!path.is_everything()).then_some(path),
            });
        }
        if text.contains('@') {
            return Err(at_fault(USER_INFORMATION));
        }
        if text.contains('\\') {
            return Err(at_fault(BACKSLASH));
        }
        let is_bare_address = text.parse::<IpAddr>().is_ok();
        let (host, port) = if is_bare_address {
            (text, None)
        } else {
            split_port(text).map_err(at_fault)?
        };
        if host.contains('/') {
            return Err(
                no_host(text, "it has a path").hint("write a whole URL, or put the path into `paths`")
            );
        }
        Ok(Self {
            pattern: HostPattern::new(host)?,
            scheme: None,
            port,
            path: None,
        })
    }
}

/// The range that somebody means who writes `10.0.0.0/8` or `10.1.*`.
fn range_of(text: &str) -> Option<String> {
    if let Some((address, _length)) = text.split_once('/') {
        return address.parse::<IpAddr>().is_ok().then(|| text.to_owned());
    }
    let numbers = text.strip_suffix(".*")?;
    let is_number = |part: &str| part.parse::<u8>().is_ok();
    let known = numbers.split('.').count();
    if known > 3 || !numbers.split('.').all(is_number) {
        return None;
    }
    Some(format!("{numbers}{}/{}", ".0".repeat(4 - known), 8 * known))
}

/// Reads each member of a list; an empty list is an error, because it reads like "none" and like "all".
fn list<T: Ord>(
    field: Field,
    texts: Option<&[String]>,
    read: impl Fn(&str) -> Result<T, RuleError>,
) -> Result<Option<Vec<T>>, RuleError> {
    let Some(texts) = texts else {
        return Ok(None);
    };
    if texts.is_empty() {
        return Err(RuleError::at(field, "the list is empty").hint("leave the key out"));
    }
    let mut values = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        values.push(read(text).map_err(|error| error.item(index))?);
    }
    values.sort();
    values.dedup();
    Ok(Some(values))
}

fn scheme(text: &str) -> Result<Scheme, RuleError> {
    Scheme::parse(text).ok_or_else(|| {
        RuleError::at(Field::Schemes, format!("`{}` is no scheme", Shown(text)))
            .hint("write `http` or `https`")
    })
}

fn protocol(text: &str) -> Result<Protocol, RuleError> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err(
            RuleError::at(Field::Protocols, format!("`{}` is no protocol", Shown(text)))
                .hint("write `tcp` or `udp`"),
        ),
    }
}

fn method(effect: Effect, text: &str) -> Result<String, RuleError> {
    if !is_method(text) || text.contains('*') {
        return Err(
            RuleError::at(Field::Methods, format!("`{}` is no method", Shown(text)))
                .hint("write a method such as `GET`; without `methods` all are meant"),
        );
    }
    let method = text.to_ascii_uppercase();
    if let Some(hint) = why_no_method(&method) {
        return Err(RuleError::at(Field::Methods, format!("`{}` is no method", Shown(text))).hint(hint));
    }
    if effect == Effect::Allow && NEVER_ALLOWED_METHODS.contains(&method.as_str()) {
        return Err(
            RuleError::at(Field::Methods, format!("`{method}` is never allowed"))
                .hint("name the methods that are needed, for example `GET` and `POST`"),
        );
    }
    Ok(method)
}

/// Servers may have methods of their own. What is nearly one that all have is a slip, and a rule about it about nothing.
fn why_no_method(method: &str) -> Option<String> {
    const COMMON: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if matches!(method, "ALL" | "ANY") {
        return Some("without `methods` all are meant".to_owned());
    }
    if method.contains('|') {
        let each: Vec<_> = method.split('|').map(|each| format!("\"{each}\"")).collect();
        return Some(format!("write each by itself: `[{}]`", each.join(", ")));
    }
    let near = COMMON.iter().find(|common| osa_distance(method, common) == 1);
    near.map(|near| format!("did you mean `{near}`?"))
}

/// `CONNECT` makes a tunnel that no rule could look into; `TRACE`, and `TRACK` of some servers, show the headers
/// that others added, secrets among them.
pub(crate) const NEVER_ALLOWED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

fn ports(text: &str) -> Result<PortRange, RuleError> {
    let port = |text: &str| {
        // A leading zero makes an octal number for some readers.
        let is_decimal = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        text.parse::<u16>().ok().filter(|_| is_decimal)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(PortRange { first, last }),
        (Some(_), Some(_)) => Err(RuleError::at(
            Field::Ports,
            format!("the range `{}` is empty", Shown(text)),
        )
        .hint("write the lower port first")),
        _ => Err(
            RuleError::at(Field::Ports, format!("`{}` is no port", Shown(text)))
                .hint("write a number from 1 to 65535 without leading zero, or a range such as `8000-8099`"),
        ),
    }
}

/// Joins ranges that overlap or touch; they are sorted.
fn merged(ranges: Vec<PortRange>) -> Vec<PortRange> {
    let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => last.last = last.last.max(range.last),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

fn range(text: &str) -> Result<IpNet, RuleError> {
    let at_fault = |why: &str| {
        RuleError::at(
            Field::Cidr,
            format!("`{}` is no range of addresses: {why}", Shown(text)),
        )
    };
    let range = address::range(text).ok_or_else(|| {
        at_fault("it is not an address, `/` and a length")
            .hint("write for example `10.0.0.0/8` or `fd00::/8`, numbers without leading zeros")
    })?;
    if range.addr() != range.network() {
        return Err(at_fault("the address has bits beyond the length")
            .hint(format_args!("write `{}`", range.trunc())));
    }
    if let IpNet::V6(range) = range
        && range.addr().to_ipv4_mapped().is_some()
    {
        return Err(at_fault("IPv4 inside IPv6 is compared as IPv4").hint("write the IPv4 range"));
    }
    Ok(range)
}

/// A variable of the environment that is handed to the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EnvironmentRule {
    name: String,
    value: Option<String>,
    text: RuleText,
}

impl EnvironmentRule {
    /// Reads a rule. With a value, the guest gets that instead of the server's own variable.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Key`] or [`Field::Value`].
    pub fn new(key: &str, value: Option<&str>) -> Result<Self, RuleError> {
        let at_fault = |why: &str| RuleError::at(Field::Key, why);
        if key.is_empty() {
            return Err(at_fault("the name is empty").hint("write the name of a variable"));
        }
        if key.len() > NAME_BYTES_MAX {
            return Err(
                at_fault("the name is too long").hint(format_args!("write at most {NAME_BYTES_MAX} bytes"))
            );
        }
        if key.contains('*') {
            return Err(at_fault("variables are granted one by one").hint("write each name"));
        }
        if key.contains(['$', '{', '}', '%']) {
            return Err(
                at_fault("the name contains `$`, `%` or a brace").hint("write the name alone: `HOME`")
            );
        }
        if key.contains('=') {
            return Err(at_fault("the name contains `=`").hint("write `{key: NAME, value: \"text\"}`"));
        }
        if key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(at_fault("the name contains a space or control character")
                .hint("leave it out; write one name for each variable"));
        }
        if value.is_some_and(|value| value.contains('\0')) {
            return Err(RuleError::at(Field::Value, "the value contains a NUL character")
                .hint("leave it out; no variable can have one"));
        }
        if value.is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
            return Err(RuleError::at(
                Field::Value,
                format!("the value is longer than {VALUE_BYTES_MAX} bytes"),
            )
            .hint("grant a file that holds it"));
        }
        let with = if value.is_some() { " with a value" } else { "" };
        Ok(Self {
            name: key.to_owned(),
            value: value.map(str::to_owned),
            text: format!("environment allow {}{with}", Quoted(key)).into(),
        })
    }

    /// The variable's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A literal value instead of the server's own variable.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The rule in one line, without the value.
    #[must_use]
    pub fn text(&self) -> &RuleText {
        &self.text
    }
}

/// A secret as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSpec {
    /// The secret's name.
    pub name: String,
    /// To whom it is sent, as in a network rule.
    pub host: String,
    /// The header that carries it.
    pub header: String,
    /// The header's value with `{secret}` in it; the secret alone when missing.
    pub format: Option<String>,
}

/// A secret that the gate adds to requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRule {
    name: String,
    pub(crate) requests: NetworkRule,
    header: String,
    before: String,
    after: String,
    text: RuleText,
}

/// Stands for the secret in a format.
const SECRET_MARK: &str = "{secret}";

/// Headers that say where a message ends, who is meant, or how the answer is to be read; they are the gate's own, so
/// that no secret can stand in them. In lower case. [`SecretRule::new`] refuses them.
pub const RESERVED_HEADERS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SecretRule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// [`RuleError`] for a part that cannot be read.
    pub fn new(spec: &SecretSpec) -> Result<Self, RuleError> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=SECRET_NAME_BYTES_MAX).contains(&spec.name.len())
            || !spec.name.bytes().all(is_name)
            || !spec.name.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(RuleError::at(
                Field::Name,
                format!("`{}` is no name of a secret", Shown(&spec.name)),
            )
            .hint("use letters, digits, `.`, `_` and `-`, at most 128 of them"));
        }
        let requests = NetworkRule::new(
            Effect::Allow,
            &NetworkSpec {
                host: Some(spec.host.clone()),
                ..NetworkSpec::default()
            },
        )?;
        let header = header(&spec.header)?;
        let (before, after) = format_parts(spec.format.as_deref().unwrap_or(SECRET_MARK))?;
        let mut rule = Self {
            name: spec.name.clone(),
            requests,
            header,
            before,
            after,
            text: RuleText::from(""),
        };
        let spec = rule.spec();
        rule.text = format!(
            "secret {} host {} header {}",
            Quoted(&spec.name),
            Quoted(&spec.host),
            Quoted(&spec.header)
        )
        .into();
        Ok(rule)
    }

    /// The secret's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header that carries it, in lower case.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The header's value before and after the secret.
    #[must_use]
    pub fn around(&self) -> (&str, &str) {
        (&self.before, &self.after)
    }

    /// The rule in one line.
    #[must_use]
    pub fn text(&self) -> &RuleText {
        &self.text
    }

    /// The rule as it is written in canonical form.
    #[must_use]
    pub fn spec(&self) -> SecretSpec {
        let NetworkSpec {
            host,
            schemes,
            ports,
            paths,
            ..
        } = self.requests.spec();
        let first = |values: Option<Vec<String>>| values.and_then(|values| values.into_iter().next());
        let mut host = host.unwrap_or_default();
        if let Some(port) = first(ports) {
            push(&mut host, format_args!(":{port}"));
        }
        match (first(schemes), first(paths)) {
            (None, None) => {}
            (scheme, path) => {
                let scheme = scheme.unwrap_or_else(|| Scheme::Https.as_str().to_owned());
                host = format!("{scheme}://{host}{}", path.unwrap_or_default());
            }
        }
        SecretSpec {
            name: self.name.clone(),
            host,
            header: self.header.clone(),
            format: Some(format!("{}{SECRET_MARK}{}", self.before, self.after)),
        }
    }
}

fn header(text: &str) -> Result<String, RuleError> {
    let header = text.to_ascii_lowercase();
    if !is_method(text) {
        return Err(
            RuleError::at(Field::Header, format!("`{}` is no name of a header", Shown(text)))
                .hint("write for example `authorization` or `x-api-key`, without a colon"),
        );
    }
    if RESERVED_HEADERS.contains(&header.as_str()) {
        return Err(RuleError::at(
            Field::Header,
            format!("the header `{header}` cannot carry a secret"),
        )
        .hint(
            "the message or the connection depends on it; write for example `authorization` or `x-api-key`",
        ));
    }
    Ok(header)
}

fn format_parts(format: &str) -> Result<(String, String), RuleError> {
    let at_fault = |why: String| RuleError::at(Field::Format, why);
    let Some((before, after)) = format
        .split_once(SECRET_MARK)
        .filter(|(_, after)| !after.contains(SECRET_MARK))
    else {
        return Err(at_fault(format!("the format does not have `{SECRET_MARK}` once"))
            .hint("write for example `Bearer {secret}`"));
    };
    if before.ends_with('{') || after.starts_with('}') {
        return Err(at_fault("the format has braces around `{secret}`".to_owned())
            .hint("write for example `Bearer {secret}`"));
    }
    if format.len() > VALUE_BYTES_MAX {
        return Err(
            at_fault(format!("the format is longer than {VALUE_BYTES_MAX} bytes"))
                .hint("put what is secret into the secret itself"),
        );
    }
    if !format.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(
            at_fault("the format has characters that a header cannot carry".to_owned())
                .hint("use visible ASCII characters and spaces"),
        );
    }
    Ok((before.to_owned(), after.to_owned()))
}

fn push_list(text: &mut String, key: &str, values: &[String]) {
    push(text, format_args!(" {key} {}", values.join(",")));
}

fn push(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _always_ok = text.write_fmt(what);
}
