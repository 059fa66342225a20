//! Texts that describe functions and types, from WIT or from a component.
//!
//! No toolchain of today keeps doc comments in the component, so they come from WIT files that the operator
//! hands over, or from the `package-docs` custom section where one is found. Neither is trusted to fit the
//! component: what matches is used, sanitized and bounded, and the rest is ignored. WIT is parsed without
//! resolving it, so packages that a WIT file refers to need not be there.
//!
//! INVARIANT: nothing here changes what a type is; only `docs` fields are written, and only empty ones.
//!
//! Long because its two sources, WIT and `package-docs`, fill the same structure and must agree on its names.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json};
use wasmparser::{Chunk, Parser, Payload};
use wit_parser::{
    SourceMap, TypeDef, TypeDefKind, UnresolvedPackage, UnresolvedPackageGroup, WorldItem, WorldKey,
};

use crate::schema::Budget;
use crate::text::sanitize;
use crate::tool::DESCRIPTION_BYTES_MAX;
use crate::ty::{Enum, Flags, Label, Record, Variant};
use crate::{Type, World};

/// Most bytes of WIT that are parsed at a time; all of WASI has a tenth of it.
const WIT_BYTES_MAX: usize = 4 << 20;

/// Longest `package-docs` section that is read.
const SECTION_BYTES_MAX: usize = 256 << 10;

/// Name of the custom section in which wit-parser keeps documentation: a version byte, then JSON.
const SECTION_NAME: &str = "package-docs";

/// Most bytes of text that one call of [`Docs::describe`] writes into a world.
///
/// A type carries its texts to each function that uses it, so the size of the texts alone bounds nothing.
const WORLD_TEXT_BYTES_MAX: usize = 64 << 10;

/// Longest explanation of the parser that is passed on.
const REASON_BYTES_MAX: usize = 500;

/// Descriptions by the names of what they describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docs {
    packages: Vec<PackageDocs>,
}

