//! One MCP server over one host, in both eras of the protocol, for any number of connections.
//!
//! Requests are answered from the host's catalog, which is data: listing tools touches no component. What
//! a request does runs in the request's own task, so that a slow load or call holds up nothing else;
//! cancelling a request drops its future, which stops the guest. A panic is that one request's error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod, CompleteRequestParams,
    CompleteResult, CustomRequest, CustomResult, ErrorCode, Implementation, InitializeRequestParams,
    InitializeResult, ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesRequestMethod,
    ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult, ListToolsResult,
    MetaObject, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio_util::sync::CancellationToken;
use wassette_host::Actor;

use crate::builtin::Builtin;
use crate::http::Principal;
use crate::progress::reporter;
use crate::shared::{Shared, local, unpanicked};

/// Answers the requests of one connection, or of one request where there are no connections. Cheap to make.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    /// Whether this connection is told of changed tools.
    is_followed: AtomicBool,
}

impl Server {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            is_followed: AtomicBool::new(false),
        }
    }

    async fn list(&self, cursor: Option<String>) -> Result<ListToolsResult, ErrorData> {
        if let Err(error) = self.shared.host.refresh().await {
            tracing::warn!(%error, "tools are listed as they last were");
        }
        let (tools, next) = self.shared.listing().page(cursor.as_deref())?;
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = next;
        Ok(result)
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let actor = actor(ctx);
        if let Some(builtin) = Builtin::find(&request.name) {
            if !self.shared.options.builtins.contains(&builtin) {
                return Err(ErrorData::invalid_params(
                    format!("unknown tool `{}`", builtin.name()),
                    None,
                ));
            }
            let (reporter, mut forwarding) = reporter(ctx);
            let desk = self.shared.desk(&actor, &reporter);
            let result = forwarding
                .alongside(Box::pin(desk.call(builtin, &arguments)))
                .await;
            forwarding.finish(reporter).await;
            return result;
        }
        self.shared.call_component(&request.name, arguments, &actor).await
    }

    /// The identity, for a request that names its protocol version itself.
    fn identity(&self, ctx: &RequestContext<RoleServer>) -> Option<MetaObject> {
        let is_modern = ctx
            .meta
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        is_modern.then(|| self.shared.identity.clone())
    }
}

/// For whom a request is: over HTTP whom it was authenticated as.
fn actor(ctx: &RequestContext<RoleServer>) -> Actor {
    let parts = ctx.extensions.get::<http::request::Parts>();
    let principal = parts.and_then(|parts| parts.extensions.get::<Principal>());
    principal.map_or_else(local, Principal::actor)
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
        let options = &self.shared.options;
        let identity = Implementation::new(&options.name, &options.version);
        let mut info = ServerConfig::new(capabilities).with_server_info(identity);
        info.instructions.clone_from(&options.instructions);
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
            self.shared.follow(|| ctx.peer.notify_tool_list_changed()).await;
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, ctx: SubscriptionContext) -> Result<(), ErrorData> {
        if ctx.accepted().tools_list_changed != Some(true) {
            tokio::select! {
                () = ctx.cancelled() => {}
                () = self.shared.ended.cancelled() => {}
            }
            return Ok(());
        }
        tokio::select! {
            () = ctx.cancelled() => {}
            () = self.shared.follow(|| ctx.sink().notify_tool_list_changed()) => {}
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
        let _running = self.shared.calls().token();
        let result = guarded(&ctx.ct, self.call(request, &ctx)).await?;
        Ok(result.with_meta(self.identity(&ctx)).into())
    }

    /// For the library, which compares headers with the arguments they repeat.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.listing().tool(name).cloned()
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
