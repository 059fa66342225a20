//! Calls that may talk: those of components in the rich world, and of any that imports the client.
//!
//! A component that has questions returns them and is called again with the answers, on a fresh instance. Where the
//! protocol knows that (2026-07-28), the client does the calling again. Where it does not, the questions are asked
//! while the call is open, and the calling again is done here. Either way the component is the same.

mod answers;
mod approval;
mod caller;
mod content;
mod forms;
mod questions;
mod seal;
mod tasks;

use std::sync::Arc;

use rmcp::model::{ErrorCode, InputRequiredResult, InputResponses, JsonObject, ProtocolVersion};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value as Json;
use wassette_host::{Actor, Answer, CallReport, CallResult, Client, HostError, Request, Target};
use wassette_wit::rich::{
    Capability, InputRequired, InputResponse, JsonText, PromptOutcome, ReadOutcome, Resume, ToolOutcome,
};

pub(crate) use caller::Caller;
pub use content::tool_result_json;
pub(crate) use content::{
    capabilities, completion, failure, missing_capabilities, no_resource, prompt, prompt_arguments, resource,
    rich_tool, template,
};
pub(crate) use forms::Forms;
pub(crate) use seal::{BadState, Binding, Seal};
pub(crate) use tasks::Tasks;

use crate::shared::Shared;
use crate::wire;

/// How often a component may ask, or be called again, before it has to be done.
const ROUNDS_MAX: usize = 16;

/// Answers that are taken at a time.
const RESPONSES_MAX: usize = 64;

/// One request, from its first call to its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) actor: Actor,
    pub(crate) caller: Arc<Caller>,
    /// Of a client that is asked while its request is open. Others get questions as a result.
    pub(crate) asked: Option<Peer<RoleServer>>,
}

/// What a request brings of the one before.
#[derive(Debug, Default)]
pub(crate) struct Continued {
    pub(crate) responses: Option<InputResponses>,
    pub(crate) state: Option<String>,
}

/// A call of a tool as it is asked for.
#[derive(Debug)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: JsonObject,
    pub(crate) continued: Continued,
}

/// What is called with what: a state is good for that alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) method: &'static str,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Json,
}

/// How far a request has come.
enum Came {
    Report(Box<CallReport>),
    Ask(InputRequired),
    Later(Option<String>),
}

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was not called.
    Host(HostError),
    /// The client cannot do what the component needs.
    Missing(Vec<Capability>),
    /// The component does what it may not.
    Component(&'static str),
    /// The client gave no answer.
    Unanswered(String),
    /// The request is wrong.
    Protocol(ErrorData),
}

impl Trouble {
    fn text(&self) -> String {
        match self {
            Self::Host(error) => error.agent_text(),
            Self::Missing(missing) => {
                let names: Vec<&str> = missing.iter().map(|capability| word(*capability)).collect();
                format!("the tool needs a client that can do this: {}", names.join(", "))
            }
            Self::Component(text) => format!("the component {text}"),
            Self::Unanswered(text) => format!("the client did not answer: {text}"),
            Self::Protocol(error) => error.message.to_string(),
        }
    }

    /// As an error of the protocol, where there is no result to say it in.
    fn into_error(self, is_modern: bool) -> ErrorData {
        match self {
            Self::Missing(missing) if is_modern => missing_capabilities(&missing),
            Self::Protocol(error) => error,
            Self::Host(HostError::UnknownResource { uri }) => {
                let text = HostError::UnknownResource { uri: uri.clone() }.agent_text();
                no_resource(&uri, text)
            }
            Self::Host(error) => match wire::call_refused(&error) {
                Err(error) => error,
                Ok(_) => ErrorData::new(ErrorCode::INVALID_PARAMS, error.agent_text(), None),
            },
            other @ (Self::Missing(_) | Self::Component(_) | Self::Unanswered(_)) => {
                ErrorData::internal_error(other.text(), None)
            }
        }
    }
}

fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::ElicitationForm => "show a form (elicitation)",
        Capability::ElicitationUrl => "open a page (elicitation by URL)",
        Capability::Sampling => "ask its model (sampling)",
        Capability::Roots => "name its folders (roots)",
        Capability::Tasks => "wait for a task (tasks)",
    }
}

