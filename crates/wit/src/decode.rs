//! JSON to values.
//!
//! Strict, because the value crosses into a sandbox as the author of the component typed it: nothing is
//! rounded, cut, guessed or silently ignored. An error names the place, what was expected and what came, in
//! words that a model can act on.
//!
//! INVARIANT: agrees with `schema` and `encode`; see the crate's property tests. Recursion follows the type,
//! whose depth is bounded when it is read, never the JSON.
//!
//! Long because the decoding of every type is held against one table, the mapping, and is read beside it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value as Json};

use crate::text::sanitize;
use crate::ty::{Enum, Flags, Label, Record, ResultType, Variant};
use crate::{Param, Type, Value};

/// Most values that one decoded JSON document may become.
///
/// A record of optional fields turns the two bytes `{}` into one value for each field, so the size of the
/// JSON alone bounds nothing. At 32 bytes a value this is 32 MiB.
const VALUES_MAX: usize = 1 << 20;

/// Longest piece of the input that an error repeats, in bytes.
const FOUND_BYTES_MAX: usize = 80;

/// Most names that an error lists.
const NAMES_LISTED_MAX: usize = 16;

/// Below this magnitude every integer is a float of its own, so that `3.0` is certainly 3.
const EXACT_FLOAT_BOUND: f64 = 9_007_199_254_740_992.0;

/// Reads both padded and unpadded base64 of the standard alphabet.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// JSON that is not of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}{}", Place(.pointer))]
pub struct DecodeError {
    /// JSON pointer (RFC 6901) to the offending place; empty for the document itself.
    pub pointer: String,
    /// What would have been right, in words.
    pub expected: String,
    /// What was there instead: a bounded, sanitized piece of the input.
    pub found: String,
}

struct Place<'a>(&'a str);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " at `{}`", self.0)
    }
}

impl DecodeError {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Puts `segment` in front of the pointer, escaped; called while the error travels outwards.
    fn within(mut self, segment: &str) -> Self {
        let segment = sanitize(segment, FOUND_BYTES_MAX);
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        self.pointer = format!("/{escaped}{}", self.pointer);
        self
    }

    fn within_index(mut self, index: usize) -> Self {
        self.pointer = format!("/{index}{}", self.pointer);
        self
    }
}

/// Reads a value of type `ty` from JSON.
///
/// # Errors
///
/// [`DecodeError`] when the JSON is not of the type, or would become more than about a million values.
pub fn decode(ty: &Type, json: &Json) -> Result<Value, DecodeError> {
    Decoder::new().value(ty, json)
}

/// Reads a value for each parameter from a JSON object.
pub(crate) fn decode_arguments(params: &[Param], arguments: &Json) -> Result<Vec<Value>, DecodeError> {
    let empty = Map::new();
    let object = match arguments {
        Json::Null => &empty,
        Json::Object(object) => object,
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            return Err(mismatch("an object with the arguments", arguments));
        }
    };
    let fields = params.iter().map(|param| (param.name.as_str(), &param.ty));
    Decoder::new().fields("parameter", fields, object)
}

