//! One row of the mapping after the other: schema, JSON to value, value to JSON, and what is refused.
//!
//! Whole values are compared, so that a change of any row shows here.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use wassette_wit::{
    Case, DecodeError, Enum, Field, Flags, Label, Record, ResultType, Type, Value, Variant, decode, encode,
    schema,
};

fn label(name: &str) -> Label {
    Label {
        name: name.to_owned(),
        docs: None,
    }
}

fn field(name: &str, ty: Type) -> Field {
    Field {
        name: name.to_owned(),
        ty,
        docs: None,
    }
}

fn case(name: &str, ty: Option<Type>) -> Case {
    Case {
        name: name.to_owned(),
        ty,
        docs: None,
    }
}

fn list(element: Type) -> Type {
    Type::List(Arc::new(element))
}

fn option(inner: Type) -> Type {
    Type::Option(Arc::new(inner))
}

fn some(value: Value) -> Value {
    Value::Option(Some(Box::new(value)))
}

fn tuple(members: &[Type]) -> Type {
    Type::Tuple(members.into())
}

fn record(fields: Vec<Field>) -> Type {
    Type::Record(Arc::new(Record {
        fields,
        ..Record::default()
    }))
}

fn variant(cases: Vec<Case>) -> Type {
    Type::Variant(Arc::new(Variant {
        cases,
        ..Variant::default()
    }))
}

fn enumeration(names: &[&str]) -> Type {
    let names = names.iter().map(|name| label(name)).collect();
    Type::Enum(Arc::new(Enum {
        names,
        ..Enum::default()
    }))
}

fn flags(names: &[&str]) -> Type {
    let names = names.iter().map(|name| label(name)).collect();
    Type::Flags(Arc::new(Flags {
        names,
        ..Flags::default()
    }))
}

fn result(ok: Option<Type>, err: Option<Type>) -> Type {
    Type::Result(Arc::new(ResultType { ok, err }))
}

#[track_caller]
fn has_schema(ty: &Type, expected: Json) {
    assert_eq!(schema(ty), expected);
}

/// The JSON reads as the value, and the value prints as the JSON.
#[track_caller]
fn both(ty: &Type, json: Json, value: Value) {
    reads(ty, json.clone(), value.clone());
    assert_eq!(encode(ty, &value), json, "printed");
}

/// The JSON reads as the value, which prints in another way.
#[track_caller]
fn reads(ty: &Type, json: Json, value: Value) {
    assert_eq!(decode(ty, &json), Ok(value), "read");
}

#[track_caller]
#[expect(clippy::too_many_arguments, reason = "one column of the table each")]
fn refuses(ty: &Type, json: Json, pointer: &str, expected: &str, found: &str) {
    let error = DecodeError {
        pointer: pointer.into(),
        expected: expected.into(),
        found: found.into(),
    };
    assert_eq!(decode(ty, &json), Err(error));
}

#[test]
fn bool_row() {
    has_schema(&Type::Bool, json!({"type": "boolean"}));
    both(&Type::Bool, json!(true), Value::Bool(true));
    refuses(&Type::Bool, json!(0), "", "a boolean", "`0`");
    refuses(&Type::Bool, json!("true"), "", "a boolean", "the string `true`");
}

