//! Deletes a note, once the user has said yes. The same in each language; see docs/rich.md.

use exports::wassette::mcp::tools::{Guest, Tool, ToolOutcome, ToolResult};
use serde_json::{Value, json};
use wassette::mcp::client;
use wassette::mcp::types::{
    Content, ContentBody, ElicitForm, Failure, InputRequest, InputRequired, Question, Resume,
};

wit_bindgen::generate!({
    world: "example:notes/notes",
    path: ["../../../../wit", "../../wit/notes.wit"],
    generate_all,
});

struct Notes;
export!(Notes);

/// A question with one box to tick.
fn confirm(note: &str) -> ToolOutcome {
    let schema = json!({"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]});
    let question = Question::ElicitForm(ElicitForm {
        message: format!("Delete the note \"{note}\"?"),
        schema: schema.to_string(),
    });
    let request = InputRequest { key: "sure".into(), question };
    ToolOutcome::InputRequired(InputRequired { requests: vec![request], state: None })
}

fn say(text: String) -> ToolOutcome {
    let content = Content { body: ContentBody::Text(text), annotations: None, meta: None };
    ToolOutcome::Done(ToolResult { content: vec![content], structured: None, is_error: false, meta: None })
}

impl Guest for Notes {
    fn list() -> Vec<Tool> {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
        vec![Tool {
            name: "delete_note".into(),
            title: Some("Delete a note".into()),
            description: "Deletes a note after asking the user".into(),
            input_schema: schema.to_string(),
            output_schema: None,
            icons: Vec::new(),
            meta: None,
        }]
    }

    fn call(_name: String, arguments: String, resume: Option<Resume>) -> Result<ToolOutcome, Failure> {
        let arguments: Value = serde_json::from_str(&arguments).unwrap_or_default();
        let Some(note) = arguments["name"].as_str() else {
            return Err(Failure::Invalid("`name` must be a string".into()));
        };
        let responses = resume.map(|resume| resume.responses).unwrap_or_default();
        let Some(answer) = responses.iter().find(|response| response.key == "sure") else {
            return Ok(confirm(note));
        };
        let answer: Value = serde_json::from_str(&answer.value).unwrap_or_default();
        if answer["action"] != "accept" || answer["content"]["sure"] != true {
            return Ok(say(format!("The note \"{note}\" stays.")));
        }
        client::progress(1.0, Some(1.0), Some("deleted"));
        Ok(say(format!("The note \"{note}\" is deleted.")))
    }
}
