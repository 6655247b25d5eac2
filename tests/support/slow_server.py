"""A server with a tool that takes as long as nobody waits for."""

import asyncio

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

mcp = MCPServer("slow")


@mcp.tool()
async def wait(ctx: Context) -> str:
    """Say that it has begun, then wait."""
    await ctx.report_progress(1)
    await asyncio.sleep(600)
    return "never"
