//! Types of the validator to ours, each one once.
//!
//! A component can name one type in many places, and by that make a tree of a million nodes out of thirty
//! declarations. What is converted is shared, and its size as a tree is known before anyone walks it.

use std::collections::HashMap;
use std::sync::Arc;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentFuncType, ComponentValType,
    RecordType, VariantType,
};
use wasmparser::names::KebabString;
use wasmparser::types::TypesRef;

use crate::tool::{DEPTH_MAX, TOOL_BYTES_MAX, TOOL_NODES_MAX};
use crate::ty::{Case, Enum, Field, Flags, Label, Record, ResultType, Variant};
use crate::{Param, Type};

/// Longest name that may become a JSON key: what the strictest known API takes.
const KEY_CHARS_MAX: usize = 64;

/// Why a function is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The function is not offered; the component is fine.
    Omit(String),
    /// The component is refused.
    TooLarge {
        unit: &'static str,
        found: usize,
        max: usize,
    },
}

/// Size of a type as a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Types, each one counted where it is used.
    pub(crate) nodes: usize,
    /// Bytes of names of types, fields, cases and labels.
    pub(crate) bytes: usize,
    depth: usize,
}

impl Cost {
    const LEAF: Self = Self {
        nodes: 1,
        bytes: 0,
        depth: 1,
    };

    /// Adds what lies within this type.
    fn contain(&mut self, inner: Self) -> Result<(), Refusal> {
        self.nodes = self.nodes.saturating_add(inner.nodes);
        self.bytes = self.bytes.saturating_add(inner.bytes);
        self.depth = self.depth.max(inner.depth + 1);
        self.check()
    }

    fn name(&mut self, name: &str) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(name.len());
        self.check()
    }

    fn check(self) -> Result<(), Refusal> {
        let bounds = [
            ("types", self.nodes, TOOL_NODES_MAX),
            ("levels of types", self.depth, DEPTH_MAX),
            ("bytes of names", self.bytes, TOOL_BYTES_MAX),
        ];
        for (unit, found, max) in bounds {
            if found > max {
                return Err(Refusal::TooLarge { unit, found, max });
            }
        }
        Ok(())
    }
}

type Converted = Result<(Type, Cost), Refusal>;

/// Converts the types of one component.
pub(crate) struct Converter<'t> {
    types: TypesRef<'t>,
    names: HashMap<ComponentDefinedTypeId, String>,
    converted: HashMap<ComponentDefinedTypeId, Converted>,
}

impl<'t> Converter<'t> {
    pub(crate) fn new(types: TypesRef<'t>) -> Self {
        Self {
            types,
            names: HashMap::new(),
            converted: HashMap::new(),
        }
    }

    /// Remembers under which interface and name a type is known; the first name stays.
    pub(crate) fn name_type(
        &mut self,
        created: ComponentAnyTypeId,
        referenced: ComponentAnyTypeId,
        (interface, name): (Option<&str>, &str),
    ) {
        for id in [created, referenced] {
            let mut next = if let ComponentAnyTypeId::Defined(id) = id {
                Some(id)
            } else {
                None
            };
            while let Some(id) = next {
                self.names.entry(id).or_insert_with(|| match interface {
                    Some(interface) => format!("{interface}#{name}"),
                    None => name.to_owned(),
                });
                next = self.types.peel_alias(id);
            }
        }
    }

