//! What the attacks share: a journal of what was tried, and short ways to files, HTTP and sockets.
//!
//! Every attack is a component of its own (`attacks/*.rs`) with one function, `run`. It first does what it was granted
//! (`works`), so that nobody can hold an attack for contained because nothing works at all; then it tries the rest
//! (`held`, or `ESCAPED`). Imports are raw: a component has those that its attack calls, and no others.

pub mod files;
pub mod http;
pub mod net;

use std::fmt::{Debug, Write as _};

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package test:attack@0.1.0;
            world attack {
                /// Attacks, and says line by line what was tried and what came of it. `input` is what the test has
                /// prepared: addresses and paths, between spaces.
                export run: func(input: string) -> string;
            }",
        pub_export_macro: true,
        export_macro_name: "export_attack",
    });
}

pub use bindings::Guest;

/// Makes a component of a function `fn(&[&str], &mut Journal)`.
#[macro_export]
macro_rules! attack {
    ($run:expr) => {
        struct Attack;
        $crate::bindings::export_attack!(Attack with_types_in $crate::bindings);
        impl $crate::Guest for Attack {
            fn run(input: String) -> String {
                let words: Vec<&str> = input.split(' ').filter(|word| !word.is_empty()).collect();
                let mut journal = $crate::Journal::default();
                let run: fn(&[&str], &mut $crate::Journal) = $run;
                run(&words, &mut journal);
                journal.text()
            }
        }
    };
}

/// Lines of a journal; more are counted only.
const LINES_MAX: usize = 200;

/// What was tried and what came of it.
#[derive(Default)]
pub struct Journal {
    text: String,
    lines: usize,
}

impl Journal {
    fn line(&mut self, word: &str, what: &str, detail: &str) {
        self.lines += 1;
        if self.lines <= LINES_MAX {
            let _ = writeln!(self.text, "{word} {what}{detail}");
        }
    }

    /// What was granted, and so has to work.
    pub fn works<T, E: Debug>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.line("works", what, "");
                Some(value)
            }
            Err(error) => {
                self.line("BROKEN", what, &format!(": {error:?}"));
                None
            }
        }
    }

    /// What must not work.
    pub fn held<T, E: Debug>(&mut self, what: &str, result: Result<T, E>) {
        match result {
            Ok(_) => self.line("ESCAPED", what, ""),
            Err(error) => self.line("held", what, &format!(": {error:?}")),
        }
    }

    /// What must not be so.
    pub fn holds(&mut self, what: &str, is_contained: bool) {
        self.line(if is_contained { "held" } else { "ESCAPED" }, what, "");
    }

    /// Something the test wants to see.
    pub fn saw(&mut self, what: &str, value: &str) {
        self.line("saw", what, &format!(" {value}"));
    }

    pub fn text(self) -> String {
        self.text
    }
}