#[test]
fn small_integer_rows() {
    has_schema(
        &Type::U8,
        json!({"type": "integer", "minimum": 0, "maximum": 255}),
    );
    has_schema(
        &Type::U16,
        json!({"type": "integer", "minimum": 0, "maximum": 65_535}),
    );
    has_schema(
        &Type::U32,
        json!({"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32}),
    );
    has_schema(
        &Type::S8,
        json!({"type": "integer", "minimum": -128, "maximum": 127}),
    );
    has_schema(
        &Type::S16,
        json!({"type": "integer", "minimum": -32_768, "maximum": 32_767}),
    );
    has_schema(
        &Type::S32,
        json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
    );
    both(&Type::U8, json!(255), Value::U8(255));
    both(&Type::U16, json!(65_535), Value::U16(65_535));
    both(&Type::U32, json!(u32::MAX), Value::U32(u32::MAX));
    both(&Type::S8, json!(-128), Value::S8(-128));
    both(&Type::S16, json!(-32_768), Value::S16(-32_768));
    both(&Type::S32, json!(i32::MIN), Value::S32(i32::MIN));
}

#[test]
fn integers_are_never_rounded_or_wrapped() {
    reads(&Type::U8, json!(3.0), Value::U8(3));
    reads(&Type::S32, json!(-3e3), Value::S32(-3000));
    let expected = "an integer from 0 to 255 (u8)";
    refuses(&Type::U8, json!(3.5), "", expected, "`3.5`");
    refuses(&Type::U8, json!(256), "", expected, "`256`");
    refuses(&Type::U8, json!(-1), "", expected, "`-1`");
    refuses(&Type::U8, json!(1e300), "", expected, "`1e+300`");
    refuses(&Type::U8, json!("3"), "", expected, "the string `3`");
    refuses(&Type::U8, Json::Null, "", expected, "null");
    refuses(
        &Type::S32,
        json!(2_147_483_648_u32),
        "",
        "an integer from -2147483648 to 2147483647 (s32)",
        "`2147483648`",
    );
}

#[test]
fn u64_row() {
    has_schema(
        &Type::U64,
        json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"},
        ]}),
    );
    both(&Type::U64, json!(0), Value::U64(0));
    both(&Type::U64, json!(1_u64 << 53), Value::U64(1 << 53));
    both(&Type::U64, json!("9007199254740993"), Value::U64((1 << 53) + 1));
    both(&Type::U64, json!("18446744073709551615"), Value::U64(u64::MAX));
    reads(&Type::U64, json!(u64::MAX), Value::U64(u64::MAX));
    reads(&Type::U64, json!("7"), Value::U64(7));
    reads(&Type::U64, json!(7.0), Value::U64(7));
    let expected = "an integer from 0 to 18446744073709551615 (u64), or the same as a decimal string";
    refuses(&Type::U64, json!(-1), "", expected, "`-1`");
    refuses(&Type::U64, json!(1.8e19), "", expected, "`1.8e+19`");
    for text in ["", "-1", "+1", "007", " 7", "0x7", "7.0", "18446744073709551616"] {
        refuses(
            &Type::U64,
            json!(text),
            "",
            expected,
            &format!("the string `{}`", text.trim()),
        );
    }
}

#[test]
fn s64_row() {
    has_schema(
        &Type::S64,
        json!({"anyOf": [
            {"type": "integer"},
            {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,18})$"},
        ]}),
    );
    both(&Type::S64, json!(-(1_i64 << 53)), Value::S64(-(1 << 53)));
    both(&Type::S64, json!("-9007199254740993"), Value::S64(-(1 << 53) - 1));
    both(&Type::S64, json!("-9223372036854775808"), Value::S64(i64::MIN));
    reads(&Type::S64, json!(i64::MIN), Value::S64(i64::MIN));
    let expected =
        "an integer from -9223372036854775808 to 9223372036854775807 (s64), or the same as a decimal string";
    refuses(
        &Type::S64,
        json!("9223372036854775808"),
        "",
        expected,
        "the string `9223372036854775808`",
    );
    refuses(
        &Type::S64,
        json!(u64::MAX),
        "",
        expected,
        "`18446744073709551615`",
    );
    refuses(&Type::S64, json!("--1"), "", expected, "the string `--1`");
}