/// A decoder with what is left of its budget of values.
#[derive(Debug)]
pub(crate) struct Decoder {
    values_left: usize,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            values_left: VALUES_MAX,
        }
    }

    /// Pays for `count` values before anything is allocated for them.
    fn pay(&mut self, count: usize) -> Result<(), DecodeError> {
        let Some(left) = self.values_left.checked_sub(count) else {
            return Err(DecodeError::new(
                format!("at most {VALUES_MAX} values in all"),
                "more",
            ));
        };
        self.values_left = left;
        Ok(())
    }

    pub(crate) fn value(&mut self, ty: &Type, json: &Json) -> Result<Value, DecodeError> {
        match ty {
            Type::Bool => json
                .as_bool()
                .map(Value::Bool)
                .ok_or_else(|| mismatch("a boolean", json)),
            Type::U8 => integer(json, "u8").map(Value::U8),
            Type::U16 => integer(json, "u16").map(Value::U16),
            Type::U32 => integer(json, "u32").map(Value::U32),
            Type::U64 => u64_from(json).map(Value::U64),
            Type::S8 => integer(json, "s8").map(Value::S8),
            Type::S16 => integer(json, "s16").map(Value::S16),
            Type::S32 => integer(json, "s32").map(Value::S32),
            Type::S64 => s64_from(json).map(Value::S64),
            Type::F32 => f32_from(json).map(Value::F32),
            Type::F64 => f64_from(json).map(Value::F64),
            Type::Char => char_from(json).map(Value::Char),
            Type::String => string_from(json).map(Value::String),
            Type::List(element) if **element == Type::U8 => bytes_from(json).map(Value::Bytes),
            Type::List(element) => self.list(element, json),
            Type::Record(record) => self.record(record, json),
            Type::Tuple(members) => self.tuple(members, json),
            Type::Variant(variant) => self.variant(variant, json),
            Type::Enum(names) => enum_from(names, json).map(Value::Enum),
            Type::Flags(flags) => flags_from(flags, json).map(Value::Flags),
            Type::Option(inner) => self.option(inner, json),
            Type::Result(sides) => self.result(sides, json),
        }
    }

    fn boxed(&mut self, ty: &Type, json: &Json) -> Result<Box<Value>, DecodeError> {
        self.pay(1)?;
        self.value(ty, json).map(Box::new)
    }

    fn list(&mut self, element: &Type, json: &Json) -> Result<Value, DecodeError> {
        let Json::Array(items) = json else {
            return Err(mismatch("an array", json));
        };
        self.pay(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            values.push(self.value(element, item).map_err(|e| e.within_index(index))?);
        }
        Ok(Value::List(values))
    }

    fn tuple(&mut self, members: &[Type], json: &Json) -> Result<Value, DecodeError> {
        let expected = || format!("an array of exactly {} values", members.len());
        let Json::Array(items) = json else {
            return Err(mismatch(expected(), json));
        };
        if items.len() != members.len() {
            return Err(mismatch(expected(), json));
        }
        self.pay(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for (index, (member, item)) in members.iter().zip(items).enumerate() {
            values.push(self.value(member, item).map_err(|e| e.within_index(index))?);
        }
        Ok(Value::Tuple(values))
    }

    fn record(&mut self, record: &Record, json: &Json) -> Result<Value, DecodeError> {
        let Json::Object(object) = json else {
            return Err(mismatch("an object", json));
        };
        let fields = record.fields.iter().map(|field| (field.name.as_str(), &field.ty));
        self.fields("field", fields, object).map(Value::Record)
    }

    /// Reads the fields of a record or the parameters of a function; `word` is how an error calls them.
    pub(crate) fn fields<'t>(
        &mut self,
        word: &str,
        fields: impl ExactSizeIterator<Item = (&'t str, &'t Type)> + Clone,
        object: &Map<String, Json>,
    ) -> Result<Vec<Value>, DecodeError> {
        self.pay(fields.len())?;
        let mut values = Vec::with_capacity(fields.len());
        let mut known = 0;
        for (name, ty) in fields.clone() {
            let value = match (object.get(name), ty) {
                (Some(json), ty) => {
                    known += 1;
                    self.value(ty, json).map_err(|e| e.within(name))?
                }
                (None, Type::Option(_)) => Value::Option(None),
                (None, ty) => return Err(DecodeError::new(noun(ty), "nothing").within(name)),
            };
            values.push(value);
        }
        if known < object.len() {
            return Err(unknown_key(word, fields.map(|(name, _)| name), object));
        }
        Ok(values)
    }

    fn variant(&mut self, variant: &Variant, json: &Json) -> Result<Value, DecodeError> {
        let (name, payload) = match json {
            Json::String(name) => (name.as_str(), None),
            Json::Object(object) => match single(object) {
                Some((name, payload)) => (name, Some(payload)),
                None => return Err(mismatch(variant_expected(variant), json)),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => {
                return Err(mismatch(variant_expected(variant), json));
            }
        };
        let case = variant
            .cases
            .iter()
            .zip(0u32..)
            .find(|(case, _)| case.name == name);
        let Some((case, index)) = case else {
            return Err(mismatch(variant_expected(variant), json));
        };
        match (&case.ty, payload) {
            (None, None) => Ok(Value::Variant(index, None)),
            (Some(ty), Some(payload)) => {
                let value = self.boxed(ty, payload).map_err(|e| e.within(name))?;
                Ok(Value::Variant(index, Some(value)))
            }
            (Some(ty), None) => Err(mismatch(
                format!("an object `{{\"{name}\": ...}}` with {}", noun(ty)),
                json,
            )),
            (None, Some(_)) => Err(mismatch(format!("the string `\"{name}\"`"), json)),
        }
    }

    fn option(&mut self, inner: &Type, json: &Json) -> Result<Value, DecodeError> {
        if json.is_null() {
            return Ok(Value::Option(None));
        }
        // Without the wrapper, null could not say which of the two options is none.
        if !matches!(inner, Type::Option(_)) {
            return Ok(Value::Option(Some(self.boxed(inner, json)?)));
        }
        let Some(("some", json)) = json.as_object().and_then(single) else {
            return Err(mismatch("null or an object `{\"some\": ...}`", json));
        };
        let value = self.boxed(inner, json).map_err(|e| e.within("some"))?;
        Ok(Value::Option(Some(value)))
    }

    fn result(&mut self, sides: &ResultType, json: &Json) -> Result<Value, DecodeError> {
        const EXPECTED: &str = "an object `{\"ok\": ...}` or `{\"err\": ...}`";
        let Json::Object(object) = json else {
            return Err(mismatch(EXPECTED, json));
        };
        match single(object) {
            Some(("ok", json)) => Ok(Value::Result(Ok(self
                .side(sides.ok.as_ref(), json)
                .map_err(|e| e.within("ok"))?))),
            Some(("err", json)) => Ok(Value::Result(Err(self
                .side(sides.err.as_ref(), json)
                .map_err(|e| e.within("err"))?))),
            Some(_) | None => Err(mismatch(EXPECTED, json)),
        }
    }

    fn side(&mut self, ty: Option<&Type>, json: &Json) -> Result<Option<Box<Value>>, DecodeError> {
        match (ty, json) {
            (Some(ty), json) => self.boxed(ty, json).map(Some),
            (None, Json::Null) => Ok(None),
            (None, json) => Err(mismatch("null", json)),
        }
    }
}

