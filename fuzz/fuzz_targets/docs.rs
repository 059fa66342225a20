//! WIT text from a file, and the `package-docs` section of a component.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wassette_wit::{Docs, sanitize};

fuzz_target!(|data: &[u8]| {
    drop(Docs::from_component(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(sanitize(text, 100).len() <= 100);
    drop(Docs::from_wit(&[("fuzz.wit".to_owned(), text.to_owned())]));
});
