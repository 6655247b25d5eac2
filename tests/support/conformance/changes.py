"""Tools that change what the server offers and say so to whoever listens."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt

FLEETING = "test_fleeting"
"""The tool and the prompt that come and go."""


async def trigger_tool_change(ctx: Context[Any]) -> str:
    """Add a tool, take it away, and announce the change."""
    ctx.mcp_server.add_tool(_nothing, name=FLEETING)
    ctx.mcp_server.remove_tool(FLEETING)
    await ctx.notify_tools_changed()
    return "The list of tools changed"


async def trigger_prompt_change(ctx: Context[Any]) -> str:
    """Add a prompt, take it away, and announce the change."""
    ctx.mcp_server.add_prompt(Prompt.from_function(_nothing, name=FLEETING))
    ctx.mcp_server.remove_prompt(FLEETING)
    await ctx.notify_prompts_changed()
    return "The list of prompts changed"


def _nothing() -> str:
    """Here for a moment."""
    return "here"
