// Lists the tools of any server with the TypeScript SDK 2.x. Arguments: the URL of the endpoint, the
// key. Prints their names as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key] = process.argv.slice(2);
const client = new Client({ name: "breakwater-tests", version: "0" });
await client.connect(
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "X-API-Key": key } } }),
);
const { tools } = await client.listTools();
await client.close();
console.log(JSON.stringify(tools.map((tool) => tool.name).sort()));
