//! The mapping through a real component: for generated types, a component that returns what it is given gives
//! back the same JSON. What is tried is the whole way of a call, both directions of the canonical ABI included.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../../wit/tests/common/generate.rs"]
mod generate;

use generate::{any_type, value_of};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use wassette_policy::{Authority, Limits};
use wassette_sandbox::{Control, Invocation, Sandbox, SandboxConfig};
use wassette_wit::{Label, Tool, Type, Value, World, encode, tools};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Returns the list it is given: the memory it was written to is the memory it is read from, so this is right
/// for a list of anything.
const CODE: &str = r#"(module
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 16))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  (func (export "test:echo/api#echo") (param $pointer i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $pointer))
    (i32.store (i32.const 4) (local.get $length))
    (i32.const 0)))"#;

/// WIT for a type: the definitions it needs, and its name.
#[derive(Default)]
struct Wit {
    definitions: String,
    count: usize,
}

impl Wit {
    fn define(&mut self, keyword: &str, body: &[String]) -> String {
        let name = format!("t{}", self.count);
        self.count += 1;
        writeln!(self.definitions, "  {keyword} {name} {{ {} }}", body.join(", ")).unwrap();
        name
    }

    fn optional(&mut self, ty: Option<&Type>) -> String {
        ty.map_or_else(|| "_".to_owned(), |ty| self.name(ty))
    }

    fn name(&mut self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::U32 => "u32".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::S8 => "s8".to_owned(),
            Type::S16 => "s16".to_owned(),
            Type::S32 => "s32".to_owned(),
            Type::S64 => "s64".to_owned(),
            Type::F32 => "f32".to_owned(),
            Type::F64 => "f64".to_owned(),
            Type::Char => "char".to_owned(),
            Type::String => "string".to_owned(),
            Type::List(item) => format!("list<{}>", self.name(item)),
            Type::Option(some) => format!("option<{}>", self.name(some)),
            Type::Tuple(types) => {
                let types: Vec<_> = types.iter().map(|ty| self.name(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            Type::Result(sides) => match (&sides.ok, &sides.err) {
                (None, None) => "result".to_owned(),
                (ok, None) => format!("result<{}>", self.optional(ok.as_ref())),
                (ok, err) => format!(
                    "result<{}, {}>",
                    self.optional(ok.as_ref()),
                    self.optional(err.as_ref())
                ),
            },
            Type::Record(record) => {
                let fields: Vec<_> = record
                    .fields
                    .iter()
                    .map(|f| format!("%{}: {}", f.name, self.name(&f.ty)))
                    .collect();
                self.define("record", &fields)
            }
            Type::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| match &case.ty {
                    Some(ty) => format!("%{}({})", case.name, self.name(ty)),
                    None => format!("%{}", case.name),
                });
                let cases: Vec<_> = cases.collect();
                self.define("variant", &cases)
            }
            Type::Enum(labels) => self.define("enum", &quoted(&labels.names)),
            Type::Flags(labels) => self.define("flags", &quoted(&labels.names)),
        }
    }
}

/// Names in WIT, where `%` keeps one that is a keyword from being taken for it.
fn quoted(labels: &[Label]) -> Vec<String> {
    labels.iter().map(|label| format!("%{}", label.name)).collect()
}

/// A component with `echo: func(v: list<ty>) -> list<ty>`.
fn component(ty: &Type) -> Vec<u8> {
    let mut wit = Wit::default();
    let name = wit.name(ty);
    let text = format!(
        "package test:echo;\ninterface api {{\n{}  echo: func(v: list<{name}>) -> list<{name}>;\n}}\nworld w {{ export api; }}",
        wit.definitions
    );
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("echo.wit", &text)
        .unwrap_or_else(|e| panic!("{e}: {text}"));
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(CODE).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// Calls the echo. The tool's types are those read from the component, not those it was made from.
async fn echo(sandbox: &Sandbox, ty: &Type, value: &Value) -> (serde_json::Value, serde_json::Value) {
    let wasm = component(ty);
    let tool: Tool = tools("guest", &World::read(&wasm).unwrap()).unwrap().remove(0);
    let sent = encode(&Type::List(Arc::new(ty.clone())), value);
    let arguments = tool.decode_arguments(&json!({ "v": sent })).unwrap();
    let tool = Arc::new(tool);
    let control = Control::nothing(Authority::nothing(Limits::DEFAULT));
    let invocation = Invocation {
        function: Arc::new(tool.function()),
        arguments,
        control,
        client: None,
    };
    let report = Arc::new(sandbox.prepare(&wasm).unwrap()).call(invocation).await;
    let returned = report.result.unwrap().expect("a list");
    (sent, encode(tool.result.as_ref().unwrap(), &returned))
}

/// A type and a list of values of it.
fn typed_list() -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(|ty| {
        let list = value_of(&Type::List(Arc::new(ty.clone())));
        (Just(ty), list)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_component_gives_back_what_it_is_given((ty, value) in typed_list()) {
        let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sent, returned) = runtime.block_on(echo(&sandbox, &ty, &value));
        prop_assert_eq!(sent, returned);
    }
}
