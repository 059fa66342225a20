//! `wassette permission pending|approve|deny`: what models asked for, and what a person says to it.

use super::{execute, print};
use crate::exit::Exit;
use crate::output::{Output, shown, table};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wassette_host::{Asked, Command, ComponentId, Host, HostError, Outcome};

pub(super) async fn pending(host: &Host, all: bool, output: Output) -> Result<(), Exit> {
    let mut asked = host.asked().await?;
    asked.retain(|request| all || request.denied_ms.is_none());
    let total = asked.len();
    output.print(&json!({"requests": asked, "total": total}), |_| people(&asked))
}

pub(super) async fn approve(host: &Host, number: u64, output: Output) -> Result<(), Exit> {
    let outcome = execute(host, Command::ApproveRequest(number)).await?;
    print(&outcome, ("requested", json!({"request": number})), output)
}

/// Denies the requests of these numbers, or all that wait for a component.
pub(super) async fn deny(
    host: &Host,
    (mut numbers, component): (Vec<u64>, Option<ComponentId>),
    output: Output,
) -> Result<(), Exit> {
    if let Some(id) = component {
        if host.catalog().component(&id).is_none() {
            return Err(HostError::UnknownComponent { id }.into());
        }
        let asked = host.asked().await?.into_iter();
        let waiting = asked.filter(|request| request.denied_ms.is_none() && request.component_id == id);
        numbers = waiting.map(|request| request.number).collect();
    }
    let mut denied = Vec::new();
    for number in numbers {
        let Outcome::Denied(asked) = execute(host, Command::DenyRequest(number)).await? else {
            return Err(Exit::failed(anyhow::anyhow!("a denial answered otherwise")));
        };
        denied.push(asked);
    }
    let list = |asked: &Asked| json!({"request": asked.number, "component_id": asked.component_id, "rules": asked.rules});
    let data = json!({
        "status": "permission denied", "denied": denied.iter().map(list).collect::<Vec<_>>(),
        "message": "the model is told so when it asks for the same again",
    });
    output.print(&data, |_| {
        if denied.is_empty() {
            return "nothing is asked for".to_owned();
        }
        let line = |asked: &Asked| {
            let rules: Vec<_> = asked.rules.iter().map(|rule| shown(rule)).collect();
            format!(
                "denied to {}, also when it is asked for again: {}",
                asked.component_id,
                rules.join(", ")
            )
        };
        denied.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

fn people(asked: &[Asked]) -> String {
    if asked.is_empty() {
        return "nothing is asked for".to_owned();
    }
    let rows = asked.iter().map(|request| {
        let reason = match request.reason.as_str() {
            "" => String::new(),
            reason => format!("\"{}\"", shown(reason)),
        };
        let state = if request.denied_ms.is_some() {
            "denied"
        } else {
            "waits"
        };
        let rules: Vec<_> = request.rules.iter().map(|rule| shown(rule)).collect();
        [
            request.number.to_string(),
            format!(
                "{}\n{}\n{}",
                request.component_id,
                shown(&request.origin),
                request.short_digest()
            ),
            rules.join("\n"),
            reason,
            shown(&request.asked_by),
            ago(request.asked_ms),
            state.to_owned(),
        ]
    });
    let head = [
        "NUMBER",
        "COMPONENT",
        "ASKS FOR",
        "THE MODEL SAYS",
        "BY",
        "ASKED",
        "STATE",
    ];
    table(head, rows)
}

fn ago(asked_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let passed = now.saturating_sub(Duration::from_millis(asked_ms)).as_secs();
    match passed {
        0..60 => "now".to_owned(),
        60..3_600 => format!("{} min ago", passed / 60),
        3_600..86_400 => format!("{} h ago", passed / 3_600),
        _ => format!("{} d ago", passed / 86_400),
    }
}
