//! From bytes to something that can be called: scanned before they are compiled, linked after.

use crate::engine::{CompileLimits, Concurrency, Core, Shared};
use crate::linker::is_linked;
use crate::state::State;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ElementItems, ElementSectionReader, Parser,
    Payload,
};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};
use wassette_compiled::OpenError;
use wassette_wit::{FunctionPath, sanitize};

/// Memories one component may have; more would not fit the pool.
const MEMORIES_MAX: u32 = 8;

/// Imports that an error names, and the bytes of each name: a component may have thousands and call them anything.
const MISSING_LISTED_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 150;

/// An import nothing provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// The import's full name, for example `acme:db/query@1.0.0`.
    pub name: String,
    /// What would provide it.
    pub remedy: &'static str,
}

/// A component cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Native code. It is never accepted, from nobody.
    #[error("this is compiled native code, not a component; only WebAssembly is accepted")]
    Native,
    /// Not a component.
    #[error("this is not a WebAssembly component")]
    NotAComponent,
    /// The bytes are damaged or use a feature that is switched off.
    #[error("the component is not valid: {reason}")]
    Invalid {
        /// What is wrong, and where in the bytes.
        reason: String,
    },
    /// Larger than what is compiled.
    #[error("the component has {found} {what}; the limit is {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        max: u64,
    },
    /// It imports what is not here.
    #[error("the component imports {}", list(.0))]
    MissingImports(Vec<MissingImport>),
    /// Linking failed for another reason.
    #[error("the component cannot be linked: {reason}")]
    Link {
        /// Wasmtime's reason.
        reason: String,
    },
    /// The compiler panicked. A bug below us, confined to this component.
    #[error("the compiler failed on this component")]
    Compiler,
    /// Sealed code was not opened.
    #[error("compiled code is not usable")]
    Sealed {
        /// Why.
        source: OpenError,
    },
}

fn list(missing: &[MissingImport]) -> String {
    let mut each: Vec<_> = missing
        .iter()
        .take(MISSING_LISTED_MAX)
        .map(|m| format!("`{}` ({})", sanitize(&m.name, NAME_BYTES_MAX), m.remedy))
        .collect();
    if let Some(more @ 1..) = missing.len().checked_sub(MISSING_LISTED_MAX) {
        each.push(format!("and {more} more"));
    }
    each.join(", ")
}

/// Reads the outline of a component without compiling: form, sizes, counts. Compilation time grows with
/// these, and a single huge function grows faster than linearly. Says whether the component uses the async
/// part of the component model.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an open enum; only sections that cost time matter"
)]
pub(crate) fn scan(limits: &CompileLimits, wasm: &[u8]) -> Result<Concurrency, PrepareError> {
    if wasmtime::Engine::detect_precompiled(wasm).is_some() {
        return Err(PrepareError::Native);
    }
    if !Parser::is_component(wasm) {
        return Err(PrepareError::NotAComponent);
    }
    at_most("bytes", wasm.len() as u64, limits.component_bytes as u64)?;
    let (mut functions, mut modules) = (0_u32, 0_u32);
    let mut initial = Initial::default();
    let mut concurrency = Concurrency::Unused;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(invalid)? {
            Payload::CodeSectionStart { count, .. } => {
                functions = functions.saturating_add(count);
                at_most("functions", functions.into(), limits.functions.into())?;
            }
            Payload::CodeSectionEntry(body) => {
                at_most(
                    "bytes in one function",
                    body.range().len() as u64,
                    limits.body_bytes as u64,
                )?;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                modules = modules.saturating_add(1);
                at_most("modules", modules.into(), limits.modules.into())?;
            }
            Payload::ElementSection(section) => {
                let bytes = section.range().len();
                initial.add(limits, elements(section).map_err(invalid)?, bytes)?;
            }
            Payload::GlobalSection(section) => initial.add(limits, section.count(), section.range().len())?,
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    if is_async(&function.map_err(invalid)?) {
                        concurrency = Concurrency::Used;
                    }
                }
            }
            // Every other section is small work for the compiler.
            _ => {}
        }
    }
    Ok(concurrency)
}

/// What tables and globals hold at the start. The compiler makes one function of it for each module, with some
/// four kilobytes of memory for each element: twenty megabytes of elements took more than 26 GB.
#[derive(Default)]
struct Initial {
    values: u32,
    bytes: usize,
}

impl Initial {
    fn add(&mut self, limits: &CompileLimits, values: u32, bytes: usize) -> Result<(), PrepareError> {
        self.values = self.values.saturating_add(values);
        self.bytes = self.bytes.saturating_add(bytes);
        let max = limits.initial_values.into();
        at_most("elements and globals", self.values.into(), max)?;
        let max = limits.initial_bytes as u64;
        at_most("bytes of elements and globals", self.bytes as u64, max)
    }
}

/// Counts what the segments of a section put into tables.
fn elements(section: ElementSectionReader<'_>) -> Result<u32, BinaryReaderError> {
    let mut count = section.count();
    for element in section {
        count = count.saturating_add(match element?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
    }
    Ok(count)
}

fn invalid(error: BinaryReaderError) -> PrepareError {
    PrepareError::Invalid {
        reason: error.to_string(),
    }
}

/// Whether a canonical function is of the async part of the component model: all are but those of WASI 0.2.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a component that is taken for async by mistake runs all the same"
)]
fn is_async(function: &CanonicalFunction) -> bool {
    let has_async = |options: &[CanonicalOption]| options.contains(&CanonicalOption::Async);
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            has_async(options)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}