#[test]
fn float_rows() {
    let expected = json!({"anyOf": [
        {"type": "number"},
        {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
    ]});
    has_schema(&Type::F32, expected.clone());
    has_schema(&Type::F64, expected);
    both(&Type::F64, json!(0.1), Value::F64(0.1));
    both(&Type::F32, json!(0.1), Value::F32(0.1));
    both(&Type::F64, json!("Infinity"), Value::F64(f64::INFINITY));
    both(&Type::F32, json!("-Infinity"), Value::F32(f32::NEG_INFINITY));
    reads(&Type::F64, json!(3), Value::F64(3.0));
    for ty in [Type::F32, Type::F64] {
        let nan = decode(&ty, &json!("NaN")).unwrap();
        assert!(matches!(nan, Value::F32(v) if v.is_nan()) || matches!(nan, Value::F64(v) if v.is_nan()));
        assert_eq!(encode(&ty, &nan), json!("NaN"));
    }
    let expected = "a number, or one of `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`";
    refuses(&Type::F64, json!("1.5"), "", expected, "the string `1.5`");
    let expected = "a number in the range of f32, or one of `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`";
    refuses(&Type::F32, json!(1e300), "", expected, "`1e+300`");
}

#[test]
fn char_and_string_rows() {
    has_schema(&Type::Char, json!({"type": "string", "minLength": 1}));
    both(&Type::Char, json!("🙂"), Value::Char('🙂'));
    refuses(
        &Type::Char,
        json!(""),
        "",
        "a string of exactly one character",
        "the string ``",
    );
    refuses(
        &Type::Char,
        json!("ab"),
        "",
        "a string of exactly one character",
        "the string `ab`",
    );
    has_schema(&Type::String, json!({"type": "string"}));
    both(
        &Type::String,
        json!("a\u{0}b\u{202e}"),
        Value::String("a\u{0}b\u{202e}".into()),
    );
    refuses(&Type::String, json!(1), "", "a string", "`1`");
}

#[test]
fn byte_list_row() {
    let ty = list(Type::U8);
    has_schema(&ty, json!({"type": "string", "contentEncoding": "base64"}));
    both(&ty, json!("AP8Q"), Value::Bytes(vec![0, 255, 16]));
    both(&ty, json!(""), Value::Bytes(vec![]));
    both(&ty, json!("AA=="), Value::Bytes(vec![0]));
    reads(&ty, json!("AA"), Value::Bytes(vec![0]));
    reads(&ty, json!([0, 255, 16.0]), Value::Bytes(vec![0, 255, 16]));
    assert_eq!(encode(&ty, &Value::List(vec![Value::U8(0)])), json!("AA=="));
    refuses(
        &ty,
        json!("a b"),
        "",
        "base64 text (standard alphabet)",
        "the string `a b`",
    );
    refuses(
        &ty,
        json!([0, 256]),
        "/1",
        "an integer from 0 to 255 (u8)",
        "`256`",
    );
    refuses(&ty, json!(1), "", "base64 text, or an array of bytes", "`1`");
}

#[test]
fn list_row() {
    let ty = list(Type::Bool);
    has_schema(&ty, json!({"type": "array", "items": {"type": "boolean"}}));
    both(
        &ty,
        json!([true, false]),
        Value::List(vec![Value::Bool(true), Value::Bool(false)]),
    );
    both(&ty, json!([]), Value::List(vec![]));
    refuses(&ty, json!([true, 1]), "/1", "a boolean", "`1`");
    refuses(&ty, json!({}), "", "an array", "an empty object");
}

#[test]
fn record_row() {
    let ty = record(vec![field("a-b", Type::U8), field("c", option(Type::String))]);
    has_schema(
        &ty,
        json!({
            "type": "object",
            "properties": {
                "a-b": {"type": "integer", "minimum": 0, "maximum": 255},
                "c": {"type": "string"},
            },
            "required": ["a-b"],
            "additionalProperties": false,
        }),
    );
    let full = Value::Record(vec![Value::U8(1), some(Value::String("x".into()))]);
    both(&ty, json!({"a-b": 1, "c": "x"}), full);
    let bare = Value::Record(vec![Value::U8(1), Value::Option(None)]);
    both(&ty, json!({"a-b": 1}), bare.clone());
    reads(&ty, json!({"c": null, "a-b": 1}), bare);
    refuses(&ty, json!({"c": "x"}), "/a-b", "an integer (u8)", "nothing");
    refuses(
        &ty,
        json!({"a-b": 1, "d/~": 2}),
        "/d~1~0",
        "one of `a-b`, `c`",
        "an unknown field",
    );
    refuses(&ty, json!([1]), "", "an object", "an array of 1 element");
}

#[test]
fn tuple_row() {
    let ty = tuple(&[Type::Bool, Type::String]);
    has_schema(
        &ty,
        json!({
            "type": "array",
            "items": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
            "minItems": 2,
            "maxItems": 2,
        }),
    );
    has_schema(
        &tuple(&[Type::Bool, Type::Bool]),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}),
    );
    both(
        &ty,
        json!([true, "x"]),
        Value::Tuple(vec![Value::Bool(true), Value::String("x".into())]),
    );
    refuses(&ty, json!(["x", true]), "/0", "a boolean", "the string `x`");
    refuses(
        &ty,
        json!([true]),
        "",
        "an array of exactly 2 values",
        "an array of 1 element",
    );
}

