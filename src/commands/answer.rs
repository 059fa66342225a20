//! Calls of components in the rich world from the command line, and how their results are shown.

use std::sync::Arc;

use serde_json::Value as Json;
use wassette_host::{
    Actor, Answer, CallReport, CallResult, Client, GuestProgress, Host, KeptList, Log, Request, Target,
};
use wassette_wit::rich::{Capability, Content, ContentBody, ResourceBody, Resume, ToolOutcome, ToolResult};

use crate::exit::Exit;
use crate::output::{note, shown};

/// How often a component may ask to be called again.
const ROUNDS_MAX: usize = 16;

/// A person at a terminal: sees what is said, and is asked nothing.
#[derive(Debug)]
struct Terminal;

impl Client for Terminal {
    fn progress(&self, progress: GuestProgress) {
        let total = progress
            .total
            .map_or_else(String::new, |total| format!(" of {total}"));
        let message = progress.message.unwrap_or_default();
        note(&format!("{}{total} {}", progress.done, shown(&message)));
    }

    fn log(&self, log: Log) {
        let logger = log
            .logger
            .map_or_else(String::new, |logger| format!(" ({logger})"));
        note(&shown(&format!("{:?}{logger}: {}", log.level, log.data)));
    }

    fn can(&self, _capability: Capability) -> bool {
        false
    }

    fn changed(&self, _which: KeptList) {}

    fn updated(&self, _uri: String) {}
}

/// Calls a tool until it is done. Nobody is there to answer questions.
pub(crate) async fn call(host: &Host, name: &str, arguments: &Json) -> Result<CallReport, Exit> {
    let mut resume = None;
    for _ in 0..ROUNDS_MAX {
        let request = Request {
            target: Target::Tool { name, arguments },
            resume,
            client: Some(Arc::new(Terminal)),
        };
        let report = host.answer(&request, &Actor::Operator).await?;
        let CallResult::Answer(Answer::Tool(ToolOutcome::Background(state))) = report.result else {
            return Ok(report);
        };
        resume = Some(Resume {
            responses: Vec::new(),
            state,
        });
    }
    Err(Exit::guest(
        "the component asks to be called again and again, and is not done",
    ))
}

/// What a component gave instead of a result.
pub(crate) fn no_result(result: &CallResult) -> Exit {
    match result {
        CallResult::Answer(Answer::Tool(ToolOutcome::InputRequired(required))) => {
            let keys: Vec<&str> = required.requests.iter().map(|asked| asked.key.as_str()).collect();
            Exit::guest(shown(&format!(
                "the tool asks before it is done: {}",
                keys.join(", ")
            )))
            .with_hint("call it from an MCP client that can answer questions")
        }
        CallResult::Refused(refused) => Exit::guest(shown(&format!("the component refused: {refused:?}"))),
        CallResult::Done | CallResult::Value(_) | CallResult::Answer(_) | CallResult::Failed(_) => {
            Exit::guest("the component gave no result of a tool")
        }
    }
}

/// A result for people: texts as they are, everything else by its type and size.
pub(crate) fn people(result: &ToolResult) -> String {
    let blocks: Vec<String> = result.content.iter().map(block).collect();
    blocks.join("\n")
}

fn block(content: &Content) -> String {
    let bytes = |base64: &str| base64.len() / 4 * 3;
    match &content.body {
        ContentBody::Text(text) => text.clone(),
        ContentBody::Image(media) => {
            format!("[image {}, about {} bytes]", media.mime_type, bytes(&media.data))
        }
        ContentBody::Audio(media) => {
            format!("[audio {}, about {} bytes]", media.mime_type, bytes(&media.data))
        }
        ContentBody::ResourceLink(link) => format!("[resource {}]", link.uri),
        ContentBody::EmbeddedResource(resource) => match &resource.body {
            ResourceBody::Text(text) => format!("[resource {}]\n{text}", resource.uri),
            ResourceBody::Blob(blob) => {
                format!("[resource {}, about {} bytes]", resource.uri, bytes(blob))
            }
        },
    }
}