/// Whether a request names the version that has neither handshake nor requests of the server.
pub(crate) fn is_modern(ctx: &RequestContext<RoleServer>) -> bool {
    let version = ctx.meta.protocol_version();
    version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

fn response((key, value): (String, Json)) -> InputResponse {
    InputResponse {
        key,
        value: JsonText(value),
    }
}

impl Exchange {
    fn is_modern(&self) -> bool {
        self.asked.is_none()
    }

    /// Calls until the component is done, or the client's next move is in the answer.
    async fn rounds(&self, target: Target<'_>, resume: Option<Resume>) -> Result<Came, Trouble> {
        let client: Arc<dyn Client> = Arc::clone(&self.caller) as Arc<dyn Client>;
        let mut resume = resume;
        for _ in 0..ROUNDS_MAX {
            let report = self.call(target, resume, &client).await?;
            resume = match asked(&report.result) {
                Asked::Nothing => return Ok(Came::Report(Box::new(report))),
                Asked::Input(required) => {
                    let required = self.checked(required)?;
                    match &self.asked {
                        Some(peer) => {
                            let place = self.shared.asking(&self.actor);
                            let _waiting = place.ok_or_else(|| {
                                Trouble::Unanswered("too many questions wait for an answer".to_owned())
                            })?;
                            Some(questions::ask(peer, required).await?)
                        }
                        None => return Ok(Came::Ask(required)),
                    }
                }
                Asked::Background(state) if self.can_wait() => return Ok(Came::Later(state)),
                Asked::Background(state) => Some(Resume {
                    responses: Vec::new(),
                    state,
                }),
            };
        }
        Err(Trouble::Component("asks again and again, and is not done"))
    }

    async fn call(
        &self,
        target: Target<'_>,
        resume: Option<Resume>,
        client: &Arc<dyn Client>,
    ) -> Result<CallReport, Trouble> {
        let request = Request {
            target,
            resume,
            client: Some(Arc::clone(client)),
        };
        let answer = Box::pin(self.shared.host.answer(&request, &self.actor)).await;
        answer.map_err(Trouble::Host)
    }

    fn can_wait(&self) -> bool {
        self.is_modern() && self.caller.capabilities.contains(&Capability::Tasks)
    }

    /// Questions that this client can answer, and that can be told apart.
    fn checked(&self, required: InputRequired) -> Result<InputRequired, Trouble> {
        questions::check(&required).map_err(Trouble::Component)?;
        let needs = required.requests.iter().map(|request| request.question.needs());
        let mut missing: Vec<Capability> = needs
            .filter(|need| !self.caller.capabilities.contains(need))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            Ok(questions::named(required, self.caller.component.as_ref()))
        } else {
            Err(Trouble::Missing(missing))
        }
    }

    /// What the component is called with. A state that is not ours ends the request.
    async fn resume(&self, continued: Continued, called: &Called<'_>) -> Result<Option<Resume>, Trouble> {
        let Continued { responses, state } = continued;
        if responses.is_none() && state.is_none() {
            return Ok(None);
        }
        let responses = responses.unwrap_or_default();
        if responses.len() > RESPONSES_MAX {
            let text = format!("invalid arguments: more than {RESPONSES_MAX} input responses");
            return Err(Trouble::Protocol(ErrorData::invalid_params(text, None)));
        }
        let state = match state {
            Some(state) => Some(self.open(&state, called).await?),
            None => None,
        };
        Ok(Some(Resume {
            responses: responses.into_iter().map(response).collect(),
            state,
        }))
    }

    /// SECURITY: once, in all processes that share the store: what a person confirmed is done once.
    async fn open(&self, state: &str, called: &Called<'_>) -> Result<String, Trouble> {
        let bad = |bad: BadState| Trouble::Protocol(ErrorData::invalid_params(bad.to_string(), None));
        let opened = self.seal()?.open(state, &self.binding(called)).map_err(bad)?;
        if !self.shared.may_resume(&self.actor) {
            let text = "too many questions were answered; wait some minutes";
            return Err(Trouble::Protocol(ErrorData::internal_error(text, None)));
        }
        let first = self.shared.host.first_use(opened.name, opened.good_until).await;
        if first.map_err(Trouble::Host)? {
            Ok(opened.state)
        } else {
            Err(bad(BadState))
        }
    }

    /// Questions as a result, with the state that the client is to bring again.
    fn ask(&self, required: InputRequired, called: &Called<'_>) -> Result<InputRequiredResult, Trouble> {
        let InputRequired { requests, state } = required;
        let seal = |state: String| {
            let sealed = self.seal()?.seal(&state, &self.binding(called));
            sealed.map_err(|large| Trouble::Protocol(ErrorData::internal_error(large.to_string(), None)))
        };
        let requests = questions::requests(requests)?;
        Ok(InputRequiredResult::new(
            Some(requests),
            state.map(seal).transpose()?,
        ))
    }

    fn seal(&self) -> Result<&Seal, Trouble> {
        self.shared.seal().map_err(Trouble::Host)
    }

    /// Whose request it is.
    fn principal(&self) -> &str {
        match &self.actor {
            Actor::Operator => "operator",
            Actor::Agent { principal } | Actor::Person { principal } => principal,
        }
    }

    fn binding(&self, called: &Called<'_>) -> Binding {
        let catalog = self.shared.host.catalog();
        let id = self.caller.component.as_ref();
        let component = id.and_then(|id| catalog.component(id));
        let component = component.map_or_else(String::new, |it| format!("{}@{}", it.id, it.digest));
        Binding::new((self.principal(), &component), called)
    }
}

/// What a component wants before it is done.
enum Asked {
    Nothing,
    Input(InputRequired),
    Background(Option<String>),
}

fn asked(result: &CallResult) -> Asked {
    let CallResult::Answer(answer) = result else {
        return Asked::Nothing;
    };
    match answer {
        Answer::Tool(ToolOutcome::InputRequired(required))
        | Answer::Prompt(PromptOutcome::InputRequired(required))
        | Answer::Resource(ReadOutcome::InputRequired(required)) => Asked::Input(required.clone()),
        Answer::Tool(ToolOutcome::Background(state)) => Asked::Background(state.clone()),
        Answer::Tool(ToolOutcome::Done(_))
        | Answer::Prompt(PromptOutcome::Done(_))
        | Answer::Resource(ReadOutcome::Done(_))
        | Answer::Completion(_) => Asked::Nothing,
    }
}
