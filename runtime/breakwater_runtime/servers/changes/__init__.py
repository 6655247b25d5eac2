"""Change folders as an MCP server: run it as `breakwater_runtime.servers.changes:mcp`."""

from breakwater_runtime.servers.changes.main import mcp

__all__ = ["mcp"]