fn at_most(what: &'static str, found: u64, max: u64) -> Result<(), PrepareError> {
    if found <= max {
        Ok(())
    } else {
        Err(PrepareError::TooLarge { what, found, max })
    }
}

/// Compiles a component that was scanned; what the compiler does wrong is confined to this component.
///
/// Wasmtime makes no promise that compiling untrusted bytes cannot panic.
pub(crate) fn guarded<T>(compile: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, PrepareError> {
    catch_unwind(AssertUnwindSafe(compile))
        .map_err(|_panic| PrepareError::Compiler)?
        .map_err(|e| PrepareError::Invalid { reason: one_line(&e) })
}

/// A component ready to be called.
pub struct Prepared {
    pub(crate) shared: Arc<Shared>,
    pub(crate) core: Arc<Core>,
    pub(crate) instance: InstancePre<State>,
    pub(crate) exports: HashMap<FunctionPath, ComponentExportIndex>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("exports", &self.exports.len())
            .finish_non_exhaustive()
    }
}

impl Prepared {
    pub(crate) fn link(
        shared: Arc<Shared>,
        core: Arc<Core>,
        component: Component,
    ) -> Result<Self, PrepareError> {
        let missing = missing_imports(&core.engine, &component);
        if !missing.is_empty() {
            return Err(PrepareError::MissingImports(missing));
        }
        if let Some(required) = component.resources_required() {
            at_most("memories", required.num_memories.into(), MEMORIES_MAX.into())?;
        }
        let exports = exports(&core.engine, &component);
        let instance = core
            .linker
            .instantiate_pre(&component)
            .map_err(|e| PrepareError::Link { reason: one_line(&e) })?;
        Ok(Self {
            shared,
            core,
            instance,
            exports,
        })
    }
}

/// The imports among these names that nothing here provides.
#[must_use]
pub fn missing(imports: &[String]) -> Vec<String> {
    imports.iter().filter(|name| !is_linked(name)).cloned().collect()
}

/// Imports whose interface is not linked. Functions missing from a linked interface are found by wasmtime.
fn missing_imports(engine: &Engine, component: &Component) -> Vec<MissingImport> {
    let ty = component.component_type();
    let names = ty.imports(engine).map(|(name, _)| name.to_owned());
    names
        .filter(|name| !is_linked(name))
        .map(|name| MissingImport {
            remedy: remedy(&name),
            name,
        })
        .collect()
}

fn remedy(import: &str) -> &'static str {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let is_future = version.starts_with("0.3");
    match interface.split_once(':') {
        Some(("wassette", _)) => "another version of Wassette's own package; build it with 0.1",
        Some(("wasi", _)) if is_future => "WASI 0.3 is not supported yet; build for WASI 0.2",
        Some(("wasi", _)) => "not part of the supported WASI 0.2 interfaces",
        Some(_) => {
            "no WASI interface; compose the component with one that exports it, for example with `wac plug`"
        }
        None => "a bare import; build a component for WASI 0.2 instead",
    }
}

/// Where the exported functions are, looked up once.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an open enum; only functions can be called"
)]
fn exports(engine: &Engine, component: &Component) -> HashMap<FunctionPath, ComponentExportIndex> {
    let mut exports = HashMap::new();
    let ty = component.component_type();
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                if let Some(index) = component.get_export_index(None, name) {
                    exports.insert(
                        FunctionPath {
                            interface: None,
                            function: name.to_owned(),
                        },
                        index,
                    );
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                let Some(parent) = component.get_export_index(None, name) else {
                    continue;
                };
                let functions = instance.exports(engine);
                for (function, _) in
                    functions.filter(|(_, e)| matches!(e.ty, ComponentItem::ComponentFunc(_)))
                {
                    if let Some(index) = component.get_export_index(Some(&parent), function) {
                        let path = FunctionPath {
                            interface: Some(name.to_owned()),
                            function: function.to_owned(),
                        };
                        exports.insert(path, index);
                    }
                }
            }
            // Types, modules and nested components cannot be called.
            _ => {}
        }
    }
    exports
}

/// An engine error with its causes on one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_patch_of_what_is_linked_is_accepted_and_nothing_else() {
        let table = [
            ("wasi:cli/environment@0.2.0", true),
            ("wasi:http/types@0.2.99", true),
            ("wasi:cli/environment@0.3.0", false),
            ("wasi:cli/environment", false),
            ("wasi:cli/environment@0.20.0", false),
            ("wasi:nn/tensor@0.2.0", false),
            ("wassette:mcp/client@0.1.7", true),
            ("wassette:mcp/client@0.2.0", false),
            ("wassette:mcp/tools@0.1.0", false),
            ("acme:db/query@1.0.0", false),
            ("log", false),
        ];
        for (import, is_accepted) in table {
            assert_eq!(is_linked(import), is_accepted, "{import}");
        }
    }
}
