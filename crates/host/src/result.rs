//! What comes of a call: from a guest's value, or its end, to what is told.

use crate::rich::sides;
use serde::Deserialize;
use serde_json::Value as Json;
use wassette_policy::{AccessText, Decision, FileOperation};
use wassette_sandbox::{CallError, GuestOutput, Limit};
use wassette_wit::rich::{
    Completions, Export, Failure as RichFailure, PromptOutcome, ReadOutcome, ToolOutcome,
};
use wassette_wit::{Function, Type, Value, encode, sanitize};

/// Bytes of the guest's own last words in the text of a trap.
const LAST_WORDS_BYTES_MAX: usize = 300;

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallResult {
    /// The function returned; it has no result.
    Done,
    /// The result, or the `ok` side of one.
    Value(Json),
    /// What a component of the rich world gives.
    Answer(Answer),
    /// A component of the rich world gives an error for the program at the other end.
    Refused(RichFailure),
    /// There is no result.
    Failed(Failure),
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: FailureKind,
    /// For people and models.
    pub message: String,
}

/// What sort of failure ended a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The function returned the `err` side of its result: the component's own answer.
    Err,
    /// An instruction trapped.
    Trap,
    /// A limit was reached.
    Limit,
    /// The guest exited.
    Exit,
    /// What it used was revoked while it ran.
    Revoked,
}

impl FailureKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Err => "err",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Exit => "exit",
            Self::Revoked => "revoked",
        }
    }
}

/// What a component of the rich world gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// For a tool.
    Tool(ToolOutcome),
    /// For a prompt.
    Prompt(PromptOutcome),
    /// For a resource.
    Resource(ReadOutcome),
    /// For an argument.
    Completion(Completions),
}

impl Answer {
    /// How the audit file calls it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Tool(ToolOutcome::InputRequired(_))
            | Self::Prompt(PromptOutcome::InputRequired(_))
            | Self::Resource(ReadOutcome::InputRequired(_)) => "input-required",
            Self::Tool(ToolOutcome::Background(_)) => "background",
            Self::Tool(ToolOutcome::Done(done)) if done.is_error => FailureKind::Err.word(),
            Self::Tool(ToolOutcome::Done(_))
            | Self::Prompt(PromptOutcome::Done(_))
            | Self::Resource(ReadOutcome::Done(_))
            | Self::Completion(_) => "ok",
        }
    }
}

/// A value a guest returned, with the `result` around it taken off.
pub(crate) fn returned(function: &Function, value: Option<Value>) -> CallResult {
    match (&function.result, value) {
        (Some(Type::Result(sides)), Some(Value::Result(Ok(ok)))) => match (&sides.ok, ok) {
            (Some(ty), Some(value)) => CallResult::Value(encode(ty, &value)),
            (Some(_) | None, Some(_) | None) => CallResult::Done,
        },
        (Some(Type::Result(sides)), Some(Value::Result(Err(err)))) => {
            let message = match (&sides.err, err) {
                (Some(ty), Some(value)) => error_text(encode(ty, &value)),
                (Some(_) | None, Some(_) | None) => "the function failed without saying why".to_owned(),
            };
            CallResult::Failed(Failure {
                kind: FailureKind::Err,
                message,
            })
        }
        (Some(ty), Some(value)) => CallResult::Value(encode(ty, &value)),
        (Some(_) | None, Some(_) | None) => CallResult::Done,
    }
}

/// What a function of the rich world returned. Its types were compared with the package's when it was loaded; what can
/// still be wrong is text in it that should be JSON.
pub(crate) fn answered(export: Export, function: &Function, value: Option<Value>) -> CallResult {
    let read = match sides(function, value) {
        Some(Ok(answer)) => read_answer(export, answer).map(CallResult::Answer),
        Some(Err(failure)) => RichFailure::deserialize(failure).map(CallResult::Refused),
        None => Err(serde::de::Error::custom("it is no result")),
    };
    read.unwrap_or_else(|error| {
        CallResult::Failed(Failure {
            kind: FailureKind::Trap,
            message: format!(
                "what the component gave cannot be used: {}",
                sanitize(&error.to_string(), LAST_WORDS_BYTES_MAX)
            ),
        })
    })
}

fn read_answer(export: Export, answer: Json) -> Result<Answer, serde_json::Error> {
    match export {
        Export::GetPrompt => PromptOutcome::deserialize(answer).map(Answer::Prompt),
        Export::ReadResource => ReadOutcome::deserialize(answer).map(Answer::Resource),
        Export::Complete => Completions::deserialize(answer).map(Answer::Completion),
        Export::CallTool
        | Export::ListTools
        | Export::ListPrompts
        | Export::ListResources
        | Export::ListTemplates => ToolOutcome::deserialize(answer).map(Answer::Tool),
    }
}

/// An error as the component means it: a string as it is, everything else as JSON.
fn error_text(error: Json) -> String {
    match error {
        Json::String(text) => text,
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            other.to_string()
        }
    }
}

pub(crate) fn failed(error: &CallError, accesses: &[Decision], output: &GuestOutput) -> Failure {
    let kind = match error {
        CallError::Trap { .. } | CallError::NoSuchFunction { .. } | CallError::Panic => FailureKind::Trap,
        CallError::Limit { .. } => FailureKind::Limit,
        CallError::Revoked { .. } => FailureKind::Revoked,
        CallError::Exit { .. } => FailureKind::Exit,
    };
    let is_busy = matches!(error, CallError::Limit { limit: Limit::Calls });
    let told = match error {
        CallError::Limit { limit } => format!("{error}{}", used_by(limit, accesses)),
        CallError::Trap { .. }
        | CallError::NoSuchFunction { .. }
        | CallError::Panic
        | CallError::Revoked { .. }
        | CallError::Exit { .. } => error.to_string(),
    };
    let message = match last_words(&output.stderr).filter(|_| !is_busy) {
        Some(words) => format!("{told}; it last wrote: {words}"),
        None => told,
    };
    Failure { kind, message }
}

