//! An echo in native Rust behind the same endpoint, to measure what the sandbox costs.
//!
//! No build that is shipped has it: only `cargo xtask bench` asks for the feature.

use rmcp::model::{CallToolResult, JsonObject};
use wassette_host::CallResult;

use crate::wire;

/// Without an underscore, so that no component's tool has this name. It is not listed.
const ECHO: &str = "native-echo";

/// Answers as a component's `echo: func(v: string) -> string` does, if it is called.
pub(crate) fn answer(name: &str, arguments: &JsonObject) -> Option<CallToolResult> {
    let echo = || match arguments.get("v") {
        Some(value) if value.is_string() => wire::call_result(CallResult::Value(value.clone()), &[]),
        Some(_) | None => wire::failure("invalid arguments: `/v`: expected a string"),
    };
    (name == ECHO).then(echo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_answers_as_a_component_does() {
        let call = |v| answer(ECHO, &JsonObject::from_iter([("v".to_owned(), v)]));
        let said = call(json!("hello")).and_then(|answer| answer.structured_content);
        assert_eq!(said, Some(json!({"result": "hello"})));
        assert_eq!(call(json!(1)).and_then(|answer| answer.is_error), Some(true));
        assert_eq!(answer("echo", &JsonObject::new()), None);
    }
}
