//! The signatures of the package as published, and lists that cannot be offered.

use super::*;
use serde_json::{Value as Json, json};

use crate::Tool;

/// A component that exports all of the package, built with the WIT as published.
const FIXTURE: &[u8] = include_bytes!("../../../../tests/guests/built/conformance.wasm");

#[test]
fn the_signatures_are_those_of_the_wit() {
    let world = World::read(FIXTURE).unwrap();
    let mut lines: Vec<String> = world
        .functions
        .iter()
        .map(|function| {
            format!(
                "{}{}",
                export(&function.path).unwrap().name(),
                Signature(function)
            )
        })
        .collect();
    lines.push(String::new());
    assert_eq!(
        lines.join("\n"),
        SIGNATURES,
        "the left side is what `signatures.txt` should be"
    );
}

/// The fixture with its interfaces renamed, as by a component of another version.
#[test]
fn other_versions_and_other_types_are_refused() {
    let read = || World::read(FIXTURE).unwrap();
    let taken = Exports::take(&mut read()).unwrap();
    assert_eq!(taken.0.len(), Export::ALL.len());
    let mut newer = read();
    for function in &mut newer.functions {
        let interface = function.path.interface.as_mut().unwrap();
        *interface = interface.replace("@0.1.0", "@0.2.0");
    }
    assert!(matches!(Exports::take(&mut newer), Err(RichError::Unknown(_))));
    let mut patch = read();
    for function in &mut patch.functions {
        let interface = function.path.interface.as_mut().unwrap();
        *interface = interface.replace("@0.1.0", "@0.1.9");
    }
    assert_eq!(Exports::take(&mut patch).map(|exports| exports.0.len()), Ok(8));
    let mut other = read();
    other.functions[1].params.pop();
    let path = other.functions[1].path.clone();
    assert_eq!(Exports::take(&mut other), Err(RichError::Signature(path)));
    let mut partial = read();
    partial
        .functions
        .retain(|function| function.path.function != "templates");
    assert_eq!(
        Exports::take(&mut partial),
        Err(RichError::Partial("resources.templates"))
    );
}

#[test]
fn functions_of_other_interfaces_stay_functions() {
    let mut world = World::read(FIXTURE).unwrap();
    let plain = FunctionPath {
        interface: Some("acme:mcp/tools@0.1.0".to_owned()),
        function: "list".to_owned(),
    };
    world.functions[0].path = plain.clone();
    world
        .functions
        .retain(|function| function.path.function != "call");
    Exports::take(&mut world).unwrap();
    assert_eq!(world.functions.len(), 1);
    assert_eq!(world.functions[0].path, plain);
}

fn listed(change: &[(&str, Json)]) -> Json {
    let mut tool = json!({
        "name": "a", "description": "Does a", "input-schema": "{\"type\": \"object\"}", "icons": [],
    });
    for (key, value) in change {
        tool[*key] = value.clone();
    }
    tool
}

fn tools(listed: Json) -> Result<Vec<Tool>, ListError> {
    Offers::tools("acme", "wassette:mcp/tools@0.1.0", &listed)
}

#[track_caller]
fn check_refused(change: &[(&str, Json)], reason: &str) {
    let error = tools(json!([listed(change)])).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn a_listed_tool_is_taken_over_and_introduced() {
    let schema = r##"{"type": "object", "$defs": {"a": {"type": "string", "description": "x\u202ey"}},
        "properties": {"description": {"$ref": "#/$defs/a"}, "b": {"const": "c"}}}"##;
    let tool = listed(&[
        ("input-schema", json!(schema)),
        ("title", json!(" A\u{200b} ")),
        ("meta", json!("{\"ui\": {\"resourceUri\": \"ui://a\"}}")),
        (
            "icons",
            json!([{"src": "data:image/png;base64,AA", "sizes": ["any"], "theme": "dark"}]),
        ),
    ]);
    let tools = tools(json!([tool])).unwrap();
    let tool = &tools[0];
    assert_eq!(tool.description, "From component `acme`: Does a");
    assert_eq!(tool.path.function, "a");
    let rich = tool.rich.as_deref().unwrap();
    assert_eq!(rich.title.as_deref(), Some("A"));
    assert_eq!(
        tool.input_schema["$defs"]["a"]["description"], "xy",
        "what people read is sanitized"
    );
    assert_eq!(tool.input_schema["properties"]["b"]["const"], "c");
    let stored: Tool = serde_json::from_value(serde_json::to_value(tool).unwrap()).unwrap();
    assert_eq!(&stored, tool);
}

