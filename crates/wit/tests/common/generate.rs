//! Generated WIT types and values, for every test that the mapping holds for all of them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use wassette_wit::{Case, Enum, Field, Flags, Label, Record, ResultType, Type, Value, Variant};

fn names(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    // Names of one type differ, as the validator of components makes sure.
    proptest::collection::btree_set("[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3}){0,2}", count)
        .prop_map(|names| names.into_iter().collect())
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    names(1..5).prop_map(|names| names.into_iter().map(|name| Label { name, docs: None }).collect())
}

/// Every type of WIT, nested a few levels deep.
pub(crate) fn any_type() -> impl Strategy<Value = Type> {
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

/// Values of one type.
pub(crate) fn value_of(ty: &Type) -> BoxedStrategy<Value> {
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
