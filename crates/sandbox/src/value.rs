//! Between our values and wasmtime's: the same closed set on both sides, with names where wasmtime wants
//! names and positions where we keep positions.
//!
//! Both directions follow the type from the component's stored contract. A value that does not fit it is an
//! error, never a guess: it would mean that contract and component disagree.

use wasmtime::component::Val;
use wassette_wit::{Field, Type, Value};

/// A value does not have the type it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error("a value does not match its type")]
    Mismatch,
    #[error("the value is too large")]
    TooLarge,
}

/// What wasmtime is to be called with.
pub(crate) fn lower(ty: &Type, value: Value) -> Result<Val, ConvertError> {
    Ok(match (ty, value) {
        (Type::Bool, Value::Bool(v)) => Val::Bool(v),
        (Type::U8, Value::U8(v)) => Val::U8(v),
        (Type::U16, Value::U16(v)) => Val::U16(v),
        (Type::U32, Value::U32(v)) => Val::U32(v),
        (Type::U64, Value::U64(v)) => Val::U64(v),
        (Type::S8, Value::S8(v)) => Val::S8(v),
        (Type::S16, Value::S16(v)) => Val::S16(v),
        (Type::S32, Value::S32(v)) => Val::S32(v),
        (Type::S64, Value::S64(v)) => Val::S64(v),
        (Type::F32, Value::F32(v)) => Val::Float32(v),
        (Type::F64, Value::F64(v)) => Val::Float64(v),
        (Type::Char, Value::Char(v)) => Val::Char(v),
        (Type::String, Value::String(v)) => Val::String(v),
        (Type::List(_), Value::Bytes(v)) => Val::List(v.into_iter().map(Val::U8).collect()),
        (ty, value) => return lower_compound(ty, value),
    })
}

fn lower_compound(ty: &Type, value: Value) -> Result<Val, ConvertError> {
    Ok(match (ty, value) {
        (Type::List(item), Value::List(v)) => {
            Val::List(v.into_iter().map(|v| lower(item, v)).collect::<Result<_, _>>()?)
        }
        (Type::Record(record), Value::Record(v)) => {
            same_length(record.fields.len(), v.len())?;
            let fields = record.fields.iter().zip(v);
            Val::Record(
                fields
                    .map(|(f, v)| Ok((f.name.clone(), lower(&f.ty, v)?)))
                    .collect::<Result<_, _>>()?,
            )
        }
        (Type::Tuple(types), Value::Tuple(v)) => {
            same_length(types.len(), v.len())?;
            Val::Tuple(
                types
                    .iter()
                    .zip(v)
                    .map(|(ty, v)| lower(ty, v))
                    .collect::<Result<_, _>>()?,
            )
        }
        (Type::Variant(variant), Value::Variant(case, v)) => {
            let case = at(&variant.cases, case)?;
            Val::Variant(case.name.clone(), lower_optional(case.ty.as_ref(), v)?)
        }
        (Type::Enum(labels), Value::Enum(label)) => Val::Enum(at(&labels.names, label)?.name.clone()),
        (Type::Flags(labels), Value::Flags(v)) => {
            let names = v
                .into_iter()
                .map(|label| Ok(at(&labels.names, label)?.name.clone()));
            Val::Flags(names.collect::<Result<_, _>>()?)
        }
        (Type::Option(some), Value::Option(v)) => {
            Val::Option(v.map(|v| lower(some, *v).map(Box::new)).transpose()?)
        }
        (Type::Result(result), Value::Result(v)) => Val::Result(match v {
            Ok(v) => Ok(lower_optional(result.ok.as_ref(), v)?),
            Err(v) => Err(lower_optional(result.err.as_ref(), v)?),
        }),
        _ => return Err(ConvertError::Mismatch),
    })
}