#[test]
fn variant_row() {
    let ty = variant(vec![
        case("none", None),
        case("some", Some(Type::Bool)),
        case("all", None),
    ]);
    has_schema(
        &ty,
        json!({"anyOf": [
            {
                "type": "object",
                "properties": {"some": {"type": "boolean"}},
                "required": ["some"],
                "additionalProperties": false,
            },
            {"type": "string", "enum": ["none", "all"]},
        ]}),
    );
    has_schema(
        &variant(vec![case("a", None)]),
        json!({"type": "string", "enum": ["a"]}),
    );
    both(&ty, json!("none"), Value::Variant(0, None));
    both(
        &ty,
        json!({"some": true}),
        Value::Variant(1, Some(Box::new(Value::Bool(true)))),
    );
    both(&ty, json!("all"), Value::Variant(2, None));
    let expected = "one of `none`, `some`, `all`, as a string, or as the one key of an object";
    refuses(&ty, json!("other"), "", expected, "the string `other`");
    refuses(
        &ty,
        json!({"some": true, "all": 1}),
        "",
        expected,
        "an object of 2 keys",
    );
    refuses(&ty, json!(0), "", expected, "`0`");
    refuses(&ty, json!({"some": 1}), "/some", "a boolean", "`1`");
    refuses(
        &ty,
        json!("some"),
        "",
        "an object `{\"some\": ...}` with a boolean",
        "the string `some`",
    );
    refuses(
        &ty,
        json!({"all": null}),
        "",
        "the string `\"all\"`",
        "an object with the key `all`",
    );
}

#[test]
fn enum_row() {
    let ty = enumeration(&["red", "blue"]);
    has_schema(&ty, json!({"type": "string", "enum": ["red", "blue"]}));
    both(&ty, json!("blue"), Value::Enum(1));
    refuses(
        &ty,
        json!("Blue"),
        "",
        "one of `red`, `blue`",
        "the string `Blue`",
    );
}

#[test]
fn flags_row() {
    let ty = flags(&["read", "write", "run"]);
    has_schema(
        &ty,
        json!({
            "type": "array",
            "items": {"type": "string", "enum": ["read", "write", "run"]},
            "uniqueItems": true,
        }),
    );
    both(&ty, json!(["read", "run"]), Value::Flags(vec![0, 2]));
    both(&ty, json!([]), Value::Flags(vec![]));
    reads(&ty, json!(["run", "read"]), Value::Flags(vec![0, 2]));
    let expected = "an array without repetition of one of `read`, `write`, `run`";
    refuses(&ty, json!(["read", "read"]), "/1", expected, "the string `read`");
    refuses(&ty, json!(["none"]), "/0", expected, "the string `none`");
    refuses(
        &ty,
        json!(["read", "write", "run", "read"]),
        "",
        expected,
        "an array of 4 elements",
    );
}

