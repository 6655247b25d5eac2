"""The Breakwater runtime: the process in front of every MCP server."""