/// A WIT text that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the WIT file `{path}`: {reason}")]
pub struct ParseDocsError {
    /// The file, as it was named.
    pub path: String,
    /// What is wrong with it, sanitized.
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PackageDocs {
    /// `ns:pkg` and the version; `package-docs` does not say which package it is about.
    id: Option<(String, Option<String>)>,
    interfaces: HashMap<String, Section>,
    worlds: Vec<WorldDocs>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WorldDocs {
    own: Section,
    /// Interfaces that the world defines in place; they have no package.
    interfaces: HashMap<String, Section>,
}

/// Texts of an interface, or of what a world holds itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    functions: HashMap<String, String>,
    types: HashMap<String, TypeDocs>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TypeDocs {
    docs: Option<String>,
    /// Texts of fields, cases or names.
    items: HashMap<String, String>,
}

impl Docs {
    /// Parses WIT texts, each with the path it is to be called by.
    ///
    /// Texts of one folder are one package, as they are on disk; where that does not work, each is taken by
    /// itself.
    ///
    /// # Errors
    ///
    /// [`ParseDocsError`] when a text is not WIT, or when they are more than 4 MiB together.
    pub fn from_wit(files: &[(String, String)]) -> Result<Self, ParseDocsError> {
        let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
        if bytes > WIT_BYTES_MAX {
            let path = files.first().map_or_else(String::new, |(path, _)| path.clone());
            let reason =
                format!("with the other files it has {bytes} bytes, and at most {WIT_BYTES_MAX} are taken");
            return Err(ParseDocsError { path, reason });
        }
        let mut folders: BTreeMap<&str, Vec<&(String, String)>> = BTreeMap::new();
        for file in files {
            let folder = file.0.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder);
            folders.entry(folder).or_default().push(file);
        }
        let mut docs = Self::default();
        for files in folders.values() {
            docs.add_folder(files)?;
        }
        Ok(docs)
    }

    /// Reads the `package-docs` custom section of a component; empty when there is none that can be used.
    #[must_use]
    pub fn from_component(component: &[u8]) -> Self {
        let package = section(component)
            .filter(|data| data.len() <= SECTION_BYTES_MAX)
            .and_then(|data| match data.split_first() {
                Some((0 | 1, json)) => serde_json::from_slice(json).ok(),
                Some(_) | None => None,
            })
            .map(|json: Json| package_from_json(&json));
        Self {
            packages: package.into_iter().collect(),
        }
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    fn add_folder(&mut self, files: &[&(String, String)]) -> Result<(), ParseDocsError> {
        let Err(error) = parse(files).map(|group| self.add_group(group)) else {
            return Ok(());
        };
        if files.len() == 1 {
            return Err(error);
        }
        for file in files {
            let group = parse(&[*file])?;
            self.add_group(group);
        }
        Ok(())
    }

    fn add_group(&mut self, group: UnresolvedPackageGroup) {
        let UnresolvedPackageGroup {
            main,
            nested,
            source_map: _,
        } = group;
        self.packages.push(package_from_wit(&main));
        self.packages.extend(nested.iter().map(package_from_wit));
    }

    /// Sections that may be about an interface, the best match first; `None` is the world itself.
    fn sections<'d>(&'d self, interface: Option<&str>) -> Vec<&'d Section> {
        let worlds = self.packages.iter().flat_map(|package| &package.worlds);
        let Some(interface) = interface else {
            return worlds.map(|world| &world.own).collect();
        };
        let (path, version) = match interface.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (interface, None),
        };
        let Some((package_name, name)) = path.split_once('/') else {
            return worlds.filter_map(|world| world.interfaces.get(path)).collect();
        };
        let mut matching: Vec<(u8, &Section)> = Vec::new();
        for package in &self.packages {
            let Some(section) = package.interfaces.get(name) else {
                continue;
            };
            let rank = match &package.id {
                Some((id, v)) if id == package_name && v.as_deref() == version => 0,
                Some((id, _)) if id == package_name => 1,
                None => 2,
                Some(_) => continue,
            };
            matching.push((rank, section));
        }
        matching.sort_by_key(|(rank, _)| *rank);
        matching.into_iter().map(|(_, section)| section).collect()
    }

    pub(crate) fn describe(&self, world: &mut World) {
        if self.is_empty() {
            return;
        }
        let mut budget = Budget(WORLD_TEXT_BYTES_MAX);
        // Functions first: a model chooses by them.
        for function in &mut world.functions {
            let sections = self.sections(function.path.interface.as_deref());
            let text = sections
                .iter()
                .find_map(|section| section.functions.get(&function.path.function));
            fill(&mut function.docs, text, &mut budget);
        }
        for function in &mut world.functions {
            for param in &mut function.params {
                self.describe_type(&mut param.ty, &mut budget);
            }
            if let Some(result) = &mut function.result {
                self.describe_type(result, &mut budget);
            }
        }
    }

    /// Texts of the type called `name`, as in `Record::name`; nothing when there are none.
    fn type_docs(&self, name: Option<&str>) -> &TypeDocs {
        static NONE: LazyLock<TypeDocs> = LazyLock::new(TypeDocs::default);
        let found = name.and_then(|name| {
            let (interface, name) = match name.split_once('#') {
                Some((interface, name)) => (Some(interface), name),
                None => (None, name),
            };
            let sections = self.sections(interface).into_iter();
            sections
                .filter_map(|section| section.types.get(name))
                .next()
                .or_else(|| self.only_type(name))
        });
        found.unwrap_or(&NONE)
    }

    /// Texts of the only type of this name anywhere.
    ///
    /// A component does not tell that a type came from another interface by `use`, and the texts are there.
    fn only_type(&self, name: &str) -> Option<&TypeDocs> {
        let interfaces = self
            .packages
            .iter()
            .flat_map(|package| package.interfaces.values());
        let in_worlds = self.packages.iter().flat_map(|package| &package.worlds);
        let sections =
            interfaces.chain(in_worlds.flat_map(|world| world.interfaces.values().chain([&world.own])));
        let mut types = sections.filter_map(|section| section.types.get(name));
        let only = types.next()?;
        if types.next().is_none() { Some(only) } else { None }
    }

    /// Recursion is bounded, because the depth of every type in a world is.
    fn describe_type(&self, ty: &mut Type, budget: &mut Budget) {
        match ty {
            Type::Bool
            | Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::S8
            | Type::S16
            | Type::S32
            | Type::S64
            | Type::F32
            | Type::F64
            | Type::Char
            | Type::String => {}
            Type::List(inner) | Type::Option(inner) => self.describe_type(Arc::make_mut(inner), budget),
            Type::Tuple(members) => {
                for member in Arc::make_mut(members) {
                    self.describe_type(member, budget);
                }
            }
            Type::Result(sides) => {
                let sides = Arc::make_mut(sides);
                for side in [&mut sides.ok, &mut sides.err].into_iter().flatten() {
                    self.describe_type(side, budget);
                }
            }
            Type::Record(record) => self.describe_record(Arc::make_mut(record), budget),
            Type::Variant(variant) => self.describe_variant(Arc::make_mut(variant), budget),
            Type::Enum(names) => {
                let Enum { name, docs, names } = Arc::make_mut(names);
                self.type_docs(name.as_deref()).fill_names(docs, names, budget);
            }
            Type::Flags(flags) => {
                let Flags { name, docs, names } = Arc::make_mut(flags);
                self.type_docs(name.as_deref()).fill_names(docs, names, budget);
            }
        }
    }

    fn describe_record(&self, record: &mut Record, budget: &mut Budget) {
        let docs = self.type_docs(record.name.as_deref());
        fill(&mut record.docs, docs.docs.as_ref(), budget);
        for field in &mut record.fields {
            fill(&mut field.docs, docs.items.get(&field.name), budget);
            self.describe_type(&mut field.ty, budget);
        }
    }

    fn describe_variant(&self, variant: &mut Variant, budget: &mut Budget) {
        let docs = self.type_docs(variant.name.as_deref());
        fill(&mut variant.docs, docs.docs.as_ref(), budget);
        for case in &mut variant.cases {
            fill(&mut case.docs, docs.items.get(&case.name), budget);
            if let Some(ty) = &mut case.ty {
                self.describe_type(ty, budget);
            }
        }
    }
}

