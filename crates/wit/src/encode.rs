//! Values to JSON.
//!
//! Total: a value that is not of the type, which only a fault of ours could make, prints as null where it
//! differs rather than ending the process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use crate::ty::{Flags, Record, ResultType, Variant};
use crate::{Type, Value};

/// Largest magnitude that every JSON reader keeps exactly; beyond it, 64-bit integers are printed as text.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// Prints a value of type `ty` as JSON.
///
/// What it prints is accepted by [`schema`](crate::schema) of the same type, and [`decode`](crate::decode)
/// reads it back as the same value.
#[must_use]
pub fn encode(ty: &Type, value: &Value) -> Json {
    match (ty, value) {
        (Type::Bool, Value::Bool(v)) => Json::Bool(*v),
        (Type::U8, Value::U8(v)) => Json::from(*v),
        (Type::U16, Value::U16(v)) => Json::from(*v),
        (Type::U32, Value::U32(v)) => Json::from(*v),
        (Type::S8, Value::S8(v)) => Json::from(*v),
        (Type::S16, Value::S16(v)) => Json::from(*v),
        (Type::S32, Value::S32(v)) => Json::from(*v),
        (Type::U64, Value::U64(v)) if *v <= EXACT_INTEGER_MAX => Json::from(*v),
        (Type::U64, Value::U64(v)) => Json::String(v.to_string()),
        (Type::S64, Value::S64(v)) if v.unsigned_abs() <= EXACT_INTEGER_MAX => Json::from(*v),
        (Type::S64, Value::S64(v)) => Json::String(v.to_string()),
        (Type::F32, Value::F32(v)) => float(shortest(*v)),
        (Type::F64, Value::F64(v)) => float(*v),
        (Type::Char, Value::Char(v)) => Json::String(v.to_string()),
        (Type::String, Value::String(v)) => Json::String(v.clone()),
        (Type::List(element), Value::Bytes(v)) if **element == Type::U8 => Json::String(STANDARD.encode(v)),
        (Type::List(element), Value::List(v)) if **element == Type::U8 => bytes(v),
        (Type::List(element), Value::List(v)) => v.iter().map(|v| encode(element, v)).collect(),
        (Type::Record(ty), Value::Record(v)) => record(ty, v),
        (Type::Tuple(members), Value::Tuple(v)) => members
            .iter()
            .zip(v)
            .map(|(member, v)| encode(member, v))
            .collect(),
        (Type::Variant(ty), Value::Variant(index, payload)) => variant(ty, *index, payload.as_deref()),
        (Type::Enum(ty), Value::Enum(index)) => {
            at(&ty.names, *index).map_or(Json::Null, |label| Json::String(label.name.clone()))
        }
        (Type::Flags(ty), Value::Flags(v)) => flags(ty, v),
        (Type::Option(_), Value::Option(None)) => Json::Null,
        (Type::Option(inner), Value::Option(Some(v))) if matches!(**inner, Type::Option(_)) => {
            wrapped("some", encode(inner, v))
        }
        (Type::Option(inner), Value::Option(Some(v))) => encode(inner, v),
        (Type::Result(sides), Value::Result(v)) => result(sides, v),
        (_, _) => Json::Null,
    }
}

/// The float whose shortest decimal is that of `value`, so that 0.1 does not print as 0.10000000149011612.
fn shortest(value: f32) -> f64 {
    let wide = f64::from(value);
    let short = value.to_string().parse().unwrap_or(wide);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "this asks whether it is read back as the same f32"
    )]
    let is_same = (short as f32).to_bits() == value.to_bits();
    if is_same { short } else { wide }
}

fn float(value: f64) -> Json {
    if let Some(number) = Number::from_f64(value) {
        return Json::Number(number);
    }
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Json::String(name.to_owned())
}

fn bytes(values: &[Value]) -> Json {
    let bytes: Option<Vec<u8>> = values
        .iter()
        .map(|value| {
            if let Value::U8(byte) = value {
                Some(*byte)
            } else {
                None
            }
        })
        .collect();
    bytes.map_or(Json::Null, |bytes| Json::String(STANDARD.encode(bytes)))
}

fn record(ty: &Record, values: &[Value]) -> Json {
    let mut object = Map::with_capacity(ty.fields.len());
    for (field, value) in ty.fields.iter().zip(values) {
        if matches!((&field.ty, value), (Type::Option(_), Value::Option(None))) {
            continue;
        }
        object.insert(field.name.clone(), encode(&field.ty, value));
    }
    Json::Object(object)
}

fn variant(ty: &Variant, index: u32, payload: Option<&Value>) -> Json {
    let Some(case) = at(&ty.cases, index) else {
        return Json::Null;
    };
    match (&case.ty, payload) {
        (Some(ty), Some(value)) => wrapped(&case.name, encode(ty, value)),
        (None, None) => Json::String(case.name.clone()),
        (Some(_), None) | (None, Some(_)) => Json::Null,
    }
}

fn flags(ty: &Flags, set: &[u32]) -> Json {
    let names = set.iter().filter_map(|index| at(&ty.names, *index));
    names.map(|label| Json::String(label.name.clone())).collect()
}

fn result(sides: &ResultType, value: &Result<Option<Box<Value>>, Option<Box<Value>>>) -> Json {
    let (name, ty, value) = match value {
        Ok(value) => ("ok", &sides.ok, value),
        Err(value) => ("err", &sides.err, value),
    };
    let inner = match (ty, value) {
        (Some(ty), Some(value)) => encode(ty, value),
        (None, None) | (Some(_), None) | (None, Some(_)) => Json::Null,
    };
    wrapped(name, inner)
}

fn wrapped(key: &str, inner: Json) -> Json {
    Json::Object(Map::from_iter([(key.to_owned(), inner)]))
}

fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}
