"""A server's own beginning and end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.lowlevel.server import Server


@asynccontextmanager
async def entered(
    server: Server[Any], began: Callable[[Any], None], ends: Callable[[], None]
) -> AsyncIterator[None]:
    """Enter a server's lifespan, and leave it at the end.

    Args:
        server: The server.
        began: Told of the state that the lifespan has.
        ends: Called before it ends.
    """
    async with server.lifespan(server) as state:
        began(state)
        try:
            yield
        finally:
            ends()
