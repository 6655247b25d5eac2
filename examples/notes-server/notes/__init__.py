"""An MCP server as most are written: a program of its own, over standard streams or HTTP."""
