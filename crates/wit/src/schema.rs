//! Types to JSON Schema, in the subset that every known client and model takes.
//!
//! No `$ref`, `oneOf`, `allOf` or `prefixItems`, no lists of types, no boolean schema but
//! `additionalProperties: false`, and every array has `items`: one tool outside the subset makes some APIs
//! refuse the whole request. `decode` checks more than the schema can say.
//!
//! INVARIANT: each `description` in a schema is text of the component; none is ours.

use serde_json::{Map, Value as Json, json};

use crate::Type;
use crate::decode::Bounds;
use crate::text::sanitize;
use crate::tool::DESCRIPTION_BYTES_MAX;
use crate::ty::{Enum, Flags, Label, Record, ResultType, Variant};

/// Returns the JSON Schema of a type, with the descriptions its author gave.
#[must_use]
pub fn schema(ty: &Type) -> Json {
    schema_within(ty, &mut Budget(usize::MAX))
}

/// How many bytes of description may still be written.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) usize);

impl Budget {
    /// Pays for a text, or says that it is to be left out.
    pub(crate) fn pay(&mut self, text: &str) -> bool {
        let left = self.0.checked_sub(text.len());
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// [`schema`], leaving out descriptions once the budget is spent.
pub(crate) fn schema_within(ty: &Type, budget: &mut Budget) -> Json {
    match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::U8 => integer::<u8>(),
        Type::U16 => integer::<u16>(),
        Type::U32 => integer::<u32>(),
        Type::S8 => integer::<i8>(),
        Type::S16 => integer::<i16>(),
        Type::S32 => integer::<i32>(),
        // No maximum: readers that keep numbers as floats would print another one.
        Type::U64 => json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"},
        ]}),
        Type::S64 => json!({"anyOf": [
            {"type": "integer"},
            {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,18})$"},
        ]}),
        Type::F32 | Type::F64 => json!({"anyOf": [
            {"type": "number"},
            {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
        ]}),
        Type::Char => json!({"type": "string", "minLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::List(element) if **element == Type::U8 => {
            json!({"type": "string", "contentEncoding": "base64"})
        }
        Type::List(element) => json!({"type": "array", "items": schema_within(element, budget)}),
        Type::Record(ty) => record(ty, budget),
        Type::Tuple(members) => tuple(members, budget),
        Type::Variant(ty) => variant(ty, budget),
        Type::Enum(ty) => enumeration(ty, budget),
        Type::Flags(ty) => flags(ty, budget),
        Type::Option(inner) => json!({"anyOf": [some(inner, budget), {"type": "null"}]}),
        Type::Result(sides) => result(sides, budget),
    }
}

/// One named member of a closed object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property<'a> {
    pub(crate) name: &'a str,
    pub(crate) ty: &'a Type,
    pub(crate) docs: Option<&'a str>,
}

/// The schema of an object with exactly these properties, those of option type not required.
pub(crate) fn object<'a>(properties: impl Iterator<Item = Property<'a>>, budget: &mut Budget) -> Json {
    let mut members = Map::new();
    let mut required = Vec::new();
    for Property { name, ty, docs } in properties {
        let schema = if let Type::Option(inner) = ty {
            some(inner, budget)
        } else {
            required.push(Json::String(name.to_owned()));
            schema_within(ty, budget)
        };
        members.insert(name.to_owned(), described(schema, docs, budget));
    }
    json!({
        "type": "object",
        "properties": members,
        "required": required,
        "additionalProperties": false,
    })
}

/// The schema of an object with exactly one property, which must be there.
pub(crate) fn closed(name: &str, inner: Json) -> Json {
    json!({
        "type": "object",
        "properties": Map::from_iter([(name.to_owned(), inner)]),
        "required": [name],
        "additionalProperties": false,
    })
}

