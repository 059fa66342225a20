//! Bytes of a component to its [`World`].
//!
//! Types are taken from `wasmparser`'s validator rather than from `wit_parser::decode`: the latter decodes
//! the `package-docs` custom section on the way and refuses the whole component when a text in it does not
//! fit, it refuses components that export what has no place in WIT, and it copies every type it passes.
//! Bodies of functions are not looked at; the engine validates those when it compiles.
//!
//! INVARIANT: what the validator is given is bounded first, because its own limits (a million nodes in one
//! type, a million exports) are far above what a tool can use; and what comes out is bounded, so that the
//! rest of this crate may walk types as trees.

mod compared;
mod error;

use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::names::{ComponentName, ComponentNameKind};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{BinaryReaderError, Encoding, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use compared::Compared;
pub use error::ReadWorldError;

use crate::convert::{Converter, Refusal};
use crate::text::sanitize;
use crate::tool::{COMPONENT_BYTES_MAX as CONTRACT_BYTES_MAX, COMPONENT_NODES_MAX};
use crate::{FunctionPath, Import, Omitted, World};

/// Largest component: the limit of what is fetched, repeated because this may be handed anything.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// Most bytes of a component outside its core modules and custom sections: types, imports, exports, wiring.
///
/// Components are mostly code, and stay far below. Validating hostile wiring takes time that grows faster
/// than its size, so this is what bounds the time.
const WIRING_BYTES_MAX: usize = 1 << 20;

/// Largest product of instances and bytes of wiring.
///
/// Each instance of a component copies the types that it exports, and the validator does not count that: 90
/// KB with 900 instances took two seconds. A composition of fifty instances may still have 600 KB of wiring.
const COPIED_BYTES_MAX: usize = 32 << 20;

/// Most components and core modules within a component; composing a dozen components stays below it.
const NESTED_MAX: usize = 256;

/// How deeply components nest at most.
const NESTING_MAX: usize = 16;

/// Most functions that a component may export, over all interfaces.
const FUNCTIONS_MAX: usize = 1_000;

/// Most names that a component may import or export at its top, types included.
const NAMES_MAX: usize = 4_000;

/// Longest explanation of the validator that is passed on; it may repeat names from the component.
const REASON_BYTES_MAX: usize = 300;

pub(crate) fn read(component: &[u8]) -> Result<World, ReadWorldError> {
    check_header(component)?;
    let (types, names) = validate(component)?;
    let mut reader = Reader::new(types.as_ref());
    reader.imports(&names.imports)?;
    reader.exports(&names.exports)?;
    Ok(reader.world)
}

fn check_header(bytes: &[u8]) -> Result<(), ReadWorldError> {
    if bytes.is_empty() {
        return Err(ReadWorldError::Empty);
    }
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(ReadWorldError::TooManyBytes { found: bytes.len() });
    }
    // What wasmtime precompiles is an ELF file.
    if bytes.starts_with(b"\x7fELF") {
        return Err(ReadWorldError::Precompiled);
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(component") || text.starts_with(b"(module") || text.starts_with(b";;") {
        return Err(ReadWorldError::Text);
    }
    let Some(rest) = bytes.strip_prefix(b"\0asm") else {
        let is_cut = b"\0asm".starts_with(bytes);
        return Err(if is_cut {
            truncated(bytes.len())
        } else {
            ReadWorldError::NotWasm
        });
    };
    match rest.first_chunk::<4>() {
        None => Err(truncated(bytes.len())),
        Some([1, 0, 0, 0]) => Err(ReadWorldError::CoreModule),
        Some([0x0d, 0, 1, 0]) => Ok(()),
        Some(_) => Err(ReadWorldError::UnknownVersion),
    }
}

fn truncated(offset: usize) -> ReadWorldError {
    ReadWorldError::Truncated { offset }
}

impl From<BinaryReaderError> for ReadWorldError {
    fn from(error: BinaryReaderError) -> Self {
        // The parser has no other way to say so in its public interface.
        if error.message().starts_with("unexpected end") {
            return truncated(error.offset());
        }
        Self::Invalid {
            offset: error.offset(),
            reason: sanitize(error.message(), REASON_BYTES_MAX),
        }
    }
}

/// Names at the top of a component, in its own order.
#[derive(Debug, Default)]
struct Names<'a> {
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
}

/// Validates everything but the bodies of functions.
fn validate(component: &[u8]) -> Result<(Types, Names<'_>), ReadWorldError> {
    // Every feature: the engine decides what runs here, this only has to understand what is said.
    let features = WasmFeatures::all();
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut survey = Survey::default();
    let mut compared = Compared::default();
    let mut names = Names::default();
    for payload in parser.parse_all(component) {
        let payload = payload?;
        survey.count(&payload)?;
        compared.count(&payload, validator.types(0))?;
        if survey.nesting == 0 {
            collect(&payload, &mut names)?;
        }
        if let ValidPayload::End(types) = validator.payload(&payload)?
            && survey.is_finished
        {
            return Ok((types, names));
        }
    }
    Err(truncated(component.len()))
}

fn collect<'a>(payload: &Payload<'a>, names: &mut Names<'a>) -> Result<(), ReadWorldError> {
    if let Payload::ComponentImportSection(section) = payload {
        bound("imports", names.imports.len() + count(section.count()), NAMES_MAX)?;
        for import in section.clone() {
            names.imports.push(import?.name.name);
        }
    }
    if let Payload::ComponentExportSection(section) = payload {
        bound("exports", names.exports.len() + count(section.count()), NAMES_MAX)?;
        for export in section.clone() {
            names.exports.push(export?.name.name);
        }
    }
    Ok(())
}

