//! What comparing types costs, found out before the validator does it.
//!
//! Where a component is instantiated, or an export says its type, one type is compared with another, as trees, however
//! often a part stands in both. Forty kilobytes can say trees of which a comparison takes minutes; no limit of the
//! validator's is about that.

use std::collections::HashMap;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentFuncType, ComponentItem,
    ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentInstance, ComponentTypeRef, Payload, TypeBounds};

use super::{ReadWorldError, bound};

/// Most parts and bytes of names in all types that are compared. A composition of fifty instances of large interfaces
/// has a fifth.
const COMPARED_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Compared {
    total: usize,
    /// How large each type is that was looked at.
    sizes: HashMap<ComponentAnyTypeId, usize>,
}

impl Compared {
    /// Counts what the validator compares when it is given this. Indexes that lead nowhere are left to it.
    pub(super) fn count(
        &mut self,
        payload: &Payload<'_>,
        types: Option<TypesRef<'_>>,
    ) -> Result<(), ReadWorldError> {
        let Some(types) = types else { return Ok(()) };
        if let Payload::ComponentInstanceSection(section) = payload {
            for instance in section.clone().into_iter().flatten() {
                if let ComponentInstance::Instantiate { component_index, .. } = instance
                    && component_index < types.component_count()
                {
                    let component = ComponentAnyTypeId::Component(types.component_at(component_index));
                    self.add(component, types)?;
                }
            }
        }
        if let Payload::ComponentExportSection(section) = payload {
            let said = section.clone().into_iter().flatten();
            for index in said.filter_map(|export| type_index(export.ty?)) {
                if index < types.component_type_count() {
                    self.add(types.component_any_type_at(index), types)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, ty: ComponentAnyTypeId, types: TypesRef<'_>) -> Result<(), ReadWorldError> {
        self.total = self.total.saturating_add(self.size(ty, types));
        bound("parts of types that are compared", self.total, COMPARED_MAX)
    }

    /// As a tree. The validator bounds how deep types are.
    fn size(&mut self, ty: ComponentAnyTypeId, types: TypesRef<'_>) -> usize {
        if let Some(size) = self.sizes.get(&ty) {
            return *size;
        }
        let within = match ty {
            ComponentAnyTypeId::Resource(_) => Some(0),
            ComponentAnyTypeId::Defined(id) => types.get(id).map(|ty| self.defined(ty, types)),
            ComponentAnyTypeId::Func(id) => types.get(id).map(|ty| self.function(ty, types)),
            ComponentAnyTypeId::Instance(id) => types.get(id).map(|ty| self.items(&ty.exports, types)),
            ComponentAnyTypeId::Component(id) => types.get(id).map(|ty| {
                let imports = self.items(&ty.imports, types);
                imports.saturating_add(self.items(&ty.exports, types))
            }),
        };
        // The validator gave the id, so that there is a type.
        let within = within.unwrap_or(usize::MAX);
        let size = within.saturating_add(1);
        self.sizes.insert(ty, size);
        size
    }

    fn items<'i>(
        &mut self,
        items: impl IntoIterator<Item = (&'i String, &'i ComponentItem)>,
        types: TypesRef<'_>,
    ) -> usize {
        let sizes = items.into_iter().map(|(name, item)| {
            let size = match item.ty {
                ComponentEntityType::Module(_) => 1,
                ComponentEntityType::Func(id) => self.size(ComponentAnyTypeId::Func(id), types),
                ComponentEntityType::Value(ty) => self.value(ty, types),
                ComponentEntityType::Type { referenced, .. } => self.size(referenced, types),
                ComponentEntityType::Instance(id) => self.size(ComponentAnyTypeId::Instance(id), types),
                ComponentEntityType::Component(id) => self.size(ComponentAnyTypeId::Component(id), types),
            };
            size.saturating_add(name.len())
        });
        sizes.fold(0, usize::saturating_add)
    }

    fn function(&mut self, function: &ComponentFuncType, types: TypesRef<'_>) -> usize {
        let params = function.params.iter().map(|(name, ty)| (name.len(), Some(*ty)));
        self.parts(params.chain([(0, function.result)]), types)
    }

    fn defined(&mut self, ty: &ComponentDefinedType, types: TypesRef<'_>) -> usize {
        use ComponentDefinedType as Ty;
        match ty {
            Ty::Primitive(_) | Ty::Own(_) | Ty::Borrow(_) => 0,
            Ty::Record(record) => {
                let fields = record.fields.iter();
                self.parts(fields.map(|(name, ty)| (name.len(), Some(*ty))), types)
            }
            Ty::Variant(variant) => {
                let cases = variant.cases.iter();
                self.parts(cases.map(|(name, case)| (name.len(), case.ty)), types)
            }
            Ty::Flags(names) | Ty::Enum(names) => {
                self.parts(names.iter().map(|name| (name.len(), None)), types)
            }
            Ty::Tuple(tuple) => self.parts(tuple.types.iter().map(|ty| (0, Some(*ty))), types),
            Ty::List { element, .. } | Ty::FixedLengthList { element, .. } => self.value(*element, types),
            Ty::Map { key, value, .. } => self.parts([(0, Some(*key)), (0, Some(*value))], types),
            Ty::Option { ty, .. } => self.value(*ty, types),
            Ty::Result { ok, err, .. } => self.parts([(0, *ok), (0, *err)], types),
            Ty::Future { ty, .. } | Ty::Stream { ty, .. } => self.parts([(0, *ty)], types),
        }
    }

    fn parts(
        &mut self,
        parts: impl IntoIterator<Item = (usize, Option<ComponentValType>)>,
        types: TypesRef<'_>,
    ) -> usize {
        let sizes = parts.into_iter().map(|(name_bytes, ty)| {
            let size = ty.map_or(0, |ty| self.value(ty, types));
            size.saturating_add(name_bytes + 1)
        });
        sizes.fold(0, usize::saturating_add)
    }

    fn value(&mut self, ty: ComponentValType, types: TypesRef<'_>) -> usize {
        match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(id) => self.size(ComponentAnyTypeId::Defined(id), types),
        }
    }
}

/// The type that an export says it has. The others are no trees.
fn type_index(ty: ComponentTypeRef) -> Option<u32> {
    match ty {
        ComponentTypeRef::Func(index)
        | ComponentTypeRef::Instance(index)
        | ComponentTypeRef::Component(index)
        | ComponentTypeRef::Type(TypeBounds::Eq(index))
        | ComponentTypeRef::Value(wasmparser::ComponentValType::Type(index)) => Some(index),
        ComponentTypeRef::Module(_)
        | ComponentTypeRef::Type(TypeBounds::SubResource)
        | ComponentTypeRef::Value(wasmparser::ComponentValType::Primitive(_)) => None,
    }
}
