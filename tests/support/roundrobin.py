"""A plain proxy: each connection goes to the next of several ports, as a Service would have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence


class RoundRobin:
    """Hands connections on, in turn, and looks into none of them."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = list(ports)
        """Where connections go; what is taken out gets no new ones and keeps those it has."""
        self._next = 0
        self._connections: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen until the end of the block; give the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._hand_on(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._next += 1
        port = self.ports[self._next % len(self.ports)]
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            to_pod = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(to_pod[1]):
                back = asyncio.create_task(_pump(to_pod[0], writer))
                await _pump(reader, to_pod[1])
                await back


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
