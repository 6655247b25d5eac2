"""MCP as it goes over HTTP: eras, framing, dispatch."""