impl TypeDocs {
    /// An alias has no text of its own, and must not hide those of the original.
    fn unless_empty(self) -> Option<Self> {
        if self.docs.is_none() && self.items.is_empty() {
            None
        } else {
            Some(self)
        }
    }

    fn fill_names(&self, own: &mut Option<String>, labels: &mut [Label], budget: &mut Budget) {
        fill(own, self.docs.as_ref(), budget);
        for label in labels {
            fill(&mut label.docs, self.items.get(&label.name), budget);
        }
    }
}

fn fill(place: &mut Option<String>, text: Option<&String>, budget: &mut Budget) {
    if let (None, Some(text)) = (&place, text)
        && budget.pay(text)
    {
        *place = Some(text.clone());
    }
}

/// The text as it may be shown, unless nothing of it is left.
fn clean(text: &str) -> Option<String> {
    let text = sanitize(text, DESCRIPTION_BYTES_MAX);
    if text.is_empty() { None } else { Some(text) }
}

fn parse(files: &[&(String, String)]) -> Result<UnresolvedPackageGroup, ParseDocsError> {
    let mut map = SourceMap::default();
    for (path, text) in files {
        map.push(Path::new(path), text.as_str());
    }
    map.parse().map_err(|(map, error)| ParseDocsError {
        path: files.first().map_or_else(String::new, |(path, _)| path.clone()),
        reason: reason(&error.render(&map)),
    })
}

/// What is wrong and where, without the picture of the source below it.
fn reason(rendered: &str) -> String {
    let lines: Vec<&str> = rendered.lines().take(2).map(str::trim).collect();
    sanitize(&lines.join(" "), REASON_BYTES_MAX)
}

fn package_from_wit(package: &UnresolvedPackage) -> PackageDocs {
    let name = &package.name;
    let id = format!("{}:{}", name.namespace, name.name);
    let interface = |id: wit_parser::InterfaceId| {
        let interface = package.interfaces.get(id)?;
        let functions = interface.functions.iter();
        let types = interface
            .types
            .iter()
            .filter_map(|(name, id)| Some((name, package.types.get(*id)?)));
        Some(Section {
            functions: functions
                .filter_map(|(name, function)| {
                    Some((name.clone(), clean(function.docs.contents.as_deref()?)?))
                })
                .collect(),
            types: types
                .filter_map(|(name, ty)| Some((name.clone(), type_from_wit(ty)?)))
                .collect(),
        })
    };
    let named = package
        .interfaces
        .iter()
        .filter_map(|(id, found)| Some((found.name.clone()?, interface(id)?)));
    let mut worlds = Vec::new();
    for (_, world) in package.worlds.iter() {
        let mut docs = WorldDocs::default();
        for (key, item) in world.imports.iter().chain(&world.exports) {
            let WorldKey::Name(name) = key else { continue };
            match item {
                WorldItem::Interface { id, .. } => {
                    docs.interfaces
                        .extend(interface(*id).map(|section| (name.clone(), section)));
                }
                WorldItem::Function(function) => {
                    let text = function.docs.contents.as_deref().and_then(clean);
                    docs.own.functions.extend(text.map(|text| (name.clone(), text)));
                }
                WorldItem::Type { id, .. } => {
                    let ty = package.types.get(*id).and_then(type_from_wit);
                    docs.own.types.extend(ty.map(|ty| (name.clone(), ty)));
                }
            }
        }
        worlds.push(docs);
    }
    PackageDocs {
        id: Some((id, name.version.as_ref().map(ToString::to_string))),
        interfaces: named.collect(),
        worlds,
    }
}

