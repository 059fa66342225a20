//! One component, "the kitchen", in six languages: every export is called with every kind of value, and each
//! answer is compared as a whole. The table is one for all; where a language's own tools give something else,
//! that is an exception with its wrong answer, so that the test notices when they are mended.

use crate::support::{Client, Home, guest};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a call must give.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// This value, written as JSON.
    Value(&'static str),
    /// Success of a function that returns nothing.
    Done,
    /// The function's own error, as its text.
    Error(&'static str),
    /// A trap of this class.
    Trap(&'static str),
}

use Answer::{Done, Error, Trap, Value};

/// Functions that return what they are given, and values of the form in which they come back.
const ECHOES: &[(&str, &[&str])] = &[
    ("echo-bool", &["true", "false"]),
    ("echo-u8", &["0", "255"]),
    ("echo-u16", &["0", "65535"]),
    ("echo-u32", &["0", "2147483647", "2147483648", "4294967295"]),
    (
        "echo-u64",
        &[
            "0",
            "4294967296",
            "9007199254740992",
            r#""9007199254740993""#,
            r#""9223372036854775808""#,
            r#""18446744073709551615""#,
        ],
    ),
    ("echo-s8", &["-128", "-1", "127"]),
    ("echo-s16", &["-32768", "32767"]),
    ("echo-s32", &["-2147483648", "-1", "2147483647"]),
    (
        "echo-s64",
        &[
            "0",
            "-1",
            "9007199254740992",
            "-9007199254740992",
            r#""9223372036854775807""#,
            r#""-9223372036854775808""#,
        ],
    ),
    (
        "echo-f32",
        &[
            "0.0",
            "-0.0",
            "0.1",
            "3.4028235e38",
            "1e-45",
            r#""NaN""#,
            r#""Infinity""#,
            r#""-Infinity""#,
        ],
    ),
    (
        "echo-f64",
        &[
            "0.0",
            "-0.0",
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            r#""NaN""#,
            r#""Infinity""#,
            r#""-Infinity""#,
        ],
    ),
    (
        "echo-char",
        &[r#""a""#, r#""é""#, r#""😀""#, r#""\u0000""#, r#""\udbff\udfff""#],
    ),
    (
        "echo-string",
        &[r#""""#, r#""Zoë 😀 שלום""#, r#""a\u0000b\n\t\"\\ \u2028""#],
    ),
    ("echo-bytes", &[r#""""#, r#""AA==""#, r#""AP+AfwoN""#]),
    ("echo-strings", &["[]", r#"["", "Zoë", "a\u0000b"]"#]),
    (
        "echo-u64s",
        &["[]", r#"[0, 9007199254740992]"#, r#"["18446744073709551614"]"#],
    ),
    (
        "echo-points",
        &[
            "[]",
            r#"[{"x": -2147483648, "y": 2147483647}, {"x": 0, "y": -1}]"#,
        ],
    ),
    (
        "echo-matrix",
        &["[]", "[[]]", r#"[[1.5, -0.0], [], ["NaN", "-Infinity"]]"#],
    ),
    (
        "echo-point",
        &[r#"{"x": -2147483648, "y": 2147483647}"#, r#"{"x": 0, "y": -1}"#],
    ),
    (
        "echo-shape",
        &[
            r#"{"name": "", "corners": [], "fill": "red"}"#,
            r#"{"name": "Dreieck △", "corners": [{"x": 0, "y": 0}, {"x": 3, "y": 0}, {"x": 0, "y": -4}],
                "center": {"x": 1, "y": -1}, "fill": "sky-blue"}"#,
        ],
    ),
    (
        "echo-preferences",
        &[
            "{}",
            r#"{"nickname": "", "age": 0}"#,
            r#"{"nickname": "Zoë", "age": 255, "newsletter": {"some": true}}"#,
            r#"{"newsletter": {"some": false}}"#,
            r#"{"newsletter": {"some": null}}"#,
        ],
    ),
    ("echo-tuple", &[r#"[0, "", false]"#, r#"[255, "Zoë", true]"#]),
    ("echo-pair", &["[-2147483648, 2147483647]", "[0, -1]"]),
    (
        "echo-payload",
        &[
            r#""empty""#,
            r#"{"number": -1.5}"#,
            r#"{"number": "Infinity"}"#,
            r#"{"text": ""}"#,
            r#"{"text": "Zoë"}"#,
            r#"{"position": {"x": -1, "y": 2147483647}}"#,
            r#"{"blob": ""}"#,
            r#"{"blob": "AP+A"}"#,
            r#"{"maybe": null}"#,
            r#"{"maybe": 0}"#,
            r#"{"maybe": 2147483647}"#,
            r#"{"maybe": 4294967295}"#,
        ],
    ),
    (
        "echo-payloads",
        &[
            "[]",
            r#"["empty", {"number": 0.25}, {"text": "a"}, {"position": {"x": 1, "y": -2}}, {"blob": "/w=="},
                {"maybe": null}, {"maybe": 7}, "empty"]"#,
        ],
    ),
    ("echo-color", &[r#""red""#, r#""green""#, r#""sky-blue""#]),
    (
        "echo-permissions",
        &["[]", r#"["write"]"#, r#"["read", "write", "execute"]"#],
    ),
    (
        "echo-weekdays",
        &[
            "[]",
            r#"["monday"]"#,
            r#"["sunday", "public-holiday", "working-day"]"#,
            r#"["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "public-holiday",
                "working-day"]"#,
        ],
    ),
    ("echo-option", &["null", r#""""#, r#""Zoë""#]),
    ("echo-option-point", &["null", r#"{"x": 0, "y": -1}"#]),
    (
        "echo-nested-option",
        &["null", r#"{"some": null}"#, r#"{"some": 0}"#, r#"{"some": 255}"#],
    ),
    (
        "echo-options",
        &["[]", "[null]", "[null, 0, -2147483648, 2147483647]"],
    ),
    (
        "echo-results",
        &[
            "[]",
            r#"[{"ok": 0}, {"err": ""}, {"ok": -2147483648}, {"err": "Zoë"}]"#,
        ],
    ),
    (
        "echo-bare-results",
        &["[]", r#"[{"ok": null}, {"err": null}, {"ok": null}]"#],
    ),
];

/// Every other function, and values that come back in another form than they were given.
const CALLS: &[(&str, &str, Answer)] = &[
    // An integer with a decimal point, a float without, 64 bits as text although they would fit as a number.
    ("echo-u8", r#"{"v": 3.0}"#, Value("3")),
    ("echo-f64", r#"{"v": 3}"#, Value("3.0")),
    ("echo-u64", r#"{"v": "7"}"#, Value("7")),
    ("echo-s64", r#"{"v": "7"}"#, Value("7")),
    // Bytes as numbers, flags in any order, an absent option as null or not at all.
    ("echo-bytes", r#"{"v": [0, 255, 128]}"#, Value(r#""AP+A""#)),
    (
        "echo-permissions",
        r#"{"v": ["execute", "read"]}"#,
        Value(r#"["read", "execute"]"#),
    ),
    ("echo-option", "{}", Value("null")),
    ("echo-option-point", "{}", Value("null")),
    ("echo-nested-option", "{}", Value("null")),
    (
        "echo-preferences",
        r#"{"v": {"nickname": null, "newsletter": null}}"#,
        Value("{}"),
    ),
    // An f32 is the nearest one there is.
    ("echo-f32", r#"{"v": 16777217}"#, Value("16777216.0")),
    // Results.
    ("pass-result", r#"{"v": {"ok": ""}}"#, Value(r#""""#)),
    ("pass-result", r#"{"v": {"ok": "Zoë"}}"#, Value(r#""Zoë""#)),
    (
        "pass-result",
        r#"{"v": {"err": "divide-by-zero"}}"#,
        Error("divide-by-zero"),
    ),
    (
        "pass-result",
        r#"{"v": {"err": {"overflow": "Zoë"}}}"#,
        Error(r#"{"overflow":"Zoë"}"#),
    ),
    ("divide", r#"{"a": 7, "b": -2}"#, Value("-3")),
    ("divide", r#"{"a": -2147483648, "b": 1}"#, Value("-2147483648")),
    ("divide", r#"{"a": 1, "b": 0}"#, Error("divide-by-zero")),
    (
        "divide",
        r#"{"a": -2147483648, "b": -1}"#,
        Error(r#"{"overflow":"-2147483648 / -1"}"#),
    ),
    ("check", r#"{"ok": true, "message": "unused"}"#, Done),
    (
        "check",
        r#"{"ok": false, "message": "Zoë fails"}"#,
        Error("Zoë fails"),
    ),
    ("succeed", r#"{"ok": true}"#, Done),
    (
        "succeed",
        r#"{"ok": false}"#,
        Error("the function failed without saying why"),
    ),
    (
        "describe",
        r#"{"a": 4294967295, "b": "Zoë", "c": true}"#,
        Value(r#""a=4294967295 b=Zoë c=true""#),
    ),
    (
        "describe",
        r#"{"c": false, "a": 0}"#,
        Value(r#""a=0 b=- c=false""#),
    ),
    ("add", r#"{"a": 2, "b": 3}"#, Value("5")),
    ("add", r#"{"a": 4294967295, "b": 1}"#, Value("0")),
    ("add", r#"{"a": 4294967295, "b": 0}"#, Value("4294967295")),
    ("note", r#"{"text": "Zoë"}"#, Done),
];

/// What a language's own tools get wrong: function, arguments, and the answer that comes instead.
type Exceptions = &'static [(&'static str, &'static str, Answer)];

const PANICKED: Answer = Trap("unreachable code (a panic or failed assertion in the component)");

/// A 64-bit integer is a JavaScript number there: rounded beyond 2^53, and the largest `u64` rounds to one too many.
const QUICKJS: Exceptions = &[
    (
        "echo-u64",
        r#"{"v": "9007199254740993"}"#,
        Value("9007199254740992"),
    ),
    ("echo-u64", r#"{"v": "18446744073709551615"}"#, PANICKED),
    ("echo-u64s", r#"{"v": ["18446744073709551614"]}"#, PANICKED),
];

/// A `u32` result of 2^31 and more comes out as the low half of the bits of a double, a negative `s64` traps.
const STARLINGMONKEY: Exceptions = &[
    ("echo-u32", r#"{"v": 2147483648}"#, Value("0")),
    ("echo-u32", r#"{"v": 4294967295}"#, Value("4292870144")),
    ("add", r#"{"a": 4294967295, "b": 0}"#, Value("4292870144")),
    ("echo-s64", r#"{"v": -1}"#, PANICKED),
    ("echo-s64", r#"{"v": -9007199254740992}"#, PANICKED),
    ("echo-s64", r#"{"v": "-9223372036854775808"}"#, PANICKED),
];

struct Language {
    guest: &'static str,
    exceptions: Exceptions,
}

impl Language {
    const fn new(guest: &'static str) -> Self {
        Self {
            guest,
            exceptions: &[],
        }
    }
}

#[test]
fn rust() {
    check(&Language::new("kitchen"));
}

#[test]
fn c() {
    check(&Language::new("kitchen-c"));
}

#[test]
fn go() {
    check(&Language::new("kitchen-go"));
}

#[test]
fn python() {
    check(&Language::new("kitchen-python"));
}

#[test]
fn the_example_of_the_rich_world_in_python() {
    crate::notes::check("notes-python");
}

#[test]
fn the_example_of_the_rich_world_in_javascript() {
    crate::notes::check("notes-quickjs");
}

#[test]
fn javascript_on_quickjs() {
    check(&Language {
        exceptions: QUICKJS,
        ..Language::new("kitchen-quickjs")
    });
}

#[test]
fn javascript_on_starlingmonkey() {
    check(&Language {
        exceptions: STARLINGMONKEY,
        ..Language::new("kitchen-starlingmonkey")
    });
}

/// Loads the guest, starts the program anew, and calls everything.
#[track_caller]
fn check(language: &Language) {
    let home = Home::new();
    home.load(&guest(language.guest));
    let compiled = compiled(&home);
    assert_eq!(compiled.len(), 1, "one component, compiled once: {compiled:?}");
    let mut client = Client::initialized(&home, &["--disable-builtin-tools"]);
    let start = Instant::now();
    let mut wrong = Vec::new();
    let cases = cases(language);
    for (index, (function, arguments, expected)) in cases.iter().enumerate() {
        let answer = client.call(&format!("{}_{function}", language.guest), arguments.clone());
        if index == 0 {
            // Compiling the interpreters takes many times as long.
            assert!(
                start.elapsed() < FIRST_CALL,
                "the first call took {:?}",
                start.elapsed()
            );
        }
        if !expected.is(&answer["result"]) {
            wrong.push(format!(
                "{function} {arguments}\n  gave {answer}\n  not {expected:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} calls:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let called = cases
        .iter()
        .map(|(function, _, _)| format!("{}_{function}", language.guest));
    // So nothing else is a tool either, like the `init` some build tools leave behind.
    assert_eq!(
        called.collect::<BTreeSet<_>>(),
        client.tools().into_iter().collect()
    );
    assert_eq!(client.close(), Some(0));
    assert_eq!(self::compiled(&home), compiled, "the second start compiled again");
}

/// Longest first call of a component that is compiled already.
const FIRST_CALL: Duration = Duration::from_secs(3);

type Case = (&'static str, Json, Answer);

/// All calls, with what this language gives.
fn cases(language: &Language) -> Vec<Case> {
    let echoes = ECHOES.iter().flat_map(|(function, values)| {
        values
            .iter()
            .map(|value| (*function, json!({ "v": parse(value) }), Value(value)))
    });
    let calls = CALLS
        .iter()
        .map(|(function, arguments, answer)| (*function, parse(arguments), *answer));
    let mut cases: Vec<Case> = echoes.chain(calls).collect();
    for (function, arguments, answer) in language.exceptions {
        let arguments = parse(arguments);
        let case = cases
            .iter_mut()
            .find(|case| case.0 == *function && case.1 == arguments);
        case.unwrap_or_else(|| panic!("no case `{function}` with {arguments}"))
            .2 = *answer;
    }
    cases
}

fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

impl Answer {
    /// Whether this is the whole result of a call.
    fn is(self, result: &Json) -> bool {
        let failure = |text: &str| json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        match self {
            Value(value) => {
                let structured = json!({ "result": parse(value) });
                // As text too: `-0.0` and `0.0` are equal numbers.
                let content = json!([{ "type": "text", "text": structured.to_string() }]);
                *result == json!({ "content": content, "structuredContent": structured, "isError": false })
            }
            Done => *result == json!({ "content": [{ "type": "text", "text": "done" }], "isError": false }),
            Error(text) => *result == failure(text),
            Trap(class) => {
                // What the guest wrote last follows: it is the words of its tools, and changes with them.
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                let first = text.split("; it last wrote: ").next();
                result["isError"] == true
                    && result.get("structuredContent").is_none()
                    && first == Some(&format!("the component trapped: {class}"))
                    && result["content"][1].is_null()
            }
        }
    }
}

/// The files of compiled code, each with what tells it from one that was written anew.
fn compiled(home: &Home) -> BTreeSet<(PathBuf, String)> {
    let entries = std::fs::read_dir(home.store().join("compiled")).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let identity = identity(&std::fs::metadata(&path).unwrap());
            (path, identity)
        })
        .collect()
}

#[cfg(unix)]
fn identity(file: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    file.ino().to_string()
}

#[cfg(not(unix))]
fn identity(file: &std::fs::Metadata) -> String {
    format!("{:?}", file.created().unwrap())
}
