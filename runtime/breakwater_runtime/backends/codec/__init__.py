"""MCP as a client speaks it: messages, handshakes, and conversations with a server."""