#[test]
fn tools_that_cannot_be_offered_are_refused_with_the_reason() {
    check_refused(&[("name", json!("a b"))], "its name needs 1 to 64");
    check_refused(&[("name", json!("a__b"))], "its name needs 1 to 64");
    check_refused(&[("name", json!("a".repeat(65)))], "its name needs 1 to 64");
    check_refused(&[("description", json!("\u{200b} "))], "it has no description");
    check_refused(&[("input-schema", json!("{"))], "cannot be read");
    check_refused(&[("input-schema", json!("[]"))], "its schema is not of");
    check_refused(&[("output-schema", json!("{}"))], "its schema is not of");
    check_refused(&[("meta", json!("[]"))], "its `meta` is no JSON object");
    for hidden in [
        r#"{"type": "object", "properties": {"a\u200b": {}}}"#,
        r#"{"type": "object", "properties": {"a": {"enum": ["\udb40\udc41"]}}}"#,
        r#"{"type": "object", "default": {"a": ["\u202e"]}}"#,
    ] {
        check_refused(&[("input-schema", json!(hidden))], "characters that nobody sees");
    }
    check_refused(
        &[("meta", json!(r#"{"a": "\u202e"}"#))],
        "characters that nobody sees",
    );
    let reference = r#"{"type": "object", "allOf": [{"$ref": "https://a.example/b"}]}"#;
    check_refused(&[("input-schema", json!(reference))], "another document");
    let icon = json!([{"src": "https://a.example/?secret", "sizes": []}]);
    check_refused(&[("icons", icon)], "data:image/");
    let deep = format!(
        "{{\"type\": \"object\", \"not\": {}{}}}",
        "{\"not\": ".repeat(70),
        "{}".to_owned() + &"}".repeat(70)
    );
    check_refused(&[("input-schema", json!(deep))], "nests too deeply");
    let huge = format!("{{\"type\": \"object\", \"const\": \"{}\"}}", "x".repeat(70_000));
    check_refused(&[("input-schema", json!(huge))], "at most 65536");
    let twice = tools(json!([listed(&[]), listed(&[])])).unwrap_err().to_string();
    assert!(twice.contains("it is there twice"), "{twice}");
    let many: Vec<Json> = (0..1001)
        .map(|n| listed(&[("name", json!(format!("a{n}")))]))
        .collect();
    let many = tools(json!(many)).unwrap_err().to_string();
    assert!(many.contains("1001 entries of tools, and at most 1000"), "{many}");
    let large: Vec<Json> = (0..20)
        .map(|n| {
            let schema = format!("{{\"type\": \"object\", \"const\": \"{}\"}}", "x".repeat(60_000));
            listed(&[("name", json!(format!("a{n}"))), ("input-schema", json!(schema))])
        })
        .collect();
    let large = tools(json!(large)).unwrap_err().to_string();
    assert!(large.contains("bytes of tools, and at most 1048576"), "{large}");
}

fn resources(uris: &[&str]) -> Result<Offers, ListError> {
    let resource = |uri: &&str| json!({"uri": uri, "name": "n", "icons": []});
    let mut offers = Offers::default();
    offers.add_resources(&uris.iter().map(resource).collect())?;
    Ok(offers)
}

fn templates(templates: &[&str]) -> Result<Offers, ListError> {
    let template = |uri: &&str| json!({"uri-template": uri, "name": "n", "icons": []});
    let mut offers = Offers::default();
    offers.add_templates(&templates.iter().map(template).collect())?;
    Ok(offers)
}

#[test]
fn uris_have_a_scheme_and_templates_own_something() {
    for uri in ["a:b", "ui://x/y", "file:///a", "x-y.z+1://?q=1#f"] {
        assert!(resources(&[uri]).is_ok(), "{uri}");
    }
    for uri in [
        "",
        "a",
        "/a",
        "A:b",
        "1a:b",
        ":b",
        "a b:c",
        "a:b c",
        "a:\u{e9}",
        "a:\n",
        "a:`",
        &"a:".repeat(1001),
    ] {
        assert!(resources(&[uri]).is_err(), "{uri}");
    }
    for template in ["a:b{c}", "ui://x/{y}", "a://b"] {
        assert!(templates(&[template]).is_ok(), "{template}");
    }
    for template in ["{+uri}", "a{b}:c", "a:{b}", "a://{b}", "a:///{b}"] {
        assert!(templates(&[template]).is_err(), "{template}");
    }
}

#[test]
fn what_is_claimed_twice_is_found_from_both_sides() {
    let check = |one: &Offers, other: &Offers, clash: Option<&str>| {
        assert_eq!(one.clash(other).as_deref(), clash);
        assert_eq!(other.clash(one).is_some(), clash.is_some());
    };
    let a = resources(&["x://a/1"]).unwrap();
    check(&a, &resources(&["x://a/2"]).unwrap(), None);
    check(
        &a,
        &resources(&["x://a/1"]).unwrap(),
        Some("the resource `x://a/1`"),
    );
    check(&a, &templates(&["x://b/{c}"]).unwrap(), None);
    check(
        &a,
        &templates(&["x://a/{c}"]).unwrap(),
        Some("the resource `x://a/1`"),
    );
    let family = templates(&["x://a/{c}"]).unwrap();
    check(&family, &templates(&["x://ab/{c}"]).unwrap(), None);
    check(
        &family,
        &templates(&["x://a/b/{c}"]).unwrap(),
        Some("the resources `x://a/{c}`"),
    );
    let prompts = |name: &str| {
        let mut offers = Offers::default();
        let prompt = json!({"name": name, "arguments": [], "icons": []});
        offers.add_prompts(&json!([prompt])).unwrap();
        offers
    };
    check(&prompts("p"), &prompts("q"), None);
    check(&prompts("p"), &prompts("p"), Some("the prompt `p`"));
}
