//! Tools that ask before they are done.

use crate::content::{Answers, Called, ask, form, form_of, sample, say};
use crate::exports::wassette::mcp::tools::{Tool, ToolOutcome};
use crate::tools::{argument, tool};
use crate::wassette::mcp::client::{self, Capability};
use crate::wassette::mcp::types::{InputRequest, InputRequired, Question};
use serde_json::{Map, Value, json};

const NAMES: [(&str, &str); 12] = [
    ("test_sampling", "Asks the client's model"),
    ("test_elicitation", "Asks the user for a name and an address"),
    ("test_elicitation_sep1034_defaults", "Asks with a form that has defaults"),
    ("test_elicitation_sep1330_enums", "Asks with a form that has choices"),
    ("test_streaming_elicitation", "Asks for a value"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks the client's model"),
    ("test_input_required_result_list_roots", "Asks for the client's folders"),
    ("test_input_required_result_request_state", "Asks, and keeps a state"),
    ("test_input_required_result_tampered_state", "Asks, and keeps a state"),
    ("test_input_required_result_multiple_inputs", "Asks three things at a time"),
    ("test_input_required_result_multi_round", "Asks twice"),
];

pub fn tools() -> impl Iterator<Item = Tool> {
    let schema = |name: &str| {
        let argument = match name {
            "test_sampling" => "prompt",
            "test_elicitation" => "message",
            _ => return json!({"type": "object", "properties": {}}),
        };
        json!({"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]})
    };
    let all = NAMES.into_iter().chain([(
        "test_input_required_result_capabilities",
        "Asks what the client can answer",
    )]);
    all.map(move |(name, description)| tool(name, description, &schema(name)))
}

pub fn call(name: &str, arguments: &Map<String, Value>, answers: &Answers) -> Option<Called> {
    Some(match name {
        "test_sampling" => match answers.sampled("sample") {
            Some(text) => say(format!("LLM response: {text}")),
            None => ask([("sample", sample(argument(arguments, "prompt", "Hello")))], None),
        },
        "test_elicitation" => elicit(argument(arguments, "message", "Who are you?"), contact(), answers),
        "test_elicitation_sep1034_defaults" => elicit("All of these have defaults", defaults(), answers),
        "test_elicitation_sep1330_enums" => elicit("All of these are choices", choices(), answers),
        "test_streaming_elicitation" => ask([("streaming_elicitation", form("A value", "value", "string"))], None),
        "test_input_required_result_elicitation" => match answers.text("user_name", "name") {
            Some(name) => say(format!("Hello, {name}!")),
            None => ask([user_name()], None),
        },
        "test_input_required_result_sampling" => match answers.sampled("capital_question") {
            Some(text) => say(format!("Sampling response: {text}")),
            None => ask([("capital_question", sample("What is the capital of France?"))], None),
        },
        "test_input_required_result_list_roots" => roots(answers),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            match answers.state() {
                Some(_) => say("Confirmed: state-ok"),
                None => ask([("confirm", form("Please confirm", "ok", "boolean"))], Some("confirm")),
            }
        }
        "test_input_required_result_multiple_inputs" => several(answers),
        "test_input_required_result_multi_round" => rounds(answers),
        "test_input_required_result_capabilities" => what_it_can(answers),
        _ => return None,
    })
}

fn user_name() -> (&'static str, Question) {
    ("user_name", form("What is your name?", "name", "string"))
}

fn elicit(message: &str, schema: Value, answers: &Answers) -> Called {
    match answers.get("form") {
        Some(answer) => say(format!("User response: {}", Value::Object(answer))),
        None => ask([("form", form_of(message, schema))], None),
    }
}

fn contact() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's name"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Name", "default": "John Doe"},
            "age": {"type": "integer", "description": "Age", "default": 30},
            "score": {"type": "number", "description": "Score", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "description": "Verified", "default": true},
        },
        "required": [],
    })
}

fn choices() -> Value {
    let titled = |word: &str| {
        json!([
            {"const": "value1", "title": format!("First {word}")},
            {"const": "value2", "title": format!("Second {word}")},
            {"const": "value3", "title": format!("Third {word}")},
        ])
    };
    let options = ["option1", "option2", "option3"];
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": titled("Option")},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
        },
        "required": [],
    })
}

fn roots(answers: &Answers) -> Called {
    let Some(answer) = answers.get("client_roots") else {
        return ask([("client_roots", Question::ListRoots)], None);
    };
    let roots = answer.get("roots").and_then(Value::as_array).cloned().unwrap_or_default();
    let uris: Vec<&str> = roots.iter().filter_map(|root| root.get("uri")?.as_str()).collect();
    say(format!("Client roots: [{}]", uris.join(", ")))
}

fn several(answers: &Answers) -> Called {
    let keys = ["user_name", "greeting", "client_roots"];
    if answers.state().is_some() && keys.iter().all(|key| answers.get(key).is_some()) {
        return say("All inputs received");
    }
    ask(
        [
            user_name(),
            ("greeting", sample("Generate a greeting")),
            ("client_roots", Question::ListRoots),
        ],
        Some("gather"),
    )
}

fn rounds(answers: &Answers) -> Called {
    match answers.state().as_deref() {
        None => ask([("step1", form("What is your name?", "name", "string"))], Some("1")),
        Some("1") => ask([("step2", form("What is your favourite color?", "color", "string"))], Some("2")),
        Some(_) => say("Multi-round flow complete"),
    }
}

fn what_it_can(answers: &Answers) -> Called {
    if !answers.is_empty() {
        return say("Capability-aware flow complete");
    }
    let all = [
        (Capability::ElicitationForm, user_name()),
        (Capability::Sampling, ("greeting", sample("Generate a greeting"))),
        (Capability::Roots, ("client_roots", Question::ListRoots)),
    ];
    let requests: Vec<InputRequest> = all
        .into_iter()
        .filter(|(capability, _)| client::can(*capability))
        .map(|(_, (key, question))| InputRequest { key: key.into(), question })
        .collect();
    if requests.is_empty() {
        return say("The client can answer nothing");
    }
    Ok(ToolOutcome::InputRequired(InputRequired { requests, state: None }))
}
