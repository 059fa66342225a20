//! Content, and what the modules build results from.

use crate::exports::wassette::mcp::tools::{ToolOutcome, ToolResult};
use crate::wassette::mcp::types::{
    Content, ContentBody, ElicitForm, Failure, InputRequest, InputRequired, InputResponse, Media, Question,
    ResourceBody, ResourceContents, Resume,
};
use serde_json::{Map, Value, json};

/// A red pixel.
pub const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8, 2,
    0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3,
    1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// Silence: a head and no samples.
pub const WAV: &[u8] = &[
    0x52, 0x49, 0x46, 0x46, 0x24, 0, 0, 0, 0x57, 0x41, 0x56, 0x45, 0x66, 0x6d, 0x74, 0x20, 0x10, 0, 0, 0, 1, 0, 1, 0,
    0x44, 0xac, 0, 0, 0x88, 0x58, 1, 0, 2, 0, 0x10, 0, 0x64, 0x61, 0x74, 0x61, 0, 0, 0, 0,
];

fn content(body: ContentBody) -> Content {
    Content { body, annotations: None, meta: None }
}

pub fn text(text: impl Into<String>) -> Content {
    content(ContentBody::Text(text.into()))
}

pub fn image() -> Content {
    content(ContentBody::Image(Media { data: PNG.to_vec(), mime_type: "image/png".into() }))
}

pub fn audio() -> Content {
    content(ContentBody::Audio(Media { data: WAV.to_vec(), mime_type: "audio/wav".into() }))
}

pub fn embedded(uri: &str, mime_type: &str, text: &str) -> Content {
    content(ContentBody::EmbeddedResource(contents(uri, mime_type, ResourceBody::Text(text.into()))))
}

pub fn contents(uri: &str, mime_type: &str, body: ResourceBody) -> ResourceContents {
    ResourceContents { uri: uri.into(), mime_type: Some(mime_type.into()), body, meta: None }
}

pub type Called = Result<ToolOutcome, Failure>;

pub fn done(content: Vec<Content>) -> Called {
    Ok(ToolOutcome::Done(ToolResult { content, structured: None, is_error: false, meta: None }))
}

pub fn say(what: impl Into<String>) -> Called {
    done(vec![text(what)])
}

pub fn fail(what: &str) -> Called {
    Ok(ToolOutcome::Done(ToolResult { content: vec![text(what)], structured: None, is_error: true, meta: None }))
}

/// Asks, and remembers a state.
pub fn ask<const N: usize>(questions: [(&str, Question); N], state: Option<&str>) -> Called {
    Ok(ToolOutcome::InputRequired(required(questions, state)))
}

pub fn required<const N: usize>(questions: [(&str, Question); N], state: Option<&str>) -> InputRequired {
    let request = |(key, question): (&str, Question)| InputRequest { key: key.into(), question };
    InputRequired {
        requests: questions.into_iter().map(request).collect(),
        state: state.map(|state| state.as_bytes().to_vec()),
    }
}

/// A form with one answer.
pub fn form(message: &str, name: &str, kind: &str) -> Question {
    form_of(message, json!({"type": "object", "properties": {name: {"type": kind}}, "required": [name]}))
}

pub fn form_of(message: &str, schema: Value) -> Question {
    Question::ElicitForm(ElicitForm { message: message.into(), schema: schema.to_string() })
}

/// A text by the client's model.
pub fn sample(prompt: &str) -> Question {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    Question::Sample(json!({"messages": [message], "maxTokens": 100}).to_string())
}

/// What came of questions.
pub struct Answers(Option<Resume>);

impl Answers {
    pub fn new(resume: Option<Resume>) -> Self {
        Self(resume)
    }

    pub fn is_first(&self) -> bool {
        self.0.is_none()
    }

    pub fn state(&self) -> Option<String> {
        let state = self.0.as_ref()?.state.as_ref()?;
        Some(String::from_utf8_lossy(state).into_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|resume| resume.responses.is_empty())
    }

    /// An answer. What is no object is none: it is asked for again.
    pub fn get(&self, key: &str) -> Option<Map<String, Value>> {
        let responses = &self.0.as_ref()?.responses;
        let response: &InputResponse = responses.iter().find(|response| response.key == key)?;
        match serde_json::from_str(&response.value).ok()? {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// One field of the answers to a form.
    pub fn field(&self, key: &str, name: &str) -> Option<Value> {
        self.get(key)?.get("content")?.get(name).cloned()
    }

    pub fn text(&self, key: &str, name: &str) -> Option<String> {
        self.field(key, name)?.as_str().map(str::to_owned)
    }

    /// What the client's model said: one block or several.
    pub fn sampled(&self, key: &str) -> Option<String> {
        let answer = self.get(key)?;
        let content = answer.get("content")?;
        let block = content.as_array().and_then(|blocks| blocks.first()).unwrap_or(content);
        block.get("text")?.as_str().map(str::to_owned)
    }
}
