//! The guest that uses the network as it is told, and the policies it is told under.

use serde_json::{Value as Json, json};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use wassette_policy::{Authority, Limits, ParseOptions, Policy};
use wassette_sandbox::{
    CallReport, Control, Invocation, NetworkConfig, Prepared, Resolver, Sandbox, SandboxConfig, Surroundings,
};
use wassette_wit::{Tool, World, encode, tools};

/// A guest, the resolver and roots it has, what it was granted and what surrounds it.
pub(crate) struct Guest {
    prepared: Arc<Prepared>,
    tools: Vec<Arc<Tool>>,
    pub(crate) policy: String,
    pub(crate) ceiling: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) surroundings: Surroundings,
}

const KEY: [u8; 32] = [1; 32];
const WASM: [u8; 32] = [2; 32];

/// The component, compiled once for all tests, and its tools.
static COMPILED: LazyLock<(Vec<u8>, Vec<Arc<Tool>>)> = LazyLock::new(|| {
    let built = std::env::var_os("WASSETTE_GUESTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/built"),
        Into::into,
    );
    let wasm = std::fs::read(built.join("net.wasm")).unwrap();
    let tools = tools("net", &World::read(&wasm).unwrap()).unwrap();
    let sandbox = Sandbox::new(&SandboxConfig::DEFAULT).unwrap();
    let code = sandbox.compile_here(&wasm).unwrap();
    let sealed = sandbox.seal(&KEY, WASM, code).unwrap();
    (sealed, tools.into_iter().map(Arc::new).collect())
});

/// Addresses of names, in turn where a name is listed more than once.
pub(crate) type Names<'a> = &'a [(&'a str, &'a [&'a str])];

impl Guest {
    /// With these network rules (the lines below `network:`).
    pub(crate) fn new(rules: &str) -> Self {
        Self::with(rules, &[], Vec::new())
    }

    pub(crate) fn with(rules: &str, names: Names<'_>, extra_roots: Vec<Vec<u8>>) -> Self {
        let table = names.iter().map(|(name, addresses)| {
            let addresses = addresses.iter().map(|address| address.parse::<IpAddr>().unwrap());
            ((*name).to_owned(), addresses.collect())
        });
        let sandbox = Sandbox::new(&SandboxConfig {
            network: NetworkConfig {
                resolver: Resolver::Table(table.collect()),
                extra_roots,
            },
            ..SandboxConfig::DEFAULT
        });
        let (sealed, tools) = &*COMPILED;
        Self {
            prepared: Arc::new(sandbox.unwrap().open(&KEY, WASM, sealed).unwrap()),
            tools: tools.clone(),
            policy: document(rules),
            ceiling: None,
            limits: Limits::DEFAULT,
            surroundings: Surroundings::default(),
        }
    }

    pub(crate) fn authority(&self) -> Arc<Authority> {
        let ceiling = self.ceiling.as_deref().map(|text| Arc::new(policy(text)));
        Arc::new(Authority::new(
            Arc::new(policy(&self.policy)),
            ceiling,
            &self.limits,
        ))
    }

    pub(crate) fn control(&self) -> Arc<Control> {
        Control::new(self.authority(), Arc::new(self.surroundings.clone()))
    }

    pub(crate) async fn call_with(
        &self,
        function: &str,
        arguments: Json,
        control: Arc<Control>,
    ) -> (CallReport, Option<Json>) {
        let tool = self.tools.iter().find(|tool| tool.path.function == function);
        let tool = Arc::clone(tool.unwrap_or_else(|| panic!("no function `{function}`")));
        let arguments = tool.decode_arguments(&arguments).unwrap();
        let report = Arc::clone(&self.prepared)
            .call(Invocation {
                function: Arc::new(tool.function()),
                arguments,
                control,
                client: None,
            })
            .await;
        let value = report.result.as_ref().ok().and_then(Option::as_ref);
        let value = value.map(|value| encode(tool.result.as_ref().unwrap(), value));
        (report, value)
    }

    pub(crate) async fn call(&self, function: &str, arguments: Json) -> (CallReport, Json) {
        let (report, value) = self.call_with(function, arguments, self.control()).await;
        let value = value.unwrap_or_else(|| panic!("no result: {:?}", report.result));
        (report, value)
    }

    /// Sends a request; returns status and body, or the error.
    pub(crate) async fn send(&self, request: Json) -> (CallReport, Result<(u64, String), String>) {
        let (report, value) = self.call("send", json!({ "request": request })).await;
        (report, outcome(&value))
    }

    pub(crate) async fn get(&self, url: &str) -> (CallReport, Result<(u64, String), String>) {
        self.send(request(url)).await
    }
}

pub(crate) fn outcome(value: &Json) -> Result<(u64, String), String> {
    match value.get("ok") {
        Some(answer) => Ok((
            answer["status"].as_u64().unwrap(),
            answer["body"].as_str().unwrap().to_owned(),
        )),
        None => Err(value["err"].as_str().unwrap_or_default().to_owned()),
    }
}

/// A GET request, taken apart without looking at its parts.
pub(crate) fn request(url: &str) -> Json {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    json!({ "scheme": scheme, "authority": authority, "path": format!("/{path}") })
}

/// `request` with more members.
pub(crate) fn with(mut request: Json, more: Json) -> Json {
    let more = more.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(more);
    request
}

/// What was decided, as `+ access` or `- access`.
pub(crate) fn decisions(report: &CallReport) -> Vec<String> {
    let sign = |allowed: bool| if allowed { '+' } else { '-' };
    let decided = report.accesses.iter();
    decided
        .map(|d| format!("{} {}", sign(d.allowed), d.access))
        .collect()
}

/// A document with these lines below `network:`, or with these sections if there are any.
pub(crate) fn document(rules: &str) -> String {
    if rules.trim().is_empty() {
        return "version: \"1.0\"\npermissions: {}\n".to_owned();
    }
    if rules.contains("permissions:") {
        return rules.to_owned();
    }
    format!("version: \"1.0\"\npermissions:\n  network:\n    allow:\n{rules}\n")
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, &ParseOptions { base: None }).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
