"""An MCP server with some of the sums that weather stations do."""
