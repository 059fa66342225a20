//! `wassette tool`: what can be called, and calling it.

use super::{answer, open, variables};
use crate::cli::ToolCommand;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, note, shown, table};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::io::Read;
use wassette_host::{
    Actor, Answer, CallReport, CallResult, CatalogTool, Command, Decision, GuestOutput, Host, HostError,
    Outcome, Present, Presented, Silent, ToolName,
};
use wassette_wit::rich::ToolOutcome;

/// The largest arguments that are read from standard input; the call's own limit is smaller.
const ARGUMENT_BYTES_MAX: u64 = 16 << 20;

pub(crate) async fn run(config: &Config, command: ToolCommand, output: Output) -> Result<(), Exit> {
    match command {
        ToolCommand::List => list(&open(config).await?, output),
        ToolCommand::Read { name } => read(&open(config).await?, name, output),
        ToolCommand::Rename { name, new } => {
            let new = tool_name(&new)?;
            present(&open(config).await?, &name, Present::Name(new), output).await
        }
        ToolCommand::Describe { name, description } => {
            present(
                &open(config).await?,
                &name,
                Present::Description(description),
                output,
            )
            .await
        }
        ToolCommand::Reset { name } => present(&open(config).await?, &name, Present::Itself, output).await,
        ToolCommand::Invoke {
            name,
            args,
            variables,
        } => {
            let host = variables::open(config, &variables).await?;
            invoke(&host, &name, &args, output).await
        }
    }
}

fn tool_name(text: &str) -> Result<ToolName, Exit> {
    text.parse()
        .map_err(|error| Exit::usage(format!("`{}` cannot be the name of a tool: {error}", shown(text))))
}

async fn present(host: &Host, name: &str, present: Present, output: Output) -> Result<(), Exit> {
    let unknown = |_no_name| HostError::UnknownTool {
        name: name.to_owned(),
    };
    let command = Command::Present(name.parse().map_err(unknown)?, present);
    let outcome = host.execute(command, &Actor::Operator, &Silent).await?;
    output.print(&outcome, |outcome| {
        if let Outcome::Presented(presented) = outcome {
            presented_people(presented)
        } else {
            String::new()
        }
    })
}

fn presented_people(presented: &Presented) -> String {
    let description = shown(&presented.description);
    format!(
        "{} of {} (which calls it {})\n{description}",
        presented.name, presented.component, presented.original
    )
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    component: &'a str,
    description: &'a str,
}

fn list(host: &Host, output: Output) -> Result<(), Exit> {
    let catalog = host.catalog();
    let rows: Vec<_> = catalog.tools().map(row).collect();
    let total = rows.len();
    output.print(&json!({ "tools": rows, "total": total }), |_| {
        let rows = rows
            .iter()
            .map(|r| [r.name.to_owned(), shown(first_line(r.description))]);
        table(["TOOL", "DESCRIPTION"], rows)
    })
}

