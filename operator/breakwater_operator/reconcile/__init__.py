"""One full pass over one McpServer, and what decides when it is made."""
