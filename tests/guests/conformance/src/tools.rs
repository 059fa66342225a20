//! The tools that need no questions, and the list of all.

use crate::Fixture;
use crate::content::{Answers, Called, audio, done, embedded, fail, image, say, text};
use crate::exports::wassette::mcp::tools::{Guest, Tool, ToolOutcome, ToolResult};
use crate::resources::APP;
use crate::wassette::mcp::client::{self, Capability, KeptList, Level};
use crate::wassette::mcp::types::{Failure, Resume};
use crate::{questions, tasks};
use serde_json::{Map, Value, json};
use std::thread::sleep;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(50);

const PLAIN: [(&str, &str); 15] = [
    ("test_simple_text", "Says a text"),
    ("test_image_content", "Shows an image"),
    ("test_audio_content", "Plays a sound"),
    ("test_embedded_resource", "Gives a resource with what is in it"),
    ("test_multiple_content_types", "Gives a text, an image and a resource"),
    ("test_tool_with_logging", "Logs while it works"),
    ("test_error_handling", "Fails"),
    ("test_tool_with_progress", "Tells how far it is"),
    ("test_reconnection", "Takes a moment"),
    ("test_trigger_tool_change", "Has clients ask for the tools again"),
    ("test_trigger_prompt_change", "Has clients ask for the prompts again"),
    ("test_missing_capability", "Needs the client's model"),
    ("test_logging_tool", "Logs one line"),
    ("test_resource_update", "Tells that the watched resource is another"),
    ("test_resource_link", "Links to a resource"),
];

pub fn tool(name: &str, description: &str, schema: &Value) -> Tool {
    Tool {
        name: name.into(),
        title: None,
        description: description.into(),
        input_schema: schema.to_string(),
        output_schema: None,
        icons: Vec::new(),
        meta: None,
    }
}

/// One that comes with a page to show (MCP Apps).
fn app() -> Tool {
    let empty = json!({"type": "object", "properties": {}});
    Tool {
        meta: Some(json!({"ui": {"resourceUri": APP}, "test/note": "passed on"}).to_string()),
        ..tool("test_app", "Shows a page", &empty)
    }
}

fn special() -> [Tool; 2] {
    let header = json!({
        "type": "object",
        "properties": {"value": {"type": "string", "x-mcp-header": "Value"}},
        "required": ["value"],
    });
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "address",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["address"]}]}],
        "if": {"required": ["address"]},
        "then": {"properties": {"address": {"required": ["street"]}}},
        "else": {"required": ["name"]},
        "additionalProperties": false,
    });
    [
        tool("test_custom_header", "Says a value that is in a header too", &header),
        tool("json_schema_2020_12_tool", "Has a schema with everything", &schema),
    ]
}

impl Guest for Fixture {
    fn list() -> Vec<Tool> {
        let empty = json!({"type": "object", "properties": {}});
        let plain = PLAIN.iter().map(|(name, description)| tool(name, description, &empty));
        plain.chain([app()]).chain(special()).chain(questions::tools()).chain(tasks::tools()).collect()
    }

    fn call(name: String, arguments: String, resume: Option<Resume>) -> Result<ToolOutcome, Failure> {
        let arguments: Map<String, Value> =
            serde_json::from_str(&arguments).map_err(|error| Failure::Invalid(error.to_string()))?;
        let answers = Answers::new(resume);
        plain(&name, &arguments)
            .or_else(|| questions::call(&name, &arguments, &answers))
            .or_else(|| tasks::call(&name, &arguments, &answers))
            .unwrap_or_else(|| Err(Failure::NotFound(format!("unknown tool `{name}`"))))
    }
}

pub fn argument<'a>(arguments: &'a Map<String, Value>, name: &str, default: &'a str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or(default)
}

fn plain(name: &str, arguments: &Map<String, Value>) -> Option<Called> {
    Some(match name {
        "test_simple_text" => say("This is a simple text response for testing."),
        "test_image_content" => done(vec![image()]),
        "test_audio_content" => done(vec![audio()]),
        "test_embedded_resource" => done(vec![embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => done(vec![
            text("Multiple content types test:"),
            image(),
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_app" => Ok(ToolOutcome::Done(ToolResult {
            content: vec![text("The page shows it")],
            structured: Some(json!({"hour": 12}).to_string()),
            is_error: false,
            meta: Some(json!({"test/only-for-the-page": 7}).to_string()),
        })),
        "test_resource_link" => done(vec![crate::resources::link()]),
        "test_tool_with_logging" => logging(),
        "test_error_handling" => fail("This tool intentionally returns an error for testing"),
        "test_tool_with_progress" => progress(),
        "test_custom_header" => match arguments.get("value").and_then(Value::as_str) {
            Some(value) => say(value),
            None => Err(Failure::Invalid("`value` must be a string".into())),
        },
        "json_schema_2020_12_tool" => say(format!("Hello, {}!", argument(arguments, "name", "world"))),
        "test_reconnection" => {
            sleep(PAUSE * 2);
            say("Reconnection test completed")
        }
        "test_trigger_tool_change" => {
            client::changed(KeptList::Tools);
            say("Tool list change triggered")
        }
        "test_trigger_prompt_change" => {
            client::changed(KeptList::Prompts);
            say("Prompt list change triggered")
        }
        "test_resource_update" => {
            client::updated("test://watched-resource");
            client::updated("other://not-mine");
            say("Resource update triggered")
        }
        "test_missing_capability" if client::can(Capability::Sampling) => say("Required capability declared"),
        "test_missing_capability" => Err(Failure::MissingCapability(vec![Capability::Sampling])),
        "test_logging_tool" => {
            client::log(Level::Info, Some("conformance"), r#""a line""#);
            say("Logging tool completed")
        }
        _ => return None,
    })
}

fn logging() -> Called {
    for line in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ] {
        client::log(Level::Info, Some("conformance"), &json!(line).to_string());
        sleep(PAUSE);
    }
    say("Logging test completed")
}

fn progress() -> Called {
    for (done, message) in [(0.0, "Starting"), (50.0, "Halfway"), (100.0, "Complete")] {
        client::progress(done, Some(100.0), Some(message));
        sleep(PAUSE);
    }
    say("Progress test completed")
}
