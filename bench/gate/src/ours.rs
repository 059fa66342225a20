//! Our side: the sandbox as the program uses it.

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::sync::Arc;
use wassette_policy::Authority;
use wassette_sandbox::{Control, Invocation, Prepared, Sandbox, SandboxConfig, Surroundings};
use wassette_wit::{Tool, Value, World, tools};

/// A prepared component and its tools.
pub(crate) struct Side {
    prepared: Arc<Prepared>,
    tools: Vec<Arc<Tool>>,
    surroundings: Arc<Surroundings>,
}

impl Side {
    pub(crate) fn new(wasm: &[u8]) -> Result<Self> {
        let sandbox = Sandbox::new(&SandboxConfig::DEFAULT)?;
        let world = World::read(wasm)?;
        Ok(Self {
            prepared: Arc::new(sandbox.prepare(wasm)?),
            tools: tools("guest", &world)?.into_iter().map(Arc::new).collect(),
            surroundings: Arc::default(),
        })
    }

    pub(crate) async fn call(
        &self,
        authority: &Arc<Authority>,
        function: &str,
        parameter: &str,
        argument: &str,
    ) -> Result<String> {
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        let tool = Arc::clone(tool.context("no such function")?);
        let arguments = tool.decode_arguments(&json!({ parameter: argument }))?;
        let control = Control::new(Arc::clone(authority), Arc::clone(&self.surroundings));
        let invocation = Invocation {
            function: Arc::new(tool.function()),
            arguments,
            control,
            client: None,
        };
        match Arc::clone(&self.prepared).call(invocation).await.result? {
            Some(Value::Result(Ok(Some(value)))) => match *value {
                Value::String(text) => Ok(text),
                other => bail!("not a string: {other:?}"),
            },
            other => bail!("no result: {other:?}"),
        }
    }
}
