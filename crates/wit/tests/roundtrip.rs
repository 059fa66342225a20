//! Schema, decode and encode agree, for generated types and values.

#[path = "common/generate.rs"]
mod generate;

use generate::{any_type, value_of};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value as Json;
use wassette_wit::{Type, Value, decode, encode, schema};

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
