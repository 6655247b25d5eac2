"""An MCPServer object of the MCP SDK, run inside this process."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from mcp.server import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Receive, Scope, Send

from breakwater_runtime.calls import StartError

LISTEN = "subscriptions/listen"


class PythonBackend:
    """Serves one MCPServer object, without sessions, since any replica may get the next request."""

    def __init__(self, name: str, entry_point: str) -> None:
        """Import the object.

        Raises:
            StartError: There is no such object, or it is something else.
        """
        self.name = name
        self._manager = _manager(load(entry_point, f"backends[{name}].python.server"))
        self._running = False

    @property
    def fault(self) -> str | None:
        """Why it cannot answer now; None: it can."""
        return None if self._running else "its lifespan has not started"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Enter the server's lifespan, and leave it at the end."""
        async with self._manager.run():
            self._running = True
            try:
                yield
            finally:
                self._running = False

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK answer."""
        await self._manager.handle_request(scope, receive, send)

    def end_streams(self) -> None:
        """Close every `subscriptions/listen`, which the SDK leaves open for ever."""
        entry = self._manager.app.get_request_handler(LISTEN)
        if entry is not None and isinstance(entry.handler, ListenHandler):
            entry.handler.close()


def load(entry_point: str, where: str) -> MCPServer:
    """Import the MCPServer object that a setting names.

    Raises:
        StartError: There is no such object, or it is something else.
    """
    module_name, _, attribute = entry_point.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise StartError(
            f"{where}: module {module_name} cannot be imported: {type(error).__name__}: {error}; "
            f"searched: {', '.join(filter(None, sys.path))}"
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


def _manager(server: MCPServer) -> StreamableHTTPSessionManager:
    """Get the SDK's door to a server: no sessions, no checks that were already made."""
    server.streamable_http_app(
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return server.session_manager
