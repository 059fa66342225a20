//! The other side: the same engine with wasmtime's own WASI, the folder preopened and everything on the network
//! allowed, and nothing decided, counted or written down.

use anyhow::{Context as _, Result, bail};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, Val};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{FsPerms, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};

/// Epochs until a call would be stopped: never, but the checks are compiled in.
const NEVER: u64 = 1 << 40;

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: default_hooks(),
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// A component that is ready to be instantiated.
pub(crate) struct Side {
    engine: Engine,
    component: Component,
    instance: InstancePre<State>,
    folder: String,
}

impl Side {
    pub(crate) fn new(wasm: &[u8], folder: &str) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::default();
        pool.max_memory_size(1 << 30)
            .linear_memory_keep_resident(16 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .epoch_interruption(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::from_binary(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        Ok(Self {
            instance: linker.instantiate_pre(&component)?,
            component,
            engine,
            folder: folder.to_owned(),
        })
    }

    pub(crate) async fn call(&self, function: &str, argument: &str) -> Result<String> {
        let state = State {
            wasi: WasiCtxBuilder::new()
                .preopened_dir(&self.folder, &self.folder, FsPerms::ReadOnly)?
                .inherit_network()
                .build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(NEVER);
        let export: ComponentExportIndex = self
            .component
            .get_export_index(None, function)
            .context("no such function")?;
        let instance = self.instance.instantiate_async(&mut store).await?;
        let callee = instance
            .get_func(&mut store, export)
            .context("the export is not a function")?;
        let mut results = [Val::Bool(false)];
        let arguments = [Val::String(argument.to_owned())];
        callee.call_async(&mut store, &arguments, &mut results).await?;
        match results {
            [Val::Result(Ok(Some(value)))] => match *value {
                Val::String(text) => Ok(text),
                other => bail!("not a string: {other:?}"),
            },
            [other] => bail!("no result: {other:?}"),
        }
    }
}
