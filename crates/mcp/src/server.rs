//! One MCP server over one host, in both eras of the protocol.
//!
//! Requests are answered from the host's catalog, which is data: listing tools touches no component. What
//! a request does runs in the request's own task, so that a slow load or call holds up nothing else;
//! cancelling a request drops its future, which stops the guest. A panic is that one request's error.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod,
    CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, ErrorCode, Implementation,
    InitializeRequestParams, InitializeResult, JsonObject, ListPromptsRequestMethod, ListPromptsResult,
    ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    RequestMetaObject, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value as Json;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wassette_host::{Actor, Host, Progress, Revision};

use crate::builtin::{Builtin, Desk};
use crate::calls::Begin;
use crate::message::PROTOCOL_VERSION;
use crate::progress::reporter;
use crate::wire;

/// How often the store is looked at for changes of other processes, while a client wants to hear of them.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// Changes that follow each other within this time are told once.
const COALESCE: Duration = Duration::from_millis(50);

/// How long a client may take to accept a notification before it is left out.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

/// How the server presents itself and what it offers beyond the components' tools.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The server's name, as clients show it.
    pub name: String,
    /// The server's version.
    pub version: String,
    /// What a model should know about this server as a whole.
    pub instructions: Option<String>,
    /// The built-in tools that are offered. The names of the others stay reserved.
    pub builtins: Vec<Builtin>,
    /// From where relative paths given by an agent count.
    pub current_folder: PathBuf,
}

/// Answers the requests of one connection.
#[derive(Debug)]
pub(crate) struct Server {
    host: Host,
    options: ServerOptions,
    actor: Actor,
    /// Goes into the results of the era that has no handshake to say it in.
    identity: MetaObject,
    listing: Mutex<Option<Listing>>,
    is_followed: AtomicBool,
    /// Cancelled when no more requests will come.
    ended: CancellationToken,
    calls: TaskTracker,
}

/// The answer to `tools/list` for one state of the catalog.
#[derive(Clone, Debug)]
struct Listing {
    revision: Revision,
    tools: Arc<Vec<Tool>>,
}

impl Server {
    pub(crate) fn new(host: Host, options: ServerOptions, ended: CancellationToken) -> Self {
        let mut identity = MetaObject::new();
        identity.insert(
            "io.modelcontextprotocol/serverInfo".to_owned(),
            serde_json::json!({"name": options.name, "version": options.version}),
        );
        Self {
            host,
            options,
            actor: Actor::Agent {
                principal: "stdio".to_owned(),
            },
            identity,
            listing: Mutex::new(None),
            is_followed: AtomicBool::new(false),
            ended,
            calls: TaskTracker::new(),
        }
    }

    /// The calls that are still running.
    pub(crate) fn calls(&self) -> &TaskTracker {
        &self.calls
    }

    /// All tools, built once for each state of the catalog.
    fn tools(&self) -> Arc<Vec<Tool>> {
        let catalog = self.host.catalog();
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listing
            .as_ref()
            .filter(|listing| listing.revision == catalog.revision())
        {
            return Arc::clone(&listing.tools);
        }
        let builtins = self.options.builtins.iter().map(|builtin| builtin.tool());
        let tools = Arc::new(builtins.chain(catalog.tools().map(wire::tool)).collect());
        *listing = Some(Listing {
            revision: catalog.revision(),
            tools: Arc::clone(&tools),
        });
        tools
    }

    async fn list(&self, cursor: Option<String>) -> Result<ListToolsResult, ErrorData> {
        // There is one page, so that no cursor was ever given out.
        if cursor.is_some_and(|cursor| !cursor.is_empty()) {
            return Err(ErrorData::invalid_params(
                "unknown cursor: the list has one page",
                None,
            ));
        }
        if let Err(error) = self.host.refresh().await {
            tracing::warn!(%error, "tools are listed as they last were");
        }
        Ok(ListToolsResult::with_all_items(self.tools().as_ref().clone()))
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        if let Some(builtin) = Builtin::find(&request.name) {
            if !self.options.builtins.contains(&builtin) {
                return Err(ErrorData::invalid_params(
                    format!("unknown tool `{}`", builtin.name()),
                    None,
                ));
            }
            let (reporter, mut forwarding) = reporter(ctx);
            let result = forwarding
                .alongside(Box::pin(self.desk(&reporter).call(builtin, &arguments)))
                .await;
            forwarding.finish(reporter).await;
            return result;
        }
        self.call_component(&request.name, arguments).await
    }

    async fn call_component(&self, tool: &str, arguments: JsonObject) -> Result<CallToolResult, ErrorData> {
        match self.host.call(tool, &Json::Object(arguments), &self.actor).await {
            Ok(report) => Ok(wire::call_result(report.result, &report.accesses)),
            Err(error) => wire::call_refused(&error),
        }
    }

