//! Names and addresses of network hosts, and patterns over them, in the one form in which they are compared.

use crate::address;
use crate::error::{Fault, Field, RuleError};
use crate::pattern::Shown;
use crate::url::ParseTargetError;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

const MALFORMED: ParseTargetError = ParseTargetError::new(
    "the host name is malformed",
    "a name is labels of at most 63 letters, digits and hyphens with dots between them; an address is `10.0.0.5` or `[fd00::1]`",
);

/// A network host: a name in lower case without trailing dot, in its ASCII form, or an address.
///
/// Every odd spelling of an address (decimal, octal, hexadecimal, IPv4 inside IPv6) is the address it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name to be resolved.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Reads a host as it stands in a URL, or an address as it is written alone.
    ///
    /// # Errors
    ///
    /// [`ParseTargetError`] for what is neither a name nor an address.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseTargetError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address::canonical(address)));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner
                .strip_suffix(']')
                .and_then(|inner| inner.parse().ok())
                .ok_or(ParseTargetError::new(
                    "the IPv6 address is malformed",
                    "write for example `[fd00::1]`; zones and IPv4 addresses have no place in brackets",
                ))?;
            return Ok(Self::Address(address::canonical(IpAddr::V6(address))));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(ParseTargetError::new(
                "there is no host",
                "write a name such as `api.example.com`, or an address",
            ));
        }
        let ascii = ascii_name(text).ok_or(MALFORMED)?;
        match url::Host::parse(&ascii) {
            // What the other reader reads otherwise has two readings.
            Ok(url::Host::Domain(name)) => (name == ascii).then_some(Self::Name(name)).ok_or(MALFORMED),
            Ok(url::Host::Ipv4(address)) => Ok(Self::Address(IpAddr::V4(address))),
            Ok(url::Host::Ipv6(_)) | Err(_) => Err(MALFORMED),
        }
    }

    /// Whether the name always means this machine (RFC 6761, 6.3), whatever a resolver says.
    #[must_use]
    pub fn is_loopback_name(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Strict UTS 46, but for hyphens: names in use have them where the strict rules want none.
fn ascii_name(text: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Allow,
            DnsLength::Verify,
        )
        .ok()?;
    Some(ascii.into_owned())
}

pub(crate) fn no_host(text: &str, why: impl fmt::Display) -> Fault {
    RuleError::at(Field::Host, format!("`{}` is not a host: {why}", Shown(text)))
}

/// The hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host.
    Exact(Host),
    /// Every name with at least one label before this name: `*.name`.
    Below(String),
    /// Every host: `*`.
    Any,
}

impl HostPattern {
    /// Reads a host, `*.name` or `*`.
    ///
    /// # Errors
    ///
    /// [`RuleError`] at [`Field::Host`].
    pub fn new(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let refused = |why: ParseTargetError| Err(no_host(text, why).hint(why.hint()));
        if let Some(name) = text.strip_prefix("*.") {
            return match Host::parse(name) {
                Ok(Host::Name(name)) => Ok(Self::Below(name)),
                Ok(Host::Address(_)) => refused(ParseTargetError::new(
                    "an address has no names below it",
                    "write the address alone, or a range as `cidr`",
                )),
                Err(why) => refused(why),
            };
        }
        if text.contains('*') {
            let why = "`*` can only stand for whole labels at the front";
            return Err(no_host(text, why).hint("write `*.` and a name"));
        }
        match Host::parse(text) {
            Ok(host) => Ok(Self::Exact(host)),
            Err(why) => refused(why),
        }
    }

    /// Whether a host belongs to it.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(suffix), Host::Name(name)) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    /// Whether there is a host that belongs to both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(host), pattern) | (pattern, Self::Exact(host)) => pattern.matches(host),
            (Self::Below(one), Self::Below(two)) => {
                let [top_one, top_two] = [one, two].map(|name| Host::Name(name.clone()));
                one == two || self.matches(&top_two) || other.matches(&top_one)
            }
        }
    }

    /// Refuses a set of hosts that nobody can answer for: all of them, or all below a public suffix.
    pub(crate) fn check_grantable(&self) -> Result<(), RuleError> {
        match self {
            Self::Exact(_) => Ok(()),
            Self::Any => Err(RuleError::at(Field::Host, "`*` would allow every host")
                .hint("name the hosts; `*` can only stand in `deny`")),
            Self::Below(name) if is_public_suffix(name) => Err(RuleError::at(
                Field::Host,
                format!(
                    "`*.{name}` would allow names of unrelated owners, because `{name}` is a public suffix"
                ),
            )
            .hint("put one more label after the `*.`")),
            Self::Below(_) => Ok(()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Top-level names that will never be given out (RFC 6761, RFC 6762, ICANN resolution 2024.07.29.06), so that
/// what is below them belongs to whoever runs the network.
const PRIVATE_TOP_LEVEL: [&str; 6] = ["example", "internal", "invalid", "local", "localhost", "test"];

/// Whether unrelated owners have names below it: the Public Suffix List, its private section too (whoever wants to
/// carry something out has a bucket or a page below the same name), names whose children are all in it, and every
/// top-level name that the list does not know.
fn is_public_suffix(name: &str) -> bool {
    if !name.contains('.') {
        return !PRIVATE_TOP_LEVEL.contains(&name);
    }
    let is_listed = |name: &str| {
        psl::suffix(name.as_bytes())
            .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name.as_bytes())
    };
    is_listed(name) || is_listed(&format!("any.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_meet_where_a_host_belongs_to_both() {
        let meets = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| HostPattern::new(text).expect("a host"));
            assert_eq!(one.meets(&other), other.meets(&one));
            one.meets(&other)
        };
        assert!(meets("*", "a.example.com"));
        assert!(meets("a.example.com", "a.example.com"));
        assert!(!meets("a.example.com", "b.example.com"));
        assert!(meets("*.example.com", "a.example.com"));
        assert!(!meets("*.example.com", "example.com"));
        assert!(!meets("*.example.com", "10.0.0.1"));
        assert!(meets("*.example.com", "*.example.com"));
        assert!(meets("*.example.com", "*.b.example.com"));
        assert!(!meets("*.a.example.com", "*.b.example.com"));
    }
}
