//! JSON in which an object has each key once.
//!
//! RFC 8259 (section 4) leaves open what a key means that comes twice, and parsers differ: what one of them checks is not
//! what the next one does. Over HTTP each message is read here and again by the library, and before us there may be
//! a proxy that decides by what it reads. So there is one reading of a message or none.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// A value as `serde_json` reads it, without an object that has a key twice: such a one is an error of the data.
#[derive(Debug)]
pub(crate) struct Unique(pub(crate) Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unique(value))) = entries.next_entry::<String, _>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has a key twice"));
            }
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_key_twice_is_read_as_usual() {
        for text in [
            "null",
            "true",
            "[]",
            "{}",
            "-0",
            "-0.0",
            "18446744073709551615",
            "-9223372036854775808",
            "340282366920938463463374607431768211455",
            "0.1",
            "1e308",
            "5e-324",
            r#""a\u0000\n\ud83d\ude00""#,
            r#"{"b": [1, {"a": null}], "a": {"b": "", "a": 2.5}, "": {}}"#,
            // What fails, fails alike.
            "",
            "{",
            "1e999",
            r#"{"a"}"#,
            r#"{1: 2}"#,
            r#"["\ud83d"]"#,
            "[1] 2",
            &"[".repeat(200),
        ] {
            let usual = serde_json::from_str::<Json>(text).map_err(|error| error.to_string());
            let read = serde_json::from_str::<Unique>(text).map_err(|error| error.to_string());
            assert_eq!(read.map(|Unique(json)| json), usual, "{text}");
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_an_error_of_the_data() {
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"{"a": 1, "b": 2, "a": null}"#,
            r#"[{"x": {"": 1, "": 2}}]"#,
        ] {
            let error = serde_json::from_str::<Unique>(text).unwrap_err();
            assert!(error.is_data(), "{text}: {error}");
            assert!(
                error
                    .to_string()
                    .starts_with("an object has a key twice at line 1 column"),
                "{error}"
            );
        }
    }
}
