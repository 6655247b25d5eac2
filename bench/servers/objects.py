"""The one object that the SDK and Breakwater serve."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from bench.servers.tools import TOOLS

STEPS = 5

server = MCPServer("bench")
for tool in TOOLS:
    server.add_tool(tool)


@server.tool()
async def steps(text: str, ctx: Context) -> str:
    """Report progress a few times, so that the answer is a stream, and return the text."""
    for number in range(1, STEPS + 1):
        await ctx.report_progress(number, STEPS)
    return text
