"""The HTTP server, and what happens to a request before it is MCP: one ASGI class per module."""
