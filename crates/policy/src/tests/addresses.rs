//! Each special range from the inside and from both its edges.

use crate::address::embedded;
use crate::is_public_address;
use std::net::IpAddr;

/// First and last address of a range, and whether what is before and after it is public.
type Row = (&'static str, &'static str, bool, bool);

const V4: [Row; 15] = [
    ("0.0.0.0", "0.255.255.255", false, true),
    ("10.0.0.0", "10.255.255.255", true, true),
    ("100.64.0.0", "100.127.255.255", true, true),
    ("127.0.0.0", "127.255.255.255", true, true),
    ("169.254.0.0", "169.254.255.255", true, true),
    ("172.16.0.0", "172.31.255.255", true, true),
    ("192.0.0.0", "192.0.0.255", true, true),
    ("192.0.2.0", "192.0.2.255", true, true),
    ("192.31.196.0", "192.31.196.255", true, true),
    ("192.52.193.0", "192.52.193.255", true, true),
    ("192.88.99.0", "192.88.99.255", true, true),
    ("192.168.0.0", "192.168.255.255", true, true),
    ("198.18.0.0", "198.19.255.255", true, true),
    ("203.0.113.0", "203.0.113.255", true, true),
    ("224.0.0.0", "255.255.255.255", true, false),
];

const V6: [Row; 8] = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, true),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    (
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        true,
        true,
    ),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("4000::", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false),
    ("8000::", "dfff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("e000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
];

fn shifted(address: IpAddr, by: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits().checked_add_signed(by.into());
            bits.map(|bits| IpAddr::V4(bits.into()))
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits().checked_add_signed(by.into());
            bits.map(|bits| IpAddr::V6(bits.into()))
        }
    }
}

#[test]
fn special_ranges_begin_and_end_where_they_are_said_to() {
    for (first, last, is_public_before, is_public_after) in V4.into_iter().chain(V6) {
        let [first, last]: [IpAddr; 2] = [first.parse().unwrap(), last.parse().unwrap()];
        assert!(
            !is_public_address(first) && !is_public_address(last),
            "{first} {last}"
        );
        for (beside, is_public) in [
            (shifted(first, -1), is_public_before),
            (shifted(last, 1), is_public_after),
        ] {
            if let Some(beside) = beside {
                assert_eq!(is_public_address(beside), is_public, "{beside}");
            }
        }
    }
}

#[test]
fn addresses_that_hold_another_are_as_public_as_that() {
    for (address, is_public) in [
        ("64:ff9b::8.8.8.8", true),
        ("64:ff9b::10.0.0.1", false),
        ("64:ff9b::169.254.169.254", false),
        // The local prefix of RFC 8215 holds whatever its network says.
        ("64:ff9b:1::8.8.8.8", false),
        ("::ffff:8.8.8.8", true),
        ("::ffff:127.0.0.1", false),
        ("::127.0.0.1", false),
        ("2002:808:808::1", true),
        ("2002:a00:1::1", false),
        ("2a00:1450::1", true),
    ] {
        assert_eq!(
            is_public_address(address.parse().unwrap()),
            is_public,
            "{address}"
        );
    }
}

#[test]
fn an_address_holds_those_that_a_router_could_take_it_for() {
    let table: [(&str, &[&str]); 13] = [
        ("8.8.8.8", &[]),
        ("::ffff:8.8.8.8", &[]),
        ("::", &[]),
        ("::1", &[]),
        ("::2", &["0.0.0.2"]),
        ("::8.8.8.8", &["8.8.8.8"]),
        ("::1:808:808", &[]),
        ("::ffff:0:8.8.8.8", &["8.8.8.8"]),
        ("64:ff9b::8.8.8.8", &["8.8.8.8"]),
        ("2002:808:808::1", &["8.8.8.8"]),
        ("2001:0:808:808::f5f5:f5f5", &["8.8.8.8", "10.10.10.10"]),
        ("2606:4700::200:5efe:8.8.8.8", &["8.8.8.8"]),
        ("2606:4700::8.8.8.8", &[]),
    ];
    for (address, held) in table {
        let held: Vec<IpAddr> = held.iter().map(|held| held.parse().unwrap()).collect();
        assert_eq!(embedded(address.parse().unwrap()), held, "{address}");
    }
}
