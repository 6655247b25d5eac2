"""The one object that the SDK and Breakwater serve."""

from mcp.server import MCPServer

from bench.servers.tools import TOOLS

server = MCPServer("bench")
for tool in TOOLS:
    server.add_tool(tool)
