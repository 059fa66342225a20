//! Questions of a component, in the library's types, and asked of a client that has its request open.
#![expect(
    deprecated,
    reason = "the newest revision means to do without sampling and roots; clients have them"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, CreateMessageRequest, CreateMessageRequestParams,
    ElicitRequest, ElicitRequestParams, ElicitationSchema, InputRequest, InputRequests, ListRootsRequest,
    RequestId, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle};
use serde::Deserialize;
use wassette_host::ComponentId;
use wassette_wit::rich::{ElicitForm, ElicitUrl, InputRequest as Asked, InputRequired, Question, Resume};
use wassette_wit::sanitize;

use super::{Trouble, response};

/// Questions at a time.
const REQUESTS_MAX: usize = 16;

/// Longest key of a question, in bytes.
const KEY_BYTES_MAX: usize = 200;

/// Longest text of a question, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// How long a person may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Says what is wrong with questions, as the end of a sentence about their component.
pub(super) fn check(required: &InputRequired) -> Result<(), &'static str> {
    if required.requests.is_empty() {
        return Err("asks for input and has no questions");
    }
    if required.requests.len() > REQUESTS_MAX {
        return Err("asks more than 16 questions at a time");
    }
    let mut keys = BTreeSet::new();
    for request in &required.requests {
        if request.key.is_empty() || request.key.len() > KEY_BYTES_MAX {
            return Err("asks a question without a usable key");
        }
        if !keys.insert(&request.key) {
            return Err("asks two questions with one key");
        }
    }
    Ok(())
}

/// The same questions, with who asks before what they say.
///
/// SECURITY: clients say that the server asks. A component must not be able to look like another one, or like us.
pub(super) fn named(mut required: InputRequired, component: Option<&ComponentId>) -> InputRequired {
    let name = component.map_or_else(|| "A component".to_owned(), |id| format!("Component `{id}`"));
    for request in &mut required.requests {
        if let Question::ElicitForm(ElicitForm { message, .. })
        | Question::ElicitUrl(ElicitUrl { message, .. }) = &mut request.question
        {
            *message = format!("{name} asks: {}", sanitize(message, MESSAGE_BYTES_MAX));
        }
    }
    required
}

pub(super) fn requests(asked: Vec<Asked>) -> Result<InputRequests, Trouble> {
    let request = |asked: Asked| Ok((asked.key, request(asked.question)?));
    asked.into_iter().map(request).collect()
}

pub(super) fn request(question: Question) -> Result<InputRequest, Trouble> {
    Ok(match question {
        Question::ElicitForm(form) => {
            let schema = ElicitationSchema::deserialize(form.schema.0);
            let requested_schema =
                schema.map_err(|_| Trouble::Component("asks with a form that is none of the protocol's"))?;
            InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: form.message,
                requested_schema,
            }))
        }
        Question::ElicitUrl(page) => {
            let is_https = url::Url::parse(&page.url).is_ok_and(|url| url.scheme() == "https");
            if !is_https {
                return Err(Trouble::Component("sends the user to what is no `https` page"));
            }
            InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::UrlElicitationParams {
                meta: None,
                message: page.message,
                url: page.url,
                elicitation_id: page.elicitation_id,
            }))
        }
        Question::Sample(params) => {
            let params = CreateMessageRequestParams::deserialize(params.0);
            let params = params
                .map_err(|_| Trouble::Component("asks the model in a form that is none of the protocol's"))?;
            let mut params = params;
            // Not every client lets its model use tools, and what else is in the conversation is no component's business.
            if params.tools.is_some() || params.tool_choice.is_some() {
                return Err(Trouble::Component(
                    "asks the model to use tools, which is not passed on",
                ));
            }
            params.include_context = None;
            params
                .validate()
                .map_err(|_| Trouble::Component("asks the model with messages that do not fit together"))?;
            InputRequest::CreateMessage(CreateMessageRequest::new(params))
        }
        Question::ListRoots => InputRequest::ListRoots(ListRootsRequest::default()),
    })
}

