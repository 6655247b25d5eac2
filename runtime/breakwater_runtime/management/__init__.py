"""The private port: health, metrics, and MCP for the operator alone."""
