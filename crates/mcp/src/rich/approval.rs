//! `request-permission`: the model asks, a person grants.
//!
//! What is asked for waits in the store for `wassette permission approve`. Where the client can show a form, and who
//! uses it may approve, the person is asked at once: while the request is open, or by a result that the client brings
//! again with the answer (2026-07-28).
//!
//! SECURITY: the form is made of the rules that would be granted, as the policy prints them, and of what the model says
//! as a quotation. Its answer comes from the client, on which the person relies for showing it. What the answer grants
//! is the request of the sealed state, which is written down and never changed.

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult};
use serde_json::{Value as Json, json};
use wassette_host::{Actor, Asked, Command, HostError, Outcome, PolicyChanged, Silent};
use wassette_wit::rich::{
    Capability, ElicitForm, InputRequest, InputRequired, InputResponse, JsonText, Question,
};

use super::{Called, Continued, Exchange, ToolCall, Trouble, questions};
use crate::builtin::Wanted;
use crate::wire;

/// The question's key, and its one field.
const DECISION: &str = "decision";

/// What a person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allow,
    Deny,
    /// Not to be asked. Agents without a person say that by themselves, so that it denies nothing for good.
    Decline,
    /// Nothing, or nothing that can be understood.
    Later,
}

impl Decision {
    fn of(responses: &[InputResponse]) -> Self {
        let answer = responses.iter().find(|response| response.key == DECISION);
        let answer = answer.map(|response| &response.value.0);
        let word = |name: &str| {
            answer
                .and_then(|answer| answer.pointer(name))
                .and_then(Json::as_str)
        };
        match (word("/action"), word("/content/decision")) {
            (Some("accept"), Some("allow")) => Self::Allow,
            (Some("accept"), Some("deny")) => Self::Deny,
            (Some("decline"), _) => Self::Decline,
            _ => Self::Later,
        }
    }
}

impl Exchange {
    /// `tools/call` of `request-permission`; with an answer, if the client brings one.
    pub(crate) async fn request_permission(
        self,
        (wanted, call): (Wanted, ToolCall),
        may_approve: bool,
    ) -> Result<CallToolResponse, ErrorData> {
        let ToolCall {
            name,
            arguments,
            continued,
        } = call;
        let arguments = Json::Object(arguments);
        let called = Called {
            method: "tools/call",
            name: &name,
            arguments: &arguments,
        };
        match self.requested(wanted, &called, (continued, may_approve)).await {
            Ok(response) => Ok(response),
            Err(Trouble::Host(error)) => wire::command_refused(&error).map(Into::into),
            Err(trouble) => Err(trouble.into_error(self.is_modern())),
        }
    }

    async fn requested(
        &self,
        wanted: Wanted,
        called: &Called<'_>,
        (continued, may_approve): (Continued, bool),
    ) -> Result<CallToolResponse, Trouble> {
        // An answer with a token that may not give it leaves the question open.
        let may_approve = may_approve && self.caller.capabilities.contains(&Capability::ElicitationForm);
        let brought = if may_approve {
            self.resume(continued, called).await?
        } else {
            None
        };
        let command = Command::Ask(wanted.id, wanted.grant, wanted.reason);
        let outcome = self.execute(command, &self.actor).await?;
        if let Outcome::AlreadyGranted { id, rules } = &outcome {
            return Ok(CallToolResult::structured(json!({
                "status": "permission was granted before", "component_id": id, "rules": rules,
                "message": "it is granted already",
            }))
            .into());
        }
        let Outcome::Asked(asked) = outcome else {
            tracing::error!(?outcome, "a request was answered otherwise");
            return Err(Trouble::Protocol(ErrorData::internal_error(
                "internal error",
                None,
            )));
        };
        if !may_approve {
            return Ok(waiting(&asked).into());
        }
        // SECURITY: the answer is to the question with this number, and to no other.
        let number = asked.number.to_string();
        if let Some(brought) = brought.filter(|brought| brought.state.as_deref() == Some(&number)) {
            return self.decided(&asked, Decision::of(&brought.responses)).await;
        }
        // Only what is shown counts as shown.
        let place = self
            .asked
            .as_ref()
            .map(|peer| (peer, self.shared.asking(&self.actor)));
        let forms = &self.shared.forms;
        if matches!(place, Some((_, None))) || !forms.show(&self.actor, &asked.component_id, asked.number) {
            return Ok(waiting(&asked).into());
        }
        let obstacle = self.shared.host.obstacle(asked.number).await;
        let required = question(&asked, obstacle.as_deref());
        let Some((peer, _waiting)) = place else {
            return Ok(self.ask(required, called)?.into());
        };
        let decision = match questions::ask(peer, required).await {
            Ok(answer) => Decision::of(&answer.responses),
            Err(Trouble::Unanswered(_)) => Decision::Later,
            Err(trouble) => return Err(trouble),
        };
        self.decided(&asked, decision).await
    }

