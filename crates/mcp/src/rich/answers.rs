//! From what a component gives to the answer of each request.

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, GetPromptResponse, ReadResourceResponse};
use serde_json::Value as Json;
use wassette_host::{Answer, CallReport, CallResult, Target};
use wassette_wit::rich::{Failure, PromptOutcome, ReadOutcome, ToolOutcome};

use super::{
    Came, Continued, Exchange, ToolCall, Trouble, content, failure, missing_capabilities, no_resource, tasks,
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
        let binding = self.binding("tools/call", &name, &arguments);
        let resume = continued.resume(self.seal()?, &binding)?;
        let target = Target::Tool {
            name: &name,
            arguments: &arguments,
        };
        match self.rounds(target, resume).await? {
            Came::Report(report) => Ok(self.tool_result(*report)?.into()),
            Came::Ask(required) => Ok(self.ask(required, &binding)?.into()),
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
        let binding = self.binding("prompts/get", name, &serde_json::json!(arguments));
        let work = async {
            let resume = continued.resume(self.seal()?, &binding)?;
            match self.rounds(Target::Prompt { name, arguments }, resume).await? {
                Came::Ask(required) => Ok(self.ask(required, &binding)?.into()),
                Came::Report(report) => match report.result {
                    CallResult::Answer(Answer::Prompt(PromptOutcome::Done(done))) => {
                        Ok(content::prompt_result(done).into())
                    }
                    other @ (CallResult::Done
                    | CallResult::Value(_)
                    | CallResult::Answer(_)
                    | CallResult::Refused(_)
                    | CallResult::Failed(_)) => Err(self.no_answer(other)),
                },
                Came::Later(_) => Err(Trouble::Component("gives no prompt")),
            }
        };
        work.await
            .map_err(|trouble: Trouble| trouble.into_error(self.is_modern()))
    }

    /// `resources/read`.
    pub(crate) async fn resource(
        &self,
        uri: &str,
        continued: Continued,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let binding = self.binding("resources/read", uri, &Json::Null);
        let work = async {
            let resume = continued.resume(self.seal()?, &binding)?;
            match self.rounds(Target::Resource { uri }, resume).await? {
                Came::Ask(required) => Ok(self.ask(required, &binding)?.into()),
                Came::Report(report) => match report.result {
                    CallResult::Answer(Answer::Resource(ReadOutcome::Done(read))) => {
                        Ok(content::read_result(read).into())
                    }
                    CallResult::Refused(Failure::NotFound(text)) => {
                        Err(Trouble::Protocol(no_resource(uri, text)))
                    }
                    other @ (CallResult::Done
                    | CallResult::Value(_)
                    | CallResult::Answer(_)
                    | CallResult::Refused(_)
                    | CallResult::Failed(_)) => Err(self.no_answer(other)),
                },
                Came::Later(_) => Err(Trouble::Component("gives no resource")),
            }
        };
        work.await
            .map_err(|trouble: Trouble| trouble.into_error(self.is_modern()))
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