fn row(tool: &CatalogTool) -> Row<'_> {
    Row {
        name: tool.tool.name.as_str(),
        component: tool.component.as_str(),
        description: &tool.tool.description,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn read(host: &Host, name: String, output: Output) -> Result<(), Exit> {
    let catalog = host.catalog();
    let Some(tool) = catalog.tool(&name) else {
        return Err(HostError::UnknownTool { name }.into());
    };
    let data = json!({
        "name": tool.tool.name,
        "component": tool.component,
        "digest": tool.digest,
        "description": tool.tool.description,
        "inputSchema": tool.tool.input_schema,
        "outputSchema": tool.tool.output_schema,
    });
    output.print(&data, |data| {
        let schema = |key| serde_json::to_string_pretty(&data[key]).unwrap_or_default();
        let description: Vec<_> = tool.tool.description.lines().map(shown).collect();
        format!(
            "{} of {}\n{}\n\ninput: {}\n\noutput: {}",
            tool.tool.name,
            tool.component,
            description.join("\n"),
            schema("inputSchema"),
            schema("outputSchema")
        )
    })
}

async fn invoke(host: &Host, name: &str, args: &str, output: Output) -> Result<(), Exit> {
    let arguments = arguments(args)?;
    let report = answer::call(host, name, &arguments).await?;
    show_printed(&report.output);
    show_denied(&report.accesses);
    match &report.result {
        CallResult::Done => output.print(&json!({ "result": null }), |_| "done".to_owned()),
        CallResult::Value(value) => output.print(&json!({ "result": value }), |_| plain(value)),
        CallResult::Answer(Answer::Tool(ToolOutcome::Done(done))) if done.is_error => {
            show_usage(&report);
            Err(Exit::guest(shown(&answer::people(done))))
        }
        CallResult::Answer(Answer::Tool(ToolOutcome::Done(done))) => {
            let json = wassette_mcp::tool_result_json(done.clone());
            output.print(&json, |_| plain(&Json::String(answer::people(done))))
        }
        CallResult::Answer(_) | CallResult::Refused(_) => Err(answer::no_result(&report.result)),
        CallResult::Failed(failure) => {
            show_usage(&report);
            Err(Exit::guest(shown(&failure.message)))
        }
    }
}

fn arguments(args: &str) -> Result<Json, Exit> {
    let mut text = args.to_owned();
    if args == "-" {
        text.clear();
        let mut input = std::io::stdin().lock().take(ARGUMENT_BYTES_MAX);
        input.read_to_string(&mut text).map_err(|error| {
            Exit::usage(format!("cannot read the arguments from standard input: {error}"))
        })?;
    }
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| Exit::usage(format!("the arguments are not JSON: {error}")).with_hint(EXAMPLE))?;
    if json.is_object() {
        Ok(json)
    } else {
        Err(Exit::usage("the arguments are not a JSON object").with_hint(EXAMPLE))
    }
}

const EXAMPLE: &str =
    "for example --args '{\"name\": \"value\"}'; `wassette tool read <name>` shows what a tool takes";

/// A string as it is, everything else as JSON. Results come from the guest, so control characters other than
/// line breaks and tabs do not reach the terminal.
fn plain(value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            serde_json::to_string_pretty(other).unwrap_or_default()
        }
    };
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// What the guest printed, on standard error and marked as the guest's.
fn show_printed(output: &GuestOutput) {
    for (stream, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        for line in text.lines().take(50) {
            note(&format!("component {stream}: {}", shown(line)));
        }
    }
    if output.dropped_bytes > 0 {
        note(&format!(
            "component output: {} more bytes were dropped",
            output.dropped_bytes
        ));
    }
}

/// What the guest was denied, and what it lacked.
fn show_denied(accesses: &[Decision]) {
    for decision in accesses.iter().filter(|decision| !decision.allowed) {
        note(&format!("denied: {}; {}", decision.access, decision.why()));
    }
}

/// Which call it was, to be found in the audit file, and what it used.
fn show_usage(report: &CallReport) {
    let usage = &report.usage;
    note(&format!(
        "call {}: {:.1?}, of that {:.1?} in the component, with {} KiB of memory",
        report.call,
        usage.elapsed,
        usage.cpu,
        usage.memory_bytes / 1024
    ));
    let moved: Vec<_> = [
        (usage.requests, "HTTP requests"),
        (usage.egress_bytes, "bytes sent"),
        (usage.ingress_bytes, "bytes received"),
        (usage.file_read_bytes, "bytes read from files"),
        (usage.file_write_bytes, "bytes written to files"),
        (usage.files, "files made"),
    ]
    .into_iter()
    .filter(|(amount, _)| *amount > 0)
    .map(|(amount, what)| format!("{amount} {what}"))
    .collect();
    if !moved.is_empty() {
        note(&format!("moved: {}", moved.join(", ")));
    }
}