/// Texts of a type, if there are any.
fn type_from_wit(ty: &TypeDef) -> Option<TypeDocs> {
    let items: Vec<(&String, &wit_parser::Docs)> = match &ty.kind {
        TypeDefKind::Record(ty) => ty.fields.iter().map(|item| (&item.name, &item.docs)).collect(),
        TypeDefKind::Variant(ty) => ty.cases.iter().map(|item| (&item.name, &item.docs)).collect(),
        TypeDefKind::Enum(ty) => ty.cases.iter().map(|item| (&item.name, &item.docs)).collect(),
        TypeDefKind::Flags(ty) => ty.flags.iter().map(|item| (&item.name, &item.docs)).collect(),
        TypeDefKind::Resource
        | TypeDefKind::Handle(_)
        | TypeDefKind::Tuple(_)
        | TypeDefKind::Option(_)
        | TypeDefKind::Result(_)
        | TypeDefKind::List(_)
        | TypeDefKind::Map(..)
        | TypeDefKind::FixedLengthList(..)
        | TypeDefKind::Future(_)
        | TypeDefKind::Stream(_)
        | TypeDefKind::Type(_)
        | TypeDefKind::Unknown => Vec::new(),
    };
    let items = items
        .into_iter()
        .filter_map(|(name, docs)| Some((name.clone(), clean(docs.contents.as_deref()?)?)));
    let docs = TypeDocs {
        docs: ty.docs.contents.as_deref().and_then(clean),
        items: items.collect(),
    };
    docs.unless_empty()
}

/// The `package-docs` section at the top of a component.
fn section(component: &[u8]) -> Option<&[u8]> {
    let mut parser = Parser::new(0);
    let mut rest = component;
    loop {
        let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) else {
            return None;
        };
        rest = rest.get(consumed..)?;
        // What a nested component says about itself is not about this one.
        if let Payload::ModuleSection {
            unchecked_range: inner,
            ..
        }
        | Payload::ComponentSection {
            unchecked_range: inner,
            ..
        } = &payload
        {
            rest = rest.get(inner.len()..)?;
        }
        if let Payload::End(_) = &payload {
            return None;
        }
        if let Payload::CustomSection(section) = payload
            && section.name() == SECTION_NAME
        {
            return Some(section.data());
        }
    }
}

fn package_from_json(json: &Json) -> PackageDocs {
    PackageDocs {
        id: None,
        interfaces: sections_from_json(json.get("interfaces")),
        worlds: members(json.get("worlds"))
            .map(|(_, world)| world_from_json(world))
            .collect(),
    }
}

fn world_from_json(json: &Json) -> WorldDocs {
    // The names without "exports" stand for both directions where only one has the name.
    let mut own = section_from_json(json);
    own.functions.extend(texts(json.get("func_exports")));
    let mut interfaces = sections_from_json(json.get("interfaces"));
    interfaces.extend(sections_from_json(json.get("interface_exports")));
    WorldDocs { own, interfaces }
}

fn sections_from_json(json: Option<&Json>) -> HashMap<String, Section> {
    members(json)
        .map(|(name, json)| (name.clone(), section_from_json(json)))
        .collect()
}

fn section_from_json(json: &Json) -> Section {
    let types = members(json.get("types")).filter_map(|(name, ty)| {
        let docs = TypeDocs {
            docs: text(ty),
            items: texts(ty.get("items")).collect(),
        };
        Some((name.clone(), docs.unless_empty()?))
    });
    Section {
        functions: texts(json.get("funcs")).collect(),
        types: types.collect(),
    }
}

fn members(json: Option<&Json>) -> impl Iterator<Item = (&String, &Json)> {
    json.and_then(Json::as_object).into_iter().flat_map(Map::iter)
}

fn texts(json: Option<&Json>) -> impl Iterator<Item = (String, String)> {
    members(json).filter_map(|(name, json)| Some((name.clone(), text(json)?)))
}

/// A text, either by itself or as the `docs` of an object.
fn text(json: &Json) -> Option<String> {
    json.as_str()
        .or_else(|| json.get("docs")?.as_str())
        .and_then(clean)
}