fn count(items: u32) -> usize {
    usize::try_from(items).unwrap_or(usize::MAX / 2)
}

fn bound(what: &'static str, found: usize, max: usize) -> Result<(), ReadWorldError> {
    if found > max {
        Err(ReadWorldError::TooMany { what, found, max })
    } else {
        Ok(())
    }
}

/// Counts what makes validation slow, before it is validated.
#[derive(Debug, Default)]
struct Survey {
    wiring_bytes: usize,
    instances: usize,
    nested: usize,
    /// Whether each enclosing part is a component; a core module holds no wiring.
    stack: Vec<Encoding>,
    /// How many parts enclose the present one.
    nesting: usize,
    is_finished: bool,
}

impl Survey {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), ReadWorldError> {
        if let Payload::Version { encoding, .. } = payload {
            self.stack.push(*encoding);
            self.nesting = self.stack.len() - 1;
            self.nested += 1;
            bound("components and modules within", self.nested, NESTED_MAX)?;
            return bound("levels of components", self.nesting, NESTING_MAX);
        }
        if let Payload::End(_) = payload {
            self.stack.pop();
            self.is_finished = self.stack.is_empty();
            self.nesting = self.stack.len().saturating_sub(1);
            return Ok(());
        }
        let is_wiring = matches!(self.stack.last(), Some(Encoding::Component));
        let is_other = matches!(
            payload,
            Payload::CustomSection(_) | Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
        );
        if let (true, false, Some((_, range))) = (is_wiring, is_other, payload.as_section()) {
            self.wiring_bytes += range.len();
            if let Payload::ComponentInstanceSection(section) = payload {
                self.instances += count(section.count());
            }
            let copied = self.wiring_bytes.saturating_mul(self.instances);
            bound(
                "bytes of types copied between instances",
                copied,
                COPIED_BYTES_MAX,
            )?;
            bound("bytes of types and wiring", self.wiring_bytes, WIRING_BYTES_MAX)?;
        }
        Ok(())
    }
}

/// Turns validated types into a world.
struct Reader<'t> {
    types: TypesRef<'t>,
    converter: Converter<'t>,
    world: World,
    nodes: usize,
    bytes: usize,
}

impl<'t> Reader<'t> {
    fn new(types: TypesRef<'t>) -> Self {
        Self {
            types,
            converter: Converter::new(types),
            world: World::default(),
            nodes: 0,
            bytes: 0,
        }
    }

    fn imports(&mut self, names: &[&str]) -> Result<(), ReadWorldError> {
        for name in names {
            let Some(item) = self.types.component_item_for_import(name) else {
                continue;
            };
            match item.ty {
                // Importing a type only names it; the interface it is from is imported as well.
                ComponentEntityType::Type { created, referenced } => {
                    self.converter.name_type(created, referenced, (None, name));
                    continue;
                }
                ComponentEntityType::Instance(id) => self.name_types(id, name)?,
                ComponentEntityType::Func(_)
                | ComponentEntityType::Module(_)
                | ComponentEntityType::Component(_)
                | ComponentEntityType::Value(_) => {}
            }
            self.world.imports.push(Import {
                name: (*name).to_owned(),
            });
        }
        Ok(())
    }

