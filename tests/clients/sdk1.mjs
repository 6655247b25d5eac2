// Lists and calls tools with the TypeScript SDK 1.x, which speaks up to 2025-11-25.
// Arguments: the URL of the endpoint, the key, and `sse` for the transport of 2024-11-05; or a server
// to start, as JSON {command, args, env}. Prints what came back as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [server, key, kind] = process.argv.slice(2);
const client = new Client({ name: "breakwater-tests", version: "0" });
const Transport = kind === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = server.startsWith("{")
  ? new StdioClientTransport(JSON.parse(server))
  : new Transport(new URL(server), { requestInit: { headers: { "X-API-Key": key } } });
await client.connect(transport);

const progress = [];
const { tools } = await client.listTools();
const called = await client.callTool({ name: "test_simple_text", arguments: {} });
await client.callTool({ name: "test_tool_with_progress", arguments: {} }, undefined, {
  onprogress: ({ progress: done }) => progress.push(done),
});
const read = await client.readResource({ uri: "test://template/7/data" });
await client.close();

console.log(
  JSON.stringify({
    protocolVersion: transport.protocolVersion ?? transport._protocolVersion ?? null,
    tools: tools.map((tool) => tool.name),
    text: called.content[0].text,
    progress,
    read: read.contents[0].text,
  }),
);
