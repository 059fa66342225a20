//! What a request does, once it is known which it is.

use std::sync::{Arc, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompletionInfo, ErrorCode,
    GetPromptRequestParams, GetPromptResponse, ListToolsResult, MetaObject, ReadResourceRequestParams,
    ReadResourceResponse, Reference,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use wassette_host::{Actor, Answer, CallResult, ComponentId, HostError, Target};
use wassette_wit::rich::Capability;

use super::Server;
use crate::builtin::{Builtin, Wanted, invocation};
use crate::http::{Principal, Scope};
use crate::listing::Listing;
use crate::notes::{Forwarding, level, speaker};
use crate::rich::{self, Caller, Continued, Exchange, ToolCall};
use crate::shared::local;
use crate::wire;

/// For whom a request is: over HTTP whom it was authenticated as.
pub(super) fn actor(ctx: &RequestContext<RoleServer>) -> Actor {
    principal(ctx).map_or_else(local, Principal::actor)
}

/// Whom a request was authenticated as; nobody over standard input.
fn principal(ctx: &RequestContext<RoleServer>) -> Option<&Principal> {
    let parts = ctx.extensions.get::<http::request::Parts>();
    parts.and_then(|parts| parts.extensions.get::<Principal>())
}

impl Server {
    /// What is listed, after a look for what other processes changed.
    pub(super) async fn listing(&self) -> Listing {
        if let Err(error) = self.shared.host.refresh().await {
            tracing::warn!(%error, "lists are as they last were");
        }
        self.shared.listing()
    }

    pub(super) async fn list(&self, cursor: Option<String>) -> Result<ListToolsResult, ErrorData> {
        let (tools, next) = self.listing().await.tools.page(cursor.as_deref())?;
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = next;
        Ok(result)
    }

    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut call = ToolCall {
            name: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            continued: Continued {
                responses: request.input_responses,
                state: request.request_state,
            },
        };
        #[cfg(feature = "native-echo")]
        if let Some(answer) = crate::native::answer(&call.name, &call.arguments) {
            return Ok(answer.into());
        }
        let Some(builtin) = Builtin::find(&call.name) else {
            return self.call_component(call, ctx).await;
        };
        if !self.shared.options.builtins.contains(&builtin) {
            let text = format!("unknown tool `{}`", builtin.name());
            return Err(ErrorData::invalid_params(text, None));
        }
        if builtin == Builtin::InvokeTool {
            return match invocation(&call.arguments) {
                Ok((name, arguments)) => {
                    (call.name, call.arguments) = (name.to_owned(), arguments);
                    self.invoke(call, ctx).await
                }
                Err(text) => Ok(wire::failure(text).into()),
            };
        }
        if builtin == Builtin::RequestPermission {
            return self.request_permission(call, ctx).await;
        }
        let actor = actor(ctx);
        let (speaker, mut forwarding) = speaker(ctx, None);
        let desk = self.shared.desk(&actor, &speaker);
        let result = forwarding
            .alongside(Box::pin(desk.call(builtin, &call.arguments)))
            .await;
        drop(speaker);
        forwarding.finish().await;
        result.map(Into::into)
    }

    async fn request_permission(
        &self,
        call: ToolCall,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let wanted = match Wanted::read(&call.arguments) {
            Ok(wanted) => wanted,
            Err(text) => return Ok(wire::failure(text).into()),
        };
        let (exchange, mut forwarding) = self.exchange(Some(wanted.id.clone()), ctx);
        let work = Box::pin(exchange.request_permission((wanted, call), self.may_approve(ctx)));
        let response = forwarding.alongside(work).await;
        forwarding.finish().await;
        response
    }

    /// Whether who uses the client may approve there what the model asks for.
    ///
    /// SECURITY: over HTTP only with a token that says so. One that several programs share says nothing of a person.
    fn may_approve(&self, ctx: &RequestContext<RoleServer>) -> bool {
        let may = principal(ctx).is_none_or(|principal| principal.may(Scope::ApprovePermissions));
        may && self.shared.options.approve_in_client
    }

    /// SECURITY: the same call as by the tool's own name. The server's own tools are none of a component.
    async fn invoke(
        &self,
        call: ToolCall,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let called = self.call_component(call, ctx).await;
        match called {
            // A name that was an argument is for the model to mend.
            Err(error) if error.code == ErrorCode::INVALID_PARAMS => Ok(wire::failure(error.message).into()),
            other => other,
        }
    }

    /// Calls a tool of a component.
    async fn call_component(
        &self,
        call: ToolCall,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // Whether it talks is to be known of the tool that will be called.
        if let Err(error) = self.shared.host.refresh().await {
            return wire::call_refused(&error).map(Into::into);
        }
        if !self.shared.talks(&call.name) {
            let actor = actor(ctx);
            let called = self.shared.call_component(&call.name, call.arguments, &actor);
            return called.await.map(Into::into);
        }
        let catalog = self.shared.host.catalog();
        let component = catalog.tool(&call.name).map(|tool| tool.component.clone());
        let (exchange, mut forwarding) = self.exchange(component, ctx);
        let work = Box::pin(exchange.tool(call));
        let response = forwarding.alongside(work).await;
        forwarding.finish().await;
        response
    }

    /// What a call needs to talk with its client, and what carries on what it says.
    fn exchange(
        &self,
        component: Option<ComponentId>,
        ctx: &RequestContext<RoleServer>,
    ) -> (Exchange, Forwarding) {
        let is_modern = rich::is_modern(ctx);
        let logs_from = if is_modern {
            ctx.meta.log_level().map(level)
        } else {
            Some(*self.logs_from.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let (speaker, forwarding) = speaker(ctx, logs_from);
        let mut capabilities = ctx
            .client_capabilities()
            .map_or_else(Vec::new, |client| rich::capabilities(&client));
        if !is_modern {
            // Tasks of before were another thing.
            capabilities.retain(|capability| *capability != Capability::Tasks);
        }
        let exchange = Exchange {
            shared: Arc::clone(&self.shared),
            actor: actor(ctx),
            caller: Arc::new(Caller {
                shared: Arc::clone(&self.shared),
                component,
                capabilities,
                speaker,
            }),
            asked: (!is_modern).then(|| ctx.peer.clone()),
        };
        (exchange, forwarding)
    }

    /// The identity, for a request that names its protocol version itself.
    pub(super) fn identity(&self, ctx: &RequestContext<RoleServer>) -> Option<MetaObject> {
        rich::is_modern(ctx).then(|| self.shared.identity.clone())
    }

    /// What a component says beside its result, and the identity. It cannot speak as the server.
    pub(super) fn identified(
        &self,
        said: Option<MetaObject>,
        ctx: &RequestContext<RoleServer>,
    ) -> Option<MetaObject> {
        match (said, self.identity(ctx)) {
            (Some(mut said), Some(identity)) => {
                said.extend(identity);
                Some(said)
            }
            (said, identity) => said.or(identity),
        }
    }
}

impl Server {
    pub(super) async fn completed(
        &self,
        request: CompleteRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<CompletionInfo, ErrorData> {
        let reference = match &request.r#ref {
            Reference::Prompt(prompt) => wassette_wit::rich::Reference::Prompt(prompt.name.clone()),
            Reference::Resource(resource) => {
                wassette_wit::rich::Reference::ResourceTemplate(resource.uri.clone())
            }
            _ => return Err(ErrorData::invalid_params("unknown kind of reference", None)),
        };
        let others = request.context.and_then(|context| context.arguments);
        let others: Vec<_> = others.into_iter().flatten().collect();
        let target = Target::Completion {
            reference: &reference,
            argument: &request.argument.name,
            value: &request.argument.value,
            others: &others,
        };
        match self.shared.host.answer(&target.into(), &actor(ctx)).await {
            Ok(report) => match report.result {
                CallResult::Answer(Answer::Completion(completions)) => Ok(rich::completion(completions)),
                CallResult::Refused(refused) => Err(rich::failure(refused)),
                CallResult::Failed(failed) => Err(ErrorData::internal_error(failed.message, None)),
                CallResult::Done | CallResult::Value(_) | CallResult::Answer(_) => {
                    Ok(CompletionInfo::default())
                }
            },
            // Most arguments cannot be completed, and a person goes on typing.
            Err(HostError::NoCompletion) => Ok(CompletionInfo::default()),
            Err(error) => match wire::call_refused(&error) {
                Err(error) => Err(error),
                Ok(_) => Err(ErrorData::invalid_params(error.agent_text(), None)),
            },
        }
    }

    pub(super) async fn prompt(
        &self,
        request: GetPromptRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = rich::prompt_arguments(request.arguments)?;
        let continued = Continued {
            responses: request.input_responses,
            state: request.request_state,
        };
        let catalog = self.shared.host.catalog();
        let owner = catalog.prompt_owner(&request.name).map(|owner| owner.id.clone());
        let (exchange, mut forwarding) = self.exchange(owner, ctx);
        let work = Box::pin(exchange.prompt(&request.name, &arguments, continued));
        let response = forwarding.alongside(work).await;
        drop(exchange);
        forwarding.finish().await;
        response
    }

    pub(super) async fn resource(
        &self,
        request: ReadResourceRequestParams,
        ctx: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let continued = Continued {
            responses: request.input_responses,
            state: request.request_state,
        };
        let catalog = self.shared.host.catalog();
        let owner = catalog.resource_owner(&request.uri).map(|owner| owner.id.clone());
        let (exchange, mut forwarding) = self.exchange(owner, ctx);
        let work = Box::pin(exchange.resource(&request.uri, continued));
        let response = forwarding.alongside(work).await;
        drop(exchange);
        forwarding.finish().await;
        response
    }
}