    /// Converts the parameters and the result of a function.
    pub(crate) fn function(
        &mut self,
        ty: &ComponentFuncType,
    ) -> Result<(Vec<Param>, Option<Type>, Cost), Refusal> {
        if ty.async_ {
            return Err(Refusal::Omit(
                "it is `async`, which is not supported yet".to_owned(),
            ));
        }
        let mut cost = Cost::default();
        let mut params = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            check_key("parameter", name.as_str())?;
            cost.name(name.as_str())?;
            let ty = self.within(&mut cost, *ty)?;
            params.push(Param {
                name: name.as_str().to_owned(),
                ty,
                docs: None,
            });
        }
        let result = ty.result.map(|ty| self.within(&mut cost, ty)).transpose()?;
        Ok((params, result, cost))
    }

    fn within(&mut self, cost: &mut Cost, ty: ComponentValType) -> Result<Type, Refusal> {
        let (ty, inner) = self.value(ty)?;
        cost.contain(inner)?;
        Ok(ty)
    }

    fn within_option(
        &mut self,
        cost: &mut Cost,
        ty: Option<ComponentValType>,
    ) -> Result<Option<Type>, Refusal> {
        ty.map(|ty| self.within(cost, ty)).transpose()
    }

    fn value(&mut self, ty: ComponentValType) -> Converted {
        match ty {
            ComponentValType::Primitive(ty) => primitive(ty),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    /// Recursion is bounded by the validator, which lets types nest a hundred levels.
    fn defined(&mut self, id: ComponentDefinedTypeId) -> Converted {
        // A type that one interface uses from another is an alias; the original carries the name and texts.
        let (mut id, mut name) = (id, self.names.get(&id));
        while let Some(original) = self.types.peel_alias(id) {
            id = original;
            name = self.names.get(&id).or(name);
        }
        if let Some(converted) = self.converted.get(&id) {
            return converted.clone();
        }
        let name = name.cloned();
        let converted = self.convert(id, name);
        self.converted.insert(id, converted.clone());
        converted
    }

    fn convert(&mut self, id: ComponentDefinedTypeId, name: Option<String>) -> Converted {
        let mut cost = Cost::LEAF;
        cost.name(name.as_deref().unwrap_or_default())?;
        let types = self.types;
        let Some(ty) = types.get(id) else {
            return omit("a type that is not known");
        };
        let ty = match ty {
            ComponentDefinedType::Primitive(ty) => return primitive(*ty),
            ComponentDefinedType::Record(ty) => {
                let fields = self.fields(&mut cost, ty)?;
                Type::Record(Arc::new(Record {
                    name,
                    docs: None,
                    fields,
                }))
            }
            ComponentDefinedType::Variant(ty) => {
                let cases = self.cases(&mut cost, ty)?;
                Type::Variant(Arc::new(Variant {
                    name,
                    docs: None,
                    cases,
                }))
            }
            ComponentDefinedType::Enum(names) => {
                let names = labels(&mut cost, names)?;
                Type::Enum(Arc::new(Enum {
                    name,
                    docs: None,
                    names,
                }))
            }
            ComponentDefinedType::Flags(names) => {
                let names = labels(&mut cost, names)?;
                Type::Flags(Arc::new(Flags {
                    name,
                    docs: None,
                    names,
                }))
            }
            ComponentDefinedType::List { element, .. } => {
                Type::List(Arc::new(self.within(&mut cost, *element)?))
            }
            ComponentDefinedType::Option { ty, .. } => Type::Option(Arc::new(self.within(&mut cost, *ty)?)),
            ComponentDefinedType::Tuple(ty) => {
                let members = ty.types.iter().map(|ty| self.within(&mut cost, *ty));
                Type::Tuple(members.collect::<Result<Vec<_>, _>>()?.into())
            }
            ComponentDefinedType::Result { ok, err, .. } => Type::Result(Arc::new(ResultType {
                ok: self.within_option(&mut cost, *ok)?,
                err: self.within_option(&mut cost, *err)?,
            })),
            ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => return omit("a resource"),
            ComponentDefinedType::Stream { .. } => return omit("a stream"),
            ComponentDefinedType::Future { .. } => return omit("a future"),
            ComponentDefinedType::Map { .. } => return omit("a map"),
            ComponentDefinedType::FixedLengthList { .. } => return omit("a list of fixed length"),
        };
        Ok((ty, cost))
    }

    fn fields(&mut self, cost: &mut Cost, ty: &RecordType) -> Result<Vec<Field>, Refusal> {
        let mut fields = Vec::with_capacity(ty.fields.len());
        for (name, ty) in &ty.fields {
            check_key("field", name.as_str())?;
            cost.name(name.as_str())?;
            let ty = self.within(cost, *ty)?;
            fields.push(Field {
                name: name.as_str().to_owned(),
                ty,
                docs: None,
            });
        }
        Ok(fields)
    }

    fn cases(&mut self, cost: &mut Cost, ty: &VariantType) -> Result<Vec<Case>, Refusal> {
        let mut cases = Vec::with_capacity(ty.cases.len());
        for (name, case) in &ty.cases {
            // Only a case with a payload is the key of an object.
            if case.ty.is_some() {
                check_key("case", name.as_str())?;
            }
            cost.name(name.as_str())?;
            let ty = self.within_option(cost, case.ty)?;
            cases.push(Case {
                name: name.as_str().to_owned(),
                ty,
                docs: None,
            });
        }
        Ok(cases)
    }
}

fn labels<'n>(
    cost: &mut Cost,
    names: impl IntoIterator<Item = &'n KebabString>,
) -> Result<Vec<Label>, Refusal> {
    let label = |name: &KebabString| {
        cost.name(name.as_str())?;
        Ok(Label {
            name: name.as_str().to_owned(),
            docs: None,
        })
    };
    names.into_iter().map(label).collect()
}

fn primitive(ty: PrimitiveValType) -> Converted {
    let ty = match ty {
        PrimitiveValType::Bool => Type::Bool,
        PrimitiveValType::U8 => Type::U8,
        PrimitiveValType::U16 => Type::U16,
        PrimitiveValType::U32 => Type::U32,
        PrimitiveValType::U64 => Type::U64,
        PrimitiveValType::S8 => Type::S8,
        PrimitiveValType::S16 => Type::S16,
        PrimitiveValType::S32 => Type::S32,
        PrimitiveValType::S64 => Type::S64,
        PrimitiveValType::F32 => Type::F32,
        PrimitiveValType::F64 => Type::F64,
        PrimitiveValType::Char => Type::Char,
        PrimitiveValType::String => Type::String,
        PrimitiveValType::ErrorContext => return omit("an error-context"),
    };
    Ok((ty, Cost::LEAF))
}

fn omit(what: &str) -> Converted {
    Err(Refusal::Omit(format!(
        "its types contain {what}, which cannot be written as JSON"
    )))
}

fn check_key(what: &str, name: &str) -> Result<(), Refusal> {
    if name.len() <= KEY_CHARS_MAX {
        return Ok(());
    }
    let start: String = name.chars().take(16).collect();
    Err(Refusal::Omit(format!(
        "the name of {what} `{start}...` has {} characters, and models take at most {KEY_CHARS_MAX}",
        name.len()
    )))
}