    /// Begins the calls that need nothing of the library: of a component's tool, in a version both ends know.
    pub(crate) fn begin(self: &Arc<Self>) -> Begin {
        let server = Arc::clone(self);
        Box::new(move |call| {
            let Some(era) = Era::of(&call).filter(|_| Builtin::find(&call.params.name).is_none()) else {
                return Err(Box::new(call));
            };
            let server = Arc::clone(&server);
            Ok(Box::pin(async move {
                let CallToolRequestParams { name, arguments, .. } = call.params;
                let work = server.call_component(&name, arguments.unwrap_or_default());
                let result = unpanicked(work).await?;
                Ok(match era {
                    Era::Modern => result.with_meta(Some(server.identity.clone())),
                    Era::Legacy => without_type(result),
                })
            }))
        })
    }

    fn desk<'a>(&'a self, progress: &'a dyn Progress) -> Desk<'a> {
        Desk {
            host: &self.host,
            actor: &self.actor,
            current_folder: &self.options.current_folder,
            progress,
        }
    }

    /// Tells of changed tools, by `notify`, until the connection ends or the client does not listen.
    async fn follow<F, E>(&self, notify: impl Fn() -> F)
    where
        F: Future<Output = Result<(), E>>,
    {
        let mut changed = self.host.changed();
        let mut refresh = interval(REFRESH_INTERVAL);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                _ = refresh.tick() => {
                    // What is wrong with the store shows at the next call; this loop would repeat it for ever.
                    drop(self.host.refresh().await);
                }
                alive = changed.changed() => {
                    if alive.is_err() {
                        return;
                    }
                    sleep(COALESCE).await;
                    changed.mark_unchanged();
                    if !matches!(timeout(NOTIFY_TIMEOUT, notify()).await, Ok(Ok(()))) {
                        return;
                    }
                }
            }
        }
    }

    /// The identity, for a request that names its protocol version itself.
    fn identity(&self, ctx: &RequestContext<RoleServer>) -> Option<MetaObject> {
        let is_modern = ctx
            .meta
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        is_modern.then(|| self.identity.clone())
    }
}

/// What a request's version asks of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    /// Up to 2025-11-25: agreed on by `initialize`.
    Legacy,
    /// 2026-07-28: named by each request, and the result says who answered.
    Modern,
}

impl Era {
    /// `None` when the request has to be looked at more closely and perhaps refused.
    fn of(call: &CallToolRequest) -> Option<Self> {
        let meta = call.extensions.get::<RequestMetaObject>();
        let Some(version) = meta.and_then(|meta| meta.get(PROTOCOL_VERSION)) else {
            return Some(Self::Legacy);
        };
        let is_complete = version == ProtocolVersion::V_2026_07_28.as_str()
            && meta?
                .missing_required_keys(&ProtocolVersion::V_2026_07_28)
                .is_empty();
        is_complete.then_some(Self::Modern)
    }
}

/// The field came with 2026-07-28; strict clients of before refuse it.
fn without_type(mut result: CallToolResult) -> CallToolResult {
    result.result_type = None;
    result
}

/// Makes a panic the error of the one request that ran into it.
async fn unpanicked<T>(work: impl Future<Output = Result<T, ErrorData>>) -> Result<T, ErrorData> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            tracing::error!("a request handler panicked");
            Err(ErrorData::internal_error(
                "internal error: the server's log says more",
                None,
            ))
        })
}

/// Runs the work of one request until it is done or cancelled.
async fn guarded<T>(
    cancelled: &CancellationToken,
    work: impl Future<Output = Result<T, ErrorData>>,
) -> Result<T, ErrorData> {
    tokio::select! {
        biased;
        result = unpanicked(work) => result,
        // Nobody gets this: a cancelled request is not answered.
        () = cancelled.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
    }
}

fn not_offered(method: &str) -> ErrorData {
    ErrorData::new(
        ErrorCode::METHOD_NOT_FOUND,
        format!("unknown method `{method}`"),
        None,
    )
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let identity = Implementation::new(&self.options.name, &self.options.version);
        let mut info = ServerConfig::new(capabilities).with_server_info(identity);
        info.instructions.clone_from(&self.options.instructions);
        info
    }

    async fn initialize(
        &self,
        mut request: InitializeRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        request.protocol_version = result.protocol_version.clone();
        ctx.peer.set_peer_info(request);
        Ok(result)
    }

    async fn on_initialized(&self, ctx: NotificationContext<RoleServer>) {
        if !self.is_followed.swap(true, Ordering::Relaxed) {
            self.follow(|| ctx.peer.notify_tool_list_changed()).await;
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, ctx: SubscriptionContext) -> Result<(), ErrorData> {
        if ctx.accepted().tools_list_changed != Some(true) {
            tokio::select! {
                () = ctx.cancelled() => {}
                () = self.ended.cancelled() => {}
            }
            return Ok(());
        }
        tokio::select! {
            () = ctx.cancelled() => {}
            () = self.follow(|| ctx.sink().notify_tool_list_changed()) => {}
        }
        Ok(())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let mut result = guarded(&ctx.ct, self.list(cursor)).await?;
        result.meta = self.identity(&ctx);
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _running = self.calls.token();
        let result = guarded(&ctx.ct, self.call(request, &ctx)).await?;
        Ok(result.with_meta(self.identity(&ctx)).into())
    }

    // The library answers these with empty results although they are not among the capabilities.

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_offered(&request.method))
    }
}
