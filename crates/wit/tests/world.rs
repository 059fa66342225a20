//! Worlds of real component binaries, made from WIT: what is offered, what is not, and under which words.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made ends the test")]

mod common;

use common::{component, path};
use insta::assert_json_snapshot;
use serde_json::json;
use wassette_wit::{Docs, FunctionPath, Omitted, ReadWorldError, Tool, World, tools};

const POINTS: &str = r#"
package test:shapes@1.2.0;

interface types {
  /// A place on the screen.
  record point { 
    /// Pixels from the left.
    x: s32,
    y: s32,
  }
}

interface draw {
  use types.{point};
  enum color { 
    /// Warm.
    red,
    blue,
  }
  /// Draws a line.
  line: func(%from: point, to: point, color: option<color>) -> result<u64, string>;
  clear: func();
}

world shapes {
  import wasi:clocks/wall-clock@0.2.3;
  import log: func(text: string);
  export draw;
  /// Says which version this is.
  export version: func() -> string;
}

package wasi:clocks@0.2.3 {
  interface wall-clock { now: func() -> u64; }
}
"#;

fn read(wit: &str) -> World {
    World::read(&component(wit)).unwrap()
}

fn described_tools(id: &str, mut world: World, docs: &Docs) -> Vec<Tool> {
    world.describe(docs);
    tools(id, &world).unwrap()
}

#[test]
fn world_lists_imports_and_functions() {
    let world = read(POINTS);
    let imports: Vec<&str> = world.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(
        imports,
        ["wasi:clocks/wall-clock@0.2.3", "test:shapes/types@1.2.0", "log"]
    );
    let paths: Vec<String> = world
        .functions
        .iter()
        .map(|function| function.path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "version",
            "test:shapes/draw@1.2.0#line",
            "test:shapes/draw@1.2.0#clear"
        ]
    );
    assert_eq!(world.omitted, []);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot is most of it")]
fn tools_have_names_descriptions_and_schemas() {
    let docs = Docs::from_wit(&[("shapes.wit".into(), POINTS.into())]).unwrap();
    let tools = described_tools("paint", read(POINTS), &docs);
    let find = |name: &str| tools.iter().find(|tool| tool.name.as_str() == name).unwrap();
    let line = find("paint_line");
    assert_json_snapshot!(
        (&line.name, &line.description, &line.input_schema, &line.output_schema),
        @r#"
    [
      "paint_line",
      "From component `paint`: Draws a line.",
      {
        "type": "object",
        "properties": {
          "from": {
            "type": "object",
            "properties": {
              "x": {
                "type": "integer",
                "minimum": -2147483648,
                "maximum": 2147483647,
                "description": "Pixels from the left."
              },
              "y": {
                "type": "integer",
                "minimum": -2147483648,
                "maximum": 2147483647
              }
            },
            "required": [
              "x",
              "y"
            ],
            "additionalProperties": false,
            "description": "A place on the screen."
          },
          "to": {
            "type": "object",
            "properties": {
              "x": {
                "type": "integer",
                "minimum": -2147483648,
                "maximum": 2147483647,
                "description": "Pixels from the left."
              },
              "y": {
                "type": "integer",
                "minimum": -2147483648,
                "maximum": 2147483647
              }
            },
            "required": [
              "x",
              "y"
            ],
            "additionalProperties": false,
            "description": "A place on the screen."
          },
          "color": {
            "type": "string",
            "enum": [
              "red",
              "blue"
            ],
            "description": "`red`: Warm."
          }
        },
        "required": [
          "from",
          "to"
        ],
        "additionalProperties": false
      },
      {
        "type": "object",
        "properties": {
          "result": {
            "anyOf": [
              {
                "type": "integer",
                "minimum": 0
              },
              {
                "type": "string",
                "pattern": "^(0|[1-9][0-9]{0,19})$"
              }
            ]
          }
        },
        "required": [
          "result"
        ],
        "additionalProperties": false
      }
    ]
    "#
    );
    let clear = find("paint_clear");
    let expected = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    assert_eq!((&clear.input_schema, &clear.output_schema), (&expected, &None));
    let version = find("paint_version");
    assert_eq!(
        version.description,
        "From component `paint`: Says which version this is."
    );
}

#[test]
fn description_without_docs_is_made_from_the_signature() {
    let tools = tools("paint", &read(POINTS)).unwrap();
    let descriptions: Vec<&str> = tools.iter().map(|tool| tool.description.as_str()).collect();
    assert_eq!(
        descriptions,
        [
            "Calls `version` without arguments. Returns string.",
            "Calls `line` of `test:shapes/draw@1.2.0` with `from` (point), `to` (point) and `color` \
             (color, optional). Returns u64, or fails with string.",
            "Calls `clear` of `test:shapes/draw@1.2.0` without arguments. Returns nothing.",
        ]
    );
}

