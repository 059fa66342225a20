//! From what a component gives to the answer of each request.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, GetPromptResponse, InputRequiredResult, ReadResourceResponse,
};
use serde_json::{Value as Json, json};
use wassette_host::{Answer, CallReport, CallResult, Target};
use wassette_wit::rich::{Failure, PromptOutcome, ReadOutcome, ToolOutcome};

use super::{
    Called, Came, Continued, Exchange, ToolCall, Trouble, content, failure, missing_capabilities,
    no_resource, tasks,
};
use crate::wire;

impl Exchange {
    /// `tools/call`.
    pub(crate) async fn tool(self, call: ToolCall) -> Result<CallToolResponse, ErrorData> {
        let is_modern = self.is_modern();
        match self.tool_response(call).await {
            Ok(response) => Ok(response),
            Err(Trouble::Host(error)) => wire::call_refused(&error).map(Into::into),
            Err(Trouble::Missing(missing)) if is_modern => Err(missing_capabilities(&missing)),
            Err(Trouble::Protocol(error)) => Err(error),
            Err(trouble) => Ok(wire::failure(trouble.text()).into()),
        }
    }

    async fn tool_response(self, call: ToolCall) -> Result<CallToolResponse, Trouble> {
        let ToolCall {
            name,
            arguments,
            continued,
        } = call;
        let arguments = Json::Object(arguments);
        let called = Called {
            method: "tools/call",
            name: &name,
            arguments: &arguments,
        };
        let resume = self.resume(continued, &called).await?;
        let target = Target::Tool {
            name: &name,
            arguments: &arguments,
        };
        match self.rounds(target, resume).await? {
            Came::Report(report) => Ok(self.tool_result(*report)?.into()),
            Came::Ask(required) => Ok(self.ask(required, &called)?.into()),
            Came::Later(state) => Ok(tasks::begin(self, (name, arguments), state)?.into()),
        }
    }

    pub(super) fn tool_result(&self, report: CallReport) -> Result<CallToolResult, Trouble> {
        match report.result {
            CallResult::Answer(Answer::Tool(ToolOutcome::Done(done))) => {
                let mut result = content::tool_result(done);
                if result.is_error == Some(true) {
                    result.content.extend(wire::denials_block(&report.accesses));
                }
                Ok(result)
            }
            CallResult::Refused(rich_failure) => Err(self.refused(rich_failure)),
            other @ (CallResult::Done
            | CallResult::Value(_)
            | CallResult::Answer(_)
            | CallResult::Failed(_)) => Ok(wire::call_result(other, &report.accesses)),
        }
    }

    fn refused(&self, refused: Failure) -> Trouble {
        match refused {
            Failure::MissingCapability(missing) => Trouble::Missing(missing),
            other @ (Failure::Invalid(_) | Failure::NotFound(_) | Failure::Internal(_)) => {
                Trouble::Protocol(failure(other))
            }
        }
    }

    /// `prompts/get`.
    pub(crate) async fn prompt(
        &self,
        name: &str,
        arguments: &[(String, String)],
        continued: Continued,
    ) -> Result<GetPromptResponse, ErrorData> {
        let called = Called {
            method: "prompts/get",
            name,
            arguments: &json!(arguments),
        };
        let target = Target::Prompt { name, arguments };
        let take = |result| {
            if let CallResult::Answer(Answer::Prompt(PromptOutcome::Done(done))) = result {
                Ok(content::prompt_result(done).into())
            } else {
                Err(self.no_answer(result))
            }
        };
        self.answered((target, &called), continued, take).await
    }

    /// `resources/read`.
    pub(crate) async fn resource(
        &self,
        uri: &str,
        continued: Continued,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let called = Called {
            method: "resources/read",
            name: uri,
            arguments: &Json::Null,
        };
        let take = |result| {
            if let CallResult::Answer(Answer::Resource(ReadOutcome::Done(read))) = result {
                Ok(content::read_result(read).into())
            } else if let CallResult::Refused(Failure::NotFound(text)) = result {
                Err(Trouble::Protocol(no_resource(uri, text)))
            } else {
                Err(self.no_answer(result))
            }
        };
        self.answered((Target::Resource { uri }, &called), continued, take)
            .await
    }

    /// Calls, and gives what `take` makes of the result, or the questions.
    async fn answered<R: From<InputRequiredResult>>(
        &self,
        (target, called): (Target<'_>, &Called<'_>),
        continued: Continued,
        take: impl FnOnce(CallResult) -> Result<R, Trouble>,
    ) -> Result<R, ErrorData> {
        let work = async {
            let resume = self.resume(continued, called).await?;
            match self.rounds(target, resume).await? {
                Came::Ask(required) => Ok(self.ask(required, called)?.into()),
                Came::Report(report) => take(report.result),
                Came::Later(_) => Err(Trouble::Component("puts off what is no tool")),
            }
        };
        let answered: Result<R, Trouble> = work.await;
        answered.map_err(|trouble| trouble.into_error(self.is_modern()))
    }

    /// What a call gave where it should have given an answer.
    fn no_answer(&self, result: CallResult) -> Trouble {
        match result {
            CallResult::Refused(refused) => self.refused(refused),
            CallResult::Failed(failure) => {
                Trouble::Protocol(ErrorData::internal_error(failure.message, None))
            }
            CallResult::Done | CallResult::Value(_) | CallResult::Answer(_) => {
                Trouble::Component("gave an answer of another sort")
            }
        }
    }
}
