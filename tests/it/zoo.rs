//! The hostile zoo: every attack a guest can try is let loose in a cage with something to escape from.
//!
//! Each attack is a real component (`tests/guests/hostile/attacks`, or text in `tests/components`) and a test with its
//! name. It first does what it was granted, then everything it was not; the journal it returns, the report of the
//! call, what lies beside the cage and who was reached on the network are compared with what must be.
//! `cargo xtask zoo` runs them and prints the table of results.

mod cage;
#[cfg(unix)]
mod files;
mod machine;
mod network;
mod slowdown;
mod web;

use cage::Cage;
use std::fs::OpenOptions;
use std::io::Write as _;

/// One attack of the table.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Rows of the list of threats.
    pub(crate) ids: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Cage),
}

/// Makes a table of attacks, and a test of each.
macro_rules! zoo {
    ($($(#[$cfg:meta])* $name:ident $ids:literal $what:literal => $run:expr;)*) => {
        $(
            $(#[$cfg])*
            #[test]
            fn $name() {
                crate::zoo::loose(&crate::zoo::Attack {
                    name: stringify!($name),
                    ids: $ids,
                    what: $what,
                    run: $run,
                });
            }
        )*
    };
}
pub(crate) use zoo;

/// Lets an attack loose; the test fails when it is not contained.
fn loose(attack: &Attack) {
    let name = attack.name.replace('_', "-");
    let line = |outcome: &str| format!("{name}\t{}\t{}\t{outcome}\n", attack.ids, attack.what);
    report(&line(""));
    let mut cage = Cage::new(attack.name);
    (attack.run)(&mut cage);
    report(&line(&cage.told.join("; ")));
    if let Some(ratio) = cage.slowdown() {
        report(&format!("{name}\t{ratio:.3}\n"));
    }
}

/// One line for `cargo xtask zoo`, which names the file.
fn report(line: &str) {
    let Some(path) = std::env::var_os("WASSETTE_ZOO") else {
        return;
    };
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}
