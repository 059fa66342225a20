//! The core's answers as the protocol shows them, compared whole.

use super::*;
use serde_json::json;
use wassette_host::{Failure, FailureKind};

#[track_caller]
fn check(result: CallResult, accesses: &[Decision], expected: &Json) {
    let found = serde_json::to_value(call_result(result, accesses)).unwrap();
    assert_eq!(&found, expected);
}

fn denied(access: String) -> Decision {
    Decision {
        rule: String::new(),
        kind: AccessKind::File,
        access,
        allowed: false,
        lacks: "a grant".to_owned(),
        attempts: 1,
    }
}

#[test]
fn a_function_without_a_result_says_done() {
    let expected = json!({
        "resultType": "complete", "content": [{"type": "text", "text": "done"}], "isError": false
    });
    check(CallResult::Done, &[], &expected);
}

#[test]
fn plain_data_stands_in_the_text_as_in_the_structure() {
    let value = json!({"a": ["x\n\u{1b}\u{202e}\"", 1.5, null]});
    let expected = json!({
        "resultType": "complete",
        "content": [{"type": "text", "text": json!({"result": value}).to_string()}],
        "structuredContent": {"result": value},
        "isError": false,
    });
    check(CallResult::Value(value), &[denied("look".to_owned())], &expected);
}

#[test]
fn a_failure_is_text_alone_and_names_what_was_denied() {
    let failure = Failure {
        kind: FailureKind::Err,
        message: "cannot open".to_owned(),
    };
    let mut accesses: Vec<_> = (0..10).map(|i| denied(format!("read `/{i}`"))).collect();
    accesses.insert(
        0,
        Decision {
            allowed: true,
            ..denied("tell the time".to_owned())
        },
    );
    let denials = "The sandbox denied what the tool tried to do:\n- read `/0`\n- read `/1`\n- read `/2`\n\
                   - read `/3`\n- read `/4`\n- read `/5`\n- read `/6`\n- read `/7`\n- and 2 more\n\
                   Only the person who operates this server can allow it; ask them.";
    let expected = json!({
        "resultType": "complete",
        "content": [{"type": "text", "text": "cannot open"}, {"type": "text", "text": denials}],
        "isError": true,
    });
    check(CallResult::Failed(failure), &accesses, &expected);
}

#[test]
fn a_runtime_that_lists_the_environment_is_no_reason_to_blame_the_sandbox() {
    let environment = Decision {
        kind: AccessKind::Environment,
        ..denied("read environment variables".to_owned())
    };
    assert_eq!(denials(std::slice::from_ref(&environment)), None);
    let text = denials(&[environment, denied("read `/x`".to_owned())]).unwrap();
    assert!(
        text.contains("- read `/x`") && !text.contains("environment"),
        "{text}"
    );
}

#[test]
fn a_failure_without_denials_has_one_text() {
    let failure = Failure {
        kind: FailureKind::Trap,
        message: "trap: unreachable".to_owned(),
    };
    let expected = json!({
        "resultType": "complete", "content": [{"type": "text", "text": "trap: unreachable"}], "isError": true
    });
    check(CallResult::Failed(failure), &[], &expected);
}

#[test]
fn what_a_guest_reached_for_is_bounded() {
    let text = denials(&[denied("x".repeat(100_000))]).unwrap();
    assert!(text.len() < 2 * DENIAL_BYTES_MAX, "{}", text.len());
}

#[test]
fn an_unknown_tool_is_a_protocol_error_and_an_unknown_component_a_result() {
    let unknown = HostError::UnknownTool {
        name: "nope".to_owned(),
    };
    let error = call_refused(&unknown).unwrap_err();
    assert_eq!(error, ErrorData::invalid_params("unknown tool `nope`", None));
    let result = command_refused(&HostError::UnknownComponent {
        id: "nope".parse().unwrap(),
    })
    .unwrap();
    let expected = json!({
        "resultType": "complete",
        "content": [{"type": "text", "text": "unknown component `nope`"}],
        "isError": true,
    });
    assert_eq!(serde_json::to_value(result).unwrap(), expected);
}

#[test]
fn a_failure_of_ours_is_an_internal_error() {
    let error = command_refused(&HostError::Interrupted).unwrap_err();
    assert_eq!(error, ErrorData::internal_error("the work was interrupted", None));
}