/// What a limit was used up by: the access of its kind that was made most often. Of what is no access, as memory or time,
/// all was used by the call itself.
fn used_by(limit: &Limit, accesses: &[Decision]) -> String {
    let is_meant = |decision: &&Decision| {
        // It is shown as it is typed, but for the marks around its path.
        let access = AccessText::parse(&decision.access.replace('`', ""));
        decision.allowed && access.is_ok_and(|access| uses(limit, &access))
    };
    let meant = || accesses.iter().filter(is_meant);
    match (meant().max_by_key(|decision| decision.attempts), meant().count()) {
        (None, _) => String::new(),
        (Some(most), 1) => format!(", by: {}", most.access),
        (Some(most), count) => format!(", most often by: {} (and {} more)", most.access, count - 1),
    }
}

fn uses(limit: &Limit, access: &AccessText) -> bool {
    let operation = match access {
        AccessText::File { operation, .. } => Some(*operation),
        AccessText::Http(_) | AccessText::SocketAddress { .. } => None,
        // What only prepares one of them.
        AccessText::Dial { .. }
        | AccessText::Lookup(_)
        | AccessText::Socket(_)
        | AccessText::Variable(_)
        | AccessText::Secret { .. } => return false,
    };
    let is_file = |operations: &[FileOperation]| operation.is_some_and(|own| operations.contains(&own));
    match limit {
        Limit::FileRead { .. } => is_file(&[FileOperation::Read]),
        Limit::FileWrite { .. } => is_file(&[FileOperation::Write, FileOperation::Create]),
        Limit::Files { .. } => is_file(&[FileOperation::Create]),
        Limit::OpenFiles { .. } => operation.is_some(),
        Limit::Requests { .. } => matches!(access, AccessText::Http(_)),
        Limit::Egress { .. } | Limit::Ingress { .. } => operation.is_none(),
        Limit::Memory { .. }
        | Limit::Table { .. }
        | Limit::Time { .. }
        | Limit::Cpu { .. }
        | Limit::Stack
        | Limit::HostCall { .. }
        | Limit::Handles { .. }
        | Limit::Resources { .. }
        | Limit::Output { .. }
        | Limit::Random { .. }
        | Limit::Instances { .. }
        | Limit::Calls
        | Limit::FilesBusy => false,
    }
}

/// What Rust prints after each panic; the line before it is the reason.
const RUST_NOTE: &str = "note: run with `RUST_BACKTRACE";

/// The last line a guest wrote to standard error: where most languages say why they gave up.
fn last_words(stderr: &str) -> Option<String> {
    let lines = stderr.lines().rev().map(str::trim);
    let line = lines
        .into_iter()
        .find(|line| !line.is_empty() && !line.starts_with(RUST_NOTE))?;
    Some(sanitize(line, LAST_WORDS_BYTES_MAX)).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wassette_policy::AccessKind;

    #[test]
    fn last_words_are_the_last_line_that_says_something() {
        assert_eq!(last_words("a\n  b \n\n"), Some("b".to_owned()));
        assert_eq!(last_words(" \n"), None);
        let panic = "thread '<unnamed>' panicked at src/lib.rs:1:1:\nno such zone\nnote: run with `RUST_BACKTRACE=1` to\n";
        assert_eq!(last_words(panic), Some("no such zone".to_owned()));
        assert_eq!(last_words("\u{1b}[31mred"), Some("[31mred".to_owned()));
    }

    #[test]
    fn a_limit_is_used_up_by_accesses_of_its_kind() {
        let accesses: Vec<Decision> = [
            ("read `/a`", 2),
            ("write `/b`", 3),
            ("create `/c`", 1),
            ("inspect `/d`", 90),
            ("GET `http://h.example/x`", 5),
            ("dial 10.0.0.5 for `http://h.example`", 90),
            ("open a tcp socket", 90),
            ("connect tcp 10.0.0.5:5432", 7),
        ]
        .into_iter()
        .map(|(access, attempts)| Decision {
            kind: AccessKind::File,
            access: access.to_owned(),
            allowed: true,
            lacks: String::new(),
            rule: String::new(),
            attempts,
        })
        .collect();
        let (max, bytes_max) = (1, 1);
        for (limit, expected) in [
            (Limit::FileRead { bytes_max }, ", by: read `/a`"),
            (
                Limit::FileWrite { bytes_max },
                ", most often by: write `/b` (and 1 more)",
            ),
            (Limit::Files { max }, ", by: create `/c`"),
            (Limit::Requests { max }, ", by: GET `http://h.example/x`"),
            (
                Limit::Egress { bytes_max },
                ", most often by: connect tcp 10.0.0.5:5432 (and 1 more)",
            ),
            (Limit::Memory { bytes_max }, ""),
        ] {
            assert_eq!(used_by(&limit, &accesses), expected, "{limit}");
        }
        let denied: Vec<_> = accesses
            .into_iter()
            .map(|decision| Decision {
                allowed: false,
                ..decision
            })
            .collect();
        assert_eq!(used_by(&Limit::FileRead { bytes_max }, &denied), "");
    }
}
