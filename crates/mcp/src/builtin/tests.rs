//! The built-in tools: their schemas within what clients accept, their arguments and their answers.

use super::answers::origin;
use super::*;
use wassette_host::{Change, Difference, Loaded, Outcome};

#[test]
fn names_suit_every_client_and_no_component_can_take_them() {
    for builtin in Builtin::all() {
        let name = builtin.name();
        assert!(
            name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{name}"
        );
        assert_eq!(Builtin::find(name), Some(builtin));
    }
    assert_eq!(Builtin::find("load_component"), None);
}

/// Checks a schema against what the strictest clients accept.
#[track_caller]
fn check_schema(schema: &Json) {
    let fields = schema.as_object().expect("no boolean schemas");
    for refused in ["oneOf", "allOf", "anyOf", "$ref", "$defs", "prefixItems", "const"] {
        assert!(!fields.contains_key(refused), "{refused} in {schema}");
    }
    match fields.get("type").and_then(Json::as_str) {
        Some("object") => {
            // What names no property may take any.
            let is_open = fields["properties"] == json!({}) && fields["additionalProperties"] == json!(true);
            assert!(
                is_open || fields["additionalProperties"] == json!(false),
                "{schema}"
            );
            fields["properties"]
                .as_object()
                .expect("properties")
                .values()
                .for_each(check_schema);
        }
        Some("array") => check_schema(&fields["items"]),
        Some("string" | "integer") => {}
        other => panic!("{other:?} in {schema}"),
    }
}

#[test]
fn schemas_suit_every_client() {
    for builtin in Builtin::all() {
        let tool = builtin.tool();
        check_schema(&Json::Object(tool.input_schema.as_ref().clone()));
        let is_passing_on = Builtin::FINDING.contains(&builtin);
        assert_eq!(tool.output_schema.is_none(), is_passing_on, "{}", builtin.name());
        if let Some(schema) = tool.output_schema {
            check_schema(&Json::Object(schema.as_ref().clone()));
        }
        assert!(
            tool.description
                .is_some_and(|text| text.len() > 20 && text.len() < 1024)
        );
    }
}

#[track_caller]
fn check_text(arguments: &Json, expected: Result<&str, &str>) {
    let arguments = arguments.as_object().expect("an object");
    let found = only(arguments, &["path"]).and_then(|()| text(arguments, "path"));
    assert_eq!(found, expected.map_err(str::to_owned));
}

#[test]
fn arguments_are_checked_and_faults_are_named() {
    check_text(&json!({"path": "a.wasm"}), Ok("a.wasm"));
    check_text(
        &json!({}),
        Err("invalid arguments: `/path`: expected a string, found nothing"),
    );
    check_text(
        &json!({"path": 1}),
        Err("invalid arguments: `/path`: expected a string, found a number"),
    );
    check_text(
        &json!({"path": "a", "x": 1}),
        Err("invalid arguments: `/x`: expected no such argument"),
    );
}

#[test]
fn a_load_says_what_changed() {
    let digest = wassette_host::Digest::of(b"one");
    let loaded = Loaded {
        id: "c".parse().unwrap(),
        digest,
        origin: "file:///home/someone/c.wasm".to_owned(),
        manifest: None,
        signers: Vec::new(),
        change: Change::Replaced {
            previous: digest,
            difference: Box::new(Difference {
                added: vec!["c_new".parse().unwrap()],
                ..Difference::default()
            }),
        },
        tools: vec!["c_new".parse().unwrap()],
        requested: Vec::new(),
        quarantined: false,
    };
    let expected = json!({
        "status": "component reloaded successfully", "id": "c", "digest": digest, "tools": ["c_new"],
        "previous_digest": digest, "added": ["c_new"], "removed": [], "changed": [],
    });
    assert_eq!(outcome_json(&Outcome::Loaded(loaded)), expected);
}

#[test]
fn an_unload_says_what_is_gone() {
    let digest = wassette_host::Digest::of(b"one");
    let outcome = Outcome::Unloaded {
        id: "c".parse().unwrap(),
        digest,
    };
    let expected = json!({"status": "component unloaded successfully", "id": "c", "digest": digest});
    assert_eq!(outcome_json(&outcome), expected);
}

#[test]
fn folders_of_this_machine_stay_here() {
    assert_eq!(origin("file:///home/someone/c.wasm"), "c.wasm");
    assert_eq!(origin("oci://registry.example/c:1"), "oci://registry.example/c:1");
    assert_eq!(
        origin("https://a.example/c.wasm?key=1"),
        "https://a.example/c.wasm"
    );
}
