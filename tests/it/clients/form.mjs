// The official TypeScript SDK as a client with a person before it, who allows what a model asks for. Prints what the person
// was shown and what the model was told, as one line of JSON.
//
// Arguments: the generation of the SDK (`1`, `2`), the era (`legacy`, `modern`), the server's program. The request stands in
// the variable `ARGUMENTS`; all else is as for `typescript.mjs`.

import { createRequire } from "node:module";
import { join } from "node:path";
const [generation, era, server] = process.argv.slice(2);
const require = createRequire(join(process.env.WASSETTE_NODE_TOOLS, "here.js"));
const sdk =
  generation === "1"
    ? ["client/index.js", "client/stdio.js", "types.js"].map((name) => `@modelcontextprotocol/sdk/${name}`)
    : ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio", "@modelcontextprotocol/client"];
const [{ Client }, { StdioClientTransport }, { ElicitRequestSchema }] = sdk.map((name) => require(name));
setTimeout(() => { console.error("not done after 60 seconds"); process.exit(1); }, 60_000).unref();
const client = new Client(
  { name: "typescript", version: generation },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: era === "modern" ? { pin: "2026-07-28" } : "legacy" } },
);
const shown = [];
client.setRequestHandler(generation === "1" ? ElicitRequestSchema : "elicitation/create", async ({ params }) => {
  shown.push(params.message);
  return { action: "accept", content: { decision: "allow" } };
});
await client.connect(new StdioClientTransport({ command: server, args: ["run"], env: { HOME: process.env.HOME } }));
const { structuredContent } = await client.callTool({ name: "request-permission", arguments: JSON.parse(process.env.ARGUMENTS) });
await client.close();
console.log(JSON.stringify({ shown, answer: structuredContent }));
