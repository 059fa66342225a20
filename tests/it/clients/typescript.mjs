// The official TypeScript SDK as an MCP client: makes the round that `real_clients.rs` asks of every client, and
// prints what it saw as one line of JSON.
//
// Arguments: the generation of the SDK (`1`, `2`), the era (`legacy`, `modern`), the server's program or address. The round
// stands in the variable `ROUND`; the SDK lies in the folder that `WASSETTE_NODE_TOOLS` names. The server runs in
// the current folder and gets `HOME` as it is.

import { createRequire } from "node:module";
import { join } from "node:path";

const [generation, era, server] = process.argv.slice(2);
const round = JSON.parse(process.env.ROUND);
// Imports would be looked for beside this file.
const require = createRequire(join(process.env.WASSETTE_NODE_TOOLS, "here.js"));
const sdk =
  generation === "1"
    ? ["index.js", "stdio.js", "streamableHttp.js"].map((name) => `@modelcontextprotocol/sdk/client/${name}`)
    : ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio", "@modelcontextprotocol/client"];
const [{ Client }, { StdioClientTransport }, { StreamableHTTPClientTransport }] = sdk.map((name) => require(name));

// Lists that came with a notification and were not asked for yet, and those who wait for one.
const lists = [];
const waiting = [];
function onChanged(error, tools) {
  if (error) throw error;
  const names = tools.map((tool) => tool.name);
  if (waiting.length > 0) waiting.shift()(names);
  else lists.push(names);
}
const changed = () => (lists.length > 0 ? lists.shift() : new Promise((resolve) => waiting.push(resolve)));

// What never comes must fail the test, not hold it up.
setTimeout(() => {
  console.error("not done after 60 seconds");
  process.exit(1);
}, 60_000).unref();

const client = new Client(
  { name: "typescript", version: generation },
  {
    versionNegotiation: { mode: era === "modern" ? { pin: "2026-07-28" } : "legacy" },
    listChanged: { tools: { onChanged } },
  },
);
const tools = async () => (await client.listTools()).tools.map((tool) => tool.name);
// The SDK compares structured content with the tool's output schema, and throws when it does not fit.
async function call([name, args]) {
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: args });
  return { content, structuredContent, isError };
}

await client.connect(
  server.startsWith("http://")
    ? new StreamableHTTPClientTransport(new URL(server))
    : new StdioClientTransport({ command: server, args: ["run"], env: { HOME: process.env.HOME } }),
);
const report = { server: client.getServerVersion().name, offered: await tools(), results: [] };
for (const asked of round.calls) report.results.push(await call(asked));
report.unknown = await call(["unknown", {}]).catch((error) => error.code);
report.load = (await call(round.load)).isError;
report.loaded = await changed();
report.unload = (await call(round.unload)).isError;
report.unloaded = await changed();
await client.close();
console.log(JSON.stringify(report));
