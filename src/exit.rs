//! How the program ends when it does not succeed: one exit code, and a message that says what happened and
//! what to do.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 3 denied, 4 not found, 5 the guest failed.

use crate::output::{note, shown};
use std::fmt::Write as _;
use std::path::Path;
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

    /// It is not allowed.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self {
            code: DENIED,
            message: message.into(),
            hint: None,
        }
    }

    /// What was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            code: NOT_FOUND,
            message: message.into(),
            hint: None,
        }
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The guest failed; the message is about the guest.
    pub(crate) fn guest(message: impl Into<String>) -> Self {
        Self {
            code: GUEST,
            message: message.into(),
            hint: None,
        }
    }

    /// Says first what it is about, for an error that does not name it.
    pub(crate) fn about(self, subject: &str) -> Self {
        Self {
            message: format!("`{}`: {}", shown(subject), self.message),
            ..self
        }
    }

    /// Says first at which line and column of a file it is.
    pub(crate) fn at(self, path: &Path, (line, column): (usize, usize)) -> Self {
        Self {
            message: format!("{}:{line}:{column}: {}", path.display(), self.message),
            ..self
        }
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> Self {
        let kind = error.kind();
        let code = if kind == std::io::ErrorKind::NotFound {
            NOT_FOUND
        } else if kind == std::io::ErrorKind::PermissionDenied {
            DENIED
        } else {
            FAILED
        };
        let message = anyhow::Error::new(error).context(format!("cannot read `{}`", path.display()));
        Self {
            code,
            ..Self::failed(message)
        }
    }

    /// Adds what to do.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with what to do, where that is not always known.
    pub(crate) fn with_any_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.with_hint(hint),
            None => self,
        }
    }

    /// Prints the message and gives the code.
    pub(crate) fn report(self) -> ExitCode {
        // SECURITY: a message may repeat what a component is made of, and a terminal obeys what it is shown.
        note(&format!("error: {}", shown(&self.message)));
        if let Some(hint) = self.hint {
            note(&format!("hint: {}", shown(&hint)));
        }
        ExitCode::from(self.code)
    }
}

impl From<HostError> for Exit {
    fn from(error: HostError) -> Self {
        let code = match error.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            ErrorKind::Denied => DENIED,
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
        let reason = error.to_string();
        // The database's errors repeat their causes.
        if !text.ends_with(&reason) {
            // Writing to a string cannot fail.
            let _written = write!(text, ": {reason}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_cause_is_said_once() {
        let error = anyhow!("the disk is full")
            .context("failed: the disk is full")
            .context("cannot write");
        assert_eq!(chain(error.as_ref()), "cannot write: failed: the disk is full");
        let error = anyhow!("b").context("a");
        assert_eq!(chain(error.as_ref()), "a: b");
    }
}