/// Reads an integer of at most 32 bits; `name` is its WIT type.
fn integer<T>(json: &Json, name: &str) -> Result<T, DecodeError>
where
    T: TryFrom<i64> + Bounds,
{
    let whole = match json {
        Json::Number(number) => number.as_i64().or_else(|| exact_float(number)),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    };
    whole.and_then(|whole| T::try_from(whole).ok()).ok_or_else(|| {
        mismatch(
            format!("an integer from {} to {} ({name})", T::LOWEST, T::HIGHEST),
            json,
        )
    })
}

/// Range of an integer type, as data for errors and schemas.
pub(crate) trait Bounds {
    const LOWEST: i64;
    const HIGHEST: i64;
}

macro_rules! bounds {
    ($($ty:ty),*) => {
        $(impl Bounds for $ty {
            const LOWEST: i64 = <$ty>::MIN as i64;
            const HIGHEST: i64 = <$ty>::MAX as i64;
        })*
    };
}

bounds!(u8, u16, u32, i8, i16, i32);

/// The integer that a float such as `3.0` or `1e3` certainly means.
fn exact_float(number: &Number) -> Option<i64> {
    let float = number.as_f64()?;
    let is_exact = float.fract() == 0.0 && float.abs() < EXACT_FLOAT_BOUND;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53, so exact")]
    is_exact.then_some(float as i64)
}

fn u64_from(json: &Json) -> Result<u64, DecodeError> {
    let value = match json {
        Json::Number(number) => number
            .as_u64()
            .or_else(|| exact_float(number).and_then(|whole| u64::try_from(whole).ok())),
        Json::String(text) if is_decimal(text) => text.parse().ok(),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    };
    value.ok_or_else(|| {
        mismatch(
            format!(
                "an integer from 0 to {} (u64), or the same as a decimal string",
                u64::MAX
            ),
            json,
        )
    })
}

fn s64_from(json: &Json) -> Result<i64, DecodeError> {
    let value = match json {
        Json::Number(number) => number.as_i64().or_else(|| exact_float(number)),
        Json::String(text) if is_decimal(text.strip_prefix('-').unwrap_or(text)) => text.parse().ok(),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    };
    value.ok_or_else(|| {
        let expected = format!(
            "an integer from {} to {} (s64), or the same as a decimal string",
            i64::MIN,
            i64::MAX
        );
        mismatch(expected, json)
    })
}

/// Whether the text is digits only, without leading zeros: what the pattern in the schema says.
fn is_decimal(text: &str) -> bool {
    text == "0" || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

fn f64_from(json: &Json) -> Result<f64, DecodeError> {
    float_from(json).ok_or_else(|| {
        mismatch(
            "a number, or one of `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`",
            json,
        )
    })
}

fn f32_from(json: &Json) -> Result<f32, DecodeError> {
    let expected = "a number in the range of f32, or one of `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`";
    let wide = float_from(json).ok_or_else(|| mismatch(expected, json))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the nearest f32 is what f32 means"
    )]
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err(mismatch(expected, json));
    }
    Ok(narrow)
}

fn float_from(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn char_from(json: &Json) -> Result<char, DecodeError> {
    let mut chars = json.as_str().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Ok(char),
        (Some(_) | None, _) => Err(mismatch("a string of exactly one character", json)),
    }
}

fn string_from(json: &Json) -> Result<String, DecodeError> {
    json.as_str()
        .map(str::to_owned)
        .ok_or_else(|| mismatch("a string", json))
}

