//! The official Rust SDK as an MCP client: makes the round that `real_clients.rs` asks of every client, and prints what it
//! saw as one line of JSON.
//!
//! Arguments: the revision, and the server's program or address. The round stands in the variable `ROUND`. The server runs in
//! the current folder and gets `HOME` as it is.

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion, SubscriptionFilter};
use rmcp::service::{NotificationContext, RunningService, ServiceError, Subscription};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::mpsc;

/// What never comes must fail the test, not hold it up.
const TIME_MAX: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [revision, place] = arguments.as_slice() else {
        bail!("two arguments are expected: the revision and the server");
    };
    let revision: ProtocolVersion = serde_json::from_value(json!(revision))?;
    ensure!(
        ProtocolVersion::KNOWN_VERSIONS.contains(&revision),
        "no such revision"
    );
    let round = serde_json::from_str(&std::env::var("ROUND")?)?;
    let report = async { Round::connect(revision, place).await?.make(&round).await };
    println!("{}", tokio::time::timeout(TIME_MAX, report).await??);
    Ok(())
}

/// Takes note of notifications that come outside of subscriptions, which the revisions with a handshake have.
struct Client {
    config: ClientConfig,
    changed: mpsc::UnboundedSender<()>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        // Nobody waits any more when the round is over.
        self.changed.send(()).ok();
    }
}

struct Round {
    client: RunningService<RoleClient, Client>,
    changed: mpsc::UnboundedReceiver<()>,
    subscription: Option<Subscription>,
}

impl Round {
    async fn connect(revision: ProtocolVersion, place: &str) -> Result<Self> {
        let (sender, changed) = mpsc::unbounded_channel();
        let config = ClientConfig::default().with_protocol_version(revision.clone());
        let client = Client {
            config,
            changed: sender,
        };
        let lifecycle = lifecycle(&revision);
        let client = if place.starts_with("http://") {
            let transport = StreamableHttpClientTransport::from_uri(place);
            client.serve_with_lifecycle(transport, lifecycle).await?
        } else {
            let mut server = Command::new(place);
            server.arg("run").env_clear().env("HOME", std::env::var("HOME")?);
            let transport = TokioChildProcess::new(server)?;
            client.serve_with_lifecycle(transport, lifecycle).await?
        };
        let server = client.peer_info().context("the server said nothing of itself")?;
        // Falling back to another revision would go unnoticed.
        ensure!(
            server.protocol_version == revision,
            "the server speaks {}",
            server.protocol_version
        );
        let subscription = if revision.has_initialize() {
            None
        } else {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            Some(client.listen(filter).await?)
        };
        Ok(Self {
            client,
            changed,
            subscription,
        })
    }

    async fn make(mut self, round: &Json) -> Result<Json> {
        let server = self
            .client
            .peer_info()
            .and_then(|server| server.server_info.clone());
        let mut report =
            json!({ "server": server.map(|server| server.name), "offered": self.tools().await? });
        let mut results = Vec::new();
        for call in round["calls"].as_array().context("no calls")? {
            results.push(self.call(call).await?);
        }
        report["results"] = json!(results);
        report["unknown"] = match self.client.call_tool(CallToolRequestParams::new("unknown")).await {
            Err(ServiceError::McpError(error)) => json!(error.code),
            other => bail!("a tool that does not exist: {other:?}"),
        };
        for (change, after) in [("load", "loaded"), ("unload", "unloaded")] {
            report[change] = self.call(&round[change]).await?["isError"].clone();
            report[after] = self.changed().await?;
        }
        self.client.cancel().await?;
        Ok(report)
    }

    async fn tools(&self) -> Result<Json> {
        let tools = self.client.list_all_tools().await?;
        Ok(tools.iter().map(|tool| json!(tool.name)).collect())
    }

    /// The list of tools after the next notice that it has changed.
    async fn changed(&mut self) -> Result<Json> {
        match &mut self.subscription {
            Some(subscription) => subscription.next().await?.map(drop),
            None => self.changed.recv().await,
        }
        .context("no notice of a change")?;
        self.tools().await
    }

    async fn call(&self, call: &Json) -> Result<Json> {
        let name = call[0].as_str().context("a tool has a name")?.to_owned();
        let arguments = call[1].as_object().context("arguments are an object")?.clone();
        let result = self
            .client
            .call_tool(CallToolRequestParams::new(name).with_arguments(arguments))
            .await?;
        let mut result = serde_json::to_value(result)?;
        let result = result.as_object_mut().context("a result is an object")?;
        result.retain(|key, _| ["content", "structuredContent", "isError"].contains(&key.as_str()));
        Ok(json!(result))
    }
}

/// Not `Auto`, which would fall back to the other era.
fn lifecycle(revision: &ProtocolVersion) -> ClientLifecycleMode {
    if revision.has_initialize() {
        return ClientLifecycleMode::Initialize;
    }
    ClientLifecycleMode::Discover {
        preferred_versions: vec![revision.clone()],
    }
}
