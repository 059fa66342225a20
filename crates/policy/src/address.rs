//! Internet addresses: which are public, and which hold another address.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(address: u128, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(address), length)
}

/// IPv4 ranges that are not the public internet.
///
/// Source: IANA IPv4 Special-Purpose Address Registry; the RFC that made each range stands beside it. Ranges
/// that the registry calls globally reachable but which lead to machinery near the host are here too.
pub(crate) const NON_PUBLIC_V4: [Ipv4Net; 18] = [
    v4([0, 0, 0, 0], 8),        // This network, and the unspecified address: RFC 791.
    v4([10, 0, 0, 0], 8),       // Private: RFC 1918.
    v4([100, 64, 0, 0], 10),    // Shared by carriers: RFC 6598. Holds metadata services of some clouds.
    v4([127, 0, 0, 0], 8),      // Loopback: RFC 1122.
    v4([168, 63, 129, 16], 32), // Public on paper, but the host agent of every Azure machine.
    v4([169, 254, 0, 0], 16), // Link-local: RFC 3927. 169.254.169.254 is the metadata service of most clouds.
    v4([172, 16, 0, 0], 12),  // Private: RFC 1918.
    v4([192, 0, 0, 0], 24),   // Protocol assignments: RFC 6890. Holds a metadata service of Oracle's cloud.
    v4([192, 0, 2, 0], 24),   // Documentation: RFC 5737.
    v4([192, 31, 196, 0], 24), // AS112: RFC 7535.
    v4([192, 52, 193, 0], 24), // Automatic multicast tunneling: RFC 7450.
    v4([192, 88, 99, 0], 24), // 6to4 relays, withdrawn: RFC 7526.
    v4([192, 168, 0, 0], 16), // Private: RFC 1918.
    v4([192, 175, 48, 0], 24), // AS112: RFC 7534.
    v4([198, 18, 0, 0], 15),  // Benchmarks: RFC 2544.
    v4([198, 51, 100, 0], 24), // Documentation: RFC 5737.
    v4([203, 0, 113, 0], 24), // Documentation: RFC 5737.
    v4([224, 0, 0, 0], 3),    // Multicast, reserved and broadcast: RFC 1112, RFC 5771, RFC 919.
];

/// IPv6 ranges that are not the public internet, of those that are given out as public at all: 2000::/3 (RFC 4291).
///
/// Source: IANA IPv6 Special-Purpose Address Registry. Everything else, such as loopback, unique local and link-local
/// addresses, multicast, and local NAT64 (RFC 8215), is not given out.
pub(crate) const NON_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001 << 112, 23),          // Protocol assignments, Teredo: RFC 2928, RFC 4380.
    v6(0x2001_0db8 << 96, 32),      // Documentation: RFC 3849.
    v6(0x2620_004f_8000 << 80, 48), // AS112: RFC 7534.
    v6(0x3fff << 112, 20),          // Documentation: RFC 9637.
];

/// What is given out as public.
const GIVEN_OUT: Ipv6Net = v6(0x2000 << 112, 3);

/// IPv4 addresses inside this prefix are reached through a gateway: RFC 6052.
pub(crate) const NAT64: Ipv6Net = v6(0x0064_ff9b << 96, 96);
/// RFC 3056.
pub(crate) const SIX_TO_FOUR: Ipv6Net = v6(0x2002 << 112, 16);
/// RFC 4380.
pub(crate) const TEREDO: Ipv6Net = v6(0x2001 << 112, 32);
/// RFC 4291, 2.5.5.1; withdrawn.
pub(crate) const COMPATIBLE: Ipv6Net = v6(0, 96);
/// RFC 2765.
pub(crate) const TRANSLATED: Ipv6Net = v6(0xffff_0000 << 32, 96);

/// Reads an address, or an address and the length of its prefix. Numbers with a leading zero are refused: some
/// readers take them for octal.
pub(crate) fn range(text: &str) -> Option<IpNet> {
    // The standard library refuses the zeros in addresses; the reader of `ipnet` would take `010.0.0.0/08`.
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let is_decimal = length == "0" || !length.starts_with(['0', '+']);
    let length = length.parse::<u8>().ok().filter(|_| is_decimal)?;
    IpNet::new(address.parse().ok()?, length).ok()
}

/// The same address in its one form: IPv4 inside `::ffff:0:0/96` is IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The IPv4 addresses that a router could take an IPv6 address for.
pub(crate) fn embedded(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(address) = canonical(address) else {
        return Vec::new();
    };
    let bits = address.to_bits();
    let last = |bits: u128| {
        let [.., a, b, c, d] = bits.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    if SIX_TO_FOUR.contains(&address) {
        return vec![last(bits >> 80)];
    }
    if TEREDO.contains(&address) {
        // The server, and the client behind it with each bit inverted.
        return vec![last(bits >> 64), last(!bits)];
    }
    // `::` and `::1` are no IPv4 addresses.
    if NAT64.contains(&address)
        || TRANSLATED.contains(&address)
        || (COMPATIBLE.contains(&address) && bits > 1)
    {
        return vec![last(bits)];
    }
    // ISATAP (RFC 5214) can be below any prefix.
    if matches!((bits >> 32) & 0xffff_ffff, 0x0000_5efe | 0x0200_5efe) {
        return vec![last(bits)];
    }
    Vec::new()
}

/// Whether an address, taken by itself, is one of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(address) => !NON_PUBLIC_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => {
            let is_special = NON_PUBLIC_V6.iter().any(|range| range.contains(&address));
            let is_given_out = GIVEN_OUT.contains(&address) || NAT64.contains(&address);
            is_given_out && !is_special
        }
    }
}

/// Whether an address is one of the public internet, also every address that a router could take it for: where a
/// request may go that nobody but a model asked for.
#[must_use]
pub fn is_public_address(address: IpAddr) -> bool {
    is_public(address) && embedded(address).into_iter().all(is_public)
}

/// All ranges that are treated differently from their surroundings, for whoever must try one address of each.
pub(crate) fn special_ranges() -> impl Iterator<Item = IpNet> {
    let holding = [NAT64, SIX_TO_FOUR, TEREDO, COMPATIBLE, TRANSLATED, GIVEN_OUT];
    NON_PUBLIC_V4
        .into_iter()
        .map(IpNet::V4)
        .chain(NON_PUBLIC_V6.into_iter().map(IpNet::V6))
        .chain(holding.into_iter().map(IpNet::V6))
}