fn lower_optional(ty: Option<&Type>, value: Option<Box<Value>>) -> Result<Option<Box<Val>>, ConvertError> {
    match (ty, value) {
        (Some(ty), Some(value)) => Ok(Some(Box::new(lower(ty, *value)?))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(ConvertError::Mismatch),
    }
}

/// Takes what a guest returned, and stops when it is larger than the budget. Names of fields and cases count:
/// as JSON they are repeated with each value, so a small value could otherwise become a large text.
pub(crate) struct Lift {
    bytes_left: u64,
}

impl Lift {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_left: bytes_max,
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ConvertError> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes as u64)
            .ok_or(ConvertError::TooLarge)?;
        Ok(())
    }

    /// Our value for what wasmtime returned.
    pub(crate) fn lift(&mut self, ty: &Type, val: Val) -> Result<Value, ConvertError> {
        // Even an empty value costs something, so that a list of a million units is not free.
        self.spend(1)?;
        Ok(match (ty, val) {
            (Type::Bool, Val::Bool(v)) => Value::Bool(v),
            (Type::U8, Val::U8(v)) => Value::U8(v),
            (Type::U16, Val::U16(v)) => Value::U16(v),
            (Type::U32, Val::U32(v)) => Value::U32(v),
            (Type::U64, Val::U64(v)) => Value::U64(v),
            (Type::S8, Val::S8(v)) => Value::S8(v),
            (Type::S16, Val::S16(v)) => Value::S16(v),
            (Type::S32, Val::S32(v)) => Value::S32(v),
            (Type::S64, Val::S64(v)) => Value::S64(v),
            (Type::F32, Val::Float32(v)) => Value::F32(v),
            (Type::F64, Val::Float64(v)) => Value::F64(v),
            (Type::Char, Val::Char(v)) => Value::Char(v),
            (Type::String, Val::String(v)) => {
                self.spend(v.len())?;
                Value::String(v)
            }
            (ty, val) => return self.lift_compound(ty, val),
        })
    }

    fn lift_compound(&mut self, ty: &Type, val: Val) -> Result<Value, ConvertError> {
        Ok(match (ty, val) {
            (Type::List(item), Val::List(v)) if matches!(**item, Type::U8) => {
                self.spend(v.len())?;
                Value::Bytes(v.into_iter().map(byte).collect::<Result<_, _>>()?)
            }
            (Type::List(item), Val::List(v)) => Value::List(
                v.into_iter()
                    .map(|v| self.lift(item, v))
                    .collect::<Result<_, _>>()?,
            ),
            (Type::Record(record), Val::Record(v)) => {
                same_length(record.fields.len(), v.len())?;
                let mut field = |(field, (_, v)): (&Field, (String, Val))| {
                    self.spend(field.name.len())?;
                    self.lift(&field.ty, v)
                };
                Value::Record(
                    record
                        .fields
                        .iter()
                        .zip(v)
                        .map(&mut field)
                        .collect::<Result<_, _>>()?,
                )
            }
            (Type::Tuple(types), Val::Tuple(v)) => {
                same_length(types.len(), v.len())?;
                Value::Tuple(
                    types
                        .iter()
                        .zip(v)
                        .map(|(ty, v)| self.lift(ty, v))
                        .collect::<Result<_, _>>()?,
                )
            }
            (ty, val) => return self.lift_choice(ty, val),
        })
    }

    fn lift_choice(&mut self, ty: &Type, val: Val) -> Result<Value, ConvertError> {
        Ok(match (ty, val) {
            (Type::Variant(variant), Val::Variant(name, v)) => {
                self.spend(name.len())?;
                let case = position(variant.cases.iter().map(|c| &c.name), &name)?;
                Value::Variant(
                    case,
                    self.lift_optional(at(&variant.cases, case)?.ty.as_ref(), v)?,
                )
            }
            (Type::Enum(labels), Val::Enum(name)) => {
                self.spend(name.len())?;
                Value::Enum(position(labels.names.iter().map(|l| &l.name), &name)?)
            }
            (Type::Flags(labels), Val::Flags(v)) => {
                self.spend(v.iter().map(String::len).sum())?;
                let set = v
                    .iter()
                    .map(|name| position(labels.names.iter().map(|l| &l.name), name));
                Value::Flags(set.collect::<Result<_, _>>()?)
            }
            (Type::Option(some), Val::Option(v)) => {
                Value::Option(v.map(|v| self.lift(some, *v).map(Box::new)).transpose()?)
            }
            (Type::Result(result), Val::Result(v)) => Value::Result(match v {
                Ok(v) => Ok(self.lift_optional(result.ok.as_ref(), v)?),
                Err(v) => Err(self.lift_optional(result.err.as_ref(), v)?),
            }),
            _ => return Err(ConvertError::Mismatch),
        })
    }

    fn lift_optional(
        &mut self,
        ty: Option<&Type>,
        val: Option<Box<Val>>,
    ) -> Result<Option<Box<Value>>, ConvertError> {
        match (ty, val) {
            (Some(ty), Some(val)) => Ok(Some(Box::new(self.lift(ty, *val)?))),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(ConvertError::Mismatch),
        }
    }
}

fn byte(val: Val) -> Result<u8, ConvertError> {
    if let Val::U8(byte) = val {
        Ok(byte)
    } else {
        Err(ConvertError::Mismatch)
    }
}

fn same_length(a: usize, b: usize) -> Result<(), ConvertError> {
    if a == b {
        Ok(())
    } else {
        Err(ConvertError::Mismatch)
    }
}

fn at<T>(items: &[T], index: u32) -> Result<&T, ConvertError> {
    usize::try_from(index)
        .ok()
        .and_then(|index| items.get(index))
        .ok_or(ConvertError::Mismatch)
}

fn position<'a>(names: impl Iterator<Item = &'a String>, name: &str) -> Result<u32, ConvertError> {
    let mut names = names;
    let index = names.position(|n| n == name).ok_or(ConvertError::Mismatch)?;
    u32::try_from(index).map_err(|_too_many| ConvertError::Mismatch)
}
