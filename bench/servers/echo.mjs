// A server on the official SDK with a native echo tool: what a user would write instead of a component.
// node echo.mjs [--tools N] adds N tools nobody calls, for the measurement of long lists.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const at = process.argv.indexOf('--tools');
const more = at < 0 ? 0 : Number(process.argv[at + 1]);
const text = (value) => ({ content: [{ type: 'text', text: value }] });

const server = new McpServer({ name: 'echo', version: '0' });
server.registerTool('echo', { inputSchema: { v: z.string() } }, ({ v }) => text(v));
for (let i = 0; i < more; i++) {
  const inputSchema = { query: z.string(), limit: z.number().optional(), tags: z.array(z.string()) };
  server.registerTool(`tool-n${i}`, { inputSchema }, ({ query }) => text(query));
}
await server.connect(new StdioServerTransport());
