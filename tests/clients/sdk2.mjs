// Lists and calls tools with the TypeScript SDK 2.x, which speaks both eras.
// Arguments: the URL of the endpoint, the key, and how to choose the era (auto, legacy or a version);
// instead of the URL a server to start, as JSON {command, args, env}. Prints what came back as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [server, key, era] = process.argv.slice(2);
const mode = era === "auto" || era === "legacy" ? era : { pin: era };
const client = new Client(
  { name: "breakwater-tests", version: "0" },
  { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
);
client.setRequestHandler("elicitation/create", () => ({
  action: "accept",
  content: { name: "Ada" },
}));
const transport = server.startsWith("{")
  ? new StdioClientTransport(JSON.parse(server))
  : new StreamableHTTPClientTransport(new URL(server), {
      requestInit: { headers: { "X-API-Key": key } },
    });
await client.connect(transport);

const progress = [];
const { tools } = await client.listTools();
const called = await client.callTool({ name: "test_simple_text", arguments: {} });
await client.callTool(
  { name: "test_tool_with_progress", arguments: {} },
  { onprogress: ({ progress: done }) => progress.push(done) },
);
const read = await client.readResource({ uri: "test://template/7/data" });
const modern = client.getProtocolEra() === "modern";
const asked = modern
  ? await client.callTool({ name: "test_input_required_result_elicitation", arguments: {} })
  : null;
await client.close();

console.log(
  JSON.stringify({
    protocolVersion: client.getNegotiatedProtocolVersion() ?? transport.protocolVersion ?? null,
    tools: tools.map((tool) => tool.name),
    text: called.content[0].text,
    progress,
    read: read.contents[0].text,
    asked: asked?.content[0].text ?? null,
  }),
);
