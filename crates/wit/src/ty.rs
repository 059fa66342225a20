//! WIT value types as plain data.
//!
//! Types are shared through [`Arc`], because a component may use one record in a hundred places. A type that
//! comes out of [`World::read`](crate::World::read) is bounded in depth and in expanded size, so walking it
//! as a tree is safe. Resources, streams, futures and the like have no member here: a function that uses
//! them is not offered as a tool.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A type of the component model that can be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// `bool`.
    Bool,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// `s8`.
    S8,
    /// `s16`.
    S16,
    /// `s32`.
    S32,
    /// `s64`.
    S64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`: one Unicode scalar value.
    Char,
    /// `string`.
    String,
    /// `list<T>` of any length.
    List(Arc<Self>),
    /// `record`.
    Record(Arc<Record>),
    /// `tuple<..>`.
    Tuple(Arc<[Self]>),
    /// `variant`.
    Variant(Arc<Variant>),
    /// `enum`.
    Enum(Arc<Enum>),
    /// `flags`.
    Flags(Arc<Flags>),
    /// `option<T>`.
    Option(Arc<Self>),
    /// `result<T, E>`, both sides optional.
    Result(Arc<ResultType>),
}

/// A `record`: named fields in the order of the declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Name given in WIT, as `ns:pkg/iface@1.0.0#name`, or `name` for a type of the world itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the author wrote about the type as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Fields, in the order of the declaration.
    pub fields: Vec<Field>,
}

/// A field of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Name in kebab case, which is also the JSON key.
    pub name: String,
    /// Type of the value.
    pub ty: Type,
    /// What the author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}

/// A `variant`: one of several cases, each with or without a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Name given in WIT; see [`Record::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the author wrote about the type as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Cases, in the order of the declaration.
    pub cases: Vec<Case>,
}

/// A case of a [`Variant`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// Name in kebab case.
    pub name: String,
    /// Type of the payload, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ty: Option<Type>,
    /// What the author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}

/// An `enum`: one of several names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enum {
    /// Name given in WIT; see [`Record::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the author wrote about the type as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Names, in the order of the declaration.
    pub names: Vec<Label>,
}

/// A `flags` type: any subset of several names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// Name given in WIT; see [`Record::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the author wrote about the type as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Names, in the order of the declaration.
    pub names: Vec<Label>,
}

/// A name in an [`Enum`] or in [`Flags`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Label {
    /// Name in kebab case.
    pub name: String,
    /// What the author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}

/// The two sides of a `result<T, E>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResultType {
    /// Type of the value on success, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Type>,
    /// Type of the value on failure, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub err: Option<Type>,
}

/// Prints WIT: a named type by its name, everything else as it is written in WIT.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::U8 => f.write_str("u8"),
            Self::U16 => f.write_str("u16"),
            Self::U32 => f.write_str("u32"),
            Self::U64 => f.write_str("u64"),
            Self::S8 => f.write_str("s8"),
            Self::S16 => f.write_str("s16"),
            Self::S32 => f.write_str("s32"),
            Self::S64 => f.write_str("s64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Record(record) => f.write_str(short_name(record.name.as_deref(), "record")),
            Self::Tuple(members) => write_tuple(f, members),
            Self::Variant(variant) => f.write_str(short_name(variant.name.as_deref(), "variant")),
            Self::Enum(names) => f.write_str(short_name(names.name.as_deref(), "enum")),
            Self::Flags(flags) => f.write_str(short_name(flags.name.as_deref(), "flags")),
            Self::Option(inner) => write!(f, "option<{inner}>"),
            Self::Result(sides) => write_result(f, sides),
        }
    }
}

fn short_name<'a>(name: Option<&'a str>, kind: &'a str) -> &'a str {
    let Some(name) = name else { return kind };
    name.rsplit_once('#').map_or(name, |(_, short)| short)
}

fn write_tuple(f: &mut fmt::Formatter<'_>, members: &[Type]) -> fmt::Result {
    f.write_str("tuple<")?;
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{member}")?;
    }
    f.write_str(">")
}

fn write_result(f: &mut fmt::Formatter<'_>, sides: &ResultType) -> fmt::Result {
    match (&sides.ok, &sides.err) {
        (None, None) => f.write_str("result"),
        (Some(ok), None) => write!(f, "result<{ok}>"),
        (None, Some(err)) => write!(f, "result<_, {err}>"),
        (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
    }
}