    fn exports(&mut self, names: &[&str]) -> Result<(), ReadWorldError> {
        for name in names {
            let Some(item) = self.types.component_item_for_export(name) else {
                continue;
            };
            match item.ty {
                ComponentEntityType::Type { created, referenced } => {
                    self.converter.name_type(created, referenced, (None, name));
                }
                ComponentEntityType::Instance(id) => self.name_types(id, name)?,
                ComponentEntityType::Func(_)
                | ComponentEntityType::Module(_)
                | ComponentEntityType::Component(_)
                | ComponentEntityType::Value(_) => {}
            }
        }
        for name in names {
            let Some(item) = self.types.component_item_for_export(name) else {
                continue;
            };
            match item.ty {
                ComponentEntityType::Func(id) => {
                    let path = FunctionPath {
                        interface: None,
                        function: (*name).to_owned(),
                    };
                    self.function(path, id)?;
                }
                ComponentEntityType::Instance(id) => self.interface(name, id)?,
                ComponentEntityType::Type { .. }
                | ComponentEntityType::Module(_)
                | ComponentEntityType::Component(_)
                | ComponentEntityType::Value(_) => {}
            }
        }
        Ok(())
    }

    /// Remembers the names that an interface gives to types.
    fn name_types(&mut self, id: ComponentInstanceTypeId, interface: &str) -> Result<(), ReadWorldError> {
        let Some(instance) = self.types.get(id) else {
            return Ok(());
        };
        bound("names in one interface", instance.exports.len(), NAMES_MAX)?;
        for (name, item) in &instance.exports {
            if let ComponentEntityType::Type { created, referenced } = item.ty {
                self.converter
                    .name_type(created, referenced, (Some(interface), name));
            }
        }
        Ok(())
    }

    fn interface(&mut self, interface: &str, id: ComponentInstanceTypeId) -> Result<(), ReadWorldError> {
        // What the component offers to a WASI host (`wasi:cli/run`) is not for a model.
        if interface.starts_with("wasi:") {
            return Ok(());
        }
        let Some(instance) = self.types.get(id) else {
            return Ok(());
        };
        for (name, item) in &instance.exports {
            if let ComponentEntityType::Func(id) = item.ty {
                let path = FunctionPath {
                    interface: Some(interface.to_owned()),
                    function: name.clone(),
                };
                self.function(path, id)?;
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        path: FunctionPath,
        id: wasmparser::component_types::ComponentFuncTypeId,
    ) -> Result<(), ReadWorldError> {
        let Some(ty) = self.types.get(id) else {
            return Ok(());
        };
        let params: Vec<&str> = ty.params.iter().map(|(name, _)| name.as_str()).collect();
        if is_leftover(&path, &params) {
            return Ok(());
        }
        bound(
            "functions",
            self.world.functions.len() + self.world.omitted.len() + 1,
            FUNCTIONS_MAX,
        )?;
        let read = resource_reason(&path.function).map_or_else(|| self.converter.function(ty), Err);
        match read {
            Ok((params, result, cost)) => {
                self.nodes += cost.nodes;
                self.bytes += cost.bytes;
                bound(
                    "bytes of names in all functions, written out,",
                    self.bytes,
                    CONTRACT_BYTES_MAX,
                )?;
                bound(
                    "types in all functions, written out",
                    self.nodes,
                    COMPONENT_NODES_MAX,
                )?;
                self.world.functions.push(crate::Function {
                    path,
                    docs: None,
                    params,
                    result,
                });
            }
            Err(Refusal::Omit(reason)) => self.world.omitted.push(Omitted { path, reason }),
            Err(Refusal::TooLarge { unit, found, max }) => {
                return Err(ReadWorldError::TypeTooLarge {
                    path,
                    unit,
                    found,
                    max,
                });
            }
        }
        Ok(())
    }
}

/// Whether a function is what a build tool needed and forgot.
///
/// `componentize-py` exports an interface `exports` with `init`; `componentize-qjs` does that or exports
/// `init` itself; neither has a package. The others are names that core modules give to the canonical ABI.
fn is_leftover(path: &FunctionPath, params: &[&str]) -> bool {
    let function = path.function.as_str();
    match path.interface.as_deref() {
        Some("exports") if function == "init" => return true,
        None if function == "init" && params == ["shim", "script", "entry-path", "disable-gc"] => {
            return true;
        }
        Some(_) | None => {}
    }
    function.starts_with("cabi_") || function == "_initialize"
}

/// Why a function that belongs to a resource cannot be a tool.
fn resource_reason(function: &str) -> Option<Refusal> {
    let name = ComponentName::new(function, 0).ok()?;
    let resource = match name.kind() {
        ComponentNameKind::Constructor(resource) => resource.as_str().to_owned(),
        ComponentNameKind::Method(function) | ComponentNameKind::Static(function) => {
            function.resource().as_str().to_owned()
        }
        ComponentNameKind::Label(_)
        | ComponentNameKind::Interface(_)
        | ComponentNameKind::Dependency(_)
        | ComponentNameKind::Url(_)
        | ComponentNameKind::Hash(_) => return None,
    };
    Some(Refusal::Omit(format!(
        "it belongs to the resource `{resource}`, which cannot be written as JSON"
    )))
}