#[test]
fn arguments_are_read_by_name() {
    let tools = tools("paint", &read(POINTS)).unwrap();
    let (line, clear) = (&tools[1], &tools[2]);
    let point = json!({"x": 1, "y": 2});
    assert_eq!(
        line.decode_arguments(&json!({"to": point, "from": point}))
            .unwrap()
            .len(),
        3
    );
    let fails = |tool: &Tool, arguments| tool.decode_arguments(&arguments).unwrap_err().to_string();
    assert_eq!(
        fails(line, json!({"to": point})),
        "expected an object, found nothing at `/from`"
    );
    assert_eq!(
        fails(clear, json!({"a": 1})),
        "expected no parameter at all, found an unknown parameter at `/a`"
    );
    assert_eq!(
        fails(clear, json!([])),
        "expected an object with the arguments, found an array of 0 elements"
    );
    assert_eq!(clear.decode_arguments(&serde_json::Value::Null), Ok(vec![]));
}

#[test]
fn contract_survives_being_stored() {
    let docs = Docs::from_wit(&[("shapes.wit".into(), POINTS.into())]).unwrap();
    let tools = described_tools("paint", read(POINTS), &docs);
    let text = serde_json::to_string(&tools).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Tool>>(&text).unwrap(), tools);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is most of it")]
fn what_cannot_be_json_is_omitted_with_the_reason() {
    let world = read(
        r#"
        package a:b;
        interface api {
          resource file { constructor(); read: func() -> u8; open: static func() -> u8; }
          close: func(f: file);
          pipe: func(s: stream<u8>);
          later: func() -> future<u8>;
          slow: async func();
          good: func();
          key: func(%this-name-is-longer-than-the-sixty-four-characters-that-models-take-as-a-key: u8);
        }
        world w { export api; }
        "#,
    );
    let good: Vec<String> = world
        .functions
        .iter()
        .map(|function| function.path.to_string())
        .collect();
    assert_eq!(good, ["a:b/api#good"]);
    let mut omitted = world.omitted;
    omitted.sort_by(|a, b| a.path.cmp(&b.path));
    let expected = [
        (
            "[constructor]file",
            "it belongs to the resource `file`, which cannot be written as JSON",
        ),
        (
            "[method]file.read",
            "it belongs to the resource `file`, which cannot be written as JSON",
        ),
        (
            "[static]file.open",
            "it belongs to the resource `file`, which cannot be written as JSON",
        ),
        (
            "close",
            "its types contain a resource, which cannot be written as JSON",
        ),
        (
            "key",
            "the name of parameter `this-name-is-lon...` has 76 characters, and models take at most 64",
        ),
        (
            "later",
            "its types contain a future, which cannot be written as JSON",
        ),
        (
            "pipe",
            "its types contain a stream, which cannot be written as JSON",
        ),
        ("slow", "it is `async`, which is not supported yet"),
    ];
    let expected: Vec<Omitted> = expected
        .into_iter()
        .map(|(function, reason)| Omitted {
            path: path("a:b/api", function),
            reason: reason.to_owned(),
        })
        .collect();
    assert_eq!(omitted, expected);
}

#[test]
fn leftovers_of_build_tools_are_hidden() {
    let world = read(
        r#"
        package a:b;
        world w {
          export exports: interface { init: func(app-name: string); other: func(); }
          export wasi:cli/run@0.2.0;
          export init: func(shim: string, script: string, entry-path: string, disable-gc: bool);
          export tool: func();
        }
        package wasi:cli@0.2.0 { interface run { run: func() -> result; } }
        "#,
    );
    let mut paths: Vec<String> = world
        .functions
        .iter()
        .map(|function| function.path.to_string())
        .collect();
    paths.sort();
    assert_eq!(paths, ["exports#other", "tool"]);
    assert_eq!(world.omitted, []);
    // The same name with another signature is the author's own.
    let world = read("package a:b; world w { export init: func(shim: string); }");
    assert_eq!(world.functions.len(), 1);
}

#[test]
fn docs_match_other_versions_and_need_no_dependencies() {
    let wit = "package test:shapes@9.0.0;
        interface draw {
          use missing:elsewhere/types.{thing};
          /// Wipes \u{200b}everything.
          clear: func();
          other: func(t: thing);
        }";
    let docs = Docs::from_wit(&[("other/shapes.wit".into(), wit.into())]).unwrap();
    let tools = described_tools("paint", read(POINTS), &docs);
    assert_eq!(tools[2].description, "From component `paint`: Wipes everything.");
    let bad = Docs::from_wit(&[("a.wit".into(), "package a:b; interface {".into())]).unwrap_err();
    assert_eq!(bad.path, "a.wit");
    assert!(Docs::from_wit(&[("deep.wit".into(), "list<".repeat(100_000))]).is_err());
}