#[test]
fn option_rows() {
    let ty = list(option(Type::Bool));
    has_schema(
        &ty,
        json!({"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}),
    );
    both(
        &ty,
        json!([true, null]),
        Value::List(vec![some(Value::Bool(true)), Value::Option(None)]),
    );

    let ty = option(option(Type::Bool));
    has_schema(
        &ty,
        json!({"anyOf": [
            {
                "type": "object",
                "properties": {"some": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
                "required": ["some"],
                "additionalProperties": false,
            },
            {"type": "null"},
        ]}),
    );
    both(&ty, json!(null), Value::Option(None));
    both(&ty, json!({"some": null}), some(Value::Option(None)));
    both(&ty, json!({"some": true}), some(some(Value::Bool(true))));
    refuses(
        &ty,
        json!(true),
        "",
        "null or an object `{\"some\": ...}`",
        "`true`",
    );
    refuses(&ty, json!({"some": 1}), "/some", "a boolean", "`1`");
}

#[test]
fn result_argument_row() {
    let ty = result(Some(Type::Bool), Some(Type::String));
    let closed = |name: &str, inner: Json| {
        json!({
            "type": "object",
            "properties": {name: inner},
            "required": [name],
            "additionalProperties": false,
        })
    };
    has_schema(
        &ty,
        json!({"anyOf": [closed("ok", json!({"type": "boolean"})), closed("err", json!({"type": "string"}))]}),
    );
    both(
        &ty,
        json!({"ok": true}),
        Value::Result(Ok(Some(Box::new(Value::Bool(true))))),
    );
    both(
        &ty,
        json!({"err": "no"}),
        Value::Result(Err(Some(Box::new(Value::String("no".into()))))),
    );
    let expected = "an object `{\"ok\": ...}` or `{\"err\": ...}`";
    refuses(&ty, json!(true), "", expected, "`true`");
    refuses(
        &ty,
        json!({"ok": true, "err": "no"}),
        "",
        expected,
        "an object of 2 keys",
    );
    refuses(&ty, json!({"err": 1}), "/err", "a string", "`1`");

    let ty = result(None, None);
    has_schema(
        &ty,
        json!({"anyOf": [closed("ok", json!({"type": "null"})), closed("err", json!({"type": "null"}))]}),
    );
    both(&ty, json!({"ok": null}), Value::Result(Ok(None)));
    both(&ty, json!({"err": null}), Value::Result(Err(None)));
    refuses(&ty, json!({"ok": 1}), "/ok", "null", "`1`");
}

#[test]
fn pointers_name_the_place_and_texts_stay_short() {
    let ty = record(vec![field(
        "a",
        list(variant(vec![case("b", Some(tuple(&[Type::Bool])))])),
    )]);
    let long = "x\u{202e}".repeat(1000);
    let found = format!("the string `{}…`", "x".repeat(77));
    refuses(
        &ty,
        json!({"a": [{"b": [true]}, {"b": [long]}]}),
        "/a/1/b/0",
        "a boolean",
        &found,
    );
    let error = decode(&ty, &json!({"a": 1})).unwrap_err();
    assert_eq!(error.to_string(), "expected an array, found `1` at `/a`");
}

#[test]
fn many_values_out_of_little_json_are_refused() {
    let fields = (0..1000)
        .map(|n| field(&format!("f{n}"), option(Type::Bool)))
        .collect();
    let ty = list(record(fields));
    let json = Json::Array(vec![json!({}); 2000]);
    refuses(&ty, json, "/1046", "at most 1048576 values in all", "more");
}

#[test]
fn values_of_another_type_print_as_null() {
    assert_eq!(encode(&Type::Bool, &Value::U8(1)), Json::Null);
    assert_eq!(encode(&enumeration(&["a"]), &Value::Enum(7)), Json::Null);
    assert_eq!(
        encode(
            &variant(vec![case("a", None)]),
            &Value::Variant(0, Some(Box::new(Value::Bool(true))))
        ),
        Json::Null
    );
    assert_eq!(
        encode(&list(Type::Bool), &Value::List(vec![Value::Char('a')])),
        json!([null])
    );
}
