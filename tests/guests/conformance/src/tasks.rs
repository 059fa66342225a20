//! Tools that take long. Those that cannot do without a task say so.

use crate::content::{Answers, Called, ask, fail, form, say};
use crate::exports::wassette::mcp::tools::{Tool, ToolOutcome};
use crate::tools::{argument, tool};
use crate::wassette::mcp::client::{self, Capability};
use crate::wassette::mcp::types::Failure;
use serde_json::{Map, Value, json};
use std::thread::sleep;
use std::time::Duration;

const NAMES: [(&str, &str); 7] = [
    ("greet", "Greets at once"),
    ("slow_compute", "Takes some seconds"),
    ("failing_job", "Takes a second and fails"),
    ("protocol_error_job", "Ends with an error of the protocol"),
    ("confirm_delete", "Asks while it runs"),
    ("multi_input", "Asks two things while it runs"),
    ("test_tool_with_task", "Asks first, then takes a moment"),
];

/// Those that only work for a client that can wait.
const NEED_TASKS: [&str; 4] = ["failing_job", "confirm_delete", "multi_input", "test_tool_with_task"];

pub fn tools() -> impl Iterator<Item = Tool> {
    NAMES.into_iter().map(|(name, description)| {
        let properties = match name {
            "greet" => json!({"name": {"type": "string"}}),
            "slow_compute" => json!({"seconds": {"type": "number"}, "label": {"type": "string"}}),
            "confirm_delete" => json!({"filename": {"type": "string"}}),
            _ => json!({}),
        };
        tool(name, description, &json!({"type": "object", "properties": properties}))
    })
}

fn later(state: &str) -> Called {
    Ok(ToolOutcome::Background(Some(state.as_bytes().to_vec())))
}

pub fn call(name: &str, arguments: &Map<String, Value>, answers: &Answers) -> Option<Called> {
    if NEED_TASKS.contains(&name) && !client::can(Capability::Tasks) {
        return Some(Err(Failure::MissingCapability(vec![Capability::Tasks])));
    }
    Some(match name {
        "greet" => say(format!("Hello, {}!", argument(arguments, "name", "friend"))),
        "test_tool_with_task" => asks_first(answers),
        "slow_compute" | "failing_job" | "protocol_error_job" | "confirm_delete" | "multi_input"
            if answers.is_first() =>
        {
            later("begun")
        }
        "slow_compute" => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
            let label = argument(arguments, "label", "compute");
            sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
            say(format!("slow_compute({label}) done after {seconds}s"))
        }
        "failing_job" => {
            sleep(Duration::from_secs(1));
            fail("failing_job: intentional tool execution error")
        }
        "protocol_error_job" => {
            sleep(Duration::from_millis(200));
            Err(Failure::Internal("protocol_error_job: intentional failure".into()))
        }
        "confirm_delete" => {
            let file = argument(arguments, "filename", "file.txt");
            match answers.get("confirm") {
                Some(_) => {
                    let confirmed = answers.field("confirm", "confirm").and_then(|it| it.as_bool());
                    say(format!("confirm_delete({file}): confirmed = {}", confirmed.unwrap_or(false)))
                }
                None => ask([("confirm", form(&format!("Delete {file}?"), "confirm", "boolean"))], Some("asked")),
            }
        }
        "multi_input" => match (answers.get("input-a"), answers.get("input-b")) {
            (Some(a), Some(b)) => say(format!("multi_input: {} and {}", json!(a), json!(b))),
            _ => ask(
                [
                    ("input-a", form("Provide value A", "value", "string")),
                    ("input-b", form("Provide value B", "value", "string")),
                ],
                Some("asked"),
            ),
        },
        _ => return None,
    })
}

fn asks_first(answers: &Answers) -> Called {
    if let Some(name) = answers.state() {
        sleep(Duration::from_millis(200));
        return say(format!("Hello, {name}! (async)"));
    }
    match answers.text("user_name", "name") {
        Some(name) => later(&name),
        None => ask([("user_name", form("What is your name?", "name", "string"))], None),
    }
}
