//! One MCP server over one host, in both eras of the protocol, for any number of connections.
//!
//! Requests are answered from the host's catalog, which is data: listing tools touches no component. What
//! a request does runs in the request's own task, so that a slow load or call holds up nothing else;
//! cancelling a request drops its future, which stops the guest. A panic is that one request's error.
#![expect(
    deprecated,
    reason = "the newest revision means to do without logs; clients of all revisions have them"
)]

mod requests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
    GetTaskResult, Implementation, InitializeRequestParams, InitializeResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio_util::sync::CancellationToken;
use wassette_host::{Level, sanitize};

use crate::STOPPED;
use crate::news::{Ear, Wanted, Watched, accepted};
use crate::notes::level;
use crate::rich;
use crate::shared::{Shared, unpanicked};
use requests::actor;

/// Answers the requests of one connection, or of one request where there are no connections. Cheap to make.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    /// Whether this connection is told of changes.
    is_followed: AtomicBool,
    /// The resources that its client watches.
    watched: Watched,
    /// What of logs its client wants, if it has said so.
    logs_from: Mutex<Level>,
}

impl Server {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            is_followed: AtomicBool::new(false),
            watched: Watched::default(),
            logs_from: Mutex::new(Level::Info),
        }
    }

    /// Runs the work of one request until it is done, cancelled, or overdue as the server ends.
    async fn guarded<T>(
        &self,
        cancelled: &CancellationToken,
        work: impl Future<Output = Result<T, ErrorData>>,
    ) -> Result<T, ErrorData> {
        tokio::select! {
            biased;
            result = unpanicked(work) => result,
            // Nobody gets this: a cancelled request is not answered.
            () = cancelled.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
            () = self.shared.overdue.cancelled() => {
                Err(ErrorData::internal_error(STOPPED, None))
            }
        }
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
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
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
        if rich::is_modern(&ctx) {
            return Err(not_offered("initialize"));
        }
        let result = self.negotiate_initialize(&request)?;
        request.protocol_version = result.protocol_version.clone();
        ctx.peer.set_peer_info(request);
        Ok(result)
    }

    async fn on_initialized(&self, ctx: NotificationContext<RoleServer>) {
        if !self.is_followed.swap(true, Ordering::Relaxed) {
            let wanted = Wanted::everything(self.watched.clone());
            self.shared.follow(Ear::Peer(ctx.peer.clone()), wanted).await;
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(accepted(requested))
    }

    async fn listen(&self, ctx: SubscriptionContext) -> Result<(), ErrorData> {
        let wanted = Wanted::of(ctx.accepted());
        tokio::select! {
            () = ctx.cancelled() => {}
            () = self.shared.follow(Ear::Sink(ctx.sink().clone()), wanted) => {}
        }
        Ok(())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let mut result = self.guarded(&ctx.ct, self.list(cursor)).await?;
        result.meta = self.identity(&ctx);
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _running = self.shared.calls().token();
        Ok(match self.guarded(&ctx.ct, self.call(request, &ctx)).await? {
            CallToolResponse::Complete(mut result) => {
                result.meta = self.identified(result.meta.take(), &ctx);
                result.into()
            }
            CallToolResponse::InputRequired(mut required) => {
                required.meta = self.identity(&ctx);
                required.into()
            }
            CallToolResponse::Task(mut task) => {
                task.meta = self.identity(&ctx);
                task.into()
            }
            // An open enum of the library.
            other => other,
        })
    }

    /// For the library, which compares headers with the arguments they repeat.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.listing().tools.get(name).cloned()
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let completion = self.guarded(&ctx.ct, self.completed(request, &ctx)).await?;
        let mut result = CompleteResult::new(completion);
        result.meta = self.identity(&ctx);
        Ok(result)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.logs_from.lock().unwrap_or_else(PoisonError::into_inner) = level(request.level);
        Ok(())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let (prompts, next) = self.listing().await.prompts.page(cursor.as_deref())?;
        let mut result = ListPromptsResult::with_all_items(prompts);
        (result.next_cursor, result.meta) = (next, self.identity(&ctx));
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let _running = self.shared.calls().token();
        Ok(match self.guarded(&ctx.ct, self.prompt(request, &ctx)).await? {
            GetPromptResponse::Complete(mut result) => {
                result.meta = self.identified(result.meta.take(), &ctx);
                result.into()
            }
            GetPromptResponse::InputRequired(mut required) => {
                required.meta = self.identity(&ctx);
                required.into()
            }
            other => other,
        })
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let (resources, next) = self.listing().await.resources.page(cursor.as_deref())?;
        let mut result = ListResourcesResult::with_all_items(resources);
        (result.next_cursor, result.meta) = (next, self.identity(&ctx));
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let (templates, next) = self.listing().await.templates.page(cursor.as_deref())?;
        let mut result = ListResourceTemplatesResult::with_all_items(templates);
        (result.next_cursor, result.meta) = (next, self.identity(&ctx));
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _running = self.shared.calls().token();
        Ok(match self.guarded(&ctx.ct, self.resource(request, &ctx)).await? {
            ReadResourceResponse::Complete(mut result) => {
                result.meta = self.identified(result.meta.take(), &ctx);
                result.into()
            }
            ReadResourceResponse::InputRequired(mut required) => {
                required.meta = self.identity(&ctx);
                required.into()
            }
            other => other,
        })
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.shared.host.catalog().resource_owner(&request.uri).is_none() {
            let text = format!("unknown resource `{}`", sanitize(&request.uri, 200));
            return Err(rich::no_resource(&request.uri, text));
        }
        if !self.watched.add(request.uri) {
            return Err(ErrorData::invalid_params("too many resources are watched", None));
        }
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watched.remove(&request.uri);
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.shared.tasks.get(&request.task_id, &actor(&ctx))?;
        let mut result = GetTaskResult::new(task);
        result.meta = self.identity(&ctx);
        Ok(result)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let tasks = &self.shared.tasks;
        tasks.update(&request.task_id, request.input_responses, &actor(&ctx))
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        ctx: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel(&request.task_id, &actor(&ctx))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _ctx: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_offered(&request.method))
    }
}