/// Asks one after the other, so that a person sees one at a time.
pub(super) async fn ask(peer: &Peer<RoleServer>, required: InputRequired) -> Result<Resume, Trouble> {
    let mut responses = Vec::with_capacity(required.requests.len());
    for Asked { key, question } in required.requests {
        let options = PeerRequestOptions::with_timeout(ANSWER_TIMEOUT);
        let unanswered =
            |error: rmcp::ServiceError| Trouble::Unanswered(sanitize(&error.to_string(), KEY_BYTES_MAX));
        let sent = peer.send_request_with_option(server_request(request(question)?)?, options);
        let sent = sent.await.map_err(unanswered)?;
        let mut open = Open::of(&sent);
        let answer = sent.await_response().await;
        open.is_answered = true;
        let answer = serde_json::to_value(answer.map_err(unanswered)?);
        let answer = answer.map_err(|error| Trouble::Unanswered(error.to_string()))?;
        responses.push(response((key, answer)));
    }
    Ok(Resume {
        responses,
        state: required.state,
    })
}

/// A question that is before a person. When nobody waits for its answer any more, the client is told so: what they answer
/// then would be lost.
struct Open {
    peer: Peer<RoleServer>,
    id: RequestId,
    is_answered: bool,
}

impl Open {
    fn of(sent: &RequestHandle<RoleServer>) -> Self {
        Self {
            peer: sent.peer.clone(),
            id: sent.id.clone(),
            is_answered: false,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let reason = "the call that asked has ended".to_owned();
        let params = CancelledNotificationParam::new(Some(self.id.clone()), Some(reason));
        let cancelled = CancelledNotification::new(params);
        let peer = self.peer.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(peer.send_notification(cancelled.into()).await) });
        }
    }
}

fn server_request(request: InputRequest) -> Result<ServerRequest, Trouble> {
    match request {
        InputRequest::CreateMessage(request) => Ok(ServerRequest::CreateMessageRequest(request)),
        InputRequest::Elicitation(request) => Ok(ServerRequest::ElicitRequest(request)),
        InputRequest::ListRoots(request) => Ok(ServerRequest::ListRootsRequest(request)),
        // An open enum of the library.
        _ => Err(Trouble::Component("asks what cannot be asked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use wassette_wit::rich::JsonText;

    fn asked(keys: &[&str]) -> InputRequired {
        let request = |key: &&str| Asked {
            key: (*key).to_owned(),
            question: Question::ListRoots,
        };
        InputRequired {
            requests: keys.iter().map(request).collect(),
            state: None,
        }
    }

    #[test]
    fn questions_are_some_and_can_be_told_apart() {
        assert_eq!(check(&asked(&["a", "b"])), Ok(()));
        let many: Vec<String> = (0..=REQUESTS_MAX).map(|key| key.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(check(&asked(&many[1..])), Ok(()));
        for wrong in [&[][..], &["a", "a"], &[""], &["k".repeat(201).as_str()], &many] {
            assert!(check(&asked(wrong)).is_err(), "{wrong:?}");
        }
    }

    fn sample(change: &[(&str, Json)]) -> Result<InputRequest, Trouble> {
        let text = json!({"role": "user", "content": {"type": "text", "text": "x"}});
        let mut params = json!({"messages": [text], "maxTokens": 1});
        for (key, value) in change {
            params[*key] = value.clone();
        }
        request(Question::Sample(JsonText(params)))
    }

    #[test]
    fn what_the_protocol_does_not_have_is_not_asked() {
        let page = |url: &str| {
            request(Question::ElicitUrl(ElicitUrl {
                message: String::new(),
                url: url.to_owned(),
                elicitation_id: "1".to_owned(),
            }))
        };
        assert!(page("https://example.com/a").is_ok());
        for url in ["http://example.com", "javascript:alert(1)", "file:///etc", "x"] {
            assert!(page(url).is_err(), "{url}");
        }
        let form = |schema: Json| {
            request(Question::ElicitForm(ElicitForm {
                message: String::new(),
                schema: JsonText(schema),
            }))
        };
        assert!(form(json!({"type": "object", "properties": {"a": {"type": "boolean"}}})).is_ok());
        assert!(form(json!([])).is_err());
        assert!(sample(&[("maxTokens", json!("many"))]).is_err());
        assert!(
            sample(&[("tools", json!([]))]).is_err(),
            "no tools for the client's model"
        );
        let sampled = sample(&[("includeContext", json!("allServers"))]).unwrap();
        let sampled = serde_json::to_value(sampled).unwrap();
        assert_eq!(sampled["params"]["maxTokens"], 1);
        assert!(sampled["params"]["includeContext"].is_null(), "{sampled}");
    }
}
