//! Prompts.

use crate::Fixture;
use crate::content::{Answers, embedded, form, image, required, text};
use crate::exports::wassette::mcp::prompts::{
    Guest, Message, Prompt, PromptArgument, PromptOutcome, PromptResult,
};
use crate::wassette::mcp::types::{Content, Failure, Resume, Role};

fn prompt<const N: usize>(name: &str, description: &str, arguments: [(&str, bool); N]) -> Prompt {
    let argument = |(name, required): (&str, bool)| PromptArgument {
        name: name.into(),
        title: None,
        description: Some(format!("The argument `{name}`")),
        required,
    };
    Prompt {
        name: name.into(),
        title: None,
        description: Some(description.into()),
        arguments: arguments.into_iter().map(argument).collect(),
        icons: Vec::new(),
        meta: None,
    }
}

fn done(description: &str, contents: Vec<Content>) -> Result<PromptOutcome, Failure> {
    let message = |content| Message { role: Role::User, content };
    Ok(PromptOutcome::Done(PromptResult {
        description: Some(description.into()),
        messages: contents.into_iter().map(message).collect(),
        meta: None,
    }))
}

impl Guest for Fixture {
    fn list() -> Vec<Prompt> {
        vec![
            prompt("test_simple_prompt", "A prompt without arguments", []),
            prompt("test_prompt_with_arguments", "A prompt with arguments", [("arg1", true), ("arg2", false)]),
            prompt("test_prompt_with_embedded_resource", "A prompt with a resource", [("resourceUri", false)]),
            prompt("test_prompt_with_image", "A prompt with an image", []),
            prompt("test_input_required_result_prompt", "A prompt that asks", []),
        ]
    }

    fn get(
        name: String,
        arguments: Vec<(String, String)>,
        resume: Option<Resume>,
    ) -> Result<PromptOutcome, Failure> {
        let argument = |wanted: &str| {
            let found = arguments.iter().find(|(name, _)| name == wanted);
            found.map_or("", |(_, value)| value.as_str())
        };
        match name.as_str() {
            "test_simple_prompt" => done("A simple prompt", vec![text("This is a simple test prompt.")]),
            "test_prompt_with_arguments" => {
                let (arg1, arg2) = (argument("arg1"), argument("arg2"));
                done("With arguments", vec![text(format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))])
            }
            "test_prompt_with_embedded_resource" => {
                let uri = Some(argument("resourceUri")).filter(|uri| !uri.is_empty());
                let resource = embedded(uri.unwrap_or("test://static-text"), "text/plain", "Embedded resource content");
                done("With a resource", vec![resource, text("Please process the embedded resource above.")])
            }
            "test_prompt_with_image" => {
                done("With an image", vec![image(), text("Please analyze the image above.")])
            }
            "test_input_required_result_prompt" => {
                match Answers::new(resume).text("user_context", "context") {
                    Some(context) => done("With an answer", vec![text(format!("Prompt with context: {context}"))]),
                    None => {
                        let question = form("What context should the prompt use?", "context", "string");
                        Ok(PromptOutcome::InputRequired(required([("user_context", question)], None)))
                    }
                }
            }
            _ => Err(Failure::NotFound(format!("unknown prompt `{name}`"))),
        }
    }
}
