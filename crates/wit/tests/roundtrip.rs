//! Schema, decode and encode agree, for generated types and values.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::Value as Json;
use wassette_wit::{
    Case, Enum, Field, Flags, Label, Record, ResultType, Type, Value, Variant, decode, encode, schema,
};

fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    // Names of one type differ, as the validator of components makes sure.
    proptest::collection::btree_set("[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3}){0,2}", count)
        .prop_map(|names| names.into_iter().collect())
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    names(1..5).prop_map(|names| names.into_iter().map(|name| Label { name, docs: None }).collect())
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::U8),
        Just(Type::U16),
        Just(Type::U32),
        Just(Type::U64),
        Just(Type::S8),
        Just(Type::S16),
        Just(Type::S32),
        Just(Type::S64),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        labels().prop_map(|names| Type::Enum(Arc::new(Enum {
            names,
            ..Enum::default()
        }))),
        labels().prop_map(|names| Type::Flags(Arc::new(Flags {
            names,
            ..Flags::default()
        }))),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let optional = proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(|ty| Type::List(Arc::new(ty))),
            inner.clone().prop_map(|ty| Type::Option(Arc::new(ty))),
            vec(inner.clone(), 1..4).prop_map(|types| Type::Tuple(types.into())),
            (optional.clone(), optional.clone())
                .prop_map(|(ok, err)| Type::Result(Arc::new(ResultType { ok, err }))),
            (names(1..5), vec(inner, 5)).prop_map(|(names, types)| {
                let fields = names
                    .into_iter()
                    .zip(types)
                    .map(|(name, ty)| Field { name, ty, docs: None });
                Type::Record(Arc::new(Record {
                    fields: fields.collect(),
                    ..Record::default()
                }))
            }),
            (names(1..5), vec(optional, 5)).prop_map(|(names, types)| {
                let cases = names
                    .into_iter()
                    .zip(types)
                    .map(|(name, ty)| Case { name, ty, docs: None });
                Type::Variant(Arc::new(Variant {
                    cases: cases.collect(),
                    ..Variant::default()
                }))
            }),
        ]
    })
}

fn boxed_option(ty: Option<&Type>) -> BoxedStrategy<Option<Box<Value>>> {
    ty.map_or(Just(None).boxed(), |ty| {
        value_of(ty).prop_map(|value| Some(Box::new(value))).boxed()
    })
}

fn value_of(ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::U8 => any::<u8>().prop_map(Value::U8).boxed(),
        Type::U16 => any::<u16>().prop_map(Value::U16).boxed(),
        Type::U32 => any::<u32>().prop_map(Value::U32).boxed(),
        Type::U64 => any::<u64>().prop_map(Value::U64).boxed(),
        Type::S8 => any::<i8>().prop_map(Value::S8).boxed(),
        Type::S16 => any::<i16>().prop_map(Value::S16).boxed(),
        Type::S32 => any::<i32>().prop_map(Value::S32).boxed(),
        Type::S64 => any::<i64>().prop_map(Value::S64).boxed(),
        Type::F32 => any::<u32>()
            .prop_map(|bits| Value::F32(f32::from_bits(bits)))
            .boxed(),
        Type::F64 => any::<u64>()
            .prop_map(|bits| Value::F64(f64::from_bits(bits)))
            .boxed(),
        Type::Char => any::<char>().prop_map(Value::Char).boxed(),
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::List(element) if **element == Type::U8 => vec(any::<u8>(), 0..9).prop_map(Value::Bytes).boxed(),
        Type::List(element) => vec(value_of(element), 0..4).prop_map(Value::List).boxed(),
        Type::Record(record) => {
            let fields: Vec<_> = record.fields.iter().map(|field| value_of(&field.ty)).collect();
            fields.prop_map(Value::Record).boxed()
        }
        Type::Tuple(members) => members
            .iter()
            .map(value_of)
            .collect::<Vec<_>>()
            .prop_map(Value::Tuple)
            .boxed(),
        Type::Variant(variant) => {
            let cases = variant.cases.iter().zip(0..).map(|(case, index)| {
                boxed_option(case.ty.as_ref()).prop_map(move |payload| Value::Variant(index, payload))
            });
            Union::new(cases.collect::<Vec<_>>()).boxed()
        }
        Type::Enum(names) => {
            let indices: Vec<u32> = (0u32..).zip(&names.names).map(|(index, _)| index).collect();
            proptest::sample::select(indices).prop_map(Value::Enum).boxed()
        }
        Type::Flags(flags) => {
            let indices: Vec<u32> = (0u32..).zip(&flags.names).map(|(index, _)| index).collect();
            proptest::sample::subsequence(indices, 0..=flags.names.len())
                .prop_map(Value::Flags)
                .boxed()
        }
        Type::Option(inner) => proptest::option::of(value_of(inner))
            .prop_map(|v| Value::Option(v.map(Box::new)))
            .boxed(),
        Type::Result(sides) => prop_oneof![
            boxed_option(sides.ok.as_ref()).prop_map(|value| Value::Result(Ok(value))),
            boxed_option(sides.err.as_ref()).prop_map(|value| Value::Result(Err(value))),
        ]
        .boxed(),
    }
}

