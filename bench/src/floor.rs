//! The transport floor: constant answers over stdio, to be subtracted in thought from every other figure.

use anyhow::Result;
use serde_json::Value as Json;
use serde_json::json;
use std::io::{BufRead as _, Write as _};

/// Answers until standard input ends.
///
/// # Errors
///
/// When the pipes break.
pub(crate) fn serve() -> Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        // Parsing would be work, and this server does none.
        let Some((_, rest)) = line.split_once("\"id\":") else {
            continue;
        };
        let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let result = if line.contains("\"initialize\"") {
            hello("floor").to_string()
        } else if line.contains("\"tools/list\"") {
            tools("echo", "v").to_string()
        } else {
            r#"{"content":[{"type":"text","text":"hello world"}]}"#.to_owned()
        };
        writeln!(output, r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)?;
        output.flush()?;
    }
    Ok(())
}

/// The answer to `initialize`.
pub(crate) fn hello(name: &str) -> Json {
    json!({
        "protocolVersion": crate::client::PROTOCOL,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": name, "version": "0" },
    })
}

/// The answer to `tools/list` of a server with one tool that takes one string.
pub(crate) fn tools(name: &str, parameter: &str) -> Json {
    let schema = json!({
        "type": "object",
        "properties": { parameter: { "type": "string" } },
        "required": [parameter],
    });
    json!({ "tools": [{ "name": name, "inputSchema": schema }] })
}