/// Adds a description, in front of one that is already there.
pub(crate) fn described(mut schema: Json, docs: Option<&str>, budget: &mut Budget) -> Json {
    let (Some(docs), Some(object)) = (docs, schema.as_object_mut()) else {
        return schema;
    };
    if docs.is_empty() || !budget.pay(docs) {
        return schema;
    }
    let text = match object.get("description").and_then(Json::as_str) {
        Some(inner) if inner != docs => format!("{docs}\n{inner}"),
        Some(_) | None => docs.to_owned(),
    };
    object.insert(
        "description".to_owned(),
        Json::String(sanitize(&text, DESCRIPTION_BYTES_MAX)),
    );
    schema
}

fn integer<T: Bounds>() -> Json {
    json!({"type": "integer", "minimum": T::LOWEST, "maximum": T::HIGHEST})
}

/// The schema of an option that is not none.
fn some(inner: &Type, budget: &mut Budget) -> Json {
    let schema = schema_within(inner, budget);
    if matches!(inner, Type::Option(_)) {
        closed("some", schema)
    } else {
        schema
    }
}

fn record(ty: &Record, budget: &mut Budget) -> Json {
    let properties = ty.fields.iter().map(|field| Property {
        name: &field.name,
        ty: &field.ty,
        docs: field.docs.as_deref(),
    });
    let schema = object(properties, budget);
    described(schema, ty.docs.as_deref(), budget)
}

fn tuple(members: &[Type], budget: &mut Budget) -> Json {
    let mut kinds: Vec<Json> = Vec::new();
    for member in members {
        let schema = schema_within(member, budget);
        if !kinds.contains(&schema) {
            kinds.push(schema);
        }
    }
    json!({
        "type": "array",
        "items": any_of(kinds),
        "minItems": members.len(),
        "maxItems": members.len(),
    })
}

fn variant(ty: &Variant, budget: &mut Budget) -> Json {
    let mut kinds = Vec::new();
    let mut plain = Vec::new();
    for case in &ty.cases {
        let Some(payload) = &case.ty else {
            plain.push(Label {
                name: case.name.clone(),
                docs: case.docs.clone(),
            });
            continue;
        };
        let schema = closed(&case.name, schema_within(payload, budget));
        kinds.push(described(schema, case.docs.as_deref(), budget));
    }
    if !plain.is_empty() {
        kinds.push(names(&plain, budget));
    }
    described(any_of(kinds), ty.docs.as_deref(), budget)
}

fn enumeration(ty: &Enum, budget: &mut Budget) -> Json {
    described(names(&ty.names, budget), ty.docs.as_deref(), budget)
}

fn flags(ty: &Flags, budget: &mut Budget) -> Json {
    let schema = json!({"type": "array", "items": names(&ty.names, budget), "uniqueItems": true});
    described(schema, ty.docs.as_deref(), budget)
}

fn result(sides: &ResultType, budget: &mut Budget) -> Json {
    let mut side = |name, ty: Option<&Type>| {
        let inner = ty.map_or_else(|| json!({"type": "null"}), |ty| schema_within(ty, budget));
        closed(name, inner)
    };
    json!({"anyOf": [side("ok", sides.ok.as_ref()), side("err", sides.err.as_ref())]})
}

/// A string out of a list; JSON Schema has no place for what each one means but the description of all.
fn names(labels: &[Label], budget: &mut Budget) -> Json {
    let enumerated: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    let schema = json!({"type": "string", "enum": enumerated});
    let lines: Vec<String> = labels
        .iter()
        .filter_map(|label| {
            label
                .docs
                .as_ref()
                .map(|docs| format!("`{}`: {docs}", label.name))
        })
        .collect();
    described(schema, Some(&lines.join("\n")), budget)
}

fn any_of(mut kinds: Vec<Json>) -> Json {
    match (kinds.pop(), kinds.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            kinds.push(last);
            json!({"anyOf": kinds})
        }
        // No kind at all: a tuple without members, which WIT cannot say; nothing can be in it.
        (None, _) => json!({"type": "null"}),
    }
}
