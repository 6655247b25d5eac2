"""Finding the MCPServer object that a setting names."""

import sys
from importlib import import_module

from mcp.server import MCPServer

from breakwater_runtime.calls import StartError

CURE = "install it beside the runtime, or put the folder that it lies in into PYTHONPATH; "


def load(entry_point: str, where: str) -> MCPServer:
    """Import the MCPServer object that a setting names.

    Raises:
        StartError: There is no such object, or it is something else.
    """
    module_name, _, attribute = entry_point.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        cure = CURE if isinstance(error, ModuleNotFoundError) else ""
        raise StartError(
            f"{where}: module {module_name} cannot be imported: {type(error).__name__}: {error}; "
            f"{cure}searched: {', '.join(filter(None, sys.path))}"
        ) from error
    if not hasattr(module, attribute):
        servers = [name for name, value in vars(module).items() if isinstance(value, MCPServer)]
        has = ", ".join(servers) or "none"
        raise StartError(
            f"{where}: module {module_name} has no {attribute}; its MCPServer objects: {has}"
        )
    server = getattr(module, attribute)
    if not isinstance(server, MCPServer):
        found = f"{type(server).__module__}.{type(server).__qualname__}"
        raise StartError(
            f"{where}: found a {found}; accepted: an mcp.server.MCPServer of the MCP SDK"
        )
    if server.settings.auth is not None:
        raise StartError(
            f"{where}: the MCPServer has authentication of its own, which would have no effect "
            "here; remove auth= from it"
        )
    return server