/// Equality in which every NaN is the same one, as JSON has but one word for them.
fn is_same(a: &Value, b: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b));
    let inner = |a: &Option<Box<Value>>, b: &Option<Box<Value>>| match (a, b) {
        (Some(a), Some(b)) => is_same(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::List(a), Value::List(b))
        | (Value::Record(a), Value::Record(b))
        | (Value::Tuple(a), Value::Tuple(b)) => all(a, b),
        (Value::Variant(a, x), Value::Variant(b, y)) => a == b && inner(x, y),
        (Value::Option(a), Value::Option(b)) => inner(a, b),
        (Value::Result(Ok(a)), Value::Result(Ok(b))) | (Value::Result(Err(a)), Value::Result(Err(b))) => {
            inner(a, b)
        }
        (a, b) => a == b,
    }
}

/// Walks a schema and says which rule of the common subset it breaks.
fn broken_rule(schema: &Json) -> Option<String> {
    const KNOWN: [&str; 15] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "anyOf",
        "enum",
        "minimum",
        "maximum",
        "pattern",
        "minLength",
        "contentEncoding",
        "uniqueItems",
    ];
    let Some(object) = schema.as_object() else {
        return Some(format!("no object: {schema}"));
    };
    if let Some(key) = object
        .keys()
        .find(|key| !KNOWN.contains(&key.as_str()) && *key != "description")
    {
        return Some(format!("keyword `{key}`"));
    }
    let ty = object.get("type");
    if ty.is_some_and(|ty| !ty.is_string()) || (ty.is_none() && !object.contains_key("anyOf")) {
        return Some(format!("no single type: {schema}"));
    }
    if ty == Some(&Json::from("array")) && !object.contains_key("items") {
        return Some("array without items".to_owned());
    }
    if ty == Some(&Json::from("object"))
        && (!object.contains_key("properties")
            || object.get("additionalProperties") != Some(&Json::from(false)))
    {
        return Some("open object".to_owned());
    }
    let inner = object
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flat_map(|map| map.values());
    let inner = inner.chain(object.get("anyOf").and_then(Json::as_array).into_iter().flatten());
    inner.chain(object.get("items")).find_map(broken_rule)
}

fn typed_value() -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(|ty| {
        let value = value_of(&ty);
        (Just(ty), value)
    })
}

/// JSON of any shape, with names that the generated types may have.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-300..300i64).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z0-9-]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map("[a-z]{1,2}|ok|err|some", inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schema_accepts_what_encode_prints_and_decode_reads_it_back((ty, value) in typed_value()) {
        let schema = schema(&ty);
        prop_assert_eq!(broken_rule(&schema), None);
        let json = encode(&ty, &value);
        let validator = jsonschema::validator_for(&schema).unwrap();
        prop_assert!(validator.is_valid(&json), "{} does not accept {}", schema, json);
        // Through text, as it crosses the wire.
        let wire: Json = serde_json::from_str(&json.to_string()).unwrap();
        let back = decode(&ty, &wire).unwrap();
        prop_assert!(is_same(&back, &value), "{:?} came back as {:?}", value, back);
    }

    #[test]
    fn decode_never_panics_and_what_it_reads_prints_again(ty in any_type(), json in any_json()) {
        if let Ok(value) = decode(&ty, &json) {
            let again = decode(&ty, &encode(&ty, &value)).unwrap();
            prop_assert!(is_same(&again, &value));
        }
    }

    #[test]
    fn types_survive_being_stored(ty in any_type()) {
        let text = serde_json::to_string(&ty).unwrap();
        prop_assert_eq!(serde_json::from_str::<Type>(&text).unwrap(), ty);
    }
}
