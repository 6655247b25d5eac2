"""MCP servers that ship in the runtime's image, each run as a `python` backend."""
