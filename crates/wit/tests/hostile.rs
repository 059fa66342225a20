//! Bytes that mean harm: each is refused with its own reason, and none makes the reader panic or linger.

mod common;

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::component;
use proptest::prelude::*;
use wassette_wit::{Docs, ReadWorldError, World, tools};

/// A component with most kinds of types.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    component(
        "package a:b@1.0.0;
        interface api {
          record r { a: u8, b: option<string> }
          variant v { x, y(r) }
          flags f { read, write }
          resource res { constructor(); }
          go: func(r: r, v: v, f: list<f>) -> result<tuple<u8, f64>, string>;
        }
        world w { export api; export plain: func(); }",
    )
});

/// Does everything that is done with an untrusted component before it runs.
fn inspect(bytes: &[u8]) {
    let Ok(mut world) = World::read(bytes) else { return };
    world.describe(&Docs::from_component(bytes));
    drop(tools("id", &world));
}

#[track_caller]
fn refused(bytes: &[u8], expected: ReadWorldError) {
    assert_eq!(World::read(bytes), Err(expected));
}

/// Types that are pairs of pairs, down to a record with a long name, in two components of which one is given to the other.
/// Without a bound this takes minutes.
#[test]
fn comparing_types_is_bounded() {
    let name = "a".repeat(20_000);
    let pairs = |prefix: &str, leaf: &str| {
        let mut types = format!("(type ${prefix}0 (tuple {leaf} {leaf}))");
        for n in 1..17 {
            let below = n - 1;
            write!(
                types,
                "(type ${prefix}{n} (tuple ${prefix}{below} ${prefix}{below}))"
            )
            .unwrap();
        }
        write!(types, "(type ${prefix}f (func (param \"x\" ${prefix}16)))").unwrap();
        types
    };
    let given = "(instance (instantiate $C (with \"r\" (type $r)) (with \"f\" (func $f))))".repeat(600);
    let text = format!(
        "(component
            (type $a (record (field \"{name}\" u8))) (import \"r\" (type $r (eq $a))) {}
            (import \"f\" (func $f (type $tf)))
            (component $C
                (type $b (record (field \"{name}\" u8))) (import \"r\" (type $s (eq $b))) {}
                (import \"f\" (func (type $uf))))
            {given})",
        pairs("t", "$r"),
        pairs("u", "$s"),
    );
    let error = World::read(&wat::parse_str(text).unwrap()).unwrap_err();
    assert!(
        matches!(
            error,
            ReadWorldError::TooMany {
                what: "parts of types that are compared",
                ..
            }
        ),
        "{error:?}"
    );
}

/// An export may say its type, which is compared as well.
#[test]
fn comparing_what_exports_say_is_bounded() {
    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for n in 1..17 {
        let below = n - 1;
        write!(types, "(type $t{n} (tuple $t{below} $t{below}))").unwrap();
    }
    let exports: String = (0..1_000)
        .map(|n| format!("(export \"f{n}\" (func $f) (func (type $tf)))"))
        .collect();
    let text = format!(
        "(component {types} (type $tf (func (param \"x\" $t16))) (import \"f\" (func $f (type $tf))) {exports})"
    );
    let error = World::read(&wat::parse_str(text).unwrap()).unwrap_err();
    assert!(
        matches!(
            error,
            ReadWorldError::TooMany {
                what: "parts of types that are compared",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn what_is_no_component_is_refused_with_its_own_reason() {
    refused(b"", ReadWorldError::Empty);
    refused(b"hello", ReadWorldError::NotWasm);
    refused(b"\0asn\x0d\0\x01\0", ReadWorldError::NotWasm);
    refused(b" (component)", ReadWorldError::Text);
    refused(b"\0as", ReadWorldError::Truncated { offset: 3 });
    refused(b"\0asm\x0d\0", ReadWorldError::Truncated { offset: 6 });
    refused(b"\0asm\x01\0\0\0", ReadWorldError::CoreModule);
    refused(b"\0asm\x0e\0\x01\0", ReadWorldError::UnknownVersion);
    refused(b"\x7fELF\x02\x01", ReadWorldError::Precompiled);
    refused(
        &vec![0; (64 << 20) + 1],
        ReadWorldError::TooManyBytes {
            found: (64 << 20) + 1,
        },
    );
    assert_eq!(World::read(b"\0asm\x0d\0\x01\0"), Ok(World::default()));
}

#[test]
fn damage_is_named_with_its_place() {
    let error = World::read(&SMALL[..SMALL.len() - 3]).unwrap_err();
    assert!(matches!(error, ReadWorldError::Truncated { .. }), "{error:?}");
    // An export section (11) with an item of a kind that does not exist.
    let error = World::read(b"\0asm\x0d\0\x01\0\x0b\x06\x01\0\x01a\x7f\0").unwrap_err();
    assert!(
        matches!(error, ReadWorldError::Invalid { offset: 14, .. }),
        "{error:?}"
    );
}

#[test]
fn cut_at_every_offset_never_panics() {
    for end in 0..SMALL.len() {
        inspect(&SMALL[..end]);
    }
}

#[test]
fn ten_thousand_exports_are_refused() {
    let mut wat = String::from(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
         (func $f (canon lift (core func $i \"f\")))",
    );
    for n in 0..10_000 {
        write!(wat, "(export \"fn-{n}\" (func $f))").unwrap();
    }
    wat.push(')');
    refused(
        &wat::parse_str(&wat).unwrap(),
        ReadWorldError::TooMany {
            what: "exports",
            found: 10_000,
            max: 4_000,
        },
    );
}

#[test]
fn deep_nesting_is_refused() {
    let wat = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
    let expected = ReadWorldError::TooMany {
        what: "levels of components",
        found: 17,
        max: 16,
    };
    refused(&wat::parse_str(wat).unwrap(), expected);
}

#[test]
fn many_instances_of_a_large_interface_are_refused() {
    let mut wat = String::from(
        "(component (component $c (type $r (resource (rep i32))) (export $s \"r\" (type $r)) (type $o (own $s))",
    );
    for n in 0..3000 {
        write!(wat, "(type $u{n} (tuple $o u8)) (export \"t{n}\" (type $u{n}))").unwrap();
    }
    wat.push(')');
    wat.push_str(&"(instance (instantiate $c))".repeat(900));
    wat.push(')');
    let error = World::read(&wat::parse_str(&wat).unwrap()).unwrap_err();
    let what = "bytes of types copied between instances";
    assert!(
        matches!(error, ReadWorldError::TooMany { what: w, .. } if w == what),
        "{error:?}"
    );
}

/// A type of half a million nodes that is passed through many instances: the validator copies types as they
/// pass, so this is the slowest that was found within the bounds.
#[test]
fn wiring_bomb_ends_soon() {
    let mut wat = String::from("(component (type $t0 (tuple u8 u8))");
    for n in 1..18 {
        write!(wat, "(type $t{n} (tuple $t{0} $t{0}))", n - 1).unwrap();
    }
    wat.push_str("(component $c (import \"a\" (type $a (sub resource))) (export \"b\" (type $a)))");
    for n in 0..200 {
        write!(
            wat,
            "(type $i{n} (instance (export \"r\" (type $r (sub resource))) (type $o (own $r))
              (type $u0 (tuple $o $o))"
        )
        .unwrap();
        for m in 1..14 {
            write!(wat, "(type $u{m} (tuple $u{0} $u{0}))", m - 1).unwrap();
        }
        write!(
            wat,
            "(export \"f\" (func (param \"a\" $u13))))) (import \"i{n}\" (instance $x{n} (type $i{n})))"
        )
        .unwrap();
    }
    wat.push(')');
    let bytes = wat::parse_str(&wat).unwrap();
    let start = Instant::now();
    inspect(&bytes);
    // Generous, for a debug build on a busy machine; what must not happen is minutes.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = SMALL.clone();
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        inspect(&bytes);
    }

    #[test]
    fn any_package_docs_are_survived(json in "\\PC{0,60}|\\{\"(worlds|interfaces)\":\\{\"a\":[0-9\\[\\]\\{\\}\":a-z]{0,20}") {
        let bytes = common::with_section(&SMALL, "package-docs", format!("\u{1}{json}").as_bytes());
        inspect(&bytes);
        prop_assert_eq!(World::read(&bytes), World::read(&SMALL));
    }

    #[test]
    fn any_wit_is_survived(text in "(package a:b;|interface i|world w|\\{|\\}|func|:|\\(|\\)|;|list<|type|=|x|///|\n| ){0,60}") {
        drop(Docs::from_wit(&[("a.wit".to_owned(), text)]));
    }
}
