"""MCP over Streamable HTTP as a client speaks it: connections, streams of events, and sessions."""