fn bytes_from(json: &Json) -> Result<Vec<u8>, DecodeError> {
    match json {
        Json::String(text) => BASE64
            .decode(text)
            .map_err(|_| mismatch("base64 text (standard alphabet)", json)),
        Json::Array(items) => {
            let bytes = items.iter().enumerate();
            bytes
                .map(|(index, item)| integer(item, "u8").map_err(|e| e.within_index(index)))
                .collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
            Err(mismatch("base64 text, or an array of bytes", json))
        }
    }
}

fn enum_from(names: &Enum, json: &Json) -> Result<u32, DecodeError> {
    let index = json.as_str().and_then(|name| position(&names.names, name));
    index.ok_or_else(|| mismatch(one_of(names.names.iter().map(|label| label.name.as_str())), json))
}

fn flags_from(flags: &Flags, json: &Json) -> Result<Vec<u32>, DecodeError> {
    let expected = || {
        let names = flags.names.iter().map(|label| label.name.as_str());
        format!("an array without repetition of {}", one_of(names))
    };
    let Json::Array(items) = json else {
        return Err(mismatch(expected(), json));
    };
    if items.len() > flags.names.len() {
        return Err(mismatch(expected(), json));
    }
    let mut set = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let index = item.as_str().and_then(|name| position(&flags.names, name));
        let place = index.map(|index| (index, set.binary_search(&index)));
        let Some((index, Err(place))) = place else {
            return Err(mismatch(expected(), item).within_index(at));
        };
        set.insert(place, index);
    }
    Ok(set)
}

fn position(labels: &[Label], name: &str) -> Option<u32> {
    labels
        .iter()
        .zip(0u32..)
        .find(|(label, _)| label.name == name)
        .map(|(_, index)| index)
}

fn single(object: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((name, json)), None) => Some((name, json)),
        (Some(_) | None, _) => None,
    }
}

pub(crate) fn mismatch(expected: impl Into<String>, json: &Json) -> DecodeError {
    DecodeError::new(expected, found(json))
}

fn unknown_key<'t>(
    word: &str,
    known: impl Iterator<Item = &'t str> + Clone,
    object: &Map<String, Json>,
) -> DecodeError {
    let unknown = object.keys().find(|key| known.clone().all(|name| name != *key));
    let key = unknown.map_or("", String::as_str);
    let mut names = known.peekable();
    let expected = if names.peek().is_none() {
        format!("no {word} at all")
    } else {
        one_of(names)
    };
    DecodeError::new(expected, format!("an unknown {word}")).within(key)
}

fn one_of<'t>(names: impl Iterator<Item = &'t str>) -> String {
    let mut text = String::from("one of ");
    for (index, name) in names.enumerate() {
        if index == NAMES_LISTED_MAX {
            text.push_str(", ...");
            break;
        }
        if index > 0 {
            text.push_str(", ");
        }
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    text
}

fn variant_expected(variant: &Variant) -> String {
    let names = variant.cases.iter().map(|case| case.name.as_str());
    let has_payload = variant.cases.iter().any(|case| case.ty.is_some());
    let has_plain = variant.cases.iter().any(|case| case.ty.is_none());
    match (has_payload, has_plain) {
        (true, true) => format!("{}, as a string, or as the one key of an object", one_of(names)),
        (true, false) => format!("an object with one key, {}", one_of(names)),
        (false, true | false) => one_of(names),
    }
}

/// What a value of the type is called when there is none.
fn noun(ty: &Type) -> String {
    match ty {
        Type::Bool => "a boolean".to_owned(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::S8 | Type::S16 | Type::S32 | Type::S64 => {
            format!("an integer ({ty})")
        }
        Type::F32 | Type::F64 => format!("a number ({ty})"),
        Type::Char => "a string of exactly one character".to_owned(),
        Type::String => "a string".to_owned(),
        Type::List(element) if **element == Type::U8 => "base64 text".to_owned(),
        Type::List(_) | Type::Tuple(_) | Type::Flags(_) => "an array".to_owned(),
        Type::Record(_) | Type::Result(_) => "an object".to_owned(),
        Type::Variant(variant) => variant_expected(variant),
        Type::Enum(names) => one_of(names.names.iter().map(|label| label.name.as_str())),
        Type::Option(inner) => format!("null or {}", noun(inner)),
    }
}

fn found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => format!("`{value}`"),
        Json::Number(number) => format!("`{number}`"),
        Json::String(text) => format!("the string `{}`", sanitize(text, FOUND_BYTES_MAX)),
        Json::Array(items) if items.len() == 1 => "an array of 1 element".to_owned(),
        Json::Array(items) => format!("an array of {} elements", items.len()),
        Json::Object(object) => match object.keys().next() {
            None => "an empty object".to_owned(),
            Some(key) if object.len() == 1 => {
                format!("an object with the key `{}`", sanitize(key, FOUND_BYTES_MAX))
            }
            Some(_) => format!("an object of {} keys", object.len()),
        },
    }
}
