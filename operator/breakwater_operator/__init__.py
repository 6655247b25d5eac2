"""The Breakwater operator: turns McpServer objects into Kubernetes objects and keeps them true."""
