//! How the program ends when it does not succeed: one exit code, and a message that says what happened and
//! what to do.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 3 denied, 4 not found, 5 the guest failed.

use std::fmt::Write as _;
use std::process::ExitCode;
use wassette_host::{ErrorKind, HostError, OpenHostError};

/// Why the program does not end with 0.
#[derive(Debug)]
pub(crate) struct Exit {
    code: u8,
    message: String,
    hint: Option<String>,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const DENIED: u8 = 3;
const NOT_FOUND: u8 = 4;
const GUEST: u8 = 5;

impl Exit {
    /// Something went wrong.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: FAILED,
            message: format!("{:#}", error.into()),
            hint: None,
        }
    }

    /// What was typed or configured is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
            hint: None,
        }
    }

    /// The guest failed; the message is about the guest.
    pub(crate) fn guest(message: impl Into<String>) -> Self {
        Self {
            code: GUEST,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Prints the message and gives the code.
    #[expect(clippy::print_stderr, reason = "this is where errors reach people")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("error: {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<HostError> for Exit {
    fn from(error: HostError) -> Self {
        let code = match error.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            ErrorKind::Denied => DENIED,
            ErrorKind::Guest => GUEST,
            ErrorKind::Invalid | ErrorKind::Unavailable | ErrorKind::Internal => FAILED,
        };
        Self {
            code,
            message: chain(&error),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<OpenHostError> for Exit {
    fn from(error: OpenHostError) -> Self {
        Self {
            code: FAILED,
            message: chain(&error),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _written = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
