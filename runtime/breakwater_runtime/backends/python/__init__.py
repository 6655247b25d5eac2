"""An MCPServer object of the MCP SDK, run inside this process."""

from breakwater_runtime.backends.python.backend import PythonBackend
from breakwater_runtime.backends.python.loading import load

__all__ = ["PythonBackend", "load"]
