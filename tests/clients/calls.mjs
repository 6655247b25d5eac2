// Lists and calls tools of any server with the TypeScript SDK 2.x. Arguments: the URL of the endpoint,
// the key, how to choose the era (auto or legacy), and a JSON list of what to call: [name, arguments].
// Prints what came back as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, mode, calls] = process.argv.slice(2);
const client = new Client({ name: "breakwater-tests", version: "0" }, { versionNegotiation: { mode } });
await client.connect(
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "X-API-Key": key } } }),
);
const { tools } = await client.listTools();
const answers = [];
for (const [name, given] of JSON.parse(calls)) {
  const { isError, content } = await client.callTool({ name, arguments: given });
  answers.push({ isError: isError ?? false, text: content[0].text });
}
await client.close();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name).sort(), answers }));
