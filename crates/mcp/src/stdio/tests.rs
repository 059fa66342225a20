//! The transport over pipes in memory: framing, garbage, huge lines, and how it ends.

use super::*;
use crate::calls::Answer;
use futures::future::BoxFuture;
use rmcp::model::{CallToolRequest, CallToolResult, ContentBlock};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

const PING: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";

/// A client's two ends of a connection, and the server's transport.
struct Connection {
    input: DuplexStream,
    output: BufReader<DuplexStream>,
    ends: Ends,
    transport: LineTransport<DuplexStream, DuplexStream>,
}

/// `long` gives a long answer at once, `never` none at all, other tools their name.
fn begin(call: CallToolRequest) -> Result<BoxFuture<'static, Answer>, Box<CallToolRequest>> {
    let text = if call.params.name == "long" {
        "x".repeat(100_000)
    } else {
        call.params.name.to_string()
    };
    Ok(Box::pin(async move {
        if text == "never" {
            std::future::pending::<()>().await;
        }
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
    }))
}

fn connect(capacity: usize) -> Connection {
    let (input, server_input) = duplex(capacity);
    let (server_output, output) = duplex(capacity);
    let ends = Ends::default();
    let transport = LineTransport::new((server_input, server_output), ends.clone(), Box::new(begin));
    Connection {
        input,
        output: BufReader::new(output),
        ends,
        transport,
    }
}

fn call(id: u32, tool: &str) -> String {
    let call = json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}},
    });
    format!("{call}\n")
}

async fn answer(output: &mut BufReader<DuplexStream>) -> Json {
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn garbage_is_answered_and_the_next_line_is_read() {
    let Connection {
        mut input,
        mut output,
        mut transport,
        ..
    } = connect(4096);
    input.write_all(b"{\"id\":\n\n\xff\xfe\n").await.unwrap();
    input.write_all(PING.as_bytes()).await.unwrap();
    assert!(transport.receive().await.is_some());
    for _ in 0..2 {
        let refusal = answer(&mut output).await;
        assert_eq!(
            (&refusal["error"]["code"], refusal.get("id")),
            (&json!(-32700), None),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn a_line_may_come_in_pieces_and_reading_may_be_given_up_between_them() {
    let Connection {
        mut input,
        mut transport,
        ..
    } = connect(4096);
    let (one, two) = PING.split_at(17);
    input.write_all(one.as_bytes()).await.unwrap();
    assert!(transport.receive().now_or_never_or_none().await.is_none());
    input.write_all(two.as_bytes()).await.unwrap();
    input.write_all(PING.as_bytes()).await.unwrap();
    assert!(transport.receive().await.is_some());
    assert!(transport.receive().await.is_some());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_skipped() {
    let Connection {
        mut input,
        mut output,
        mut transport,
        ..
    } = connect(1024 * 1024);
    let client = tokio::spawn(async move {
        let piece = vec![b'['; 1024 * 1024];
        for _ in 0..20 {
            input.write_all(&piece).await.unwrap();
        }
        input.write_all(b"\n").await.unwrap();
        input.write_all(PING.as_bytes()).await.unwrap();
        input
    });
    assert!(transport.receive().await.is_some());
    let expected = json!({"jsonrpc": "2.0", "error": {
        "code": -32600, "message": format!("a message may have at most {LINE_BYTES_MAX} bytes"),
    }});
    assert_eq!(answer(&mut output).await, expected);
    drop(client.await.unwrap());
    assert!(
        transport.lines.buffer.len() <= BUFFER_BYTES_KEPT,
        "the memory is given back"
    );
}

#[tokio::test]
async fn a_last_line_without_a_line_feed_counts() {
    let Connection {
        mut input,
        ends,
        mut transport,
        ..
    } = connect(4096);
    input.write_all(PING.trim_end().as_bytes()).await.unwrap();
    drop(input);
    assert!(transport.receive().await.is_some());
    assert!(transport.receive().await.is_none());
    assert!(ends.input_ended.is_cancelled());
}

#[tokio::test]
async fn a_client_that_reads_nothing_any_more_ends_the_connection() {
    let Connection {
        output,
        ends,
        mut transport,
        ..
    } = connect(4096);
    drop(output);
    let result = transport.send(ServerJsonRpcMessage::error(
        rmcp::ErrorData::internal_error("", None),
        None,
    ));
    assert_eq!(
        result.await.map_err(|error| error.kind()),
        Err(io::ErrorKind::BrokenPipe)
    );
    assert!(ends.output_broken.is_cancelled());
}

#[tokio::test]
async fn answers_to_a_slow_client_stay_whole_and_in_order() {
    let Connection {
        mut input,
        output,
        mut transport,
        ..
    } = connect(100);
    let serve = tokio::spawn(async move { transport.receive().await.map(drop) });
    let client = tokio::spawn(async move {
        let mut output = BufReader::with_capacity(7, output);
        let mut ids = Vec::new();
        for _ in 0..20 {
            let mut line = String::new();
            output.read_line(&mut line).await.unwrap();
            ids.push(serde_json::from_str::<Json>(&line).unwrap()["id"].clone());
        }
        ids
    });
    for id in 0..20 {
        input.write_all(call(id, "long").as_bytes()).await.unwrap();
    }
    let mut ids: Vec<_> = client.await.unwrap().iter().filter_map(Json::as_u64).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    serve.abort();
}

#[tokio::test]
async fn a_cancelled_call_is_stopped_and_not_answered() {
    let Connection {
        mut input,
        mut output,
        mut transport,
        ..
    } = connect(4096);
    let cancel =
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n";
    for line in [
        &call(1, "never"),
        &call(1, "again"),
        &call(2, "other"),
        cancel,
        PING,
    ] {
        input.write_all(line.as_bytes()).await.unwrap();
    }
    assert!(transport.receive().await.is_some(), "the ping");
    let in_use = answer(&mut output).await;
    assert_eq!(
        in_use["error"]["message"],
        json!("a request with this id is still running")
    );
    let other = answer(&mut output).await;
    assert_eq!(other["result"]["content"][0]["text"], json!("other"));
    drop(input);
    let ended = tokio::time::timeout(Duration::from_secs(1), transport.receive()).await;
    assert!(
        ended.is_ok_and(|message| message.is_none()),
        "the cancelled call must be gone"
    );
    drop(transport);
    let mut rest = String::new();
    output.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "");
}

/// Polls once.
trait NowOrNever: Future + Sized {
    async fn now_or_never_or_none(self) -> Option<Self::Output> {
        tokio::select! {
            biased;
            output = self => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}

impl<F: Future> NowOrNever for F {}
