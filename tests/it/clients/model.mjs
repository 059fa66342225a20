// A model that answers by rule: the first time it calls the tool whose name ends in what TOOL says, with ARGUMENTS; once it
// has seen the result it says so. Speaks the protocols of the agents that are tested with it. Prints the port, and then
// a line of JSON for each request that offered tools.
import http from "node:http";

// Some agents offer `a-b` as `a_b`.
const plain = (name) => (name ?? "").replaceAll("-", "_");
const suffix = plain(process.env.TOOL);
const args = JSON.parse(process.env.ARGUMENTS);
const last = "the tool was called";

const say = (line) => console.log(JSON.stringify(line));

function sse(response, events) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const [name, data] of events) {
    if (name) response.write(`event: ${name}\n`);
    response.write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}

function json(response, body) {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

// Anthropic's Messages.
function messages(body, response) {
  const tools = (body.tools ?? []).map((tool) => tool.name);
  const results = body.messages
    .flatMap((message) => (Array.isArray(message.content) ? message.content : []))
    .filter((block) => block.type === "tool_result");
  say({ tools, results, definition: body.tools?.find((tool) => plain(tool.name).endsWith(suffix)) });
  const name = tools.find((tool) => plain(tool).endsWith(suffix));
  const block =
    name && results.length === 0
      ? { type: "tool_use", id: "toolu_1", name, input: args }
      : { type: "text", text: last };
  const message = { id: "msg_1", type: "message", role: "assistant", model: body.model, stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } };
  const stop_reason = block.type === "tool_use" ? "tool_use" : "end_turn";
  if (!body.stream) return json(response, { ...message, content: [block], stop_reason });
  const start = block.type === "tool_use" ? { ...block, input: {} } : { ...block, text: "" };
  const delta =
    block.type === "tool_use"
      ? { type: "input_json_delta", partial_json: JSON.stringify(args) }
      : { type: "text_delta", text: last };
  sse(response, [
    { type: "message_start", message: { ...message, content: [], stop_reason: null } },
    { type: "content_block_start", index: 0, content_block: start },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: "message_stop" },
  ].map((event) => [event.type, event]));
}

// OpenAI's Responses.
function responses(body, response) {
  const tools = (body.tools ?? []).flatMap((tool) =>
    tool.type === "namespace" ? tool.tools.map((inner) => ({ ...inner, namespace: tool.name })) : [tool]);
  const results = (body.input ?? []).filter((item) => item.type === "function_call_output");
  const tool = tools.find((tool) => plain(tool.name).endsWith(suffix));
  say({ tools: tools.map((tool) => tool.name), results, definition: tool });
  const item =
    tool && results.length === 0
      ? { type: "function_call", id: "fc_1", call_id: "call_1", name: tool.name, namespace: tool.namespace, arguments: JSON.stringify(args), status: "completed" }
      : { type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: last, annotations: [] }] };
  const whole = { id: "resp_1", object: "response", status: "completed", output: [item], usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2, input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } } };
  if (!body.stream) return json(response, whole);
  sse(response, [
    { type: "response.created", response: { ...whole, status: "in_progress", output: [] } },
    { type: "response.output_item.added", output_index: 0, item },
    { type: "response.output_item.done", output_index: 0, item },
    { type: "response.completed", response: whole },
  ].map((event) => [event.type, event]));
}

// OpenAI's Chat Completions.
function completions(body, response) {
  const tools = (body.tools ?? []).map((tool) => tool.function.name);
  const results = body.messages.filter((message) => message.role === "tool");
  say({ tools, results, definition: body.tools?.find((tool) => plain(tool.function.name).endsWith(suffix)) });
  const name = tools.find((tool) => plain(tool).endsWith(suffix));
  const calls = name && results.length === 0;
  const call = { id: "call_1", type: "function", function: { name, arguments: JSON.stringify(args) } };
  const message = calls ? { role: "assistant", content: null, tool_calls: [call] } : { role: "assistant", content: last };
  const finish_reason = calls ? "tool_calls" : "stop";
  const whole = { id: "chat_1", created: 1, model: body.model };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  if (!body.stream) return json(response, { ...whole, object: "chat.completion", choices: [{ index: 0, message, finish_reason }], usage });
  const delta = calls ? { ...message, tool_calls: [{ index: 0, ...call }] } : message;
  sse(response, [
    ["", { ...whole, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: null }] }],
    ["", { ...whole, object: "chat.completion.chunk", choices: [{ index: 0, delta: {}, finish_reason }], usage }],
    ["", "[DONE]"],
  ]);
}

// Gemini's generateContent.
function generate(body, response, streams) {
  const tools = (body.tools ?? []).flatMap((tool) => tool.functionDeclarations ?? []);
  const results = (body.contents ?? []).flatMap((content) => content.parts ?? []).filter((part) => part.functionResponse);
  const tool = tools.find((tool) => plain(tool.name).endsWith(suffix));
  say({ tools: tools.map((tool) => tool.name), results, definition: tool });
  const part = tool && results.length === 0 ? { functionCall: { name: tool.name, args } } : { text: last };
  const whole = { candidates: [{ index: 0, content: { role: "model", parts: [part] }, finishReason: "STOP" }], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } };
  if (streams) return sse(response, [["", whole]]);
  json(response, whole);
}

const server = http.createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    const path = request.url.split("?")[0];
    if (process.env.TRACE) process.stderr.write(`${request.method} ${request.url} ${text.slice(0, 300)}\n`);
    let body = {};
    try { body = JSON.parse(text); } catch {}
    if (path.endsWith("/count_tokens") || path.endsWith(":countTokens")) return json(response, { input_tokens: 1, totalTokens: 1 });
    if (path.endsWith("/messages")) return messages(body, response);
    if (path.endsWith("/responses")) return responses(body, response);
    if (path.endsWith("/chat/completions")) return completions(body, response);
    if (path.includes("enerateContent")) return generate(body, response, path.includes("stream"));
    if (path.endsWith("/models")) return json(response, { object: "list", data: [], models: [] });
    response.writeHead(404).end("{}");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