    async fn decided(&self, asked: &Asked, decision: Decision) -> Result<CallToolResponse, Trouble> {
        let number = asked.number;
        let command = match decision {
            Decision::Allow => Command::ApproveRequest(number),
            Decision::Deny => Command::DenyRequest(number),
            Decision::Decline => {
                let text = format!(
                    "it was declined in the client, and is not granted; do not ask again now. It still waits, as request \
                     {number}, for the person who operates this server"
                );
                return Ok(wire::failure(text).into());
            }
            Decision::Later => return Ok(waiting(asked).into()),
        };
        let person = Actor::Person {
            principal: self.principal().to_owned(),
        };
        let text = match Box::pin(self.shared.host.execute(command, &person, &Silent)).await {
            Ok(Outcome::Policy(changed)) => return Ok(granted(asked, &changed).into()),
            Ok(_) => format!("the user denied it (request {number}); do not ask again, and do without it"),
            Err(HostError::UnknownRequest { .. } | HostError::DeniedBefore { .. }) => {
                format!("request {number} was decided elsewhere meanwhile; get-policy says what holds")
            }
            // The person was told before, and the model is not to learn which paths there are.
            Err(HostError::Protected(_) | HostError::LeadsElsewhere { .. }) => {
                return Ok(waiting(asked).into());
            }
            Err(error) => return Err(Trouble::Host(error)),
        };
        Ok(wire::failure(text).into())
    }

    async fn execute(&self, command: Command, actor: &Actor) -> Result<Outcome, Trouble> {
        let outcome = Box::pin(self.shared.host.execute(command, actor, &Silent)).await;
        outcome.map_err(Trouble::Host)
    }
}

/// What a model is told when the person has allowed it.
fn granted(asked: &Asked, changed: &PolicyChanged) -> CallToolResult {
    let mut message = "the user allowed it; it counts from the next call on".to_owned();
    for rule in &changed.denied_by {
        message.push_str(&format!(", but for what `{rule}` denies"));
    }
    for rule in &changed.unused {
        message.push_str(&format!(
            "; no rule of the network allows a request that `{rule}` is for"
        ));
    }
    CallToolResult::structured(json!({
        "status": "permission granted", "component_id": asked.component_id, "request": asked.number,
        "rules": changed.rules, "message": message,
    }))
}

/// What a model is told while nobody has decided.
///
/// SECURITY: no command. A model with a shell would run it.
fn waiting(asked: &Asked) -> CallToolResult {
    let message = format!(
        "it is not granted yet: it waits as request {} for the person who operates this server; tell them, and go on when \
         they have decided",
        asked.number
    );
    CallToolResult::structured(json!({
        "status": "permission requested", "component_id": asked.component_id, "request": asked.number,
        "rules": asked.rules, "message": message,
    }))
}

fn question(asked: &Asked, obstacle: Option<&str>) -> InputRequired {
    let mut message = format!(
        "Wassette asks: component `{}` (from {}, {}…) is to be allowed, until it is taken back:",
        asked.component_id,
        asked.origin,
        asked.short_digest()
    );
    for rule in &asked.rules {
        message.push_str("\n- ");
        message.push_str(rule);
    }
    if let Some(obstacle) = obstacle {
        message.push_str("\nAs it is now this cannot be granted: ");
        message.push_str(obstacle);
    }
    if !asked.reason.is_empty() {
        message.push_str("\nThe model says what for (nobody has checked that): \"");
        message.push_str(&asked.reason);
        message.push('"');
    }
    let schema = json!({
        "type": "object",
        "properties": {DECISION: {"type": "string", "title": "Allow it?", "enum": ["deny", "allow"]}},
        "required": [DECISION],
    });
    let question = Question::ElicitForm(ElicitForm {
        message,
        schema: JsonText(schema),
    });
    InputRequired {
        requests: vec![InputRequest {
            key: DECISION.to_owned(),
            question,
        }],
        state: Some(asked.number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(value: Json) -> Decision {
        Decision::of(&[InputResponse {
            key: DECISION.to_owned(),
            value: JsonText(value),
        }])
    }

    #[test]
    fn only_a_clear_yes_allows() {
        let accepted = |content: Json| decision(json!({"action": "accept", "content": content}));
        assert_eq!(accepted(json!({"decision": "allow"})), Decision::Allow);
        assert_eq!(accepted(json!({"decision": "deny"})), Decision::Deny);
        assert_eq!(decision(json!({"action": "decline"})), Decision::Decline);
        for content in [
            json!({}),
            json!(null),
            json!({"decision": true}),
            json!({"decision": "Allow"}),
        ] {
            assert_eq!(accepted(content.clone()), Decision::Later, "{content}");
        }
        assert_eq!(decision(json!({"action": "cancel"})), Decision::Later);
        let content = json!({"content": {"decision": "allow"}});
        assert_eq!(decision(content), Decision::Later);
        assert_eq!(Decision::of(&[]), Decision::Later);
    }

    #[test]
    fn a_form_says_what_is_granted_to_what() {
        let asked = Asked {
            number: 7,
            component_id: "fetch".parse().unwrap(),
            origin: "starter:fetch".to_owned(),
            digest: wassette_host::Digest::of(b"x"),
            rules: vec!["network allow host \"a.example\"".to_owned()],
            reason: "to greet".to_owned(),
            asked_by: "agent:stdio".to_owned(),
            asked_ms: 0,
            denied_ms: None,
        };
        let required = question(&asked, Some("`/x` is missing"));
        let Question::ElicitForm(form) = &required.requests[0].question else {
            panic!("no form")
        };
        let expected = "Wassette asks: component `fetch` (from starter:fetch, sha256:2d711642b726…) is to be allowed, until \
                        it is taken back:\n- network allow host \"a.example\"\nAs it is now this cannot be granted: `/x` \
                        is missing\nThe model says what for (nobody has checked that): \"to greet\"";
        assert_eq!(form.message, expected);
        assert_eq!(required.state.as_deref(), Some("7"));
    }
}
