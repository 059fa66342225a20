// The same as echo.mjs over Streamable HTTP, in the way the SDK's documentation has it for servers without sessions: a
// server and a transport for each request. With `--sse` answers are event streams, else they are JSON.
// node echo-http.mjs PORT [--sse]
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const enableJsonResponse = !process.argv.includes('--sse');
const inputSchema = { v: z.string() };

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const server = new McpServer({ name: 'echo', version: '0' });
  server.registerTool('echo', { inputSchema }, ({ v }) => ({ content: [{ type: 'text', text: v }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse });
  response.on('close', () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response, JSON.parse(Buffer.concat(chunks).toString()));
}).listen(Number(process.argv[2]), '127.0.0.1');
