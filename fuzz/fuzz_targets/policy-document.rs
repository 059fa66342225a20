//! Any text as a policy and as a ceiling: no panic, and what is accepted prints as something that means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wassette_policy::{Ceiling, ParseOptions, Policy};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let options = ParseOptions {
        base: "/base".parse().ok(),
    };
    match Policy::parse(text, &options) {
        Ok(policy) => {
            let printed = policy.print();
            // Without the base: what is printed is absolute.
            let again = Policy::parse(&printed, &ParseOptions::default());
            assert_eq!(again.as_ref(), Ok(&policy), "{printed}");
            assert_eq!(again.map(|policy| policy.print()).as_ref(), Ok(&printed));
        }
        Err(error) => {
            let line = text.split('\n').nth(error.line() - 1);
            let column_max = line.map_or(1, |line| line.chars().count() + 1);
            assert!((1..=column_max).contains(&error.column()), "{error}");
            assert!(error.to_string().len() < 2_000 && !error.message().chars().any(char::is_control));
        }
    }
    if let Ok(ceiling) = Ceiling::parse(text, &options) {
        let printed = ceiling.print();
        assert_eq!(
            Ceiling::parse(&printed, &ParseOptions::default()),
            Ok(ceiling),
            "{printed}"
        );
    }
});
