//! The components inside this program: useful ones, and those that the demo lets misbehave.
//!
//! They are built from `components/` and `tests/guests/rust/` by `cargo xtask guests` and checked in, so that
//! building this program needs no wasm toolchain. `cargo xtask tidy` compares them with their digests.

use wassette_host::Starter;

const FETCH: Starter = Starter {
    name: "fetch",
    description: "Gets web pages as Markdown, text or raw bytes, from hosts that were granted",
    wasm: include_bytes!("../components/fetch/fetch.wasm"),
};
const FILESYSTEM: Starter = Starter {
    name: "filesystem",
    description: "Lists, reads, writes and searches files in folders that were granted",
    wasm: include_bytes!("../components/filesystem/filesystem.wasm"),
};
const TEXT: Starter = Starter {
    name: "text",
    description: "Hashes, encodes, compares, searches and queries text and JSON",
    wasm: include_bytes!("../components/text/text.wasm"),
};
const TIME: Starter = Starter {
    name: "time",
    description: "Tells and converts times, with the time zones of IANA",
    wasm: include_bytes!("../components/time/time.wasm"),
};

/// A test guest that reaches for files, hosts and variables.
const NEEDY: Starter = Starter {
    name: "needy",
    description: "Reaches for what it was not granted",
    wasm: include_bytes!("../tests/guests/built/needy.wasm"),
};

/// A test guest that does harm as well as it can.
const HOSTILE: Starter = Starter {
    name: "hostile",
    description: "Does harm as well as it can",
    wasm: include_bytes!("../tests/guests/built/hostile.wasm"),
};

/// What `starter:NAME` can name.
pub(crate) const STARTERS: &[Starter] = &[FETCH, FILESYSTEM, TEXT, TIME];

/// What the demo loads.
pub(crate) const DEMO: &[Starter] = &[FETCH, FILESYSTEM, TEXT, TIME, NEEDY, HOSTILE];