#[test]
fn docs_of_one_package_in_several_files_and_of_several_packages() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let docs = Docs::from_wit(&[
        file(
            "wit/a.wit",
            "package test:shapes@1.2.0; interface draw { use types.{point};\n/// One.\nclear: func(); }",
        ),
        file("wit/b.wit", "interface types { record point { x: s32 } }"),
        file(
            "wit/deps/other.wit",
            "package x:y; interface z { /// Two.\n f: func(); }",
        ),
    ])
    .unwrap();
    let tools = described_tools("paint", read(POINTS), &docs);
    assert_eq!(tools[2].description, "From component `paint`: One.");
}

#[test]
fn package_docs_are_read_tolerantly() {
    let docs_of = |json: &str| {
        let bytes = common::with_section(
            &component(POINTS),
            "package-docs",
            &[b"\x01", json.as_bytes()].concat(),
        );
        // The section never spoils the types.
        assert_eq!(World::read(&bytes).unwrap(), read(POINTS));
        described_tools(
            "paint",
            World::read(&bytes).unwrap(),
            &Docs::from_component(&bytes),
        )
    };
    let tools = docs_of(
        r#"{"worlds": {"x": {"func_exports": {"version": {"docs": "V.", "stability": 7}}}, "y": 3},
            "interfaces": {"draw": {"funcs": {"clear": "C.", "line": 9}, "types": []}, "missing": {}},
            "surprise": true}"#,
    );
    assert_eq!(tools[0].description, "From component `paint`: V.");
    assert_eq!(tools[2].description, "From component `paint`: C.");
    for broken in ["", "{", "[]", "{\"worlds\": 1}", "\u{0}"] {
        let tools = docs_of(broken);
        assert_eq!(
            tools[0].description,
            "Calls `version` without arguments. Returns string."
        );
    }
}

#[test]
fn earlier_docs_win() {
    let docs = |text: &str| {
        let wit = format!(
            "package test:shapes@1.2.0; world w {{ /// {text}\n export version: func() -> string; }}"
        );
        Docs::from_wit(&[("w.wit".into(), wit)]).unwrap()
    };
    let mut world = read(POINTS);
    world.describe(&docs("First."));
    world.describe(&docs("Second."));
    assert_eq!(world.functions[0].docs.as_deref(), Some("First."));
}

#[test]
fn text_of_the_component_is_bounded() {
    let functions: String = (0..40)
        .map(|n| format!("/// {}\nfn-{n}: func();\n", "x".repeat(3000)))
        .collect();
    let wit = format!("package a:b; interface i {{ {functions} }} world w {{ export i; }}");
    let docs = Docs::from_wit(&[("w.wit".into(), wit.clone())]).unwrap();
    let tools = described_tools("c", read(&wit), &docs);
    let from_component = tools
        .iter()
        .filter(|tool| tool.description.starts_with("From component"));
    assert_eq!(from_component.count(), 16);
    assert!(
        tools
            .iter()
            .all(|tool| tool.description.len() <= 1024 + "From component `c`: ".len())
    );
}

#[test]
fn exploding_type_is_refused_in_no_time() {
    let levels: String = (1..14)
        .map(|n| format!("record t{n} {{ a: t{0}, b: t{0} }}\n", n - 1))
        .collect();
    let wit = format!(
        "package a:b; interface i {{ record t0 {{ a: u8 }} {levels} f: func(x: t13); }} world w {{ export i; }}"
    );
    let error = World::read(&component(&wit)).unwrap_err();
    let expected = ReadWorldError::TypeTooLarge {
        path: path("a:b/i", "f"),
        unit: "types",
        found: 3071,
        max: 2000,
    };
    assert_eq!(error, expected);
}

#[test]
fn deep_type_is_refused() {
    let ty = format!("{}u8{}", "list<".repeat(40), ">".repeat(40));
    let error = World::read(&component(&format!(
        "package a:b; world w {{ export f: func(x: {ty}); }}"
    )));
    let path = FunctionPath {
        interface: None,
        function: "f".into(),
    };
    let expected = ReadWorldError::TypeTooLarge {
        path,
        unit: "levels of types",
        found: 33,
        max: 32,
    };
    assert_eq!(error, Err(expected));
}

#[test]
fn too_many_functions_are_refused() {
    let functions: String = (0..1001).map(|n| format!("fn-{n}: func();")).collect();
    let wit = format!("package a:b; interface i {{ {functions} }} world w {{ export i; }}");
    let error = World::read(&component(&wit));
    assert_eq!(
        error,
        Err(ReadWorldError::TooMany {
            what: "functions",
            found: 1001,
            max: 1000
        })
    );
}

#[test]
fn large_enum_is_refused_by_its_schema() {
    let cases: String = (0..6000).map(|n| format!("case-{n},")).collect();
    let wit =
        format!("package a:b; interface i {{ enum e {{ {cases} }} f: func(x: e); }} world w {{ export i; }}");
    let error = tools("c", &read(&wit)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the types of function `a:b/i#f` need 71050 bytes of JSON Schema, and at most 65536 are taken"
    );
}
