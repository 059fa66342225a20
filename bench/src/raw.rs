//! The raw engine: the least a server can do around wasmtime and still give every call a fresh instance.
//!
//! Pooling allocator with pagemap scan and 16 MiB kept resident, epochs, one thread, a line loop and
//! `serde_json`. Its settings are a baseline that other measurements refer to: they do not follow ours.

use crate::floor;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, Type, Val};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Kept resident per memory slot; more than any small guest touches.
const KEEP_BYTES: usize = 16 << 20;

/// Epochs until a call would be stopped: never, but the checks are compiled in.
const NEVER: u64 = 1 << 40;

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// One function, ready to be instantiated for each call.
struct Function {
    engine: Engine,
    instance: InstancePre<State>,
    export: ComponentExportIndex,
    parameter: String,
}

/// Answers until standard input ends.
///
/// # Errors
///
/// When the component cannot be prepared, a call fails, or the pipes break.
pub(crate) fn serve(path: &Path, name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let function = prepare(path, name)?;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let message: Json = serde_json::from_str(&line?)?;
        let Some(id) = message.get("id") else { continue };
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => floor::hello("raw"),
            "tools/list" => floor::tools(name, &function.parameter),
            "tools/call" => {
                let text = runtime.block_on(call(&function, &message["params"]["arguments"]))?;
                json!({ "content": [{ "type": "text", "text": text }] })
            }
            _ => json!({}),
        };
        let mut answer = serde_json::to_vec(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}

fn engine() -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(200)
        .total_core_instances(1000)
        .total_memories(400)
        .total_tables(400)
        .total_stacks(200)
        .max_memory_size(1 << 30)
        .linear_memory_keep_resident(KEEP_BYTES)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        // Linux 6.7 or newer; elsewhere the baseline is slower, and the report names the kernel.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_reservation(1 << 32)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(Engine::new(&config)?)
}

fn prepare(path: &Path, name: &str) -> Result<Function> {
    let engine = engine()?;
    let component = Component::from_file(&engine, path)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("cannot compile `{}`", path.display()))?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let (export, parameter) = find(&engine, &component, name)
        .with_context(|| format!("`{}` exports no `{name}` with one string", path.display()))?;
    let instance = linker.instantiate_pre(&component)?;
    Ok(Function {
        engine,
        instance,
        export,
        parameter,
    })
}

/// The function at the top or in any interface, and the name of its first parameter.
fn find(engine: &Engine, component: &Component, name: &str) -> Option<(ComponentExportIndex, String)> {
    let world = component.component_type();
    let interfaces: Vec<String> = world
        .exports(engine)
        .map(|(export, _)| export.to_owned())
        .collect();
    let inside = |interface: &String| component.get_export_index(None, interface.as_str());
    let parents = std::iter::once(None).chain(interfaces.iter().map(inside));
    for parent in parents {
        let found = component.get_export(parent.as_ref(), name);
        if let Some((ComponentItem::ComponentFunc(function), index)) = found {
            let parameter = function
                .params()
                .next()
                .map(|(parameter, _)| parameter.to_owned());
            return Some((index, parameter?));
        }
    }
    None
}

async fn call(function: &Function, arguments: &Json) -> Result<String> {
    let state = State {
        ctx: WasiCtxBuilder::new().build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&function.engine, state);
    store.set_epoch_deadline(NEVER);
    let instance = function.instance.instantiate_async(&mut store).await?;
    let callee = instance
        .get_func(&mut store, function.export)
        .context("the function is gone")?;
    let ty = callee.ty(&store);
    let parameters = ty
        .params()
        .map(|(name, ty)| value(&arguments[name], &ty))
        .collect::<Result<Vec<_>>>()?;
    let mut results = [Val::Bool(false)];
    callee.call_async(&mut store, &parameters, &mut results).await?;
    match results {
        [Val::String(text)] => Ok(text),
        [other] => bail!("the function returned {other:?}, not a string"),
    }
}

fn value(json: &Json, ty: &Type) -> Result<Val> {
    match (json, ty) {
        (Json::String(text), Type::String) => Ok(Val::String(text.clone())),
        _ => bail!("the raw engine passes strings only, not {json}"),
    }
}
